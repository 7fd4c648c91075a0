import { assert, describe, layer } from "@effect/vitest"
import { jetstreamManager } from "@nats-io/jetstream"
import { Effect, Exit, Scope } from "effect"
import { incarnationOf } from "../platform/incarnation.ts"
import { breakCommits, startProxy } from "../testing/proxy.ts"
import { startNats, tempDirectory } from "../testing/servers.ts"
import { type Bench, connectTo, makeBench, Servers } from "../testing/writer-bench.ts"
import { startWriter } from "../testing/writer-process.ts"
import type { EncodedWriterConfig } from "./config.ts"
import type { Failpoint } from "./failpoints.ts"

const all = (count: number) => ({ rows: count, distinct: count, deadLetters: 0, covered: count })
const small = { batch: { maxMessages: 100 } }

/** The bench's configuration with its database behind another port. */
const through = ({ config }: Bench, port: number): EncodedWriterConfig => ({
  ...config,
  target: {
    postgres: { ...config.target.postgres, uri: config.target.postgres.uri!.replace(/:\d+\//, `:${port}/`) }
  }
})

describe("one outcome per message", () => {
  layer(Servers.layer, { excludeTestServices: true, timeout: 120_000 })((it) => {
    it.effect.each<Failpoint>(["rows-before-commit", "commit-before-ack", "ack-flush"])(
      "when the process is killed at %s",
      (failpoint) =>
        Effect.gen(function* () {
          const bench = yield* makeBench(small)
          yield* bench.publish(0, 1_000)
          for (const visit of [1, 3]) {
            const writer = yield* startWriter({ config: bench.config, failpoint: `${failpoint}:${visit}` })
            assert.deepStrictEqual(yield* writer.exit, { code: null, signal: "SIGKILL" })
          }
          const { rows } = yield* bench.outcomes
          assert.isAbove(rows, 0)
          assert.isBelow(rows, 1_000)
          yield* startWriter({ config: bench.config })
          yield* bench.drained()
          assert.deepStrictEqual(yield* bench.outcomes, all(1_000))
        }).pipe(Effect.scoped)
    )

    it.effect("when nobody knows whether a COMMIT succeeded", () =>
      Effect.gen(function* () {
        const { postgres } = yield* Servers
        const proxy = yield* startProxy(postgres.port)
        const faults: ReadonlyArray<"before" | "after" | "never"> = ["before", "after"]
        breakCommits(proxy, (batch) => (batch === 5 ? "never" : batch < 30 ? faults[batch % 3] : undefined))
        const bench = yield* makeBench({ batch: { maxMessages: 50 }, errors: { backoffInitialMillis: 10 } })
        yield* bench.publish(0, 2_000)
        const writer = yield* startWriter({ config: through(bench, proxy.port) })
        yield* bench.drained()
        assert.deepStrictEqual(yield* bench.outcomes, all(2_000))
        assert.isAbove(writer.lines().filter(({ reason }) => reason === "TargetUnreachable").length, 5)
      }).pipe(Effect.scoped)
    )

    it.effect("when the database is away, at first and later, longer than the ack wait", () =>
      Effect.gen(function* () {
        const { postgres } = yield* Servers
        const proxy = yield* startProxy(postgres.port)
        proxy.refuse(true)
        const bench = yield* makeBench(small)
        const writer = yield* startWriter({ config: through(bench, proxy.port) })
        yield* writer.logged("an unreachable database", ({ reason }) => reason === "TargetUnreachable")
        assert.deepInclude(yield* writer.get("/readyz"), { status: 503 })
        proxy.refuse(false)
        yield* writer.writing
        yield* bench.publish(0, 1_000)
        yield* bench.drained()

        proxy.refuse(true)
        proxy.cut()
        yield* bench.publish(1_000, 3_000)
        const manager = yield* Effect.promise(() => jetstreamManager(bench.connection))
        const info = Effect.promise(() => manager.consumers.info(bench.config.stream, bench.config.consumer))
        yield* Effect.sleep("4 seconds") // two ack waits: what is held must be kept alive, and no more be pulled
        const during = yield* info
        assert.isAbove(during.num_ack_pending, 0)
        assert.isAtMost(during.num_ack_pending, 300)
        assert.strictEqual(during.num_redelivered, 0)
        proxy.refuse(false)
        yield* bench.drained()
        assert.deepStrictEqual(yield* bench.outcomes, all(3_000))
        assert.deepInclude(yield* writer.get("/readyz"), { status: 200 })
      }).pipe(Effect.scoped)
    )

    it.effect("when the consumer is deleted and made again under its name", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench(small)
        const writer = yield* startWriter({ config: bench.config })
        yield* bench.publish(0, 500)
        yield* bench.drained()
        const manager = yield* Effect.promise(() => jetstreamManager(bench.connection))
        yield* Effect.promise(() => manager.consumers.delete(bench.config.stream, bench.config.consumer))
        yield* writer.logged("a missing consumer", ({ reason }) => reason === "ConsumerError")
        yield* bench.createConsumer()
        yield* bench.publish(500, 700)
        yield* bench.drained()
        assert.deepStrictEqual(yield* bench.outcomes, all(700))
      }).pipe(Effect.scoped)
    )

    it.effect("when the stream is deleted and made again: its sequences count anew", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench(small)
        const writer = yield* startWriter({ config: bench.config })
        yield* bench.publish(0, 300)
        yield* bench.drained()
        const { stream } = bench.config
        const manager = yield* Effect.promise(() => jetstreamManager(bench.connection))
        const { subjects } = (yield* Effect.promise(() => manager.streams.info(stream))).config
        yield* Effect.promise(() => manager.streams.delete(stream))
        yield* writer.logged("a missing stream", ({ reason }) => reason === "ConsumerError")
        yield* Effect.promise(() => manager.streams.add({ name: stream, subjects: [...subjects] }))
        yield* bench.publish(300, 500)
        yield* bench.createConsumer()
        yield* bench.drained()
        assert.deepStrictEqual(yield* bench.outcomes, all(500))
      }).pipe(Effect.scoped)
    )

    it.effect("when the stream is deleted and made again after the writer looked and before it pulls", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench(small)
        const { stream } = bench.config
        const postgres = { ...bench.config.target.postgres, statementTimeoutMillis: 30_000, lockTimeoutMillis: 30_000 }
        yield* bench.query("BEGIN; LOCK TABLE eventstream_lane")
        const writer = yield* startWriter({ config: { ...bench.config, target: { postgres } } })
        const blocked = "SELECT FROM pg_locks WHERE relation = 'eventstream_lane'::regclass AND NOT granted"
        while ((yield* bench.query(blocked)).length === 0) yield* Effect.sleep("10 millis")
        const manager = yield* Effect.promise(() => jetstreamManager(bench.connection))
        const { subjects } = (yield* Effect.promise(() => manager.streams.info(stream))).config
        yield* Effect.promise(() => manager.streams.delete(stream))
        const { created } = yield* Effect.promise(() => manager.streams.add({ name: stream, subjects: [...subjects] }))
        yield* bench.createConsumer()
        yield* bench.publish(0, 300)
        yield* bench.query("COMMIT")
        yield* bench.drained()
        assert.deepStrictEqual(yield* bench.outcomes, all(300))
        const lanes = yield* bench.query(
          "SELECT DISTINCT incarnation FROM eventstream_lane JOIN eventstream_ledger ON lane = id"
        )
        assert.deepStrictEqual(lanes, [{ incarnation: incarnationOf(stream, created) }])
        yield* writer.logged("another stream", ({ message }) => message.includes("was deleted and made again"))
      }).pipe(Effect.scoped)
    )

    it.effect("when the connection to NATS falls silent without an end", () =>
      Effect.gen(function* () {
        const { nats } = yield* Servers
        const proxy = yield* startProxy(nats.port)
        const bench = yield* makeBench(small)
        const servers = [`nats://127.0.0.1:${proxy.port}`]
        const writer = yield* startWriter({ config: { ...bench.config, nats: { servers } } })
        yield* bench.publish(0, 500)
        yield* bench.drained()
        let silent = true
        proxy.intercept(() => {
          const dead = silent
          silent = false // the connections after this one are well
          return () => (dead ? "drop" : "pass")
        })
        yield* bench.publish(500, 1_000)
        const lost = yield* writer.logged("a lost connection", ({ reason }) => reason === "NatsUnreachable")
        assert.include(lost.message, "was lost")
        assert.match((yield* writer.get("/metrics")).text, /nats_disconnects_total\{reason="stale",[^}]*\} 1\n/)
        yield* bench.drained()
        assert.deepStrictEqual(yield* bench.outcomes, all(1_000))
      }).pipe(Effect.scoped)
    )

    it.effect("when NATS is killed and started again", () =>
      Effect.gen(function* () {
        const { postgres } = yield* Servers
        const storeDirectory = yield* tempDirectory("eventstream-nats-")
        const scope = yield* Scope.make()
        const nats = yield* startNats({ storeDirectory }).pipe(Scope.provide(scope))
        const connection = yield* connectTo(nats.url)
        const bench = yield* makeBench(small).pipe(Effect.provideService(Servers, { nats, postgres, connection }))
        yield* bench.publish(0, 5_000)
        const writer = yield* startWriter({ config: bench.config })
        yield* writer.writing
        nats.process.kill("SIGKILL")
        yield* Scope.close(scope, Exit.void)
        const lost = yield* writer.logged("a lost connection", ({ reason }) => reason === "NatsUnreachable")
        assert.deepInclude(yield* writer.get("/readyz"), { status: 503 })
        yield* startNats({ storeDirectory, port: nats.port })
        yield* writer.logged("writing again", ({ message, time }) => message === "writing" && time > lost.time)
        yield* bench.publish(5_000, 6_000)
        yield* bench.drained()
        assert.deepStrictEqual(yield* bench.outcomes, all(6_000))
      }).pipe(Effect.scoped)
    )

    it.effect("stops soon while NATS is away", () =>
      Effect.gen(function* () {
        const { nats } = yield* Servers
        const proxy = yield* startProxy(nats.port)
        const bench = yield* makeBench(small)
        const servers = [`nats://127.0.0.1:${proxy.port}`]
        const writer = yield* startWriter({ config: { ...bench.config, nats: { servers } } })
        yield* writer.writing
        proxy.refuse(true)
        proxy.cut()
        yield* writer.logged("a lost connection", ({ reason }) => reason === "NatsUnreachable")
        writer.signal("SIGTERM")
        assert.deepStrictEqual(yield* writer.exit, { code: 0, signal: null })
        const { millis } = yield* writer.logged("its end", ({ message }) => message === "stopped")
        assert.isBelow(Number(millis), 5_000)
      }).pipe(Effect.scoped)
    )
  })
})
