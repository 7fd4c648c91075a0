import type { EventStream } from "../../crds/eventstream.ts"
import type { StreamState } from "../jetstream.ts"
import { deadLetterStream } from "../specs/dead-letter-stream.ts"
import { OwnerMark, ownerOf } from "../specs/names.ts"
import type { Action, Inputs, Problem } from "./action.ts"
import { planOwned } from "./stream.ts"

/** What is to be done about the stream of published dead letters; nothing where the spec asks for none. */
export interface DeadLetterStreamPlan {
  readonly actions: ReadonlyArray<Action>
  readonly problems: ReadonlyArray<Problem>
}

const nothing: DeadLetterStreamPlan = { actions: [], problems: [] }

/** Whether the stream carries the mark of this EventStream. */
export const ownsDeadLetterStream = ({ metadata }: EventStream, stream: StreamState): boolean =>
  stream.config.metadata?.[OwnerMark] === ownerOf(metadata)

/** Steps for the stream of published dead letters. One that is not ours is left alone. */
export const planDeadLetterStream = (
  eventStream: EventStream,
  stream: StreamState | undefined,
  clustered: boolean,
  inputs: Inputs
): DeadLetterStreamPlan => {
  const { metadata, spec } = eventStream
  const { publish } = spec.errors.deadLetter
  if (publish === undefined) return nothing
  const wanted = deadLetterStream(metadata, publish)
  // A server that is not in a cluster refuses more than one copy (10074).
  const config = { ...wanted, num_replicas: clustered ? wanted.num_replicas : 1 }
  if (!stream) return { actions: [{ _tag: "CreateStream", config }], problems: [] }
  if (!ownsDeadLetterStream(eventStream, stream)) {
    const message = `stream ${config.name} exists and is not this EventStream's; give spec.errors.deadLetter.publish.streamName another value`
    return { actions: [], problems: [{ about: "Spec", reason: "StreamConflict", message, stalled: true }] }
  }
  const { actions, problems } = planOwned(
    eventStream,
    { config, replicasGiven: publish.replicas !== undefined },
    stream,
    inputs
  )
  return { actions, problems: problems.map((problem) => ({ ...problem, about: "Spec" })) }
}
