import type { EventStream } from "../../crds/eventstream.ts"
import { incarnationOf } from "../../platform/incarnation.ts"
import { StartMark, type WriterStatus } from "../../writer/config.ts"
import { consumerDrift, fixedDrift } from "../drift.ts"
import type { ConsumerState, StreamState } from "../jetstream.ts"
import { configHash, writerConfig } from "../specs/configmap.ts"
import {
  durableName,
  fixedConsumerConfig,
  isOfIncarnation,
  mutableConsumerConfig,
  newConsumer,
  type Start
} from "../specs/consumer.ts"
import { CreatedMark, GenerationMark, OwnerMark, ownerOf } from "../specs/names.ts"
import type { Action, ConsumerCause, Inputs, Problem } from "./action.ts"
import { causeOf } from "./stream.ts"

/** What is known besides the stream when the durable is planned. */
export interface ConsumerWorld {
  readonly consumers: ReadonlyArray<ConsumerState>
  readonly writers: ReadonlyArray<WriterStatus>
  /** Hashes of the configurations that the writer Pods of now run. */
  readonly runningHashes: ReadonlySet<string>
  /** First sequence at or after `consumer.deliverFrom.time`; undefined when there is none yet. */
  readonly startTimeSequence: number | undefined
}

export interface ConsumerPlan {
  readonly actions: ReadonlyArray<Action>
  readonly problems: ReadonlyArray<Problem>
  readonly durable: string | undefined
  /** Our durables that are not the current one; they go when no writer uses them any more. */
  readonly superseded: ReadonlyArray<string>
}

const generationOf = ({ config }: ConsumerState) => Number(config.metadata?.[GenerationMark] ?? 0)

/** Durables with our owner mark, the newest first. */
export const ownedConsumers = (eventStream: EventStream, consumers: ReadonlyArray<ConsumerState>) =>
  consumers
    .filter(({ config }) => config.metadata?.[OwnerMark] === ownerOf(eventStream.metadata))
    .sort((a, b) => generationOf(b) - generationOf(a) || b.name.localeCompare(a.name))

/** The durable writers read: the newest of ours that was made for this life of the stream. */
export const currentConsumer = (
  eventStream: EventStream,
  stream: StreamState,
  consumers: ReadonlyArray<ConsumerState>
): ConsumerState | undefined => {
  const { metadata, spec } = eventStream
  if (spec.consumer.management === "Observed") return consumers.find(({ name }) => name === spec.consumer.name)
  const incarnation = incarnationOf(stream.config.name, stream.created)
  return ownedConsumers(eventStream, consumers).find(({ name }) => isOfIncarnation(metadata, spec, name, incarnation))
}

/** The start policy as a sequence. It is looked at when a lane is new, and never again. */
const startByPolicy = (eventStream: EventStream, stream: StreamState, world: ConsumerWorld, fresh: boolean): number => {
  const { deliverFrom } = eventStream.spec.consumer
  const next = stream.lastSequence + 1
  switch (deliverFrom.policy) {
    case "All":
      return 1
    case "New":
      // What was published between the creation of our own stream and now is newer than the EventStream.
      return fresh && stream.config.metadata?.[CreatedMark] === eventStream.metadata.uid ? 1 : next
    case "StartSequence":
      return deliverFrom.sequence ?? 1
    case "StartTime":
      return world.startTimeSequence ?? next
  }
}

/** Writers that run exactly the configuration wanted now. Others may write into another database, whose holes are elsewhere. */
const writersOf = (
  eventStream: EventStream,
  stream: StreamState,
  world: ConsumerWorld
): ReadonlyArray<WriterStatus> => {
  const incarnation = incarnationOf(stream.config.name, stream.created)
  const wantedHash = (durable: string) =>
    configHash(writerConfig(eventStream.metadata, eventStream.spec, stream.config.name, durable), eventStream.spec)
  return world.writers.filter(
    (writer) => writer.incarnation === incarnation && world.runningHashes.has(wantedHash(writer.durable))
  )
}

const lowestOf = (sequences: ReadonlyArray<number | null>): number | undefined => {
  const known = sequences.filter((sequence) => sequence !== null)
  return known.length > 0 ? Math.min(...known) : undefined
}

/** The lowest message without an outcome that the durable will never deliver, by its writers. */
const lowestMissed = (eventStream: EventStream, stream: StreamState, world: ConsumerWorld, durable: string) =>
  lowestOf(
    writersOf(eventStream, stream, world)
      .filter((writer) => writer.durable === durable)
      .map(({ missed }) => missed)
  )

const startOf = (
  eventStream: EventStream,
  stream: StreamState,
  world: ConsumerWorld,
  replaced: ConsumerState | undefined
): { readonly start: Start; readonly cause: ConsumerCause } => {
  const { metadata, spec, status } = eventStream
  const recorded = status?.consumer?.startSequence ?? Number(replaced?.config.metadata[StartMark] ?? Number.NaN)
  if (Number.isNaN(recorded)) {
    const first = startByPolicy(eventStream, stream, world, true)
    return { start: { at: first, first }, cause: "First" }
  }
  const incarnation = incarnationOf(stream.config.name, stream.created)
  const before = replaced?.name ?? status?.consumer?.name ?? ""
  if (!isOfIncarnation(metadata, spec, before, incarnation)) return { start: { at: 1, first: 1 }, cause: "Reborn" }
  // Too low is safe: the writers' ledger knows what is covered. Too high would be loss.
  const known = lowestOf(writersOf(eventStream, stream, world).map(({ lowestUncovered }) => lowestUncovered))
  const lowest = known ?? recorded
  return {
    start: { at: Math.min(lowest, stream.lastSequence + 1), first: recorded },
    cause: replaced ? "FixedField" : "Lost"
  }
}

const observedConsumer = (eventStream: EventStream, stream: StreamState, world: ConsumerWorld): ConsumerPlan => {
  const name = eventStream.spec.consumer.name ?? ""
  const found = world.consumers.some((consumer) => consumer.name === name)
  const absent = `wanted durable ${name}, which spec.consumer.management: Observed expects to exist, found none; create it, or set management: Managed`
  const missed = lowestMissed(eventStream, stream, world, name)
  const behind = `wanted durable ${name} to deliver every message without an outcome, found message ${missed} behind its position; make it anew from that sequence, or set management: Managed`
  const problems: ReadonlyArray<Problem> = !found
    ? [{ about: "Consumer", reason: "NotFound", message: absent, stalled: false }]
    : missed !== undefined
      ? [{ about: "Consumer", reason: "ConsumerError", message: behind, stalled: true }]
      : []
  return {
    actions: [],
    problems,
    durable: found ? name : undefined,
    superseded: []
  }
}

/** Steps for the durable of a stream that exists. */
export const planConsumer = (
  eventStream: EventStream,
  stream: StreamState,
  world: ConsumerWorld,
  inputs: Inputs
): ConsumerPlan => {
  const { metadata, spec, status } = eventStream
  if (spec.consumer.management === "Observed") return observedConsumer(eventStream, stream, world)

  const streamName = stream.config.name
  const workQueue = stream.config.retention === "workqueue"
  const current = currentConsumer(eventStream, stream, world.consumers)
  const own = ownedConsumers(eventStream, world.consumers)
  const generation = 1 + Math.max(0, ...own.map(generationOf))

  const create = (start: Start, cause: ConsumerCause): ConsumerPlan => {
    const name = durableName(metadata, spec, incarnationOf(streamName, stream.created), inputs.nonce)
    const action: Action = {
      _tag: "CreateConsumer",
      stream: streamName,
      streamCreated: stream.created,
      // A work queue delivers all that is left, or the server refuses the consumer (10101).
      config: newConsumer(metadata, spec, name, workQueue ? { ...start, at: 1 } : start, generation),
      cause
    }
    const before = own.map((consumer) => consumer.name)
    // Two consumers may not want the same messages of a work queue (10099). Elsewhere the old one stays until no writer
    // needs it: with interest retention it is what keeps the messages.
    const first = workQueue ? before.map((name): Action => ({ _tag: "DeleteConsumer", stream: streamName, name })) : []
    return { actions: [...first, action], problems: [], durable: name, superseded: workQueue ? [] : before }
  }

  if (!current) {
    const { start, cause } = startOf(eventStream, stream, world, undefined)
    return create(start, cause)
  }
  if (fixedDrift(fixedConsumerConfig, current).length > 0) {
    const { start, cause } = startOf(eventStream, stream, world, current)
    return create(start, cause)
  }
  const missed = lowestMissed(eventStream, stream, world, current.name)
  if (missed !== undefined) {
    const first = Number(current.config.metadata[StartMark] ?? status?.consumer?.startSequence ?? 1)
    // What is pending on the old one is to come again, too.
    const at = Math.min(missed, current.ackFloor + 1, stream.lastSequence + 1)
    return create({ at, first: Math.min(first, at) }, "Missed")
  }
  if (world.writers.some(({ state, durable }) => state === "NeedsConsumer" && durable === current.name)) {
    const first = startByPolicy(eventStream, stream, world, false)
    return create({ at: first, first }, "NewLane")
  }
  const fields = consumerDrift(mutableConsumerConfig(spec), current)
  const actions: ReadonlyArray<Action> =
    Object.keys(fields).length === 0
      ? []
      : [
          {
            _tag: "UpdateConsumer",
            stream: streamName,
            name: current.name,
            fields,
            filterSubjects: mutableConsumerConfig(spec).filter_subjects,
            cause: causeOf(eventStream, "ConsumerReady")
          }
        ]
  return {
    actions,
    problems: [],
    durable: current.name,
    superseded: own.filter((consumer) => consumer !== current).map(({ name }) => name)
  }
}
