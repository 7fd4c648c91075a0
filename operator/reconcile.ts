import { Clock, Effect } from "effect"
import { randomBytes } from "node:crypto"
import { decodeSpec } from "../crds/admission.ts"
import type { EventStream, EventStreamMetadata, EventStreamStatus } from "../crds/eventstream.ts"
import packageJson from "../package.json" with { type: "json" }
import { carryOut, problemOf } from "./actions.ts"
import { eventsBetween, record } from "./events.ts"
import type { Account, JetStream } from "./jetstream.ts"
import { EventStreams, Kube, type KubeError, type KubeObject, type ObjectKey } from "./kube.ts"
import { OperatorMetrics } from "./metrics.ts"
import { type Observed, observe } from "./observe.ts"
import { plan } from "./plan.ts"
import { type Inputs, nameOf, type Plan, type Problem } from "./plan/action.ts"
import { currentConsumer } from "./plan/consumer.ts"
import { releaseTime } from "./plan/deletion.ts"
import type { WriterDefaults } from "./specs/deployment.ts"
import { Finalizer } from "./specs/names.ts"
import { changeOf, invalidSpecStatus, statusOf } from "./status.ts"
import { find, holds } from "./status/conditions.ts"
import { totalsOf } from "./status/writers.ts"

/**
 * One key: observe, plan, carry out, report. The order of a reconcile is here and nowhere else. It goes by what is there, never
 * by what happened, so that it may start at any time, be cut off at any step, and start again.
 */

export interface ReconcileSettings {
  readonly defaults: WriterDefaults
  /** Folder of the operator's own certificate for NATS. */
  readonly identity?: string | undefined
  /** Shortest time between two status writes that only change numbers, in milliseconds. */
  readonly statusIntervalMillis: number
}

/** What to do with the key afterwards. */
export type Outcome =
  | { readonly _tag: "Gone" }
  /** As wanted, or only a person can help. `againMillis`: something is to be looked at before the next poll. */
  | { readonly _tag: "Settled"; readonly againMillis: number | undefined }
  /** A step failed that may succeed the next time. */
  | { readonly _tag: "Retry"; readonly message: string }

/** A total that only grows, and when it last did. */
interface Tide {
  readonly total: number
  readonly roseAt: number
}

/** What is remembered of an EventStream between reconciles; nothing is decided by it that a restart could get wrong. */
interface Memory {
  numbersWrittenAt: number
  deadLetters: Tide
  losses: Tide
  succeededAt: number | undefined
}

/** A plan that needs more rounds than this does not come to an end: the next reconcile goes on. */
const maxRounds = 6
/** How long a dead letter, or a lost message, counts as recent. */
const recentMillis = 15 * 60_000
/** How soon a writer that is ready but has not reported yet is asked again. */
const firstReportMillis = 10_000

const eventStreamOf = (object: KubeObject, spec: EventStream["spec"]): EventStream => ({
  apiVersion: "eventstream.dev/v1alpha1",
  kind: "EventStream",
  metadata: object.metadata as EventStreamMetadata,
  spec,
  ...(object["status"] === undefined ? {} : { status: object["status"] as EventStreamStatus })
})

interface Round {
  readonly eventStream: EventStream
  readonly observed: Observed
  readonly plan: Plan
  readonly failure: Problem | undefined
}

type Requirements = Kube | JetStream | OperatorMetrics

/** Carries out a plan up to the first step that fails, and says why it failed. */
const carryOutAll = Effect.fnUntraced(function* (
  eventStream: EventStream,
  object: KubeObject,
  account: Account | undefined,
  actions: Plan["actions"]
) {
  for (const action of actions) {
    const failure = yield* carryOut(eventStream, object, account, action).pipe(
      Effect.as(undefined),
      Effect.catch((error) => Effect.succeed(problemOf(action, error)))
    )
    if (failure) return failure
  }
  return undefined
})

/**
 * Observes, plans and acts until nothing is left to do, a step fails, or the object is gone (undefined).
 * A deletion whose step in JetStream fails goes on as if NATS were away: it may not hold the object for ever.
 *
 * @param tried receives the names of the steps
 */
const rounds = Effect.fnUntraced(function* (key: ObjectKey, settings: ReconcileSettings, tried: Array<string>) {
  const kube = yield* Kube
  let last: Round | undefined
  for (let round = 0; round < maxRounds; round++) {
    const object = yield* kube.get(EventStreams, key)
    if (!object) return undefined
    const decoded = decodeSpec(object)
    if (!("spec" in decoded)) {
      const message = decoded.errors.map(({ path, message: mistake }) => `${path}: ${mistake}`).join("; ")
      return { invalid: object, message }
    }
    const eventStream = eventStreamOf(object, decoded.spec)
    const inputs: Inputs = {
      nowMillis: yield* Clock.currentTimeMillis,
      nonce: randomBytes(3).toString("hex"),
      defaults: settings.defaults
    }
    const { observed, account } = yield* observe(eventStream, settings.identity)
    const steps = plan(eventStream, observed, inputs)
    tried.push(...steps.actions.map(nameOf))
    const failure = yield* carryOutAll(eventStream, object, account, steps.actions)
    last = { eventStream, observed, plan: steps, failure }
    if (failure && eventStream.metadata.deletionTimestamp !== undefined && failure.about !== "Kubernetes") {
      const without: Observed = { ...observed, jetStream: undefined, natsProblem: failure }
      const release = plan(eventStream, without, inputs)
      tried.push(...release.actions.map(nameOf))
      const again = yield* carryOutAll(eventStream, object, undefined, release.actions)
      return (yield* kube.get(EventStreams, key)) && { ...last, plan: release, failure: again ?? failure }
    }
    if (failure || steps.actions.length === 0) return last
  }
  return last
})

/** Lets an object go whose spec can't be read: what it has in JetStream can't be known, so it is left and told. */
const releaseUnreadable = Effect.fnUntraced(function* (object: KubeObject) {
  const kube = yield* Kube
  const { finalizers = [], deletionTimestamp } = object.metadata
  if (deletionTimestamp === undefined || !finalizers.includes(Finalizer)) return
  const note = "stream and durable are left in JetStream: the spec that names them cannot be read"
  yield* record(object, { type: "Warning", reason: "JetStreamAssetsOrphaned", note }, "Release")
  yield* kube.setFinalizers(
    EventStreams,
    object,
    finalizers.filter((finalizer) => finalizer !== Finalizer)
  )
})

const remember = (memories: Map<string, Memory>, round: Round, nowMillis: number): Memory => {
  const { namespace, name } = round.eventStream.metadata
  const { status } = round.eventStream
  const id = `${namespace}/${name}`
  const before = (type: "DeadLettering" | "DataLossUpstream", total: number | undefined): Tide => {
    const since = find(status?.conditions, type)?.lastTransitionTime
    return { total: total ?? 0, roseAt: since === undefined ? -Infinity : Date.parse(since) }
  }
  const memory = memories.get(id) ?? {
    numbersWrittenAt: -Infinity,
    deadLetters: before("DeadLettering", status?.delivery?.deadLettered),
    losses: before("DataLossUpstream", status?.delivery?.lost),
    succeededAt: undefined
  }
  memories.set(id, memory)
  const totals = totalsOf(round.observed.writers)
  const rise = (tide: Tide, total = 0): Tide => (total > tide.total ? { total, roseAt: nowMillis } : tide)
  memory.deadLetters = rise(memory.deadLetters, totals?.deadLettered)
  memory.losses = rise(memory.losses, totals?.lost)
  return memory
}

/** Writes the status if it tells something new, and the Events that go with it; answers when to write what has to wait. */
const report = Effect.fnUntraced(function* (
  round: Round,
  next: EventStreamStatus,
  memory: Memory,
  intervalMillis: number,
  nowMillis: number
) {
  const kube = yield* Kube
  const { metadata, status: previous } = round.eventStream
  const change = changeOf(previous, next)
  if (change === "None") return undefined
  const waitMillis = memory.numbersWrittenAt + intervalMillis - nowMillis
  if (change === "Numbers" && waitMillis > 0) return waitMillis
  const written = yield* kube.patchStatus(EventStreams, metadata, next)
  memory.numbersWrittenAt = nowMillis
  for (const note of eventsBetween(previous, next)) {
    yield* record(written, note, "Reconcile")
  }
  return undefined
})

/** What a scrape wants to know of the world around an EventStream. */
const gaugesOf = ({ eventStream, observed }: Round): Parameters<OperatorMetrics["Service"]["observe"]>[1] => {
  const { jetStream } = observed
  const stream = jetStream?.stream
  if (!jetStream || !stream) return {}
  const consumer = currentConsumer(eventStream, stream, jetStream.consumers)
  return {
    stream_last_sequence: stream.lastSequence,
    stream_messages: stream.messages,
    stream_bytes: stream.bytes,
    stream_replicas_current: stream.currentReplicas,
    stream_replicas_desired: stream.config.num_replicas,
    ...(stream.config.max_bytes > 0 ? { stream_limit_bytes: stream.config.max_bytes } : {}),
    ...(consumer
      ? {
          consumer_lag_messages: consumer.pending + consumer.ackPending,
          consumer_ack_pending: consumer.ackPending,
          consumer_redelivered: consumer.redelivered,
          consumer_waiting_pulls: consumer.waiting,
          consumer_ack_floor_sequence: consumer.ackFloor
        }
      : {})
  }
}

const outcomeOf = (
  round: Round,
  next: EventStreamStatus,
  waitMillis: number | undefined,
  nowMillis: number
): Outcome => {
  const { eventStream, plan: steps, failure } = round
  const passing = [...(failure ? [failure] : []), ...steps.problems].find((problem) => !problem.stalled)
  const times = waitMillis === undefined ? [] : [waitMillis]
  if (steps.draining !== undefined) times.push(Math.max(1_000, releaseTime(eventStream) - nowMillis))
  // A writer becomes ready a moment before it can say how it is.
  if (holds(next.conditions, "WriterAvailable") && !holds(next.conditions, "TargetReachable")) {
    times.push(firstReportMillis)
  }
  if (passing && steps.draining === undefined) return { _tag: "Retry", message: passing.message }
  return { _tag: "Settled", againMillis: times.length > 0 ? Math.min(...times) : undefined }
}

export interface Report {
  readonly outcome: Outcome
  /** Names of the steps that were carried out or tried. */
  readonly steps: ReadonlyArray<string>
  /** Reason of Ready, and its message unless it is true; for the log. */
  readonly ready: string | undefined
  readonly message: string | undefined
}

/** A reconciler; it may be called for several keys at once, but not twice for one. */
export const makeReconciler = (settings: ReconcileSettings) => {
  const memories = new Map<string, Memory>()

  const reconcile = Effect.fnUntraced(function* (key: ObjectKey) {
    const kube = yield* Kube
    const metrics = yield* OperatorMetrics
    const steps: Array<string> = []
    const round = yield* rounds(key, settings, steps)
    const nowMillis = yield* Clock.currentTimeMillis
    if (!round) {
      memories.delete(`${key.namespace}/${key.name}`)
      metrics.forget(key)
      return { outcome: { _tag: "Gone" }, steps, ready: undefined, message: undefined } satisfies Report
    }
    if ("invalid" in round) {
      yield* releaseUnreadable(round.invalid)
      const previous = round.invalid["status"] as EventStreamStatus | undefined
      const metadata = round.invalid.metadata as EventStreamMetadata
      const next = invalidSpecStatus(metadata, previous, round.message, nowMillis)
      if (changeOf(previous, next) !== "None" && metadata.deletionTimestamp === undefined) {
        yield* kube.patchStatus(EventStreams, key, next)
      }
      const outcome: Outcome = { _tag: "Settled", againMillis: undefined }
      return { outcome, steps, ready: "InvalidSpec", message: round.message } satisfies Report
    }
    const memory = remember(memories, round, nowMillis)
    const recent = ({ roseAt }: Tide) => nowMillis - roseAt < recentMillis
    const deadLettering = recent(memory.deadLetters)
    const losing = recent(memory.losses)
    const next = statusOf({ ...round, nowMillis, deadLettering, losing, operatorVersion: packageJson.version })
    const waitMillis = yield* report(round, next, memory, settings.statusIntervalMillis, nowMillis)
    const outcome = outcomeOf(round, next, waitMillis, nowMillis)
    if (outcome._tag === "Settled") memory.succeededAt = nowMillis
    metrics.observe(key, {
      ...gaugesOf(round),
      ...(memory.succeededAt === undefined
        ? {}
        : { reconcile_last_success_timestamp_seconds: memory.succeededAt / 1000 })
    })
    metrics.conditions(key, next.conditions ?? [])
    const ready = find(next.conditions, "Ready")
    return {
      outcome,
      steps,
      ready: ready?.reason,
      message: ready?.status === "True" ? undefined : ready?.message
    } satisfies Report
  })

  return (key: ObjectKey): Effect.Effect<Report, KubeError, Requirements> => Effect.scoped(reconcile(key))
}
