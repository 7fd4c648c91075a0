import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as fc from "fast-check"
import {
  all,
  batchOf,
  Databases,
  openRequest,
  storeOver,
  type TestMessage,
  testStore,
  timeOf
} from "../../testing/store.ts"
import type { Table } from "../tables/table.ts"
import { LaneMissing, LedgerConflict } from "./errors.ts"
import { blockSize } from "./ledger.ts"
import type { Lane, Store } from "./store.ts"

const events: Table = {
  name: "events",
  columns: [{ name: "id", type: "int8", notNull: true }],
  primaryKey: [],
  indexes: [],
  conflict: { mode: "Append" },
  createdAt: false
}

const message = (seq: number, timeNanos = timeOf(seq)): TestMessage => ({ seq, timeNanos, rows: [[[seq]]] })
const write = (store: Store["Service"], lane: Lane, messages: ReadonlyArray<TestMessage>) => {
  const batch = batchOf([events], messages)
  return store.write(lane, batch, all(batch))
}
const coverage = (store: Store["Service"], lane: Lane, messages: ReadonlyArray<TestMessage>) =>
  store.covered(lane, batchOf([events], messages).deliveries)

layer(Databases.layer, { excludeTestServices: true, timeout: "60 seconds" })("a lane", (it) => {
  it.effect("goes on with the object, and with another object of the same target; else there is a new one", () =>
    Effect.gen(function* () {
      const { store } = yield* testStore([events])
      const first = yield* store.open(openRequest())
      assert.isTrue(first.isNew)
      const edited = yield* store.open(openRequest({ fingerprint: "target-2", consumerUsed: true }))
      assert.deepInclude(edited, { id: first.id, isNew: false, databaseChanged: false })
      const reapplied = yield* store.open(openRequest({ uid: "uid-2", fingerprint: "target-2", consumerUsed: true }))
      assert.equal(reapplied.id, first.id)
      const elsewhere = yield* store.open(openRequest({ uid: "uid-3", fingerprint: "target-3" }))
      assert.notEqual(elsewhere.id, first.id)
      const reborn = yield* store.open(openRequest({ incarnation: "cafebabe" }))
      assert.isTrue(reborn.isNew)
      const otherName = yield* store.open(openRequest({ name: "others" }))
      assert.isTrue(otherName.isNew)
    })
  )

  it.effect("is not made anew for a consumer that was read already", () =>
    Effect.gen(function* () {
      const { store } = yield* testStore([events])
      const missing = yield* Effect.flip(store.open(openRequest({ consumerUsed: true })))
      assert.instanceOf(missing, LaneMissing)
      yield* store.open(openRequest())
      const otherTarget = openRequest({ uid: "uid-2", fingerprint: "target-2", consumerUsed: true })
      assert.instanceOf(yield* Effect.flip(store.open(otherTarget)), LaneMissing)
    })
  )

  it.effect("is the same for writers that start at the same time", () =>
    Effect.gen(function* () {
      const { store, uri } = yield* testStore([events])
      const stores = [store, yield* storeOver(uri, [events]), yield* storeOver(uri, [events])]
      const lanes = yield* Effect.all(
        stores.map((each) => each.open(openRequest())),
        { concurrency: "unbounded" }
      )
      assert.equal(new Set(lanes.map(({ id }) => id)).size, 1)
      assert.equal(lanes.filter(({ isNew }) => isNew).length, 1)
    })
  )

  it.effect("says when the database is another one than before", () =>
    Effect.gen(function* () {
      const { session, store } = yield* testStore([events])
      yield* store.open(openRequest())
      yield* session.query("UPDATE eventstream_lane SET timeline = timeline - 1")
      assert.isTrue((yield* store.open(openRequest())).databaseChanged)
      assert.isFalse((yield* store.open(openRequest())).databaseChanged)
    })
  )

  it.effect("counts what is older than its start as covered, but not a number that is used again", () =>
    Effect.gen(function* () {
      const { store } = yield* testStore([events])
      const lane = yield* store.open(openRequest({ start: { sequence: 100, timeNanos: timeOf(100) } }))
      const messages = [message(99), message(99, timeOf(101)), message(100)]
      assert.deepEqual(yield* coverage(store, lane, messages), ["Covered", "Open", "Open"])
      assert.instanceOf(yield* Effect.flip(write(store, lane, [message(99)])), LedgerConflict)
      yield* write(store, lane, [message(99, timeOf(101))])
      yield* write(store, lane, [message(100)])
    })
  )

  it.effect("refuses a late writer after its record was folded away", () =>
    Effect.gen(function* () {
      const { session, store } = yield* testStore([events])
      const lane = yield* store.open(openRequest())
      yield* write(
        store,
        lane,
        [1, 2, 3].map((seq) => message(seq))
      )
      yield* store.compact(lane, { ackFloor: 3, firstSequence: 4 })
      assert.deepEqual(yield* session.query("SELECT count(*)::int AS n FROM eventstream_ledger"), [{ n: 0 }])
      assert.instanceOf(yield* Effect.flip(write(store, lane, [message(2)])), LedgerConflict)
      assert.deepEqual(yield* coverage(store, lane, [message(2), message(3, timeOf(9)), message(4)]), [
        "Covered",
        "Open",
        "Open"
      ])
      const totals = yield* store.totals(lane)
      assert.deepInclude(totals, { messages: 3, rows: 3, deadLettered: 0, dropped: 0 })
      assert.instanceOf(totals.lastWriteTime, Date)
    })
  )

  it.effect("sets aside what a rolled back store forgot, for all who write", () =>
    Effect.gen(function* () {
      const { session, store, uri } = yield* testStore([events])
      const rival = yield* storeOver(uri, [events])
      const lane = yield* store.open(openRequest())
      yield* rival.open(openRequest())
      yield* write(
        store,
        lane,
        [1, 2, 3].map((seq) => message(seq))
      )
      yield* write(
        store,
        lane,
        [4, 5, 6].map((seq) => message(seq))
      )
      // The stream fell back to its first two messages, and numbers the next ones 3 and 4 again.
      const again = [message(3, timeOf(10)), message(4, timeOf(11))]
      assert.instanceOf(yield* Effect.flip(write(store, lane, again)), LedgerConflict)
      assert.deepEqual(yield* coverage(store, lane, again), ["Reused", "Reused"])
      // What is set aside still counts for the messages of its time: one that was pulled before the rollback.
      assert.deepEqual(yield* coverage(store, lane, [message(5)]), ["Covered"])
      assert.instanceOf(yield* Effect.flip(write(rival, lane, [message(5)])), LedgerConflict)
      assert.deepEqual(yield* coverage(rival, lane, [message(5)]), ["Covered"])
      assert.instanceOf(yield* Effect.flip(write(rival, lane, [message(5)])), LedgerConflict)

      yield* write(store, lane, again)
      yield* write(rival, lane, [message(5, timeOf(12))])
      assert.deepEqual(yield* coverage(store, lane, [...again, message(2), message(5, timeOf(12))]), [
        "Covered",
        "Covered",
        "Covered",
        "Covered"
      ])
      // An older message than the recorded one is no longer in the stream, and must not set aside the newer record.
      assert.deepEqual(yield* coverage(store, lane, [message(4, timeOf(7))]), ["Stale"])
      assert.deepEqual(yield* session.query("SELECT count(*)::int AS n FROM events"), [{ n: 9 }])
      assert.equal((yield* store.totals(lane)).messages, 9)
    })
  )

  it.effect("knows its lowest sequence without an outcome", () =>
    Effect.gen(function* () {
      const { store } = yield* testStore([events])
      const lane = yield* store.open(openRequest())
      assert.equal(yield* store.lowestUncovered(lane, 10), 1)
      yield* write(
        store,
        lane,
        [1, 2, 4].map((seq) => message(seq))
      )
      assert.equal(yield* store.lowestUncovered(lane, 10), 3)
      yield* write(store, lane, [message(3)])
      assert.equal(yield* store.lowestUncovered(lane, 10), 5)
      assert.equal(yield* store.lowestUncovered(lane, 4), 5)
      assert.equal(yield* store.lowestUncovered(lane, 2), 3)
    })
  )

  it.effect("looks for it above what is settled, unless the store was rolled back", () =>
    Effect.gen(function* () {
      const { session, store } = yield* testStore([events])
      const lane = yield* store.open(openRequest())
      const covered = 40 * blockSize
      yield* session.query(
        `INSERT INTO eventstream_ledger (lane, seqs, t_lo, t_hi, messages, rows, dead, dropped)
         SELECT $1, int8multirange(int8range(greatest(block * ${blockSize}, 1), (block + 1) * ${blockSize})), 1, 2, 1, 1, 0, 0
         FROM generate_series(0::int8, 39) block`,
        [lane.id]
      )
      const settled = Effect.map(store.audit.settled(lane), ({ to, next }) => [to, next])
      assert.equal(yield* store.lowestUncovered(lane, covered + 5), covered)
      yield* store.audit.settle(lane, yield* store.audit.settled(lane), covered + 2, "[]", undefined)
      assert.deepEqual(yield* settled, [covered + 2, covered + 3])
      assert.equal(yield* store.lowestUncovered(lane, covered + 5), covered + 3)
      yield* coverage(store, lane, [message(7)]) // newer than the record of its number
      assert.deepEqual(yield* settled, [6, 7])
      assert.equal(yield* store.lowestUncovered(lane, covered + 5), 7)
    })
  )

  it.effect(
    "counts what lacks an outcome as lost once, whichever writer notices, and what was set aside not at all",
    () =>
      Effect.gen(function* () {
        const { store } = yield* testStore([events])
        const lane = yield* store.open(openRequest())
        yield* write(
          store,
          lane,
          [1, 2, 5].map((seq) => message(seq))
        )
        assert.deepEqual(yield* store.audit.gap(lane, 1, 9), { lowest: 3, highest: 9 })
        assert.isNull(yield* store.audit.gap(lane, 1, 2))
        assert.deepEqual([yield* store.audit.reaches(lane, 5), yield* store.audit.reaches(lane, 6)], [true, false])
        assert.equal(yield* store.audit.newestTime(lane), timeOf(5))
        yield* coverage(store, lane, [message(5, timeOf(100))])
        const before = yield* store.audit.settled(lane)
        const loss = () => store.audit.settle(lane, before, 7, "[]", before.next)
        assert.deepEqual(yield* loss(), { messages: 4, sequences: "{[3,5),[6,8)}" })
        assert.deepEqual(yield* loss(), { messages: 0, sequences: "{}" })
        assert.equal(yield* store.audit.lost(lane), 4)
        const identity = (seq: number, at = seq) => ({ seq, timeNanos: timeOf(at) })
        const asked = [identity(1), identity(3), identity(5), identity(5, 100)]
        const uncovered = yield* store.audit.uncovered(lane, asked)
        assert.deepEqual(
          uncovered.map(({ seq, timeNanos }) => [seq, timeNanos]),
          [
            [3, timeOf(3)],
            [5, timeOf(100)]
          ]
        )
      })
  )

  it.effect("is covered the same before and after compaction, while others write", () =>
    Effect.gen(function* () {
      const { session, store, uri } = yield* testStore([events])
      const rival = yield* storeOver(uri, [events])
      const lane = yield* store.open(openRequest())
      yield* rival.open(openRequest())
      const context = yield* Effect.context()
      let next = 1
      let merged = 0
      const ownRecords = "SELECT count(*)::int AS n FROM eventstream_ledger WHERE lower(seqs) >= $1"
      const batches = fc.array(
        fc.record({
          gap: fc.constantFrom(0, 0, 0, 1, 2000),
          count: fc.integer({ min: 1, max: 300 })
        }),
        { minLength: 10, maxLength: 40 }
      )
      const step = fc.constantFrom(1, 1, 1, 3)
      const property = fc.asyncProperty(batches, step, async (parts, step) => {
        const start = next
        const written: Array<TestMessage> = []
        const work = Effect.gen(function* () {
          for (const { gap, count } of parts) {
            next += gap
            const messages = Array.from({ length: count }, (_, i) => message(next + i * step))
            next += count * step
            written.push(...messages)
            yield* write(store, lane, messages)
          }
          next = Math.ceil(next / blockSize) * blockSize
          const probes = [...written, ...Array.from({ length: 500 }, (_, i) => message(start + i * 7))]
          const before = yield* coverage(store, lane, probes)
          const [{ n }] = yield* session.query(ownRecords, [start])
          const late = [message(next), message(next + 1)]
          next += 2
          yield* Effect.all(
            [
              store.compact(lane, { ackFloor: next, firstSequence: start }),
              rival.compact(lane, { ackFloor: next, firstSequence: start }),
              write(rival, lane, late)
            ],
            { concurrency: "unbounded" }
          )
          yield* store.compact(lane, { ackFloor: next, firstSequence: start })
          assert.deepEqual(yield* coverage(store, lane, probes), before)
          const [after] = yield* session.query(ownRecords, [start])
          merged += n - after.n
          assert.equal(
            (yield* store.totals(lane)).messages,
            (yield* session.query("SELECT count(*)::int AS n FROM events"))[0].n
          )
        })
        await Effect.runPromiseWith(context)(work)
      })
      yield* Effect.promise(() => fc.assert(property, { numRuns: 8 }))
      assert.isAbove(merged, 20, "records merged")
    })
  )
})
