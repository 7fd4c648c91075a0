import type { EventStream } from "../../crds/eventstream.ts"
import { streamDrift, type StreamWish } from "../drift.ts"
import type { StreamState } from "../jetstream.ts"
import { ApproveAnnotation, CreatedMark, OwnerMark, ownerOf } from "../specs/names.ts"
import { newStream, streamNameOf } from "../specs/stream.ts"
import { type Action, approvals, type Cause, type Inputs, type Problem } from "./action.ts"

export interface StreamPlan {
  readonly actions: ReadonlyArray<Action>
  readonly problems: ReadonlyArray<Problem>
  /** The stream, when it is there and ours to read from. */
  readonly stream: StreamState | undefined
  /** What somebody changed outside Kubernetes and is not put back by itself. */
  readonly drift: ReadonlyArray<string>
}

/** Whether the difference to the spec is somebody else's doing: this generation was carried out before. */
export const causeOf = ({ metadata, status }: EventStream, condition: string): Cause =>
  status?.conditions?.some(
    (c) => c.type === condition && c.status === "True" && c.observedGeneration === metadata.generation
  )
    ? "Drift"
    : "Spec"

export const stuck = (reason: Problem["reason"], message: string): Problem => ({
  about: "Stream",
  reason,
  message,
  stalled: true
})

/** Why the stream may not be touched: it is another's, or nobody said that it may be taken over. */
const conflict = (eventStream: EventStream, stream: StreamState): Problem | undefined => {
  const { metadata, spec, status } = eventStream
  const owner = stream.config.metadata?.[OwnerMark]
  const own = ownerOf(metadata)
  const { name } = stream.config
  if (owner === own) return undefined
  if (owner !== undefined) {
    return stuck(
      "StreamConflict",
      `stream ${name} belongs to EventStream ${owner}; give spec.stream.name another value, or read it with spec.stream.management: Observed`
    )
  }
  // The mark of a stream that we had before was lost by somebody's edit: it is put back.
  const lostMark = status?.stream?.owned === true && status.stream.created === stream.created
  if (spec.stream.adopt || lostMark) return undefined
  return stuck(
    "StreamConflict",
    `stream ${name} exists and is not managed by an EventStream; set spec.stream.adopt: true to take it over, or spec.stream.management: Observed to only read it`
  )
}

/** Steps for the stream itself. Nothing is changed of a stream that is another's. */
export const planStream = (
  eventStream: EventStream,
  stream: StreamState | undefined,
  clustered: boolean,
  inputs: Inputs
): StreamPlan => {
  const { metadata, spec } = eventStream
  const name = streamNameOf(metadata, spec)
  if (spec.stream.management === "Observed") {
    if (stream) return { actions: [], problems: [], stream, drift: [] }
    const message = `wanted stream ${name}, which spec.stream.management: Observed expects to exist, found none; create it, or set management: Managed`
    return {
      actions: [],
      problems: [{ about: "Stream", reason: "NotFound", message, stalled: false }],
      stream,
      drift: []
    }
  }
  const wanted = newStream(metadata, spec)
  // A server that is not in a cluster refuses more than one copy (10074).
  const num_replicas = clustered ? wanted.num_replicas : 1
  if (!stream)
    return { actions: [{ _tag: "CreateStream", config: { ...wanted, num_replicas } }], problems: [], stream, drift: [] }

  const taken = conflict(eventStream, stream)
  if (taken) return { actions: [], problems: [taken], stream: undefined, drift: [] }

  return planOwned(
    eventStream,
    { config: { ...wanted, num_replicas }, replicasGiven: spec.stream.replicas !== undefined },
    stream,
    inputs
  )
}

/** Steps that make a stream of ours what it should be, and what keeps some of them from being taken. */
export const planOwned = (
  eventStream: EventStream,
  { config, replicasGiven }: StreamWish,
  stream: StreamState,
  inputs: Inputs
): StreamPlan => {
  const { name } = config
  const { [CreatedMark]: _, ...marks } = config.metadata
  const drift = streamDrift(
    { config: { ...config, metadata: marks }, replicasGiven },
    stream,
    approvals(eventStream.metadata.annotations?.[ApproveAnnotation]),
    inputs.nowMillis
  )
  const problems: Array<Problem> = []
  if (drift.immutable.length > 0) {
    problems.push(
      stuck(
        "ImmutableField",
        `stream ${name}: ${drift.immutable.join(", ")}; JetStream cannot change this of an existing stream: put the spec back, or use another spec.stream.name`
      )
    )
  }
  if (drift.lossy.length > 0) {
    const changes = drift.lossy.map(({ approval, consequence }) => `${approval} (${consequence})`).join(", ")
    const annotation = `${ApproveAnnotation}=${drift.lossy.map(({ approval }) => approval).join(",")}`
    problems.push(
      stuck(
        "NeedsApproval",
        `stream ${name}: not changed without approval: ${changes}; approve with the annotation ${annotation}`
      )
    )
  }
  const cause = causeOf(eventStream, "StreamReady")
  const actions: ReadonlyArray<Action> =
    Object.keys(drift.fields).length === 0 ? [] : [{ _tag: "UpdateStream", name, fields: drift.fields, cause }]
  const unrepaired = [...drift.immutable, ...drift.lossy.map(({ approval }) => `wanted ${approval}`)]
  return { actions, problems, stream, drift: cause === "Drift" ? unrepaired : [] }
}
