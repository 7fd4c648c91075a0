import { assert, layer } from "@effect/vitest"
import { Effect, Result } from "effect"
import * as fc from "fast-check"
import {
  all,
  batchOf,
  Databases,
  openRequest,
  storeOver,
  testStore,
  timeOf,
  type TestMessage
} from "../../testing/store.ts"
import type { Table } from "../tables/table.ts"
import { LedgerConflict, RowRefused } from "./errors.ts"
import type { Lane, Store } from "./store.ts"

const events: Table = {
  name: "events",
  columns: [
    { name: "id", type: "int8", notNull: true },
    { name: "note", type: "text" }
  ],
  primaryKey: [],
  indexes: [],
  conflict: { mode: "Append" },
  createdAt: true
}
const others: Table = { ...events, name: "others" }

const message = (seq: number, timeNanos = timeOf(seq)): TestMessage => ({
  seq,
  timeNanos,
  rows: [[[seq, `at ${timeNanos}`]]]
})
const batchOfSequences = (...sequences: ReadonlyArray<number>) =>
  batchOf(
    [events],
    sequences.map((seq) => message(seq))
  )
const rangeOf = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

/** Writes what has no outcome yet, as a writer does: on a conflict it reads coverage and goes on with the rest. */
const settle = (store: Store["Service"], lane: Lane, messages: ReadonlyArray<TestMessage>) =>
  Effect.gen(function* () {
    let open = messages
    while (open.length > 0) {
      const batch = batchOf([events], open)
      const result = yield* Effect.result(store.write(lane, batch, all(batch)))
      if (Result.isSuccess(result)) return
      assert.instanceOf(result.failure, LedgerConflict)
      const coverage = yield* store.covered(lane, batch.deliveries)
      open = open.filter((_, i) => coverage[i] === "Open" || coverage[i] === "Reused")
    }
  })

layer(Databases.layer, { excludeTestServices: true, timeout: "60 seconds" })("store", (it) => {
  it.effect("rows and their record in the ledger come together", () =>
    Effect.gen(function* () {
      const { session, store } = yield* testStore([events])
      const lane = yield* store.open(openRequest())
      const batch = batchOfSequences(1, 2, 3, 7)
      const written = yield* store.write(lane, batch, all(batch))
      assert.deepEqual(written, { messages: 4, rows: 4, conflicts: 0, deadLettered: 0, dropped: 0 })
      const rows = yield* session.query("SELECT id FROM events ORDER BY id")
      assert.deepEqual(
        rows,
        [1, 2, 3, 7].map((id) => ({ id: String(id) }))
      )
      const records = yield* session.query("SELECT seqs::text, t_lo, t_hi, messages FROM eventstream_ledger")
      assert.deepEqual(records, [
        { seqs: "{[1,4),[7,8)}", t_lo: String(timeOf(1)), t_hi: String(timeOf(7)), messages: "4" }
      ])
      const coverage = yield* store.covered(lane, batchOfSequences(3, 4, 7, 8).deliveries)
      assert.deepEqual(coverage, ["Covered", "Open", "Covered", "Open"])
    })
  )

  it.effect("rows are on disk before they count as written, also where the database is set to be quicker", () =>
    Effect.gen(function* () {
      const { session, store, uri } = yield* testStore([events])
      yield* session.query(`ALTER DATABASE ${new URL(uri).pathname.slice(1)} SET synchronous_commit = off`)
      yield* session.query("ALTER TABLE events ADD durability text DEFAULT current_setting('synchronous_commit')")
      const lane = yield* store.open(openRequest())
      const batch = batchOfSequences(1)
      yield* store.write(lane, batch, all(batch))
      assert.deepEqual(yield* session.query("SELECT durability FROM events"), [{ durability: "on" }])
    })
  )

  it.effect("a refused row leaves nothing of its batch, in any table", () =>
    Effect.gen(function* () {
      const { session, store } = yield* testStore([events, others])
      yield* session.query("ALTER TABLE others ADD CONSTRAINT small CHECK (id < 3)")
      const lane = yield* store.open(openRequest())
      const batch = batchOf(
        [events, others],
        [1, 2, 3, 4].map((seq) => ({ seq, rows: [[[seq, "a"]], [[seq, "secret value"]]] }))
      )
      const refused = yield* Effect.flip(store.write(lane, batch, all(batch)))
      assert.instanceOf(refused, RowRefused)
      assert.deepInclude(refused, { sqlstate: "23514", suspect: 2, mayPass: false })
      assert.include(refused.message, "constraint small")
      assert.notInclude(refused.message, "secret value")
      assert.include(refused.rowData, "secret value")
      const counts = `SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM others) + (SELECT count(*) FROM eventstream_ledger) AS n`
      assert.deepEqual(yield* session.query(counts), [{ n: "0" }])

      yield* store.write(lane, batch, [0, 1])
      const poison = { ...batch, outcomes: batch.outcomes.with(2, { _tag: "DeadLetter", reason: "db_rejected:23514" }) }
      const written = yield* store.write(lane, poison, [2])
      assert.deepEqual(written, { messages: 0, rows: 0, conflicts: 0, deadLettered: 1, dropped: 0 })
      assert.deepEqual(yield* session.query("SELECT seq, reason, sqlstate, payload FROM eventstream_dead_letter"), [
        { seq: "3", reason: "db_rejected:23514", sqlstate: "23514", payload: Buffer.from("message 3") }
      ])
      assert.deepEqual(yield* session.query("SELECT count(*) AS n FROM others"), [{ n: "2" }])
    })
  )

  it.effect("a second outcome is refused, and nothing of that batch is written", () =>
    Effect.gen(function* () {
      const { session, store } = yield* testStore([events])
      const lane = yield* store.open(openRequest())
      const first = batchOfSequences(1, 2, 3)
      yield* store.write(lane, first, all(first))
      const second = batchOfSequences(3, 4, 5)
      assert.instanceOf(yield* Effect.flip(store.write(lane, second, all(second))), LedgerConflict)
      assert.deepEqual(yield* store.covered(lane, second.deliveries), ["Covered", "Open", "Open"])
      yield* store.write(lane, second, [1, 2])
      assert.deepEqual(
        yield* session.query("SELECT id FROM events ORDER BY id"),
        [1, 2, 3, 4, 5].map((id) => ({ id: `${id}` }))
      )
    })
  )

  it.effect("a message that a batch holds twice is written once", () =>
    Effect.gen(function* () {
      const { session, store } = yield* testStore([events])
      const lane = yield* store.open(openRequest())
      const batch = batchOfSequences(5, 4, 5, 6, 4)
      const written = yield* store.write(lane, batch, all(batch))
      assert.equal(written.messages, 3)
      assert.deepEqual(
        yield* session.query("SELECT id FROM events ORDER BY id"),
        [4, 5, 6].map((id) => ({ id: `${id}` }))
      )
    })
  )

  it.effect("a division by zero in a user's own trigger is a row's fault and no ledger conflict", () =>
    Effect.gen(function* () {
      const { session, store } = yield* testStore([events])
      yield* session.query("ALTER TABLE events ADD CONSTRAINT odd CHECK (1 / (id - 2) < 9)")
      const lane = yield* store.open(openRequest())
      const batch = batchOfSequences(1, 2, 3)
      const refused = yield* Effect.flip(store.write(lane, batch, all(batch)))
      assert.instanceOf(refused, RowRefused)
      assert.deepInclude(refused, { sqlstate: "22012", suspect: 1 })
    })
  )

  it.effect("writers that race over the same messages leave exactly one outcome of each", () =>
    Effect.gen(function* () {
      const { session, store, uri } = yield* testStore([events])
      const rival = yield* storeOver(uri, [events])
      let run = 0
      // Blocks are crossed on purpose: writers that wait for each other in different orders would deadlock.
      const interval = fc.tuple(fc.integer({ min: 65_500, max: 65_600 }), fc.integer({ min: 1, max: 60 }))
      const intervals = fc.array(interval, { minLength: 1, maxLength: 5 })
      const context = yield* Effect.context()
      const property = fc.asyncProperty(intervals, intervals, fc.boolean(), async (mine, theirs, reversed) => {
        const incarnation = `run${++run}`
        const work = Effect.gen(function* () {
          const lanes = yield* Effect.all(
            [store, rival].map((s) => s.open(openRequest({ incarnation }))),
            {
              concurrency: 2
            }
          )
          assert.equal(lanes[0]!.id, lanes[1]!.id)
          const writeAll = (s: Store["Service"], parts: typeof mine) =>
            Effect.forEach(parts, ([from, length]) => {
              const messages = rangeOf(from, from + length).map((seq) => message(seq))
              return settle(s, lanes[0]!, reversed ? messages.toReversed() : messages)
            })
          yield* Effect.all([writeAll(store, mine), writeAll(rival, theirs)], { concurrency: 2 })
          const expected = new Set([...mine, ...theirs].flatMap(([from, length]) => rangeOf(from, from + length)))
          const [counts] = yield* session.query(
            "SELECT count(*)::int AS rows, count(DISTINCT id)::int AS ids FROM events"
          )
          assert.deepEqual(counts, { rows: expected.size, ids: expected.size })
          assert.equal((yield* store.totals(lanes[0]!)).rows, expected.size)
          yield* session.query("TRUNCATE events")
        })
        await Effect.runPromiseWith(context)(work)
      })
      yield* Effect.promise(() => fc.assert(property, { numRuns: 25 }))
    })
  )
})
