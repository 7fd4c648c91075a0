import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { EventStreamStatus } from "../crds/eventstream.ts"
import { key, memory, settings, stream, withWorld, type World } from "../testing/operator-live.ts"
import { conditionsOf, manifest, operatorServices } from "../testing/operator-services.ts"
import { freePort, startNats } from "../testing/servers.ts"
import { Deployments, EventStreams, Kube, Pods } from "./kube.ts"
import { makeReconciler } from "./reconcile.ts"
import { OwnerMark } from "./specs/names.ts"

/** What a reconcile brings about, over the API in memory and a real nats-server. */

describe("a new EventStream", () => {
  it.live("gets stream, durable and writers, and is at rest afterwards", () =>
    withWorld(({ kube, manager, reconcile, status, rollOut, writer, written, publish }) =>
      Effect.gen(function* () {
        yield* kube.apply(manifest("logs"))
        const first = yield* reconcile()
        assert.deepStrictEqual(first.steps, [
          "SetFinalizers",
          "CreateStream",
          "CreateConsumer",
          "Apply ServiceAccount",
          "Apply ConfigMap",
          "Apply Deployment"
        ])
        const created = yield* status()
        assert.strictEqual(conditionsOf(created)["Ready"], "False Progressing")
        const info = yield* Effect.promise(() => manager.streams.info(stream))
        assert.deepStrictEqual(info.config.subjects, ["logs.>"])
        assert.strictEqual(info.config.metadata?.[OwnerMark], "demo/logs")
        const durable = created.consumer!.name!
        const { config } = yield* Effect.promise(() => manager.consumers.info(stream, durable))
        assert.deepInclude(config, {
          ack_policy: "explicit",
          max_deliver: -1,
          max_waiting: 512,
          max_ack_pending: 20_000
        })

        yield* rollOut()
        yield* writer({ durable, written: 1234 })
        yield* reconcile()
        const running = yield* status()
        assert.deepStrictEqual(conditionsOf(running), {
          ConsumerReady: "True UpToDate",
          Ready: "True Running",
          StreamReady: "True UpToDate",
          TargetReachable: "True Connected",
          WriterAvailable: "True MinimumReplicas"
        })
        assert.deepInclude(running.consumer!, { startSequence: 1, lag: "0" })
        assert.strictEqual(running.delivery!.written, 1200)
        written()
        for (let i = 0; i < 3; i++) assert.deepStrictEqual((yield* reconcile()).steps, [])
        assert.deepStrictEqual(written(), [], "at rest nothing is written")

        yield* publish(3)
        const { outcome } = yield* reconcile()
        assert.deepStrictEqual(written(), [], "other numbers alone wait for their turn")
        assert.isTrue(outcome._tag === "Settled" && outcome.againMillis! > 0 && outcome.againMillis! <= 30_000)
      })
    )
  )

  it.live("says that there are new dead letters", () =>
    withWorld(({ kube, reconcile, status, rollOut, writer }) =>
      Effect.gen(function* () {
        yield* kube.apply(manifest("logs"))
        yield* reconcile()
        yield* rollOut()
        const durable = (yield* status()).consumer!.name!
        for (const [deadLettered, expected] of [
          [0, undefined],
          [2, "True PoisonMessages"]
        ] as const) {
          yield* Effect.scoped(writer({ durable, deadLettered }).pipe(Effect.andThen(reconcile())))
          const found = yield* status()
          assert.strictEqual(conditionsOf(found)["DeadLettering"], expected)
          assert.strictEqual(found.delivery!.deadLettered, deadLettered)
        }
      })
    )
  )
})

describe("where the first durable starts", () => {
  const startAt = (deliverFrom: object, before: (world: World) => Effect.Effect<object>) =>
    withWorld((world) =>
      Effect.gen(function* () {
        const { kube, manager, reconcile, status } = world
        yield* Effect.promise(() => manager.streams.add({ name: stream, subjects: ["logs.>"] }))
        yield* world.publish(5)
        const more = yield* before(world)
        const adopted = { stream: { subjects: ["logs.>"], adopt: true } }
        yield* kube.apply(manifest("logs", { ...adopted, consumer: { deliverFrom: { ...deliverFrom, ...more } } }))
        yield* reconcile()
        const { name, startSequence } = (yield* status()).consumer!
        const info = yield* Effect.promise(() => manager.consumers.info(stream, name!))
        assert.strictEqual(startSequence, 6)
        assert.strictEqual(info.config.opt_start_seq, 6)
        assert.strictEqual(info.num_pending, Number((more as { time?: string }).time !== undefined))
      })
    )
  const none = () => Effect.succeed({})

  it.live("New: after the last message of a stream that was there before", () => startAt({ policy: "New" }, none))
  it.live("StartSequence: there", () => startAt({ policy: "StartSequence", sequence: 6 }, none))
  it.live("StartTime: at the first message stored then or later", () =>
    startAt({ policy: "StartTime" }, ({ publish }) =>
      Effect.gen(function* () {
        yield* Effect.sleep("5 millis")
        const time = new Date().toISOString()
        yield* Effect.sleep("5 millis")
        yield* publish(1)
        return { time }
      })
    )
  )
})

describe("trouble", () => {
  it.live("NATS down at the start: said, retried, and gone when NATS is there", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      yield* Effect.gen(function* () {
        const kube = yield* Kube
        const reconciler = makeReconciler(settings)
        yield* kube.apply(manifest("logs"))
        const status = Effect.map(kube.get(EventStreams, key), (found) => found!["status"] as EventStreamStatus)
        assert.strictEqual((yield* reconciler(key)).outcome._tag, "Retry")
        assert.deepInclude(conditionsOf(yield* status), {
          Ready: "False NatsUnreachable",
          Reconciling: "True ProgressingWithRetry"
        })
        yield* startNats({ port })
        yield* reconciler(key)
        assert.strictEqual(conditionsOf(yield* status)["StreamReady"], "True UpToDate")
      }).pipe(Effect.provide(operatorServices(port, memory, [])))
    }).pipe(Effect.scoped)
  )

  it.live("what a writer that can't start said last is in the conditions", () =>
    withWorld(({ kube, reconcile, rollOut, status }) =>
      Effect.gen(function* () {
        yield* kube.apply(manifest("logs"))
        yield* reconcile()
        yield* rollOut()
        const [pod] = yield* kube.list(Pods, { namespace: key.namespace })
        const line = JSON.stringify({ level: "fatal", reason: "LoginFailed", message: "wanted role app, found none" })
        const terminated = { exitCode: 1, message: `{"level":"info"}\n${line}\n` }
        const initContainerStatuses = [{ name: "migrate", state: { waiting: {} }, lastState: { terminated } }]
        yield* kube.patchStatus(Pods, { ...key, name: pod!.metadata.name }, { phase: "Pending", initContainerStatuses })
        const counts = { replicas: 1, updatedReplicas: 1, observedGeneration: 1 }
        const deployment = { ...key, name: "logs-writer" }
        yield* kube.patchStatus(Deployments, deployment, counts, { manager: "deployment-controller" })
        yield* reconcile()
        const found = yield* status()
        assert.deepInclude(conditionsOf(found), { Ready: "False LoginFailed", TargetReachable: "False LoginFailed" })
        assert.strictEqual(
          found.conditions!.find(({ type }) => type === "Ready")!.message,
          "wanted role app, found none"
        )
      })
    )
  )

  it.live("a Deployment of that name that is not ours is left alone", () =>
    withWorld(({ kube, reconcile, status }) =>
      Effect.gen(function* () {
        const metadata = { ...key, name: "logs-writer" }
        yield* kube.create({ apiVersion: "apps/v1", kind: "Deployment", metadata, spec: { replicas: 7 } })
        yield* kube.apply(manifest("logs"))
        yield* reconcile()
        assert.strictEqual(conditionsOf(yield* status())["Stalled"], "True NameConflict")
        const theirs = yield* kube.get(Deployments, metadata)
        assert.deepStrictEqual(theirs!["spec"], { replicas: 7 })
      })
    )
  )
})

describe("suspend", () => {
  it.live("stops the writers and keeps the rest, also while NATS is away", () =>
    withWorld(({ kube, manager, reconcile, rollOut, status, publish }) =>
      Effect.gen(function* () {
        yield* kube.apply(manifest("logs"))
        yield* reconcile()
        yield* rollOut()
        yield* reconcile()
        yield* kube.apply(manifest("logs", { suspend: true }))
        assert.deepStrictEqual((yield* reconcile()).steps, ["Apply Deployment"])
        yield* rollOut()
        yield* publish(120)
        yield* reconcile()
        const suspended = yield* status()
        assert.deepInclude(conditionsOf(suspended), { Ready: "True Suspended", Suspended: "True Suspended" })
        assert.strictEqual(suspended.consumer!.lag, "120")
        assert.strictEqual((yield* Effect.promise(() => manager.consumers.list(stream).next())).length, 1)
      })
    )
  )
})
