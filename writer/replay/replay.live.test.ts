import { assert, describe, layer } from "@effect/vitest"
import { jetstreamManager } from "@nats-io/jetstream"
import { Effect, type Scope } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { eventstream, type LogLine, startLogged } from "../../testing/logged-process.ts"
import { tempDirectory } from "../../testing/servers.ts"
import { type Bench, makeBench, Servers } from "../../testing/writer-bench.ts"
import { startWriter } from "../../testing/writer-process.ts"
import type { EncodedWriterConfig } from "../config.ts"
import type { Failpoint } from "../failpoints.ts"

const patient = { errors: { haltThreshold: { minMessages: 1_000_000 } }, batch: { maxMessages: 100 } }

/** The bench's configuration with the order's number read from another field. */
const mapped = ({ config }: Bench, from: string): EncodedWriterConfig => ({
  ...config,
  processor: {
    type: "Json",
    json: {
      table: "orders",
      columns: [
        { name: "id", type: "int8", from, required: true },
        { name: "amount", type: "int8" },
        { name: "note", type: "text" }
      ]
    }
  }
})

/** Runs `eventstream replay` to its end; answers its last line, or undefined when it was killed at the failpoint. */
const replay = Effect.fnUntraced(function* (
  config: EncodedWriterConfig,
  args: ReadonlyArray<string>,
  failpoint?: `${Failpoint}:${number}`
): Effect.fn.Return<LogLine | undefined, never, Scope.Scope> {
  const file = join(yield* tempDirectory("eventstream-replay-"), "config.json")
  writeFileSync(file, JSON.stringify(config))
  const command = [eventstream, "replay", "--config", file, ...args] as const
  const run = yield* startLogged("replay", command, failpoint ? { EVENTSTREAM_FAILPOINT: failpoint } : {})
  const exit = yield* Effect.orDie(run.exit)
  assert.deepStrictEqual(exit, failpoint ? { code: null, signal: "SIGKILL" } : { code: 0, signal: null })
  return failpoint ? undefined : run.lines().at(-1)
})

/** Starts a writer, and stops it when all that was published has its outcome. */
const writeAll = (bench: Bench) =>
  Effect.gen(function* () {
    const writer = yield* startWriter({ config: bench.config })
    yield* Effect.orDie(writer.writing)
    yield* bench.drained()
  }).pipe(Effect.scoped)

describe("eventstream replay", () => {
  layer(Servers.layer, { excludeTestServices: true, timeout: 60_000 })((it) => {
    it.effect("writes dead letters once the mapping is right, each once, although it is killed", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench(patient)
        yield* bench.publish(0, 250, (id) => JSON.stringify({ order: id }))
        yield* bench.publish(250, 251, () => '[{"order": 250}, {"id": 251}, {"order": 252}]')
        yield* writeAll(bench)
        assert.deepInclude(yield* bench.outcomes, { rows: 1, deadLetters: 252 })
        const fixed = mapped(bench, "/order")
        yield* replay(fixed, ["--id", "fix"], "replay-before-save:2")
        const between = yield* bench.outcomes
        assert.strictEqual(between.rows, 201)
        assert.strictEqual(between.deadLetters, 52)
        const done = yield* replay(fixed, ["--id", "fix"])
        assert.deepInclude(done, { message: "replay finished", read: 251, written: 251, failed: 0 })
        assert.deepInclude(yield* bench.outcomes, { rows: 253, distinct: 253, deadLetters: 0 })
        const again = yield* replay(fixed, ["--id", "fix"])
        assert.include(again!.message, "ended before")
        assert.deepInclude(yield* bench.outcomes, { rows: 253, distinct: 253 })
      }).pipe(Effect.scoped)
    )

    it.effect("takes those that were asked for, and tells of a dry run what would happen", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench(patient)
        yield* bench.query("ALTER TABLE orders ADD CONSTRAINT small CHECK (amount < 100)")
        yield* bench.publish(0, 40, (id) => JSON.stringify({ order: id, amount: id === 7 ? 500 : 1 }))
        yield* bench.publish(40, 45, () => "not json")
        yield* Effect.promise(async () => bench.connection.publish(`${bench.config.consumer}.other`, '{"order": 99}'))
        yield* writeAll(bench)
        const fixed = mapped(bench, "/order")
        const before = yield* bench.outcomes
        assert.deepInclude(before, { rows: 0, deadLetters: 46 })
        const dry = yield* replay(fixed, ["--id", "some", "--dry-run"])
        assert.deepInclude(dry, { message: "dry run: nothing was written", read: 46, written: 40, failed: 6 })
        assert.deepStrictEqual(dry!["reasons"], { malformed_json: 5, db_rejected: 1 })
        assert.deepStrictEqual(yield* bench.outcomes, before)

        const chosen = ["--reason", "missing_field", "--subject", "*.new", "--on-success", "Keep"]
        const startedAt = performance.now()
        const some = yield* replay(fixed, ["--id", "some", ...chosen, "--max-per-second", "20"])
        assert.isAbove(performance.now() - startedAt, 2_000) // two batches of twenty
        assert.deepInclude(some, { read: 40, written: 39, failed: 1 })
        assert.deepStrictEqual(some!["reasons"], { "db_rejected:23514": 1 })
        assert.deepInclude(yield* bench.outcomes, { rows: 39, deadLetters: 46 })

        const everything = yield* replay(fixed, ["--id", "all"])
        assert.deepInclude(everything, { read: 46, written: 40, failed: 6 })
        assert.deepInclude(yield* bench.outcomes, { rows: 79, distinct: 40, deadLetters: 6 })
      }).pipe(Effect.scoped)
    )

    it.effect("writes a range of the stream again, by sequence and by time, each message once", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench({ batch: { maxMessages: 10 } })
        yield* bench.publish(0, 50)
        yield* Effect.sleep("10 millis") // times are given in milliseconds
        yield* bench.publish(50, 60)
        yield* writeAll(bench)
        assert.deepInclude(yield* bench.outcomes, { rows: 60, distinct: 60 })
        const from = ["--from", "Stream"]
        const sequences = ["--start-sequence", "11", "--end-sequence", "50"]
        yield* replay(bench.config, ["--id", "a", ...from, ...sequences], "replay-before-save:2")
        assert.deepInclude(yield* replay(bench.config, ["--id", "a", ...from, ...sequences]), { written: 40 })
        assert.deepInclude(yield* bench.outcomes, { rows: 100, distinct: 60 })

        const manager = yield* Effect.promise(() => jetstreamManager(bench.connection))
        const message = yield* Effect.promise(() => manager.streams.getMessage(bench.config.stream, { seq: 51 }))
        const later = ["--start-time", message!.time.toISOString()]
        assert.deepInclude(yield* replay(bench.config, ["--id", "b", ...from, ...later]), { written: 10 })
        assert.deepInclude(yield* bench.outcomes, { rows: 110, distinct: 60 })
        const none = ["--start-sequence", "61"]
        assert.deepInclude(yield* replay(bench.config, ["--id", "c", ...from, ...none]), { read: 0, written: 0 })
      }).pipe(Effect.scoped)
    )
  })
})
