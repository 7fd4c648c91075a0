import { assert, describe, layer } from "@effect/vitest"
import { jetstreamManager } from "@nats-io/jetstream"
import { headers } from "@nats-io/transport-node"
import { Effect } from "effect"
import { type Bench, makeBench, Servers } from "../testing/writer-bench.ts"
import { startWriter } from "../testing/writer-process.ts"

const prefixOf = (bench: Bench) => `dlq.${bench.config.eventStream.name}`

const publishing = (bench: Bench) => ({
  ...bench.config,
  errors: { deadLetter: { publish: { subjectPrefix: prefixOf(bench) } } }
})

const until = (condition: Effect.Effect<boolean>) =>
  Effect.gen(function* () {
    while (!(yield* condition)) yield* Effect.sleep("20 millis")
  }).pipe(Effect.timeout("20 seconds"), Effect.orDie)

const published = (bench: Bench) =>
  until(
    Effect.map(
      bench.query("SELECT FROM eventstream_dead_letter WHERE relayed_at IS NULL"),
      (waiting) => waiting.length === 0
    )
  )

const addStream = (bench: Bench) =>
  Effect.promise(async () => {
    const manager = await jetstreamManager(bench.connection)
    const name = `DLQ_${bench.config.stream}`
    await manager.streams.add({ name, subjects: [`${prefixOf(bench)}.>`] })
    return { manager, name, entries: async () => (await manager.streams.info(name)).state.messages }
  })

const kept = "SELECT reason, detail, headers, payload FROM eventstream_dead_letter ORDER BY id"

describe("dead letters", () => {
  layer(Servers.layer, { excludeTestServices: true, timeout: 60_000 })((it) => {
    it.effect("are published once each, although the writer is killed between publishing and marking", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        const relay = yield* addStream(bench)
        yield* bench.publish(0, 50, (id) => (id === 7 ? '[{"id": 1}, {}, 5]' : `not json ${id}`))
        const killed = yield* startWriter({ config: publishing(bench), failpoint: "relay-before-mark:2" })
        assert.deepStrictEqual(yield* killed.exit, { code: null, signal: "SIGKILL" })
        const writer = yield* startWriter({ config: publishing(bench) })
        yield* bench.drained()
        yield* published(bench)
        const { deadLetters } = yield* bench.outcomes
        assert.strictEqual(deadLetters, 51)
        assert.strictEqual(yield* Effect.promise(relay.entries), 51)
        const [letter] = yield* bench.query<{ lane: string; incarnation: string; seq: string }>(
          "SELECT lane, incarnation, seq FROM eventstream_dead_letter JOIN eventstream_lane head ON head.id = lane WHERE element = 2"
        )
        const subject = `${prefixOf(bench)}.${letter!.lane}.${letter!.incarnation}.0.${letter!.seq}.2`
        const entry = yield* Effect.promise(() =>
          relay.manager.streams.getMessage(relay.name, { last_by_subj: subject })
        )
        assert.strictEqual(entry!.string(), '[{"id": 1}, {}, 5]')
        assert.strictEqual(entry!.header.get("Dlq-Reason"), "unsupported_type")
        assert.strictEqual(entry!.header.get("Dlq-Stream"), bench.config.stream)
        yield* until(
          Effect.map(Effect.orDie(writer.get("/metrics")), ({ text }) => /writer_dead_letters\{[^}]*\} 51\n/.test(text))
        )
      }).pipe(Effect.scoped)
    )

    it.effect("wait for their stream, with rows flowing meanwhile", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        const writer = yield* startWriter({ config: publishing(bench) })
        yield* bench.publish(0, 1, () => "not json")
        const { message } = yield* writer.logged("no stream", (line) => line.message.startsWith("dead letters wait"))
        assert.include(message, "no stream captures it")
        yield* bench.publish(0, 100)
        yield* bench.drained()
        assert.deepInclude(yield* bench.outcomes, { rows: 100, deadLetters: 1 })
        const relay = yield* addStream(bench)
        yield* published(bench)
        assert.strictEqual(yield* Effect.promise(relay.entries), 1)
      }).pipe(Effect.scoped)
    )

    it.effect("are kept without what is secret, and not for longer than they may be", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        const carried = headers()
        carried.append("Authorization", "Bearer s3cret")
        carried.append("Trace", "t1")
        const subject = `${bench.config.consumer}.new`
        const reveal = yield* startWriter({
          config: { ...bench.config, errors: { deadLetter: { redactHeaders: ["authorization"] } } }
        })
        yield* Effect.promise(async () => bench.connection.publish(subject, "s3cret", { headers: carried }))
        yield* until(Effect.map(bench.query(kept), (letters) => letters.length === 1))
        const headersKept = { Authorization: ["[redacted]"], Trace: ["t1"] }
        const [open] = yield* bench.query<{ headers: object; payload: Buffer }>(kept)
        assert.deepStrictEqual(open!.headers, headersKept)
        assert.strictEqual(open!.payload.toString(), "s3cret")
        reveal.signal("SIGTERM")
        yield* reveal.exit

        const redacting = { redactHeaders: ["AUTHORIZATION"], payload: "Redact" } as const
        const redact = yield* startWriter({ config: { ...bench.config, errors: { deadLetter: redacting } } })
        yield* Effect.promise(async () => bench.connection.publish(subject, "s3cret", { headers: carried }))
        yield* until(Effect.map(bench.query(kept), (letters) => letters.length === 2))
        const closed = (yield* bench.query<{ detail: string; headers: object; payload: Buffer | null }>(kept))[1]!
        assert.isNull(closed.payload)
        assert.match(closed.detail, /^the payload of 6 bytes was not kept; its SHA-256 is [0-9a-f]{64}$/)
        assert.notInclude(JSON.stringify(closed), "s3cret")
        redact.signal("SIGTERM")
        yield* redact.exit

        yield* startWriter({ config: { ...bench.config, errors: { deadLetter: { maxAgeMillis: 1 } } } })
        yield* until(Effect.map(bench.query(kept), (letters) => letters.length === 0))
      }).pipe(Effect.scoped)
    )
  })
})
