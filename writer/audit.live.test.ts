import { assert, describe, layer } from "@effect/vitest"
import { AckPolicy, DeliverPolicy, jetstreamManager } from "@nats-io/jetstream"
import { nanos } from "@nats-io/transport-node"
import { Effect, Exit, Schema, Scope } from "effect"
import { cpSync, rmSync } from "node:fs"
import { join } from "node:path"
import { Registry } from "prom-client"
import { startNats, tempDirectory } from "../testing/servers.ts"
import { storeOver } from "../testing/store.ts"
import { type Bench, connectTo, makeBench, Servers } from "../testing/writer-bench.ts"
import { startWriter } from "../testing/writer-process.ts"
import { makeAudit } from "./audit.ts"
import { WriterConfig, WriterStatus } from "./config.ts"
import { describeConsumer } from "./consumer.ts"
import { incarnationOf } from "../platform/incarnation.ts"
import { makeWriterMetrics } from "./metrics.ts"
import { makeProcessor } from "./processors/index.ts"
import { makeProgress } from "./progress.ts"

const all = (count: number) => ({ rows: count, distinct: count, deadLetters: 0, covered: count })

/** Waits until a value fits. */
const until = <A>(read: Effect.Effect<A | undefined>, fits: (value: A) => boolean) =>
  Effect.gen(function* () {
    while (true) {
      const value = yield* read
      if (value !== undefined && fits(value)) return value
      yield* Effect.sleep("20 millis")
    }
  }).pipe(Effect.timeout("20 seconds"), Effect.orDie)

const decodeStatus = Schema.decodeUnknownSync(WriterStatus)

/** What the bench's writer says, once it says something. */
const statusOf = ({ connection, config }: Bench) =>
  Effect.promise(() =>
    connection
      .request(`status.${config.eventStream.namespace}.${config.eventStream.name}`)
      .then((answer) => decodeStatus(answer.json()))
      .catch(() => undefined)
  )

/** What the operator does about a missed message: the configuration with a durable that starts there. */
const replaced = Effect.fnUntraced(function* (bench: Bench, missed: number) {
  const manager = yield* Effect.promise(() => jetstreamManager(bench.connection))
  const consumer = `${bench.config.consumer}-${missed}`
  yield* Effect.promise(() =>
    manager.consumers.add(bench.config.stream, {
      durable_name: consumer,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: missed,
      ack_wait: nanos(2_000),
      max_ack_pending: 20_000
    })
  )
  return { ...bench.config, consumer }
})

/** An audit of the bench's lane in this process, as one of a session that began before anything was delivered. */
const auditOf = Effect.fnUntraced(function* (bench: Bench) {
  const { connection } = bench
  const config = yield* Schema.decodeEffect(WriterConfig)(bench.config)
  const { tables } = makeProcessor(config.processor)
  const store = yield* storeOver(bench.config.target.postgres.uri!, tables)
  const { stream, consumer, eventStream } = config
  const found = yield* describeConsumer(connection, { stream, consumer, domain: undefined })
  const lane = yield* store.open({
    ...eventStream,
    fingerprint: "",
    stream,
    incarnation: incarnationOf(stream, found.streamCreated),
    start: { sequence: 1, timeNanos: 0n },
    consumerUsed: true
  })
  const progress = makeProgress(consumer)
  const metrics = makeWriterMetrics(new Registry(), {
    inFlight: () => 0,
    connections: store.connections,
    shutdownSeconds: () => 0
  })
  const databaseChanged = () => assert.fail("it is the same")
  const audit = makeAudit({
    connection,
    config,
    store,
    lane,
    progress,
    metrics,
    deliveredBefore: 0,
    databaseChanged
  })
  return { ...audit, status: progress.status }
})

const losses = ({ query }: Bench) => query("SELECT seqs::text, messages::int FROM eventstream_loss ORDER BY noticed_at")

describe("what nobody would deliver again is found, and has one outcome in the end", () => {
  layer(Servers.layer, { excludeTestServices: true, timeout: 120_000 })((it) => {
    it.effect("after a failover that lost commits whose messages were acked", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        const writer = yield* startWriter({ config: bench.config })
        yield* bench.publish(0, 600)
        yield* bench.drained()
        // A standby that had not received the last commits has neither their rows nor their ledger.
        yield* bench.query(`
          BEGIN;
          DELETE FROM orders WHERE id >= 300;
          DELETE FROM eventstream_ledger WHERE lower(seqs) > 300;
          UPDATE eventstream_ledger SET seqs = seqs - int8multirange(int8range(301, NULL));
          UPDATE eventstream_lane SET settled_to = least(settled_to, 300);
          COMMIT;
          SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE application_name = 'eventstream/test/${bench.config.eventStream.name}'`)
        yield* bench.publish(600, 601)
        const { missed } = yield* until(statusOf(bench), (status) => status.missed !== null)
        assert.strictEqual(missed, 301)
        writer.signal("SIGTERM")
        yield* writer.exit
        yield* startWriter({ config: yield* replaced(bench, 301) })
        yield* until(bench.outcomes, ({ rows }) => rows >= 601)
        assert.deepStrictEqual(yield* bench.outcomes, all(601))
        assert.isNull((yield* statusOf(bench))?.missed)
      }).pipe(Effect.scoped)
    )

    it.effect("after a store lost its tail and the durable did not", () =>
      Effect.gen(function* () {
        const { postgres } = yield* Servers
        const storeDirectory = yield* tempDirectory("eventstream-nats-")
        const copy = yield* tempDirectory("eventstream-nats-copy-")
        let scope = yield* Scope.make()
        const nats = yield* startNats({ storeDirectory }).pipe(Scope.provide(scope))
        const connection = yield* connectTo(nats.url)
        const bench = yield* makeBench().pipe(Effect.provideService(Servers, { nats, postgres, connection }))
        const manager = yield* Effect.promise(() => jetstreamManager(connection, { timeout: 500 }))
        yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
        const restart = Effect.fnUntraced(function* (meanwhile: () => void) {
          yield* Scope.close(scope, Exit.void)
          meanwhile()
          scope = yield* Scope.make()
          yield* startNats({ storeDirectory, port: nats.port }).pipe(Scope.provide(scope))
          yield* until(
            Effect.promise(() => manager.streams.info(bench.config.stream).catch(() => undefined)),
            () => true
          )
        })
        const folder = join(storeDirectory, "jetstream", "$G", "streams", bench.config.stream)
        const keep = (part: "msgs" | "obs") => cpSync(join(folder, part), join(copy, part), { recursive: true })
        const bringBack = (part: "msgs" | "obs") => {
          rmSync(join(folder, part), { recursive: true })
          cpSync(join(copy, part), join(folder, part), { recursive: true })
        }
        const first = yield* startWriter({ config: bench.config })
        yield* bench.publish(0, 100)
        yield* bench.drained()
        yield* restart(() => keep("msgs"))
        yield* bench.publish(100, 150)
        yield* bench.drained()
        first.signal("SIGTERM")
        yield* first.exit
        yield* restart(() => {
          keep("obs")
          bringBack("msgs")
        })
        yield* bench.publish(150, 210)
        // At the start a server puts a durable back that stands beyond the end; here it stands in the middle.
        yield* restart(() => bringBack("obs"))
        const writer = yield* startWriter({ config: bench.config })
        const { missed, state } = yield* until(statusOf(bench), (status) => status.missed !== null)
        assert.deepStrictEqual([missed, state], [101, "NeedsConsumer"])
        writer.signal("SIGTERM")
        yield* writer.exit
        yield* startWriter({ config: yield* replaced(bench, 101) })
        yield* until(bench.outcomes, ({ rows }) => rows >= 210)
        const { rows, distinct } = yield* bench.outcomes
        assert.deepStrictEqual([rows, distinct], [210, 210])
      }).pipe(Effect.scoped)
    )

    it.effect("after the target was switched away and back", () =>
      Effect.gen(function* () {
        const here = yield* makeBench()
        const there = yield* makeBench()
        const first = yield* startWriter({ config: here.config })
        yield* here.publish(0, 200)
        yield* here.drained()
        first.signal("SIGTERM")
        yield* first.exit
        const away = yield* startWriter({ config: { ...(yield* replaced(here, 1)), target: there.config.target } })
        yield* here.publish(200, 500)
        yield* until(there.outcomes, ({ rows }) => rows >= 500)
        away.signal("SIGTERM")
        yield* away.exit
        assert.deepStrictEqual(yield* there.outcomes, all(500))
        const back = yield* startWriter({ config: { ...here.config, consumer: `${here.config.consumer}-1` } })
        const { missed } = yield* until(statusOf(here), (status) => status.missed !== null)
        assert.strictEqual(missed, 201)
        back.signal("SIGTERM")
        yield* back.exit
        yield* startWriter({ config: yield* replaced(here, 201) })
        yield* until(here.outcomes, ({ rows }) => rows >= 500)
        assert.deepStrictEqual(yield* here.outcomes, all(500))
      }).pipe(Effect.scoped)
    )
  })
})

describe("what was gone before it was written is counted", () => {
  layer(Servers.layer, { excludeTestServices: true, timeout: 120_000 })((it) => {
    it.effect("after a purge, deletions and a limit of the stream, each message once", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        const { stream } = bench.config
        const manager = yield* Effect.promise(() => jetstreamManager(bench.connection))
        yield* bench.publish(0, 300)
        yield* Effect.promise(() => manager.streams.purge(stream, { seq: 101 }))
        for (const seq of [150, 151, 200]) yield* Effect.promise(() => manager.streams.deleteMessage(stream, seq))
        const writer = yield* startWriter({ config: bench.config })
        yield* bench.drained()
        const audit = yield* auditOf(bench)
        assert.strictEqual(yield* audit.pass, 0, "a writer may still hold them")
        assert.deepStrictEqual(yield* losses(bench), [])
        assert.strictEqual(yield* audit.pass, 300)
        assert.deepStrictEqual(yield* losses(bench), [{ seqs: "{[1,101),[150,152),[200,201)}", messages: 103 }])
        assert.deepInclude(audit.status(), { lost: 103, missed: null })

        writer.signal("SIGTERM")
        yield* writer.exit
        yield* bench.publish(300, 400)
        yield* Effect.promise(() => manager.streams.update(stream, { max_msgs: 40 }))
        yield* startWriter({ config: bench.config })
        yield* bench.drained()
        yield* audit.pass
        assert.strictEqual(yield* audit.pass, 400)
        assert.strictEqual(yield* audit.pass, 400)
        assert.strictEqual(audit.status().lost, 163)
        assert.strictEqual((yield* bench.outcomes).rows, 237)
      }).pipe(Effect.scoped)
    )

    it.effect("but not what a filter leaves out", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        const manager = yield* Effect.promise(() => jetstreamManager(bench.connection))
        const { stream, consumer } = bench.config
        const filter_subject = `${consumer}.none`
        yield* Effect.promise(() => manager.consumers.update(stream, consumer, { filter_subject }))
        yield* bench.publish(0, 10)
        yield* (yield* startWriter({ config: bench.config })).writing
        yield* bench.drained()
        const audit = yield* auditOf(bench)
        yield* audit.pass
        yield* audit.pass
        assert.deepInclude(audit.status(), { lost: 0, missed: null })
      }).pipe(Effect.scoped)
    )
  })
})
