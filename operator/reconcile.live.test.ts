import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream"
import { connect, type NatsConnection } from "@nats-io/transport-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { admit } from "../crds/admission.ts"
import type { EventStreamStatus } from "../crds/eventstream.ts"
import { incarnationOf } from "../platform/incarnation.ts"
import { conditionsOf, manifest, operatorServices } from "../testing/operator-services.ts"
import { freePort, startNats } from "../testing/servers.ts"
import { writerStatusSubject, type WriterStatus } from "../writer/config.ts"
import type { JetStream } from "./jetstream.ts"
import { Deployments, EventStreams, Kube, type KubeObject, Pods } from "./kube.ts"
import { layerMemory } from "./kube/memory.ts"
import type { OperatorMetrics } from "./metrics.ts"
import { makeReconciler, type Report } from "./reconcile.ts"
import { ConfigHashAnnotation, OwnerMark, selectorLabels } from "./specs/names.ts"

/** The reconciler over the API in memory and a real nats-server; Deployments and writers are played by the test. */

const key = { namespace: "demo", name: "logs" }
const stream = "DEMO_LOGS"
const memory = layerMemory([{ resource: EventStreams, status: true, generation: true, admit }])
const settings = { defaults: { image: "eventstream:test", hosts: undefined }, statusIntervalMillis: 30_000 }

interface World {
  readonly kube: Kube["Service"]
  readonly nats: NatsConnection
  readonly manager: JetStreamManager
  readonly reconcile: (name?: string) => Effect.Effect<Report>
  readonly status: (name?: string) => Effect.Effect<EventStreamStatus>
  readonly written: () => ReadonlyArray<string>
  /** Plays Deployment controller and kubelet: Pods of the Deployment's newest configuration, ready. */
  readonly rollOut: (name?: string) => Effect.Effect<void>
  /** Plays a writer that answers with this status. */
  readonly writer: (status: Partial<WriterStatus>) => Effect.Effect<void, never, Scope.Scope>
  readonly publish: (count: number) => Effect.Effect<void>
}

const connected = (port: number) =>
  Effect.acquireRelease(
    Effect.promise(() => connect({ servers: `127.0.0.1:${port}` })),
    (nats) => Effect.promise(() => nats.close())
  )

const makeWorld = Effect.fnUntraced(function* (port: number, calls: Array<string>) {
  const kube = yield* Kube
  const services = yield* Effect.context<Kube | JetStream | OperatorMetrics>()
  const nats = yield* connected(port)
  const manager = yield* Effect.promise(() => jetstreamManager(nats))
  const reconciler = makeReconciler(settings)
  const world: World = {
    kube,
    nats,
    manager,
    reconcile: (name = key.name) => reconciler({ ...key, name }).pipe(Effect.provide(services), Effect.orDie),
    status: (name = key.name) =>
      kube.get(EventStreams, { ...key, name }).pipe(
        Effect.orDie,
        Effect.map((object) => object!["status"] as EventStreamStatus)
      ),
    written: () => calls.splice(0),
    rollOut: (name = key.name) =>
      Effect.gen(function* () {
        const id = { ...key, name: `${name}-writer` }
        const deployment = (yield* kube.get(Deployments, id))!
        const spec = deployment["spec"] as {
          replicas: number
          template: { metadata: { annotations: Record<string, string> } }
        }
        const { replicas } = spec
        for (const pod of yield* kube.list(Pods, { namespace: key.namespace, labels: selectorLabels(name) })) {
          yield* kube.delete(Pods, { ...key, name: pod.metadata.name })
        }
        const annotations = { [ConfigHashAnnotation]: spec.template.metadata.annotations[ConfigHashAnnotation]! }
        for (let i = 0; i < replicas; i++) {
          const metadata = {
            namespace: key.namespace,
            name: `${name}-writer-${annotations[ConfigHashAnnotation]}-${i}`
          }
          yield* kube.create({
            apiVersion: "v1",
            kind: "Pod",
            metadata: { ...metadata, labels: selectorLabels(name), annotations },
            spec: {}
          })
          yield* kube.patchStatus(Pods, metadata, { phase: "Running" }, { manager: "kubelet" })
        }
        const counts = { replicas, readyReplicas: replicas, updatedReplicas: replicas, availableReplicas: replicas }
        const status = { ...counts, observedGeneration: deployment.metadata.generation }
        yield* kube.patchStatus(Deployments, id, status, { manager: "deployment-controller" })
        calls.length = 0
      }).pipe(Effect.orDie),
    writer: (status) =>
      Effect.acquireRelease(
        Effect.sync(() =>
          nats.subscribe(writerStatusSubject(key.namespace, key.name), {
            callback: (_, message) => {
              const answer: WriterStatus = {
                incarnation: "",
                durable: "",
                lane: 1,
                database: "1",
                server: "PostgreSQL 18.4",
                lowestUncovered: null,
                written: 0,
                deadLettered: 0,
                dropped: 0,
                lastWriteTime: null,
                state: "Running",
                reason: null,
                message: null,
                ...status
              }
              message.respond(JSON.stringify(answer))
            }
          })
        ),
        (subscription) => Effect.sync(() => subscription.unsubscribe())
      ).pipe(Effect.andThen(Effect.promise(() => nats.flush())), Effect.asVoid),
    publish: (count) =>
      Effect.promise(async () => {
        for (let i = 0; i < count; i++) await nats.request("logs.a", `{"n":${i}}`)
      })
  }
  return world
})

const withWorld = (test: (world: World) => Effect.Effect<void, unknown, Scope.Scope>) =>
  Effect.gen(function* () {
    const calls: Array<string> = []
    const { port } = yield* startNats()
    yield* Effect.gen(function* () {
      const world = yield* makeWorld(port, calls)
      yield* test(world)
    }).pipe(Effect.provide(operatorServices(port, memory, calls)))
  }).pipe(Effect.scoped)

describe("a new EventStream", () => {
  it.live("gets stream, durable and writers, and is at rest afterwards", () =>
    withWorld(({ kube, manager, reconcile, status, rollOut, writer, written }) =>
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

describe("what somebody else changes", () => {
  const running = Effect.fnUntraced(function* (world: World, spec: Readonly<Record<string, unknown>> = {}) {
    yield* world.kube.apply(manifest("logs", spec))
    yield* world.reconcile()
    yield* world.rollOut()
    yield* world.reconcile()
    return (yield* world.status()).consumer!.name!
  })

  it.live("settings of durable and stream are put back", () =>
    withWorld((world) =>
      Effect.gen(function* () {
        const durable = yield* running(world, { consumer: { filterSubjects: ["logs.a", "logs.b"] } })
        const { manager, reconcile } = world
        yield* Effect.promise(async () => {
          await manager.consumers.update(stream, durable, {
            ack_wait: 1e9,
            max_deliver: 3,
            filter_subjects: ["logs.a"],
            headers_only: true
          })
          await manager.streams.update(stream, { max_msgs: 7, subjects: ["logs.>", "more.>"] })
        })
        assert.deepStrictEqual((yield* reconcile()).steps, ["UpdateStream", "UpdateConsumer"])
        const { config } = yield* Effect.promise(() => manager.consumers.info(stream, durable))
        assert.deepInclude(config, { ack_wait: 60e9, max_deliver: -1, filter_subjects: ["logs.a", "logs.b"] })
        assert.notProperty(config, "headers_only")
        const info = yield* Effect.promise(() => manager.streams.info(stream))
        assert.deepInclude(info.config, { max_msgs: -1, subjects: ["logs.>"] })
        assert.deepStrictEqual((yield* reconcile()).steps, [])
      })
    )
  )

  it.live("a filter in its single form is put back", () =>
    withWorld((world) =>
      Effect.gen(function* () {
        const durable = yield* running(world)
        const { manager, reconcile } = world
        yield* Effect.promise(() => manager.consumers.update(stream, durable, { filter_subject: "logs.a" }))
        assert.deepStrictEqual((yield* reconcile()).steps, ["UpdateConsumer"])
        const { config } = yield* Effect.promise(() => manager.consumers.info(stream, durable))
        assert.notProperty(config, "filter_subject")
        assert.deepStrictEqual((yield* reconcile()).steps, [])
      })
    )
  )

  it.live("a deleted durable comes again, from what writers lack, else from the first start", () =>
    withWorld((world) =>
      Effect.scoped(
        Effect.gen(function* () {
          const { manager, reconcile, publish, status, writer, rollOut } = world
          const durable = yield* running(world)
          const { created } = yield* Effect.promise(() => manager.streams.info(stream))
          yield* publish(10)
          const replaced = Effect.fnUntraced(function* (old: string) {
            yield* Effect.promise(() => manager.consumers.delete(stream, old))
            yield* reconcile()
            yield* rollOut()
            const { name, startSequence } = (yield* status()).consumer!
            assert.notStrictEqual(name, old)
            assert.strictEqual(startSequence, 1)
            return yield* Effect.promise(() => manager.consumers.info(stream, name!))
          })
          const second = yield* Effect.scoped(
            writer({ durable, incarnation: incarnationOf(stream, created), lowestUncovered: 7 }).pipe(
              Effect.andThen(replaced(durable))
            )
          )
          assert.deepInclude(second.config, { deliver_policy: "by_start_sequence", opt_start_seq: 7 })
          const third = yield* replaced(second.name)
          assert.strictEqual(third.config.deliver_policy, "all", "nobody knows better than the first start")
          const beyond = yield* Effect.scoped(
            writer({ durable: third.name, incarnation: incarnationOf(stream, created), lowestUncovered: 99 }).pipe(
              Effect.andThen(replaced(third.name))
            )
          )
          assert.strictEqual(beyond.config.opt_start_seq, 11, "never behind the end of the stream")
        })
      )
    )
  )

  it.live("a stream that is born again is read from its first message, whatever the start policy", () =>
    withWorld((world) =>
      Effect.gen(function* () {
        const { manager, reconcile, publish, status } = world
        const durable = yield* running(world, { consumer: { deliverFrom: { policy: "New" } } })
        yield* publish(5)
        yield* Effect.promise(() => manager.streams.delete(stream))
        const { config } = { config: { name: stream, subjects: ["logs.>"], metadata: { [OwnerMark]: "demo/logs" } } }
        yield* Effect.promise(() => manager.streams.add(config))
        yield* publish(3)
        yield* reconcile()
        const { name, startSequence } = (yield* status()).consumer!
        const [prefix, incarnation] = durable.split("-")
        assert.match(name!, new RegExp(`^${prefix}-(?!${incarnation})[0-9a-f]{8}-[0-9a-f]{6}$`))
        assert.strictEqual(startSequence, 1)
        const info = yield* Effect.promise(() => manager.consumers.info(stream, name!))
        assert.strictEqual(info.num_pending, 3)
      })
    )
  )

  it.live("a stream that is gone is made again", () =>
    withWorld((world) =>
      Effect.gen(function* () {
        const { manager, reconcile } = world
        yield* running(world)
        yield* Effect.promise(() => manager.streams.delete(stream))
        assert.deepStrictEqual((yield* reconcile()).steps, [
          "CreateStream",
          "CreateConsumer",
          "Apply ConfigMap",
          "Apply Deployment"
        ])
      })
    )
  )

  it.live("writers that found an empty database get a new durable; the old one goes after the rollout", () =>
    withWorld((world) =>
      Effect.gen(function* () {
        const { manager, reconcile, publish, status, writer, rollOut } = world
        const durable = yield* running(world)
        yield* publish(4)
        yield* writer({ durable, state: "NeedsConsumer" })
        assert.deepStrictEqual((yield* reconcile()).steps, ["CreateConsumer", "Apply ConfigMap", "Apply Deployment"])
        const { name } = (yield* status()).consumer!
        assert.notStrictEqual(name, durable)
        const names = Effect.promise(() => manager.consumers.list(stream).next()).pipe(
          Effect.map((found) => found.map((consumer) => consumer.name))
        )
        assert.sameMembers([...(yield* names)], [durable, name!], "writers still read the old one")
        assert.deepStrictEqual((yield* reconcile()).steps, [])
        yield* rollOut()
        assert.deepStrictEqual((yield* reconcile()).steps, ["DeleteConsumer"])
        assert.deepStrictEqual(yield* names, [name!])
      })
    )
  )
})

describe("whose a stream is", () => {
  it.live("of two EventStreams on one stream the second is refused, and nothing is changed", () =>
    withWorld(({ kube, manager, reconcile, status }) =>
      Effect.gen(function* () {
        yield* kube.apply(manifest("logs"))
        yield* reconcile()
        const before = yield* Effect.promise(() => manager.streams.info(stream))
        yield* kube.apply(manifest("other", { stream: { name: stream, subjects: ["other.>"], adopt: true } }))
        yield* reconcile("other")
        const refused = yield* status("other")
        assert.deepInclude(conditionsOf(refused), { Stalled: "True StreamConflict", Ready: "False StreamError" })
        assert.match(
          refused.conditions!.find(({ type }) => type === "Stalled")!.message,
          /belongs to EventStream demo\/logs/
        )
        assert.deepStrictEqual((yield* Effect.promise(() => manager.streams.info(stream))).config, before.config)
        assert.strictEqual(yield* kube.get(Deployments, { ...key, name: "other-writer" }), undefined)
      })
    )
  )

  it.live("a stream that is nobody's is taken over only on request, and read without it", () =>
    withWorld(({ kube, manager, reconcile, status }) =>
      Effect.gen(function* () {
        yield* Effect.promise(() => manager.streams.add({ name: stream, subjects: ["logs.>"], max_age: 3600e9 }))
        yield* kube.apply(manifest("logs"))
        yield* reconcile()
        assert.strictEqual(conditionsOf(yield* status())["Stalled"], "True StreamConflict")

        const spec = { stream: { name: stream, management: "Observed" } }
        yield* kube.apply(manifest("reader", spec))
        yield* reconcile("reader")
        assert.strictEqual(conditionsOf(yield* status("reader"))["StreamReady"], "True Observed")
        const untouched = yield* Effect.promise(() => manager.streams.info(stream))
        assert.notProperty(untouched.config.metadata ?? {}, OwnerMark)
        assert.strictEqual(untouched.config.max_age, 3600e9)

        yield* kube.apply(manifest("logs", { stream: { subjects: ["logs.>"], adopt: true } }))
        yield* reconcile()
        const taken = yield* Effect.promise(() => manager.streams.info(stream))
        assert.strictEqual(taken.config.metadata?.[OwnerMark], "demo/logs")
        assert.strictEqual(taken.config.max_age, 0)
        assert.notProperty(conditionsOf(yield* status()), "Stalled")
      })
    )
  )

  it.live("a subject that another stream stores is named together with that stream", () =>
    withWorld(({ kube, manager, reconcile, status }) =>
      Effect.gen(function* () {
        yield* Effect.promise(() => manager.streams.add({ name: "OTHER", subjects: ["logs.a"] }))
        yield* kube.apply(manifest("logs"))
        yield* reconcile()
        const stalled = (yield* status()).conditions!.find(({ type }) => type === "Stalled")!
        assert.strictEqual(stalled.reason, "SubjectOverlap")
        assert.match(stalled.message, /subject logs\.> is already stored by stream OTHER/)
      })
    )
  )

  it.live("an Observed durable is read and never touched", () =>
    withWorld(({ kube, manager, reconcile, status }) =>
      Effect.gen(function* () {
        const consumer = { name: "theirs", management: "Observed" }
        yield* kube.apply(manifest("logs", { consumer }))
        assert.strictEqual((yield* reconcile()).outcome._tag, "Retry")
        assert.strictEqual(conditionsOf(yield* status())["ConsumerReady"], "False NotFound")
        const theirs = { durable_name: "theirs", ack_policy: "explicit", ack_wait: 5e9 } as const
        const { config } = yield* Effect.promise(() => manager.consumers.add(stream, theirs))
        yield* reconcile()
        assert.strictEqual(conditionsOf(yield* status())["ConsumerReady"], "True Observed")
        const after = yield* Effect.promise(() => manager.consumers.info(stream, "theirs"))
        assert.deepStrictEqual(after.config, config)
        yield* kube.delete(EventStreams, key)
        assert.strictEqual(yield* kube.get(EventStreams, key), undefined, "no finalizer holds it")
      })
    )
  )
})

describe("changes that would remove messages", () => {
  it.live("wait for approval, while the rest of the spec is carried out", () =>
    withWorld(({ kube, manager, reconcile, publish, status }) =>
      Effect.gen(function* () {
        yield* kube.apply(manifest("logs"))
        yield* reconcile()
        yield* publish(8)
        const spec = { stream: { subjects: ["logs.>", "more.>"], maxMessages: 5 } }
        yield* kube.apply(manifest("logs", spec))
        yield* reconcile()
        const waiting = yield* status()
        assert.deepInclude(conditionsOf(waiting), { Stalled: "True NeedsApproval" })
        const info = yield* Effect.promise(() => manager.streams.info(stream))
        assert.deepInclude(info.config, { max_msgs: -1, subjects: ["logs.>", "more.>"] })
        assert.strictEqual(info.state.messages, 8)

        const { metadata, ...rest } = manifest("logs", spec)
        const annotations = { "eventstream.dev/approve": "maxMessages:5" }
        yield* kube.apply({ ...rest, metadata: { ...metadata, annotations } } as KubeObject)
        yield* reconcile()
        assert.notProperty(conditionsOf(yield* status()), "Stalled")
        const done = yield* Effect.promise(() => manager.streams.info(stream))
        assert.strictEqual(done.state.messages, 5)
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
        yield* kube.apply({ ...rest, metadata: { ...metadata, annotations } } as KubeObject)
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

  it.live("without NATS ends after drainTimeout, and says what stays behind", () =>
    Effect.gen(function* () {
      const port = yield* freePort
      const calls: Array<string> = []
      yield* Effect.gen(function* () {
        const kube = yield* Kube
        const reconciler = makeReconciler(settings)
        yield* kube.apply(manifest("logs", { drainTimeout: "1s" }))
        yield* reconciler(key)
        yield* kube.delete(EventStreams, key)
        const { outcome } = yield* reconciler(key)
        assert.strictEqual(outcome._tag, "Settled")
        yield* Effect.sleep("1100 millis")
        yield* kube.patchStatus(EventStreams, key, { consumer: { name: "logs-0-0" } })
        const released = yield* reconciler(key)
        assert.deepStrictEqual(released.steps, ["ReportOrphans", "SetFinalizers"])
        assert.strictEqual(released.outcome._tag, "Gone")
      }).pipe(Effect.provide(operatorServices(port, memory, calls)))
    }).pipe(Effect.scoped)
  )
})
