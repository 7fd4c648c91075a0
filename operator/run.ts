import { Cause, Clock, Effect, Fiber, Layer, Schedule, Stream } from "effect"
import { serveHealth, type PortTaken } from "../platform/health.ts"
import { parseHosts } from "../platform/hosts.ts"
import { Metrics } from "../platform/metrics.ts"
import type { OperatorConfig } from "./config.ts"
import { Fence } from "./fence.ts"
import { JetStream } from "./jetstream.ts"
import {
  type Change,
  Deployments,
  EventStreams,
  Kube,
  type KubeObject,
  type ObjectKey,
  Pods,
  type Resource,
  type Selection
} from "./kube.ts"
import { lead, type LeaseLost } from "./leadership.ts"
import { OperatorMetrics } from "./metrics.ts"
import { makeWorkQueue, type WorkQueue } from "./queue.ts"
import { makeReconciler, type Report } from "./reconcile.ts"
import { NameLabel, ownerOf, writerLabels } from "./specs/names.ts"

const controller = "eventstream"
/** Pods and Deployments change several times within a moment when a rollout moves on; one look is enough. */
const settleMillis = 100
/** How long reconciles may go on after the operator is asked to end. */
const drainMillis = 3_000

const idOf = ({ namespace, name }: ObjectKey) => `${namespace}/${name}`
const keyOfId = (id: string): ObjectKey => {
  const [namespace = "", name = ""] = id.split("/")
  return { namespace, name }
}

/** What a reconcile depends on of the object itself; our own status writes are not part of it. */
const signature = ({ metadata }: KubeObject) =>
  JSON.stringify([
    metadata.uid,
    metadata.generation,
    metadata.deletionTimestamp,
    metadata.finalizers,
    metadata.annotations
  ])

/** EventStreams whose spec, annotations or finalizers changed, and those that are gone. */
const watchEventStreams = (kube: Kube["Service"], queue: WorkQueue, selection: Selection) => {
  const seen = new Map<string, string>()
  const changed = ({ type, key, object }: Change) =>
    Effect.suspend(() => {
      const id = idOf(key)
      const now = type === "Deleted" ? undefined : signature(object)
      if (now !== undefined && seen.get(id) === now) return Effect.void
      if (now === undefined) seen.delete(id)
      else seen.set(id, now)
      return queue.add(id)
    })
  return Stream.runForEach(kube.watch(EventStreams, selection), changed)
}

/** The EventStreams whose Deployment or Pods changed. */
const watchWriters = (kube: Kube["Service"], queue: WorkQueue, selection: Selection, resource: Resource) =>
  Stream.runForEach(kube.watch(resource, { ...selection, labels: writerLabels }), ({ key, object }) => {
    const name = object.metadata.labels?.[NameLabel]
    return name === undefined ? Effect.void : queue.addAfter(idOf({ namespace: key.namespace, name }), settleMillis)
  })

/** Lists once before anything else, so that a missing CRD or right is told in the log and by /readyz. */
const waitForApi = (
  kube: Kube["Service"],
  selections: ReadonlyArray<Selection>,
  note: (why: string) => Effect.Effect<void>
) =>
  Effect.forEach(selections, (selection) => kube.list(EventStreams, selection), { discard: true }).pipe(
    Effect.tapError((error) =>
      Effect.logWarning("waiting for the Kubernetes API", { error: error.message }).pipe(
        Effect.andThen(note(error.message))
      )
    ),
    Effect.retry(Schedule.min([Schedule.exponential("500 millis"), Schedule.spaced("15 seconds")])),
    Effect.orDie
  )

const results = { Gone: "success", Settled: "success", Retry: "error" } as const

const failed = (message: string): Report => ({
  outcome: { _tag: "Retry", message },
  steps: [],
  ready: undefined,
  message
})

/** Works on one key and says when it is to be looked at again. */
const worker = (queue: WorkQueue, reconcile: ReturnType<typeof makeReconciler>, pollIntervalMillis: number) =>
  Effect.fnUntraced(function* (id: string) {
    const metrics = yield* OperatorMetrics
    const key = keyOfId(id)
    const started = yield* Clock.currentTimeMillis
    const report = yield* reconcile(key).pipe(
      Effect.catch((error) => Effect.succeed(failed(error.message))),
      // A bug in the handling of one object may not end the operator of all others.
      Effect.catchDefect((defect) =>
        Effect.logError("a reconcile broke off", Cause.die(defect)).pipe(Effect.as(failed(String(defect))))
      )
    )
    const { outcome, steps, ready, message } = report
    const seconds = ((yield* Clock.currentTimeMillis) - started) / 1000
    metrics.reconciles.inc({ controller, result: results[outcome._tag] })
    metrics.reconcileSeconds.observe({ controller }, seconds)

    const poll = pollIntervalMillis * (0.9 + Math.random() * 0.2)
    switch (outcome._tag) {
      case "Gone":
        yield* queue.forget(id)
        break
      case "Settled":
        yield* queue.forget(id)
        yield* queue.addAfter(id, Math.min(outcome.againMillis ?? Infinity, poll))
        break
      case "Retry":
        // Whichever is earlier: an object that failed often is still looked at as often as one at rest.
        yield* queue.retry(id)
        yield* queue.addAfter(id, poll)
        break
    }
    const line = {
      namespace: key.namespace,
      eventstream: key.name,
      outcome: outcome._tag,
      steps,
      ready,
      why: message,
      seconds
    }
    const log = outcome._tag === "Retry" ? Effect.logWarning : steps.length > 0 ? Effect.logInfo : Effect.logDebug
    yield* log("reconciled", line)
  })

/** What /readyz says. */
interface State {
  ready: boolean
  why: string
}

/** Watches and reconciles until it is interrupted or the lead is `lost`. */
const reconcileAll = Effect.fnUntraced(function* (
  config: OperatorConfig,
  state: State,
  lost: Effect.Effect<never, LeaseLost>
) {
  const kube = yield* Kube
  const metrics = yield* OperatorMetrics
  const { namespaces } = config
  const selections: ReadonlyArray<Selection> =
    namespaces.length === 0 ? [{}] : namespaces.map((namespace) => ({ namespace }))
  const become = (ready: boolean, why: string) => Effect.sync(() => Object.assign(state, { ready, why }))

  yield* waitForApi(kube, selections, (why) => become(false, why))
  const queue = yield* makeWorkQueue
  metrics.queue(() => Effect.runSync(queue.counters))
  yield* become(true, "watching EventStreams")
  const reconcile = makeReconciler({
    defaults: {
      image: config.writerImage,
      hosts: config.hosts,
      ...(config.election ? { operator: ownerOf(config.election.lease) } : {})
    },
    identity: config.identity,
    statusIntervalMillis: config.statusIntervalMillis
  })
  const workers = yield* queue
    .run(worker(queue, reconcile, config.pollIntervalMillis), config.workers)
    .pipe(Effect.forkScoped)
  // What has begun may end while we still lead, since a step that is cut off may yet take effect after another leads.
  yield* Effect.addFinalizer(() =>
    Effect.raceFirst(Effect.interruptible(queue.drain), Effect.ignore(Effect.interruptible(lost))).pipe(
      Effect.timeoutOption(drainMillis)
    )
  )
  return yield* Effect.all(
    [
      ...selections.flatMap((selection) => [
        watchEventStreams(kube, queue, selection),
        watchWriters(kube, queue, selection, Deployments),
        watchWriters(kube, queue, selection, Pods)
      ]),
      Fiber.join(workers)
    ],
    { concurrency: "unbounded", discard: true }
  ).pipe(Effect.andThen(Effect.never))
}, Effect.scoped)

const program = Effect.fnUntraced(function* (config: OperatorConfig) {
  const { exposition } = yield* Metrics
  const state: State = { ready: false, why: "waiting for the Kubernetes API" }
  const { port } = yield* serveHealth({ ...config.http, exposition, readiness: () => state })
  yield* Effect.logInfo("operator started", {
    http: `${config.http.host}:${port}`,
    namespaces: config.namespaces.length === 0 ? "all" : config.namespaces
  })
  if (config.election === undefined) return yield* reconcileAll(config, state, Effect.never)
  const { lost, held } = yield* lead(config.election, (holder) =>
    Object.assign(state, { ready: true, why: `standing by: ${holder} leads` })
  )
  return yield* Effect.raceFirst(Effect.provideService(reconcileAll(config, state, lost), Fence, held), lost)
})

/**
 * The operator, until it is interrupted or loses its Lease: serves /metrics, /healthz and /readyz, waits until it leads where
 * there is an election, then watches EventStreams and what belongs to them, and reconciles. Needs only `Kube`, so that the same
 * operator runs over a real API server and over the one in memory.
 */
export const runOperator = (config: OperatorConfig): Effect.Effect<never, PortTaken | LeaseLost, Kube> =>
  program(config).pipe(
    Effect.scoped,
    Effect.provide(
      JetStream.layer(parseHosts(config.hosts)).pipe(
        Layer.provideMerge(OperatorMetrics.layer),
        Layer.provideMerge(Metrics.layer())
      )
    )
  )
