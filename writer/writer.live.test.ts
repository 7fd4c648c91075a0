import { assert, describe, layer } from "@effect/vitest"
import { jetstreamManager } from "@nats-io/jetstream"
import { nanos } from "@nats-io/transport-node"
import { Effect, Schema } from "effect"
import { startProxy } from "../testing/proxy.ts"
import { startNats } from "../testing/servers.ts"
import { connectTo, makeBench, Servers } from "../testing/writer-bench.ts"
import type { LogLine } from "../testing/logged-process.ts"
import { startWriter } from "../testing/writer-process.ts"
import { WriterStatus } from "./config.ts"

const all = (count: number) => ({ rows: count, distinct: count, deadLetters: 0, covered: count })

describe("writer", () => {
  layer(Servers.layer, { excludeTestServices: true, timeout: 120_000 })((it) => {
    it.effect("writes what is in the stream and what comes, acks it, and says so", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        yield* bench.publish(0, 3_000)
        const writer = yield* startWriter({ config: bench.config })
        yield* writer.writing
        yield* bench.publish(3_000, 3_100)
        yield* bench.drained()
        assert.deepStrictEqual(yield* bench.outcomes, all(3_100))
        assert.deepStrictEqual(yield* writer.get("/readyz"), { status: 200, text: "Running\n" })
        const { namespace, name } = bench.config.eventStream
        const answer = yield* Effect.promise(() => bench.connection.request(`status.${namespace}.${name}`))
        const status = yield* Schema.decodeUnknownEffect(WriterStatus)(answer.json())
        assert.deepInclude(status, { durable: name, state: "Running", written: 3_100, deadLettered: 0, reason: null })
        assert.match(status.incarnation, /^[0-9a-f]{8}$/)
        const service = yield* Effect.promise(() => bench.connection.request("$SRV.INFO.eventstream-writer"))
        assert.deepInclude(service.json<object>(), {
          name: "eventstream-writer",
          metadata: { namespace, eventstream: name }
        })
        const metrics = (yield* writer.get("/metrics")).text
        assert.match(metrics, new RegExp(`eventstream_writer_messages_written_total{eventstream="${name}"} 3100`))
        assert.match(metrics, /eventstream_writer_in_flight_messages\{[^}]*\} 0/)
      }).pipe(Effect.scoped)
    )

    it.effect("stops on SIGTERM: what is committed is acked, the rest is given back", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench({ batch: { maxMessages: 100 } })
        yield* bench.publish(0, 20_000)
        const writer = yield* startWriter({ config: bench.config })
        yield* writer.writing
        writer.signal("SIGTERM")
        assert.deepStrictEqual(yield* writer.exit, { code: 0, signal: null })
        const manager = yield* Effect.promise(() => jetstreamManager(bench.connection))
        const info = yield* Effect.promise(() => manager.consumers.info(bench.config.stream, bench.config.consumer))
        const { covered, rows } = yield* bench.outcomes
        assert.strictEqual(rows, covered)
        assert.isBelow(covered, 20_000, "stopped in the middle")
        assert.strictEqual(covered + info.num_pending + info.num_ack_pending, 20_000)
        yield* startWriter({ config: bench.config })
        yield* bench.drained()
        assert.deepStrictEqual(yield* bench.outcomes, all(20_000))
      }).pipe(Effect.scoped)
    )

    it.effect("shares a consumer with other writers", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench({ batch: { maxMessages: 200 } })
        const writers = yield* Effect.all(
          [1, 2].map(() => startWriter({ config: bench.config })),
          { concurrency: 2 }
        )
        for (const writer of writers) yield* writer.writing
        yield* bench.publish(0, 10_000)
        yield* bench.drained()
        assert.deepStrictEqual(yield* bench.outcomes, all(10_000))
        const shares = yield* bench.query<{ writer: string; messages: string }>(
          "SELECT writer, sum(messages) AS messages FROM eventstream_ledger GROUP BY writer"
        )
        assert.lengthOf(shares, 2)
      }).pipe(Effect.scoped)
    )

    it.effect("isolates what the database refuses, and what is no JSON, as dead letters", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        yield* bench.query("ALTER TABLE orders ADD CONSTRAINT affordable CHECK (amount < 1000)")
        yield* bench.publish(0, 1_000, (id) =>
          id === 637 ? JSON.stringify({ id, amount: 5_000 }) : id === 800 ? "{" : JSON.stringify({ id, amount: 1 })
        )
        yield* startWriter({ config: bench.config })
        yield* bench.drained()
        assert.deepStrictEqual(yield* bench.outcomes, { rows: 998, distinct: 998, deadLetters: 2, covered: 1_000 })
        const letters = yield* bench.query("SELECT seq::int, reason FROM eventstream_dead_letter ORDER BY seq")
        assert.deepStrictEqual(letters, [
          { seq: 638, reason: "db_rejected:23514" },
          { seq: 801, reason: "malformed_json" }
        ])
      }).pipe(Effect.scoped)
    )

    it.effect("logs one line for a batch, however many of its messages are refused", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench({ errors: { haltThreshold: { minMessages: 1_000 } } })
        yield* bench.query("ALTER TABLE orders ADD CONSTRAINT affordable CHECK (amount < 1000)")
        yield* bench.publish(0, 200, (id) => JSON.stringify({ id, amount: 5_000 }))
        const writer = yield* startWriter({ config: bench.config })
        yield* bench.drained()
        const lines = writer.lines().filter(({ message }) => message === "batch written")
        assert.isBelow(lines.length, 10)
        const sum = (field: string) => lines.reduce((total, line) => total + Number(line[field]), 0)
        assert.deepStrictEqual([sum("messages"), sum("rows"), sum("deadLettered")], [200, 0, 200])
      }).pipe(Effect.scoped)
    )

    it.effect("tries what a foreign key refuses again, all of it after one wait", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench({ errors: { maxAttempts: 3 } })
        yield* bench.query(`CREATE TABLE customers (id int8 PRIMARY KEY);
          ALTER TABLE orders ADD FOREIGN KEY (amount) REFERENCES customers`)
        yield* bench.publish(0, 50, (id) => JSON.stringify({ id, amount: 7 }))
        yield* startWriter({ config: bench.config })
        yield* bench.drained(10) // one after the other they would wait for 28 s
        assert.deepStrictEqual(yield* bench.outcomes, { rows: 0, distinct: 0, deadLetters: 50, covered: 50 })
      }).pipe(Effect.scoped)
    )

    it.effect("says why a consumer sends nothing", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        const manager = yield* Effect.promise(() => jetstreamManager(bench.connection))
        yield* Effect.promise(() => manager.consumers.delete(bench.config.stream, bench.config.consumer))
        yield* bench.createConsumer({ max_expires: nanos(1_000) })
        const writer = yield* startWriter({ config: bench.config })
        const line = yield* writer.logged("a refusal", ({ reason }) => reason === "ConsumerError")
        assert.match(line.message, /refuses pull requests: 409 Exceeded MaxRequestExpires of 1s/)
        assert.deepInclude(yield* writer.get("/readyz"), { status: 503 })
      }).pipe(Effect.scoped)
    )

    it.effect("goes on when it may not answer who asks for its status", () =>
      Effect.gen(function* () {
        const { postgres } = yield* Servers
        const writerUser = `{ user: writer, password: writer, permissions: { publish: "$JS.>", subscribe: ">" } }`
        const config = [
          "no_auth_user: test",
          `authorization { users: [{ user: test, password: test }, ${writerUser}] }`
        ]
        const nats = yield* startNats({ config })
        const connection = yield* connectTo(nats.url)
        const bench = yield* makeBench().pipe(Effect.provideService(Servers, { nats, postgres, connection }))
        const login = { user: "writer", password: "writer" }
        const writer = yield* startWriter({ config: { ...bench.config, nats: { ...bench.config.nats, ...login } } })
        yield* writer.writing
        const { namespace, name } = bench.config.eventStream
        const asked = Effect.tryPromise(() =>
          connection.request(`status.${namespace}.${name}`, undefined, { timeout: 500 })
        )
        assert.strictEqual((yield* Effect.exit(asked))._tag, "Failure")
        yield* bench.publish(0, 100)
        yield* bench.drained()
        assert.deepStrictEqual(yield* bench.outcomes, all(100))
        assert.isUndefined(writer.lines().find(({ reason }) => reason === "PermissionDenied"))
      }).pipe(Effect.scoped)
    )

    it.effect("writes without a status service where it may not have one, and says so once", () =>
      Effect.gen(function* () {
        const { postgres } = yield* Servers
        const permissions = `publish: "$JS.>", subscribe: "_INBOX.>"`
        const nats = yield* startNats({
          config: [
            "no_auth_user: test",
            `authorization { users: [{ user: test, password: test }, { user: writer, password: writer, permissions: { ${permissions} } }] }`
          ]
        })
        const connection = yield* connectTo(nats.url)
        const bench = yield* makeBench().pipe(Effect.provideService(Servers, { nats, postgres, connection }))
        const login = { user: "writer", password: "writer" }
        const writer = yield* startWriter({ config: { ...bench.config, nats: { ...bench.config.nats, ...login } } })
        const { namespace, name } = bench.config.eventStream
        const refused = ({ message }: LogLine) => message.includes("Permissions Violation")
        const line = yield* writer.logged("no status service", refused)
        assert.match(
          line.message,
          new RegExp(`allow this user to subscribe to \\$SRV\\.> and status.${namespace}.${name}$`)
        )
        yield* bench.publish(0, 100)
        yield* bench.drained()
        assert.deepStrictEqual(yield* bench.outcomes, all(100))
        assert.deepStrictEqual(yield* writer.get("/readyz"), { status: 200, text: "Running\n" })
        assert.lengthOf(writer.lines().filter(refused), 1)
      }).pipe(Effect.scoped)
    )

    it.effect("refuses a consumer that may leave messages without an outcome", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        const manager = yield* Effect.promise(() => jetstreamManager(bench.connection))
        yield* Effect.promise(() => manager.consumers.delete(bench.config.stream, bench.config.consumer))
        yield* bench.createConsumer({ max_deliver: 3 })
        const writer = yield* startWriter({ config: bench.config })
        const line = yield* writer.logged("a refusal", ({ reason }) => reason === "ConsumerError")
        assert.include(line.message, "found max_deliver 3, after which messages are never delivered again")
      }).pipe(Effect.scoped)
    )

    it.effect("drops what can't be written when it may", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench({ errors: { onPoison: "Drop" } })
        yield* bench.query("ALTER TABLE orders ADD CONSTRAINT affordable CHECK (amount < 1000)")
        yield* bench.publish(0, 100, (id) => {
          if (id === 50) return "{"
          if (id === 70) return JSON.stringify([{ id }, {}, 7, {}])
          if (id === 80) return "[{}, {}]"
          return JSON.stringify({ id, amount: id === 60 ? 5_000 : 1 })
        })
        const writer = yield* startWriter({ config: bench.config })
        yield* bench.drained()
        assert.deepStrictEqual(yield* bench.outcomes, { rows: 97, distinct: 97, deadLetters: 0, covered: 100 })
        const metrics = (yield* writer.get("/metrics")).text
        assert.match(metrics, /messages_dropped_total\{reason="malformed_json",[^}]*\} 1\n/)
        assert.match(metrics, /messages_dropped_total\{reason="db_rejected",[^}]*\} 1\n/)
        assert.match(metrics, /messages_dropped_total\{reason="missing_field",[^}]*\} 4\n/)
        assert.match(metrics, /messages_dropped_total\{reason="unsupported_type",[^}]*\} 1\n/)
        const [dropped] = yield* bench.query("SELECT sum(dropped)::int AS sum FROM eventstream_ledger")
        assert.deepStrictEqual(dropped, { sum: 7 })
        assert.match(metrics, /messages_failed_total\{reason="decode",[^}]*\} 1\n/)
        assert.match(metrics, /messages_failed_total\{reason="schema",[^}]*\} 2\n/)
        assert.match(metrics, /messages_failed_total\{reason="constraint",[^}]*\} 1\n/)
        assert.match(metrics, /acks_total\{kind="ack",result="sent",[^}]*\} 100\n/)
        assert.match(metrics, /database_pool_connections\{state="idle",[^}]*\} [12]\n/)
        assert.match(metrics, /database_pool_connections\{state="waiting",[^}]*\} 0\n/)
      }).pipe(Effect.scoped)
    )

    it.effect("halts before what can't be written when it must", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench({ errors: { onPoison: "Halt" } })
        yield* bench.publish(0, 100, (id) => (id === 60 ? "{" : JSON.stringify({ id })))
        const writer = yield* startWriter({ config: bench.config })
        const line = yield* writer.logged("Halted", ({ state }) => state === "Halted")
        assert.include(line.message, "message 61 of stream")
        assert.deepInclude(yield* writer.get("/readyz"), { status: 503 })
        assert.deepStrictEqual(yield* bench.outcomes, all(60))
        writer.signal("SIGTERM")
        assert.deepInclude(yield* writer.exit, { code: 0 })
      }).pipe(Effect.scoped)
    )

    it.effect("does not halt before what has its outcome already", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        const broken = (id: number) => (id % 40 === 30 ? "{" : JSON.stringify({ id }))
        yield* bench.publish(0, 100, broken)
        const first = yield* startWriter({ config: bench.config, failpoint: "commit-before-ack" })
        assert.deepStrictEqual(yield* first.exit, { code: null, signal: "SIGKILL" })
        const outcomes = yield* bench.outcomes
        assert.isAtLeast(outcomes.deadLetters, 1)
        yield* bench.publish(100, 140, broken)
        const halting = { ...bench.config, errors: { onPoison: "Halt" } } as const
        const second = yield* startWriter({ config: halting })
        const line = yield* second.logged("Halted", ({ state }) => state === "Halted")
        // Those of before are acked; the first that has no outcome is not.
        assert.include(line.message, outcomes.covered > 70 ? "message 111 of stream" : "message 71 of stream")
        assert.strictEqual((yield* bench.outcomes).deadLetters, outcomes.deadLetters)
      }).pipe(Effect.scoped)
    )

    it.effect("asks for another consumer when the lane is lost", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        yield* bench.publish(0, 100)
        const first = yield* startWriter({ config: bench.config })
        yield* bench.drained()
        first.signal("SIGTERM")
        yield* first.exit
        yield* bench.query("TRUNCATE eventstream_lane, eventstream_ledger")
        yield* bench.publish(100, 200)
        const second = yield* startWriter({ config: bench.config })
        yield* second.logged("NeedsConsumer", ({ state }) => state === "NeedsConsumer")
        assert.strictEqual((yield* bench.outcomes).rows, 100)
      }).pipe(Effect.scoped)
    )

    it.effect("gives up with a last word when its health port is taken or its configuration is wrong", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        const server = yield* startProxy(1)
        const http = { host: "127.0.0.1", port: server.port }
        const { stream: _, ...without } = bench.config
        for (const [config, found] of [
          [{ ...bench.config, http }, "EADDRINUSE"],
          [without as typeof bench.config, "stream: Missing key"]
        ] as const) {
          const writer = yield* startWriter({ config })
          assert.deepStrictEqual(yield* writer.exit, { code: 1, signal: null })
          const last = writer.lines().at(-1)!
          assert.deepInclude(last, { level: "fatal", reason: "InvalidConfiguration" })
          assert.include(last.message, found)
        }
      }).pipe(Effect.scoped)
    )

    it.effect("waits for NATS that is not there, and stops when asked to", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        const writer = yield* startWriter({ config: { ...bench.config, nats: { servers: ["nats://127.0.0.1:1"] } } })
        const line = yield* writer.logged("NatsUnreachable", ({ reason }) => reason === "NatsUnreachable")
        assert.include(line.message, "nats://127.0.0.1:1")
        assert.deepInclude(yield* writer.get("/readyz"), { status: 503 })
        assert.deepInclude(yield* writer.get("/healthz"), { status: 200 })
        writer.signal("SIGTERM")
        assert.deepStrictEqual(yield* writer.exit, { code: 0, signal: null })
      }).pipe(Effect.scoped)
    )

    it.effect("takes messages that are larger than a batch", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench({ batch: { maxBytes: 2_048 } })
        const note = "x".repeat(10_000)
        yield* bench.publish(0, 200, (id) => JSON.stringify(id % 10 === 0 ? { id, note } : { id }))
        yield* startWriter({ config: bench.config })
        yield* bench.drained()
        assert.deepStrictEqual(yield* bench.outcomes, all(200))
      }).pipe(Effect.scoped)
    )
  })
})
