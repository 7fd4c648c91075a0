import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { type Bench, makeBench, Servers } from "../testing/writer-bench.ts"
import { startWriter, type WriterProcess } from "../testing/writer-process.ts"

const halting = (writer: WriterProcess) => writer.logged("a halt", ({ reason }) => reason === "HaltedByThreshold")
const goingOn = (writer: WriterProcess) =>
  writer.logged("the end of the halt", ({ message }) => message.startsWith("the newest messages can be written"))

const written = (bench: Bench, rows: number) =>
  Effect.gen(function* () {
    while ((yield* bench.outcomes).rows < rows) yield* Effect.sleep("20 millis")
  }).pipe(Effect.timeout("20 seconds"), Effect.orDie)

/** Below `errors.haltThreshold.minMessages` single dead letters are written. */
const few = 100

describe("a flood of poison halts the writer, and nothing of it is lost", () => {
  layer(Servers.layer, { excludeTestServices: true, timeout: 60_000 })((it) => {
    it.effect("until the producer sends what can be written", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench({ batch: { maxMessages: 200 } })
        const writer = yield* startWriter({ config: bench.config })
        yield* bench.publish(0, 50)
        yield* written(bench, 50)
        yield* bench.publish(0, 1_000, () => "a new format")
        yield* halting(writer)
        const during = yield* bench.outcomes
        assert.strictEqual(during.rows, 50)
        assert.isBelow(during.deadLetters, few)
        const ready = yield* writer.get("/readyz")
        assert.strictEqual(ready.status, 503)
        assert.include(ready.text, "Stalled: HaltedByThreshold: most messages of stream")
        assert.match((yield* writer.get("/metrics")).text, /writer_paused\{reason="HaltedByThreshold",[^}]*\} 1\n/)
        yield* bench.publish(50, 100)
        yield* goingOn(writer)
        yield* bench.drained()
        assert.deepStrictEqual(yield* bench.outcomes, { rows: 100, distinct: 100, deadLetters: 1_000, covered: 1_100 })
        assert.deepInclude(yield* writer.get("/readyz"), { status: 200 })
      }).pipe(Effect.scoped)
    )

    it.effect("until the table takes the rows", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench({ batch: { maxMessages: 200 } })
        yield* bench.query("ALTER TABLE orders ADD CONSTRAINT small CHECK (amount < 0)")
        const writer = yield* startWriter({ config: bench.config })
        yield* bench.publish(0, 500)
        yield* halting(writer)
        const { deadLetters } = yield* bench.outcomes
        assert.isBelow(deadLetters, few)
        yield* bench.query("ALTER TABLE orders DROP CONSTRAINT small")
        yield* goingOn(writer)
        yield* bench.drained()
        const after = yield* bench.outcomes
        assert.strictEqual(after.covered, 500)
        assert.strictEqual(after.rows + after.deadLetters, 500)
        assert.isBelow(after.deadLetters, few + 1) // the one that was refused when it halted
      }).pipe(Effect.scoped)
    )

    it.effect("until the object is edited", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        yield* bench.publish(0, 1_000, (id) => JSON.stringify({ order: id }))
        const first = yield* startWriter({ config: bench.config })
        yield* halting(first)
        assert.deepInclude(yield* bench.outcomes, { rows: 0, deadLetters: 0 })
        first.signal("SIGTERM")
        assert.deepStrictEqual(yield* first.exit, { code: 0, signal: null })
        const columns = [
          { name: "id", type: "int8", from: "/order", required: true },
          { name: "amount", type: "int8" },
          { name: "note", type: "text" }
        ] as const
        yield* startWriter({
          config: { ...bench.config, processor: { type: "Json", json: { table: "orders", columns: [...columns] } } }
        })
        yield* bench.drained()
        assert.deepStrictEqual(yield* bench.outcomes, { rows: 1_000, distinct: 1_000, deadLetters: 0, covered: 1_000 })
      }).pipe(Effect.scoped)
    )
  })
})
