import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type CollectorLimits, makeCollector } from "./collector.ts"
import { ackNumbersAt, PulledMessage } from "./delivery.ts"
import type { Processor } from "./processors/processor.ts"

const limits: CollectorLimits = { maxMessages: 3, maxBytes: 100, maxLatencyMillis: 30 }

/** Writes the message's sequence, except that it drops, refuses or chokes on some payloads. */
const processor: Processor = {
  tables: [
    {
      name: "t",
      columns: [{ name: "seq", type: "int8" }],
      primaryKey: [],
      indexes: [],
      conflict: { mode: "Append" },
      createdAt: false
    }
  ],
  process: ({ data, seq }, sink) => {
    const text = new TextDecoder().decode(data)
    if (text === "throw") throw new Error("a bug")
    sink.row(0, [text === "misfit" ? "no number" : seq])
    return text === "refuse" ? { _tag: "DeadLetter", reason: "malformed_json" } : { _tag: "Rows" }
  }
}

const message = (seq: number, pending: number, text = "x", deliveryCount = 1) => {
  const reply = `$JS.ACK.S.C.${deliveryCount}.${seq}.${seq}.1700000000000000000.${pending}`
  const data = new TextEncoder().encode(text)
  return new PulledMessage({ subject: "s", data, size: () => 0 }, "S", "s", reply, ackNumbersAt(reply))
}

const sequences = ({ deliveries }: { readonly deliveries: ReadonlyArray<{ readonly seq: number }> }) =>
  deliveries.map(({ seq }) => seq)

/** A source that was asked once. */
const asked = (expecting: boolean) => ({ expecting: () => expecting, requests: () => 1 })

describe("collector", () => {
  it.live("hands over at once when nothing waits behind the last message", () =>
    Effect.gen(function* () {
      const collector = makeCollector(processor, { ...limits, maxLatencyMillis: 60_000 }, asked(true))
      collector.add(message(1, 1))
      collector.add(message(2, 0))
      assert.deepStrictEqual(sequences(yield* collector.next), [1, 2])
    })
  )

  it.live("hands over at once when no request is open, so that nothing more can come", () =>
    Effect.gen(function* () {
      const collector = makeCollector(processor, { ...limits, maxLatencyMillis: 60_000 }, asked(false))
      collector.add(message(1, 500))
      assert.deepStrictEqual(sequences(yield* collector.next), [1])
    })
  )

  it.live("waits for the batch to fill while more is on its way, but not longer than allowed", () =>
    Effect.gen(function* () {
      const collector = makeCollector(processor, limits, asked(true))
      collector.add(message(1, 500))
      const batch = yield* collector.next
      assert.deepStrictEqual(sequences(batch), [1])
      assert.isAtLeast(performance.now() - batch.since, limits.maxLatencyMillis - 2)
    })
  )

  it.live("cuts batches by messages and by bytes, and a large message travels alone", () =>
    Effect.gen(function* () {
      const collector = makeCollector(processor, limits, asked(true))
      for (let seq = 1; seq <= 4; seq++) collector.add(message(seq, 9))
      collector.add(message(5, 9, "y".repeat(200)))
      collector.add(message(6, 0))
      const batches = yield* Effect.all([collector.next, collector.next, collector.next, collector.next])
      assert.deepStrictEqual(batches.map(sequences), [[1, 2, 3], [4], [5], [6]])
    })
  )

  it.live("knows how much it holds, until it is released", () =>
    Effect.gen(function* () {
      const collector = makeCollector(processor, limits, asked(true))
      assert.deepStrictEqual(collector.room(), { messages: 9, bytes: 300 })
      collector.add(message(1, 0))
      collector.add(message(2, 0, "x", 2))
      assert.deepStrictEqual(collector.room(), { messages: 7, bytes: 298 })
      const batch = yield* collector.next
      assert.strictEqual(batch.redelivered, 1)
      assert.lengthOf(collector.held(), 1)
      collector.release(batch)
      collector.release(batch)
      assert.deepStrictEqual(collector.room(), { messages: 9, bytes: 300 })
      assert.lengthOf(collector.held(), 0)
    })
  )

  it.live("gives each message its place, with or without rows", () =>
    Effect.gen(function* () {
      const collector = makeCollector(processor, { ...limits, maxMessages: 9 }, asked(true))
      for (const [at, text] of ["x", "refuse", "throw", "misfit", "x"].entries()) {
        collector.add(message(at + 1, 4 - at, text))
      }
      const { outcomes, tables } = yield* collector.next
      assert.deepStrictEqual(outcomes, [
        { _tag: "Rows" },
        { _tag: "DeadLetter", reason: "malformed_json" },
        { _tag: "DeadLetter", reason: "processor_failed", detail: "a bug" },
        { _tag: "DeadLetter", reason: "invalid_field:seq" },
        { _tag: "Rows" }
      ])
      assert.deepStrictEqual(tables[0]!.counts, [1, 0, 0, 0, 1])
    })
  )
})
