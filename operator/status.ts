import { Duration, Equal } from "effect"
import type { Condition, EventStream, EventStreamMetadata, EventStreamStatus } from "../crds/eventstream.ts"
import type { ConsumerState } from "./jetstream.ts"
import { StartMark } from "../writer/config.ts"
import type { KubeObject } from "./kube.ts"
import type { Observed } from "./observe.ts"
import type { Plan, Problem } from "./plan/action.ts"
import { currentConsumer } from "./plan/consumer.ts"
import { hashOf, OwnerMark, ownerOf, selectorLabels } from "./specs/names.ts"
import { streamConfig, streamNameOf } from "./specs/stream.ts"
import { conditionOf, find, kubeTime, type Said } from "./status/conditions.ts"
import { humanCount, quantise } from "./status/numbers.ts"
import { type Rollout, rolloutOf } from "./status/rollout.ts"
import { verdict } from "./status/verdict.ts"
import { deadLettersOf, certificateEnd, totalsOf, type WriterHealth, writerHealth } from "./status/writers.ts"

export interface StatusInputs {
  readonly eventStream: EventStream
  /** The world after the last step. */
  readonly observed: Observed
  readonly plan: Plan
  /** The step that failed, if one did. */
  readonly failure: Problem | undefined
  readonly nowMillis: number
  /** Whether the number of dead letters rose lately. */
  readonly deadLettering: boolean
  /** Whether the number of lost messages rose lately. */
  readonly losing: boolean
  readonly operatorVersion: string
}

const desiredWriters = ({ spec }: EventStream) => (spec.suspend ? 0 : spec.writer.replicas)

/** A condition about an asset in JetStream; undefined keeps what was said before, because nothing new is known. */
const assetCondition = (
  type: "StreamReady" | "ConsumerReady",
  about: "Stream" | "Consumer",
  exists: boolean | undefined,
  observedOnly: boolean,
  name: string,
  problems: ReadonlyArray<Problem>
): Said | undefined => {
  const problem = problems.find((each) => each.about === about)
  const noun = about === "Stream" ? "stream" : "durable"
  if (problem) return { type, status: "False", reason: problem.reason, message: problem.message }
  if (exists === undefined) return undefined
  if (!exists) return { type, status: "False", reason: "NotFound", message: `${noun} ${name} does not exist yet` }
  return observedOnly
    ? { type, status: "True", reason: "Observed", message: `${noun} ${name} is somebody else's and only read` }
    : { type, status: "True", reason: "UpToDate", message: `${noun} ${name} is as the spec says` }
}

const writerCondition = (rollout: Rollout, health: WriterHealth, suspended: boolean): Said => {
  const type = "WriterAvailable"
  if (rollout.desired === 0) {
    return suspended
      ? { type, status: "True", reason: "Suspended", message: "no writer is wanted while suspended" }
      : { type, status: "True", reason: "Idle", message: "no writer is wanted" }
  }
  if (rollout.available > 0) {
    return { type, status: "True", reason: "MinimumReplicas", message: "at least one writer is ready" }
  }
  const message = rollout.exists ? health.message : "the writers' Deployment does not exist yet"
  return { type, status: "False", reason: rollout.exists ? "WriterUnavailable" : "Progressing", message }
}

/** Reasons of writers that are about the database; others say nothing of it. */
const targetReasons = new Set([
  "TargetUnreachable",
  "TargetBusy",
  "TargetFull",
  "LoginFailed",
  "TlsFailed",
  "SchemaMismatch",
  "TableMissing",
  "PermissionDenied",
  "RefNotFound"
])

const targetCondition = (health: WriterHealth, server: string | undefined): Said | undefined => {
  const type = "TargetReachable"
  if (health.reason !== undefined && targetReasons.has(health.reason)) {
    return { type, status: "False", reason: health.reason, message: health.message }
  }
  if (health.state === "Running" || health.state === "Halted") {
    return { type, status: "True", reason: "Connected", message: `connected to ${server ?? "the database"}` }
  }
  return undefined
}

const streamStatus = ({ eventStream, observed, plan }: StatusInputs): EventStreamStatus["stream"] => {
  const { metadata, spec, status } = eventStream
  if (!observed.jetStream) return status?.stream
  const name = streamNameOf(metadata, spec)
  const { stream } = observed.jetStream
  if (!stream) return { name }
  const owned = stream.config.metadata?.[OwnerMark] === ownerOf(metadata)
  return {
    name,
    owned,
    replicas: stream.config.num_replicas,
    messages: quantise(stream.messages),
    bytes: quantise(stream.bytes),
    firstSequence: quantise(stream.firstSequence),
    lastSequence: quantise(stream.lastSequence),
    created: stream.created,
    ...(owned && plan.drift.length === 0 ? { configHash: hashOf(streamConfig(metadata, spec)) } : {}),
    ...(plan.drift.length > 0 ? { drift: plan.drift } : {})
  }
}

/** What is known of the durable; its name and start are kept while there is none, because the next one's start depends on them. */
const consumerStatus = (
  { spec, status }: EventStream,
  consumer: ConsumerState | undefined
): EventStreamStatus["consumer"] => {
  if (!consumer) {
    const { name, startSequence } = status?.consumer ?? {}
    return name === undefined ? undefined : { name, ...(startSequence === undefined ? {} : { startSequence }) }
  }
  const first = Number(consumer.config.metadata?.[StartMark] ?? status?.consumer?.startSequence ?? 1)
  return {
    name: consumer.name,
    ...(spec.consumer.management === "Managed" ? { startSequence: first } : {}),
    ackFloor: consumer.ackFloor,
    delivered: quantise(consumer.delivered),
    pending: quantise(consumer.pending),
    ackPending: quantise(consumer.ackPending),
    redelivered: quantise(consumer.redelivered),
    lag: humanCount(consumer.pending + consumer.ackPending)
  }
}

const imageOf = (deployment: KubeObject | undefined): string | undefined => {
  type Template = { readonly spec?: { readonly containers?: ReadonlyArray<{ readonly image?: string }> } }
  return (deployment?.["spec"] as { readonly template?: Template } | undefined)?.template?.spec?.containers?.[0]?.image
}

const writerStatus = ({ eventStream, observed, plan }: StatusInputs, rollout: Rollout): EventStreamStatus["writer"] => {
  const image = imageOf(observed.deployment)
  const hash = plan.configHash ?? eventStream.status?.writer?.configHash
  const labels = Object.entries(selectorLabels(eventStream.metadata.name))
  return {
    replicas: rollout.replicas,
    readyReplicas: rollout.ready,
    updatedReplicas: rollout.updated,
    desiredReplicas: rollout.desired,
    selector: labels.map(([name, value]) => `${name}=${value}`).join(","),
    ...(image === undefined ? {} : { image }),
    ...(hash === undefined ? {} : { configHash: hash })
  }
}

const deliveryStatus = ({ eventStream, observed }: StatusInputs): EventStreamStatus["delivery"] => {
  const totals = totalsOf(observed.writers)
  if (!totals) return eventStream.status?.delivery
  return {
    written: quantise(totals.written),
    deadLettered: totals.deadLettered,
    dropped: quantise(totals.dropped),
    ...(totals.lost > 0 ? { lost: totals.lost } : {}),
    ...(totals.lastWriteTime === null ? {} : { lastWriteTime: totals.lastWriteTime })
  }
}

const deadLetterStatus = ({ eventStream, observed }: StatusInputs): EventStreamStatus["deadLetter"] => {
  const { spec, status } = eventStream
  const found = deadLettersOf(observed.writers)
  const stream = observed.jetStream
    ? spec.errors.deadLetter.publish && observed.jetStream.deadLetterStream?.config.name
    : status?.deadLetter?.stream
  const numbers = found ?? { count: status?.deadLetter?.count, oldest: status?.deadLetter?.oldest ?? null }
  if (numbers.count === undefined && stream === undefined) return undefined
  return {
    ...(numbers.count === undefined ? {} : { count: numbers.count }),
    ...(numbers.oldest === null ? {} : { oldest: numbers.oldest }),
    ...(stream === undefined ? {} : { stream })
  }
}

const abnormal = ({ eventStream, plan, deadLettering, losing }: StatusInputs): ReadonlyArray<Said> => [
  ...(eventStream.spec.suspend
    ? [{ type: "Suspended", status: "True", reason: "Suspended", message: "spec.suspend is true" } as const]
    : []),
  ...(deadLettering
    ? [
        {
          type: "DeadLettering",
          status: "True",
          reason: "PoisonMessages",
          message: "messages could not be written; table eventstream_dead_letter has each with its reason"
        } as const
      ]
    : []),
  ...(losing
    ? [
        {
          type: "DataLossUpstream",
          status: "True",
          reason: "MessagesLost",
          message:
            "messages were gone from the stream before they had an outcome; table eventstream_loss has their sequences"
        } as const
      ]
    : []),
  ...(plan.drift.length > 0
    ? [{ type: "DriftDetected", status: "True", reason: "StreamEdited", message: plan.drift.join(", ") } as const]
    : [])
]

/** How long before its end a certificate is told of where the spec does not say it. */
const warnBeforeMillis = 15 * 60_000

const certificateCondition = ({ eventStream, nowMillis }: StatusInputs, end: Date | undefined): Said | undefined => {
  const warnBefore = eventStream.spec.identity?.spiffe.warnBeforeExpiry
  const threshold = warnBefore === undefined ? warnBeforeMillis : Duration.toMillis(warnBefore)
  if (end === undefined || end.getTime() - nowMillis >= threshold) return undefined
  const type = "CertificateExpiring"
  const time = kubeTime(end.getTime())
  return end.getTime() <= nowMillis
    ? { type, status: "True", reason: "Expired", message: `the writers' client certificate for NATS ended at ${time}` }
    : {
        type,
        status: "True",
        reason: "BelowThreshold",
        message: `the writers' client certificate for NATS ends at ${time}`
      }
}

/** The database as the first writer that reached it saw it. */
const targetStatus = (writers: StatusInputs["observed"]["writers"]): EventStreamStatus["target"] => {
  const { server, timescale } = writers.find((writer) => writer.server !== null) ?? {}
  return server === undefined || server === null ? undefined : { server, ...(timescale ? { timescale } : {}) }
}

const byType = (a: Condition, b: Condition) => a.type.localeCompare(b.type)

const defined = <T extends object>(fields: T) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>
  }

/** The whole status after a reconcile. */
export const statusOf = (inputs: StatusInputs): EventStreamStatus => {
  const { eventStream, observed, plan, failure, nowMillis } = inputs
  const { metadata, spec, status: previous } = eventStream
  const problems = [...(failure ? [failure] : []), ...plan.problems]
  const { jetStream } = observed
  const stream = jetStream?.stream
  const consumer = jetStream && stream ? currentConsumer(eventStream, stream, jetStream.consumers) : undefined

  const rollout = rolloutOf(observed.deployment, observed.pods, desiredWriters(eventStream))
  const health = writerHealth(observed.writers, rollout.trouble, plan.durable ?? previous?.consumer?.name)
  const target = targetStatus(observed.writers) ?? previous?.target
  const end = certificateEnd(observed.writers)
  const streamName = streamNameOf(metadata, spec)
  const durable = consumer?.name ?? previous?.consumer?.name ?? spec.consumer.name ?? metadata.name
  const exists = (found: unknown) => (jetStream ? found !== undefined : undefined)

  const said: ReadonlyArray<Said> = [
    ...verdict({ eventStream, problems, draining: plan.draining, health, rollout, nowMillis }),
    assetCondition(
      "StreamReady",
      "Stream",
      exists(stream),
      spec.stream.management === "Observed",
      streamName,
      problems
    ),
    assetCondition(
      "ConsumerReady",
      "Consumer",
      exists(consumer),
      spec.consumer.management === "Observed",
      durable,
      problems
    ),
    writerCondition(rollout, health, spec.suspend),
    targetCondition(health, target?.server),
    certificateCondition(inputs, end),
    ...abnormal(inputs)
  ].filter((each) => each !== undefined)

  const kept = (["StreamReady", "ConsumerReady", "TargetReachable"] as const).flatMap((type) =>
    said.some((each) => each.type === type) ? [] : (find(previous?.conditions, type) ?? [])
  )
  const written = said.map((each) => conditionOf(each, previous?.conditions, metadata.generation, nowMillis))
  return defined({
    conditions: [...written, ...kept].sort(byType),
    observedGeneration: metadata.generation,
    stream: streamStatus(inputs),
    consumer: consumerStatus(eventStream, consumer),
    writer: writerStatus(inputs, rollout),
    target,
    delivery: deliveryStatus(inputs),
    deadLetter: deadLetterStatus(inputs),
    identity: observed.writers.length === 0 ? previous?.identity : end && { notAfter: kubeTime(end.getTime()) },
    lastHandledReconcileAt: metadata.annotations?.["eventstream.dev/reconcile-at"],
    operatorVersion: inputs.operatorVersion
  })
}

/** The status of an object whose spec can't be read, although it was admitted: by a CRD of another version. */
export const invalidSpecStatus = (
  metadata: EventStreamMetadata,
  previous: EventStreamStatus | undefined,
  message: string,
  nowMillis: number
): EventStreamStatus => {
  const said: ReadonlyArray<Said> = [
    { type: "Ready", status: "False", reason: "InvalidSpec", message },
    { type: "Stalled", status: "True", reason: "InvalidSpec", message }
  ]
  const kept = (previous?.conditions ?? []).filter(({ type }) => !["Ready", "Stalled", "Reconciling"].includes(type))
  const written = said.map((each) => conditionOf(each, previous?.conditions, metadata.generation, nowMillis))
  return { ...previous, conditions: [...written, ...kept].sort(byType), observedGeneration: metadata.generation }
}

/** The status without what changes all the time while messages flow. */
const meaning = (status: EventStreamStatus) => {
  const { stream, consumer, delivery: _, deadLetter, ...rest } = status
  return {
    ...rest,
    deadLetterStream: deadLetter?.stream,
    stream: stream && defined({ name: stream.name, owned: stream.owned, created: stream.created, drift: stream.drift }),
    consumer: consumer && defined({ name: consumer.name, startSequence: consumer.startSequence })
  }
}

/** What a new status would tell: nothing, only other numbers (which may wait), or something that matters. */
export const changeOf = (
  previous: EventStreamStatus | undefined,
  next: EventStreamStatus
): "None" | "Numbers" | "Meaning" => {
  if (previous === undefined) return "Meaning"
  const before = { ...previous, conditions: [...(previous.conditions ?? [])].sort(byType) }
  if (Equal.equals(before, next)) return "None"
  return Equal.equals(meaning(before), meaning(next)) ? "Numbers" : "Meaning"
}
