import type { EventStream } from "../crds/eventstream.ts"
import type { Observed } from "./observe.ts"
import { type Action, emptyPlan, type Inputs, needsFinalizer, type Plan, type Problem } from "./plan/action.ts"
import { type ConsumerPlan, planConsumer } from "./plan/consumer.ts"
import { planDeadLetterStream } from "./plan/dead-letter-stream.ts"
import { planDeletion } from "./plan/deletion.ts"
import { planStream } from "./plan/stream.ts"
import { hashOfPod, planWriters } from "./plan/writers.ts"
import { Finalizer } from "./specs/names.ts"
import { streamNameOf } from "./specs/stream.ts"

/** Steps that claim or release the object: the finalizer is set before there is anything to clean up. */
const planFinalizer = ({ metadata, spec }: EventStream): ReadonlyArray<Action> => {
  const present = metadata.finalizers ?? []
  const has = present.includes(Finalizer)
  if (has === needsFinalizer(spec)) return []
  return [
    {
      _tag: "SetFinalizers",
      finalizers: has ? present.filter((finalizer) => finalizer !== Finalizer) : [...present, Finalizer]
    }
  ]
}

const planRunning = (eventStream: EventStream, observed: Observed, inputs: Inputs): Plan => {
  const { metadata, spec, status } = eventStream
  const { jetStream } = observed
  const actions: Array<Action> = [...planFinalizer(eventStream)]
  const problems: Array<Problem> = observed.natsProblem ? [observed.natsProblem] : []

  let consumer: ConsumerPlan | undefined
  let drift: ReadonlyArray<string> = []
  if (jetStream) {
    const stream = planStream(eventStream, jetStream.stream, jetStream.clustered, inputs)
    actions.push(...stream.actions)
    problems.push(...stream.problems)
    // The durable's name holds the stream's creation time, which only the next observation knows.
    if (!jetStream.stream && stream.actions.length > 0) {
      return { ...emptyPlan, actions, problems }
    }
    drift = stream.drift
    if (stream.stream) {
      const runningHashes = new Set(observed.pods.flatMap((pod) => hashOfPod(pod) ?? []))
      const world = { ...jetStream, writers: observed.writers, runningHashes }
      consumer = planConsumer(eventStream, stream.stream, world, inputs)
      actions.push(...consumer.actions)
      problems.push(...consumer.problems)
    }
  }

  // Without NATS, or with a stream that may not be touched, running writers still follow the spec (suspend, replicas).
  const durable = consumer?.durable ?? (observed.deployment ? status?.consumer?.name : undefined)
  if (durable === undefined) return { ...emptyPlan, actions, problems, drift }

  const stream = streamNameOf(metadata, spec)
  const writers = planWriters(eventStream, observed, stream, durable, inputs)
  actions.push(...writers.actions)
  problems.push(...writers.problems)
  if (writers.rolledOut) {
    for (const name of consumer?.superseded ?? []) actions.push({ _tag: "DeleteConsumer", stream, name })
  }
  if (jetStream) {
    // Last: whatever keeps it from being made, rows flow.
    const letters = planDeadLetterStream(eventStream, jetStream.deadLetterStream, jetStream.clustered, inputs)
    actions.push(...letters.actions)
    problems.push(...letters.problems)
  }
  return { ...emptyPlan, actions, problems, durable, configHash: writers.configHash, drift }
}

/**
 * The steps from the world as observed to the spec, in order. A plan may end early where a step needs what an earlier one
 * brings about; so it is made again from a new observation until it is empty.
 */
export const plan = (eventStream: EventStream, observed: Observed, inputs: Inputs): Plan =>
  eventStream.metadata.deletionTimestamp === undefined
    ? planRunning(eventStream, observed, inputs)
    : planDeletion(eventStream, observed, inputs)
