import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import type { Table } from "../tables/table.ts"
import {
  blockSize,
  coverageOf,
  distinct,
  type Entry,
  type Head,
  parseMultirange,
  recordsOf,
  type Ranges,
  rangesOf,
  type StoredRecord,
  targetFingerprint,
  worthMerging
} from "./ledger.ts"

const entry = (seq: number, overrides: Partial<Entry> = {}): Entry => ({
  seq,
  timeNanos: BigInt(seq),
  kind: "Rows",
  rows: 1,
  deadLetters: 0,
  dropped: 0,
  ...overrides
})

const sequences = fc.uniqueArray(fc.integer({ min: 1, max: 3 * blockSize }), { minLength: 1, maxLength: 200 })

const members = (ranges: Ranges) =>
  ranges.flatMap(([from, to]) => Array.from({ length: to - from }, (_, i) => from + i))

describe("records", () => {
  it("hold exactly the sequences that were decided, in as few ranges as there are runs", () => {
    assert.deepEqual(rangesOf([1, 2, 3, 7, 9, 10]), [
      [1, 4],
      [7, 8],
      [9, 11]
    ])
    fc.assert(
      fc.property(sequences, (chosen) => {
        const ascending = [...chosen].sort((a, b) => a - b)
        const ranges = rangesOf(ascending)
        assert.deepEqual(members(ranges), ascending)
        for (let i = 1; i < ranges.length; i++) assert.isAbove(ranges[i]![0], ranges[i - 1]![1])
      })
    )
  })

  it("are one per block, ascending, whatever the order of the messages, and lose no count", () => {
    fc.assert(
      fc.property(sequences, (chosen) => {
        const records = recordsOf(chosen.map((seq) => entry(seq)))
        const parsed = records.map(({ ranges }) => members(ranges))
        assert.deepEqual(
          parsed.flat(),
          [...chosen].sort((a, b) => a - b)
        )
        const blocks = parsed.map((list) => new Set(list.map((seq) => Math.floor(seq / blockSize))))
        for (const block of blocks) assert.equal(block.size, 1)
        assert.equal(new Set(blocks.flatMap((block) => [...block])).size, records.length)
        records.forEach(({ timeFrom, timeTo }, i) => {
          assert.equal(timeFrom, BigInt(Math.min(...parsed[i]!)))
          assert.equal(timeTo, BigInt(Math.max(...parsed[i]!)))
        })
        assert.equal(
          records.reduce((sum, { rows }) => sum + rows, 0),
          chosen.length
        )
      })
    )
  })

  it("count messages, rows, dead letters and drops apart", () => {
    const [record] = recordsOf([
      entry(1, { rows: 3, deadLetters: 2 }),
      entry(2, { kind: "DeadLetter", rows: 0, deadLetters: 1 }),
      entry(3, { kind: "Dropped", rows: 0, dropped: 1 })
    ])
    assert.deepInclude(record, { messages: 1, rows: 3, deadLetters: 3, dropped: 1 })
  })
})

describe("coverage", () => {
  it("is read from PostgreSQL's canonical form", () => {
    assert.deepEqual(parseMultirange("{[1,4),[9007199254740990,9007199254740991)}"), [
      [1, 4],
      [9007199254740990, 9007199254740991]
    ])
    assert.deepEqual(parseMultirange("{}"), [])
  })

  const head: Head = { startSeq: 10, startTime: 100n, prunedTo: 20, prunedTime: 200n, rollbacks: 0 }
  const record = (from: number, to: number, timeFrom: bigint, timeTo: bigint, setAside = false): StoredRecord => ({
    ranges: [[from, to]],
    timeFrom,
    timeTo,
    setAside
  })
  const live = record(30, 40, 300n, 400n)
  const aside = record(35, 50, 350n, 390n, true)
  const cases: ReadonlyArray<
    readonly [seq: number, time: bigint, records: ReadonlyArray<StoredRecord>, expected: string]
  > = [
    [9, 100n, [], "Covered"],
    [9, 201n, [], "Open"],
    [19, 200n, [], "Covered"],
    [19, 201n, [], "Open"],
    [20, 150n, [], "Open"],
    [30, 300n, [live], "Covered"],
    [39, 400n, [live], "Covered"],
    [40, 400n, [live], "Open"],
    [35, 401n, [live], "Reused"],
    [35, 299n, [live], "Stale"],
    [45, 360n, [aside], "Covered"],
    [45, 391n, [aside], "Open"],
    [36, 360n, [record(30, 40, 500n, 600n), aside], "Covered"],
    [36, 450n, [record(30, 40, 500n, 600n), aside], "Stale"]
  ]
  for (const [seq, timeNanos, records, expected] of cases) {
    it(`sequence ${seq} at ${timeNanos} is ${expected} with ${records.length} records`, () =>
      assert.equal(coverageOf(head, records, { seq, timeNanos }), expected))
  }
})

describe("distinct", () => {
  it("keeps each sequence once, the newest message of it, in the batch's order", () => {
    const identity = fc.record({ seq: fc.integer({ min: 1, max: 8 }), timeNanos: fc.bigInt({ min: 1n, max: 3n }) })
    fc.assert(
      fc.property(fc.array(identity, { maxLength: 20 }), (deliveries) => {
        const chosen = distinct(
          deliveries,
          deliveries.map((_, i) => i)
        )
        const kept = chosen.map((i) => deliveries[i]!)
        assert.deepEqual(
          [...chosen].sort((a, b) => a - b),
          chosen
        )
        assert.deepEqual(new Set(kept.map(({ seq }) => seq)), new Set(deliveries.map(({ seq }) => seq)))
        assert.equal(new Set(kept.map(({ seq }) => seq)).size, kept.length)
        for (const { seq, timeNanos } of deliveries) {
          assert.isTrue(kept.find((other) => other.seq === seq)!.timeNanos >= timeNanos)
        }
      })
    )
  })
})

describe("merging", () => {
  it("pays where runs join, or where there are many records", () => {
    assert.isTrue(worthMerging({ records: 13, runs: 13, mergedRuns: 1 }))
    assert.isTrue(worthMerging({ records: 200, runs: 20_000, mergedRuns: 20_000 }))
    assert.isFalse(worthMerging({ records: 13, runs: 60_000, mergedRuns: 60_000 }))
    assert.isFalse(worthMerging({ records: 1, runs: 9, mergedRuns: 1 }))
  })
})

describe("the fingerprint of a target", () => {
  const table: Table = {
    name: "t",
    columns: [],
    primaryKey: [],
    indexes: [],
    conflict: { mode: "Append" },
    createdAt: false
  }
  it("changes with processor, schema and tables, and with nothing else", () => {
    const known = targetFingerprint("Json", "public", [table])
    assert.match(known, /^[0-9a-f]{16}$/)
    assert.equal(targetFingerprint("Json", "public", [{ ...table, createdAt: true }]), known)
    assert.equal(targetFingerprint("Json", "other", [{ ...table, schema: "public" }]), known)
    assert.notEqual(targetFingerprint("Telemetry", "public", [table]), known)
    assert.notEqual(targetFingerprint("Json", "other", [table]), known)
    assert.notEqual(targetFingerprint("Json", "public", [{ ...table, name: "u" }]), known)
  })
})
