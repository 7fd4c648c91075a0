import { type Effect, Schema } from "effect"

/** Power over the machines that the nodes of a cluster are. */
export interface Machines {
  /** Power loss: the node's processes end at once and its peers hear nothing of it. Returns when they are gone. */
  readonly stopNode: (name: string) => Effect.Effect<void, NodeFailed>
  /** Power on, with the disk as it was. Returns when the node boots; it is Ready some seconds later. */
  readonly startNode: (name: string) => Effect.Effect<void, NodeFailed>
  /** Brings an image to every running node. */
  readonly loadImage: (archive: string) => Effect.Effect<void, NodeFailed>
}

export class NodeFailed extends Schema.TaggedError<NodeFailed>()("NodeFailed", {
  node: Schema.String,
  wanted: Schema.String,
  output: Schema.String
}) {
  override get message() {
    return `wanted ${this.node} to ${this.wanted}, found: ${this.output.trim().split("\n").slice(-5).join(" | ")}`
  }
}
