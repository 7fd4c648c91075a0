import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { key, memory, settings, stream, withWorld, type World } from "../testing/operator-live.ts"
import { conditionsOf, manifest, operatorServices } from "../testing/operator-services.ts"
import { freePort } from "../testing/servers.ts"
import { EventStreams, Kube, Pods } from "./kube.ts"
import { makeReconciler } from "./reconcile.ts"

/** What is left of an EventStream that is deleted, over the API in memory and a real nats-server. */

describe("deletion", () => {
  const deleted = Effect.fnUntraced(function* (world: World, spec: Readonly<Record<string, unknown>>) {
    const { kube, reconcile, publish } = world
    yield* kube.apply(manifest("logs", spec))
    yield* reconcile()
    yield* publish(3)
    yield* kube.delete(EventStreams, key)
  })
  const left = ({ manager }: World) =>
    Effect.promise(async () => {
      const streams = await manager.streams.names().next()
      const consumers = streams.includes(stream) ? await manager.consumers.list(stream).next() : []
      return { streams, consumers: consumers.length }
    })

  it.live("by default removes the durable and keeps the stream", () =>
    withWorld((world) =>
      Effect.gen(function* () {
        yield* deleted(world, {})
        const { steps, outcome } = yield* world.reconcile()
        assert.deepStrictEqual(steps, ["Delete Deployment", "DeleteConsumer", "SetFinalizers"])
        assert.strictEqual(outcome._tag, "Gone")
        assert.deepStrictEqual(yield* left(world), { streams: [stream], consumers: 0 })
        const again = manifest("logs")
        yield* world.kube.apply(again)
        yield* world.reconcile()
        assert.strictEqual(
          conditionsOf(yield* world.status())["StreamReady"],
          "True UpToDate",
          "applied again it is ours"
        )
      })
    )
  )

  it.live("Retain of both needs no finalizer", () =>
    withWorld((world) =>
      Effect.gen(function* () {
        yield* deleted(world, { consumer: { deletionPolicy: "Retain" } })
        assert.strictEqual(yield* world.kube.get(EventStreams, key), undefined)
        assert.deepStrictEqual(yield* left(world), { streams: [stream], consumers: 1 })
      })
    )
  )

  it.live("Delete removes the stream", () =>
    withWorld((world) =>
      Effect.gen(function* () {
        yield* deleted(world, { stream: { subjects: ["logs.>"], deletionPolicy: "Delete" } })
        yield* world.reconcile()
        assert.deepStrictEqual(yield* left(world), { streams: [], consumers: 0 })
      })
    )
  )

  it.live("Delete leaves a stream that others read, until approved or drainTimeout is over", () =>
    withWorld((world) =>
      Effect.gen(function* () {
        const { kube, manager, reconcile, status } = world
        yield* deleted(world, { stream: { subjects: ["logs.>"], deletionPolicy: "Delete" } })
        yield* Effect.promise(() => manager.consumers.add(stream, { durable_name: "theirs", ack_policy: "explicit" }))
        yield* reconcile()
        assert.deepInclude(conditionsOf(yield* status()), { Stalled: "True NeedsApproval", Ready: "False Draining" })
        assert.deepStrictEqual(yield* left(world), { streams: [stream], consumers: 1 })
        const spec = { stream: { subjects: ["logs.>"], deletionPolicy: "Delete" } }
        const { metadata, ...rest } = manifest("logs", spec)
        const annotations = { "eventstream.dev/approve": `delete-stream:${stream}` }
        yield* kube.apply({ ...rest, metadata: { ...metadata, annotations } })
        assert.strictEqual((yield* reconcile()).outcome._tag, "Gone")
        assert.deepStrictEqual(yield* left(world), { streams: [], consumers: 0 })
      })
    )
  )

  it.live("waits for writers no longer than drainTimeout", () =>
    withWorld((world) =>
      Effect.gen(function* () {
        const { kube, reconcile, rollOut } = world
        yield* kube.apply(manifest("logs", { drainTimeout: "1s" }))
        yield* reconcile()
        yield* rollOut()
        yield* kube.delete(EventStreams, key)
        // A Pod that its node doesn't end: garbage collection only marks it.
        const [pod] = yield* kube.list(Pods, { namespace: key.namespace })
        yield* kube.setFinalizers(Pods, pod!, ["test/held"])
        const first = yield* reconcile()
        assert.deepStrictEqual(first.steps, ["Delete Deployment"])
        assert.deepStrictEqual(first.outcome, { _tag: "Settled", againMillis: 1_000 })
        yield* Effect.sleep("1100 millis")
        const { outcome, steps } = yield* reconcile()
        assert.strictEqual(outcome._tag, "Gone")
        assert.deepStrictEqual(steps, ["DeleteConsumer", "SetFinalizers"])
      })
    )
  )

  it.live("that never reached NATS ends at once: there is nothing of it there", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      yield* Effect.gen(function* () {
        const kube = yield* Kube
        const reconciler = makeReconciler(settings)
        yield* kube.apply(manifest("logs", { drainTimeout: "1h" }))
        yield* reconciler(key)
        yield* kube.delete(EventStreams, key)
        const { outcome, steps } = yield* reconciler(key)
        assert.deepStrictEqual(steps, ["SetFinalizers"])
        assert.strictEqual(outcome._tag, "Gone")
      }).pipe(Effect.provide(operatorServices(port, memory, [])))
    }).pipe(Effect.scoped)
  )

  it.live("without NATS ends after drainTimeout, and says what stays behind", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const calls: Array<string> = []
      yield* Effect.gen(function* () {
        const kube = yield* Kube
        const reconciler = makeReconciler(settings)
        yield* kube.apply(manifest("logs", { drainTimeout: "1s" }))
        yield* reconciler(key)
        yield* kube.patchStatus(EventStreams, key, { stream: { name: "DEMO_LOGS" }, consumer: { name: "logs-0-0" } })
        yield* kube.delete(EventStreams, key)
        const { outcome } = yield* reconciler(key)
        assert.strictEqual(outcome._tag, "Settled")
        yield* Effect.sleep("1100 millis")
        const released = yield* reconciler(key)
        assert.deepStrictEqual(released.steps, ["ReportOrphans", "SetFinalizers"])
        assert.strictEqual(released.outcome._tag, "Gone")
      }).pipe(Effect.provide(operatorServices(port, memory, calls)))
    }).pipe(Effect.scoped)
  )
})
