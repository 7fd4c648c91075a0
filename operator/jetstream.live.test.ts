import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { incarnationOf } from "../platform/incarnation.ts"
import { key, stream, withWorld, type World } from "../testing/operator-live.ts"
import { conditionsOf, manifest } from "../testing/operator-services.ts"
import { Deployments, EventStreams } from "./kube.ts"
import { OwnerMark } from "./specs/names.ts"

/** What others do to stream and durable, and whose they are, over the API in memory and a real nats-server. */

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

  it.live("the stream of published dead letters is made and put back; one that is not ours is left alone", () =>
    withWorld((world) =>
      Effect.gen(function* () {
        const publish = { maxAge: "1m", deletionPolicy: "Delete" }
        yield* running(world, { errors: { deadLetter: { publish } } })
        const { kube, manager, reconcile } = world
        const name = "DLQ_DEMO_LOGS"
        const { config } = yield* Effect.promise(() => manager.streams.info(name))
        assert.deepInclude(config, { subjects: ["dlq.demo.logs.>"], max_age: 60e9, max_bytes: 1024 ** 3 })
        yield* Effect.promise(() => manager.streams.update(name, { max_msgs: 1 }))
        assert.deepStrictEqual((yield* reconcile()).steps, ["UpdateStream"])
        assert.deepStrictEqual((yield* reconcile()).steps, [])
        yield* kube.apply(
          manifest("other", {
            stream: { subjects: ["other.>"] },
            errors: { deadLetter: { publish: { streamName: name } } }
          })
        )
        yield* reconcile("other")
        const stalled = (yield* world.status("other")).conditions!.find(({ type }) => type === "Stalled")!
        assert.match(stalled.message, /stream DLQ_DEMO_LOGS exists and is not this EventStream's/)
        assert.isDefined((yield* world.status("other")).consumer?.name)
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

describe("a durable whose leader is lost", () => {
  /** A JetStream domain that is the server itself, where consumers can be made not to answer, as in a cluster that lost a node. */
  const startDomain = (domain: string, nats: World["nats"]) =>
    Effect.gen(function* () {
      const state = { silent: false }
      yield* Effect.acquireRelease(
        Effect.sync(() =>
          nats.subscribe(`$JS.${domain}.API.>`, {
            callback: (_, message) => {
              void (async () => {
                const answer = await nats.request(message.subject.replace(`.${domain}.`, "."), message.data)
                if (!state.silent || !message.subject.includes(".CONSUMER.LIST.")) return message.respond(answer.data)
                const list = answer.json<{ consumers: ReadonlyArray<{ name: string }> }>()
                const missing = list.consumers.map(({ name }) => name)
                message.respond(JSON.stringify({ ...list, consumers: [], missing }))
              })()
            }
          })
        ),
        (subscription) => Effect.sync(() => subscription.unsubscribe())
      )
      return state
    })

  it.live("is waited for, not made anew", () =>
    withWorld((world) =>
      Effect.gen(function* () {
        const { kube, nats, reconcile, rollOut, status } = world
        const domain = yield* startDomain("elsewhere", nats)
        yield* kube.apply(
          manifest("logs", { nats: { servers: ["nats://nats.nats.svc:4222"], jetstreamDomain: "elsewhere" } })
        )
        yield* reconcile()
        yield* rollOut()
        yield* reconcile()
        const durable = (yield* status()).consumer!.name!

        domain.silent = true
        const { steps, outcome } = yield* reconcile()
        assert.deepStrictEqual(steps, [])
        assert.deepStrictEqual(outcome, {
          _tag: "Retry",
          message: `list consumers of ${stream}: no server answers for ${durable}`
        })
        assert.strictEqual((yield* status()).consumer!.name, durable)
        // NATS is there: it is not what has to be looked after.
        const { StreamReady, Reconciling } = conditionsOf(yield* status())
        assert.deepStrictEqual(
          { StreamReady, Reconciling },
          {
            StreamReady: "False StreamError",
            Reconciling: "True ProgressingWithRetry"
          }
        )

        domain.silent = false
        assert.deepStrictEqual((yield* reconcile()).steps, [])
        assert.strictEqual(conditionsOf(yield* status())["StreamReady"], "True UpToDate")
        assert.strictEqual((yield* status()).consumer!.name, durable)
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
        yield* kube.apply({ ...rest, metadata: { ...metadata, annotations } })
        yield* reconcile()
        assert.notProperty(conditionsOf(yield* status()), "Stalled")
        const done = yield* Effect.promise(() => manager.streams.info(stream))
        assert.strictEqual(done.state.messages, 5)
      })
    )
  )
})
