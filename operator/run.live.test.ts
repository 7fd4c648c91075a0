import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Stream } from "effect"
import { admit } from "../crds/admission.ts"
import type { EventStreamStatus } from "../crds/eventstream.ts"
import { conditionsOf, manifest } from "../testing/operator-services.ts"
import { freePort, startNats } from "../testing/servers.ts"
import type { OperatorConfig } from "./config.ts"
import { Deployments, EventStreams, Kube } from "./kube.ts"
import { layerMemory } from "./kube/memory.ts"
import { runOperator } from "./run.ts"

const key = { namespace: "demo", name: "logs" }
const memory = layerMemory([{ resource: EventStreams, status: true, generation: true, admit }])

/** The EventStream as soon as it fits. */
const until = (fits: (conditions: Readonly<Record<string, string>>) => boolean) =>
  Effect.gen(function* () {
    const kube = yield* Kube
    const found = yield* kube.watch(EventStreams, {}).pipe(
      Stream.filter(({ object }) => fits(conditionsOf((object["status"] ?? {}) as EventStreamStatus))),
      Stream.take(1),
      Stream.runCollect,
      Effect.timeout("20 seconds")
    )
    return found[0]!.object["status"] as EventStreamStatus
  })

const operator = Effect.fnUntraced(function* (natsPort: number, settings: Partial<OperatorConfig> = {}) {
  const http = { host: "127.0.0.1", port: yield* freePort }
  const fiber = yield* runOperator({
    writerImage: "eventstream:test",
    namespaces: [],
    election: undefined,
    pollIntervalMillis: 200,
    statusIntervalMillis: 200,
    workers: 4,
    http,
    hosts: `nats.nats.svc=127.0.0.1:${natsPort}`,
    logLevel: "info",
    ...settings
  }).pipe(Effect.forkScoped)
  const get = (path: string) =>
    Effect.promise(() => fetch(`http://${http.host}:${http.port}${path}`).then((answer) => answer.text()))
  return { fiber, get }
})

it.live("follows objects, Deployments and the stream, tells its metrics, and ends when interrupted", () =>
  Effect.gen(function* () {
    const nats = yield* startNats()
    const kube = yield* Kube
    const { fiber, get } = yield* operator(nats.port)
    yield* kube.apply(manifest("logs"))
    yield* until(({ ConsumerReady }) => ConsumerReady === "True UpToDate")

    const child = { ...key, name: "logs-writer" }
    const counts = { replicas: 1, readyReplicas: 1, updatedReplicas: 1, availableReplicas: 1, observedGeneration: 1 }
    yield* kube.patchStatus(Deployments, child, counts, { manager: "deployment-controller" })
    yield* until(({ Ready }) => Ready === "True Running")

    assert.strictEqual(yield* get("/readyz"), "watching EventStreams\n")
    const metrics = yield* get("/metrics")
    for (const line of [
      'eventstream_operator_condition{eventstream_namespace="demo",eventstream="logs",type="Ready",status="true"} 1',
      'eventstream_operator_consumer_lag_messages{eventstream_namespace="demo",eventstream="logs"} 0',
      'eventstream_operator_nats_api_requests_total{operation="create_stream",code="ok"} 1',
      'eventstream_operator_workqueue_retries_total{controller="eventstream"} 0'
    ]) {
      assert.include(metrics, line)
    }
    assert.match(metrics, /eventstream_operator_reconcile_total\{controller="eventstream",result="success"\} [1-9]/)

    // Edits are noticed at once, not at the next poll.
    yield* kube.apply(manifest("logs", { suspend: true }))
    yield* until(({ Suspended }) => Suspended !== undefined)
    const deployment = yield* kube.get(Deployments, child)
    assert.strictEqual((deployment!["spec"] as { readonly replicas: number }).replicas, 0)

    yield* kube.delete(EventStreams, key)
    yield* kube.watch(EventStreams, {}).pipe(
      Stream.filter(({ type }) => type === "Deleted"),
      Stream.merge(
        Stream.fromEffect(
          Effect.when(
            Effect.succeed(undefined),
            Effect.map(kube.get(EventStreams, key), (found) => found === undefined)
          )
        )
      ),
      Stream.take(1),
      Stream.runDrain,
      Effect.timeout("20 seconds")
    )
    yield* Fiber.interrupt(fiber)
  }).pipe(Effect.provide(memory), Effect.scoped)
)

it.live("a NATS that goes away and comes back is a retry, without a new connection by anybody", () =>
  Effect.gen(function* () {
    const port = yield* freePort
    const kube = yield* Kube
    yield* operator(port)
    const server = yield* Effect.scoped(
      Effect.gen(function* () {
        const { storeDirectory } = yield* startNats({ port })
        yield* kube.apply(manifest("logs"))
        yield* until(({ StreamReady }) => StreamReady === "True UpToDate")
        return storeDirectory
      })
    )
    assert.isString(server)
    const lost = yield* until(({ Reconciling }) => Reconciling === "True ProgressingWithRetry")
    assert.strictEqual(conditionsOf(lost)["StreamReady"], "True UpToDate", "what is not known anew is kept")
    yield* startNats({ port })
    yield* until(
      ({ Reconciling, StreamReady }) => Reconciling !== "True ProgressingWithRetry" && StreamReady === "True UpToDate"
    )
  }).pipe(Effect.provide(memory), Effect.scoped)
)

it.live("another namespace is left alone", () =>
  Effect.gen(function* () {
    const nats = yield* startNats()
    const kube = yield* Kube
    yield* operator(nats.port, { namespaces: ["demo"] })
    const { metadata, ...object } = manifest("logs")
    yield* kube.apply({ ...object, metadata: { ...metadata, namespace: "elsewhere" } })
    yield* kube.apply(manifest("logs", { stream: { name: "MINE", subjects: ["mine.>"] } }))
    yield* until(({ ConsumerReady }) => ConsumerReady === "True UpToDate")
    const untouched = yield* kube.get(EventStreams, { namespace: "elsewhere", name: "logs" })
    assert.strictEqual((untouched!["status"] as EventStreamStatus).observedGeneration, -1)
  }).pipe(Effect.provide(memory), Effect.scoped)
)

/** The operator over an API that takes its time for a status: `begun` when it is asked to write one. */
const slowStatus = Effect.fnUntraced(function* (write: Effect.Effect<void>) {
  const nats = yield* startNats()
  const kube = yield* Kube
  const begun = yield* Deferred.make<void>()
  const slow = Kube.of({
    ...kube,
    patchStatus: (...args) =>
      Deferred.succeed(begun, undefined).pipe(Effect.andThen(write), Effect.andThen(kube.patchStatus(...args)))
  })
  const { fiber } = yield* operator(nats.port).pipe(Effect.provideService(Kube, slow))
  yield* kube.apply(manifest("logs"))
  yield* Deferred.await(begun)
  const started = Date.now()
  yield* Fiber.interrupt(fiber)
  const object = yield* kube.get(EventStreams, key)
  return { conditions: conditionsOf(object!["status"] as EventStreamStatus), millis: Date.now() - started }
})

it.live("a reconcile that has begun ends before the operator does", () =>
  Effect.gen(function* () {
    const { conditions, millis } = yield* slowStatus(Effect.sleep("500 millis"))
    assert.strictEqual(conditions["ConsumerReady"], "True UpToDate")
    assert.isBelow(millis, 1_500)
  }).pipe(Effect.provide(memory), Effect.scoped)
)

it.live("a reconcile that does not end is cut off", () =>
  Effect.gen(function* () {
    const { conditions, millis } = yield* slowStatus(Effect.never)
    assert.deepStrictEqual(conditions, {})
    assert.isAtLeast(millis, 2_900)
    assert.isBelow(millis, 4_500)
  }).pipe(Effect.provide(memory), Effect.scoped)
)
