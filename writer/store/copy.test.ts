import { inspect } from "node:util"
import { assert, describe, it } from "vitest"
import type { Column, ColumnType, Table, Value } from "../tables/table.ts"
import { slices } from "./batch-plan.ts"
import { makeBatchEncoder } from "./copy.ts"

const tableOf = (...columns: ReadonlyArray<Column>): Table => ({
  name: "t",
  columns,
  primaryKey: [],
  indexes: [],
  conflict: { mode: "Append" },
  createdAt: false
})
const numbers = tableOf({ name: "n", type: "int4" })
/** A tuple of one int4: count of columns, length, value. */
const tuple = (value: number) => Buffer.from([0, 1, 0, 0, 0, 4, 0, 0, 0, value])

describe("a batch", () => {
  it("knows where each message's rows end, in every table", () => {
    const encoder = makeBatchEncoder([numbers, numbers])
    for (const [first, second] of [
      [[1, 2], [3]],
      [[], []],
      [[4], [5, 6]]
    ] as const) {
      encoder.beginMessage()
      for (const n of first) encoder.sink.row(0, [n])
      for (const n of second) encoder.sink.row(1, [n])
      assert.isUndefined(encoder.endMessage())
    }
    assert.equal(encoder.byteLength(), 60)
    const [a, b] = encoder.take()
    assert.deepEqual(
      [a!.ends, a!.counts],
      [
        [20, 20, 30],
        [2, 0, 1]
      ]
    )
    assert.deepEqual(
      [b!.ends, b!.counts],
      [
        [10, 10, 30],
        [1, 0, 2]
      ]
    )
    assert.deepEqual(Buffer.from(a!.bytes), Buffer.concat([1, 2, 4].map(tuple)))
    assert.deepEqual(
      slices(a!, [0, 1, 2]).map((part) => part.length),
      [30]
    )
    assert.deepEqual(
      slices(b!, [2]).map((part) => Buffer.from(part)),
      [Buffer.concat([5, 6].map(tuple))]
    )
    assert.deepEqual(slices(a!, [1]), [])
    assert.equal(encoder.byteLength(), 0)
    assert.deepEqual(encoder.take()[0]!.ends, [])
  })

  it("writes a later batch into the memory of one that is done with", () => {
    const encoder = makeBatchEncoder([numbers])
    const batchOf = (n: number, rows: number) => {
      for (let i = 0; i < rows; i++) {
        encoder.beginMessage()
        encoder.sink.row(0, [n])
        encoder.endMessage()
      }
      return encoder.take()
    }
    const first = batchOf(1, 1)
    const second = batchOf(2, 1)
    const secondBytes = [...second[0]!.bytes]
    encoder.reuse(first)
    batchOf(3, 1)
    const fourth = batchOf(4, 2)
    assert.strictEqual(fourth[0]!.bytes.buffer, first[0]!.bytes.buffer)
    assert.deepEqual([...second[0]!.bytes], secondBytes)
    assert.deepEqual(fourth[0]!.ends, [10, 20])
  })

  it("joins neighbours and leaves out what is not chosen", () => {
    const encoder = makeBatchEncoder([numbers])
    for (const n of [0, 1, 2, 3, 4]) {
      encoder.beginMessage()
      encoder.sink.row(0, [n])
      encoder.endMessage()
    }
    const [rows] = encoder.take()
    assert.deepEqual(
      slices(rows!, [1, 2, 4]).map((part) => Buffer.from(part)),
      [Buffer.concat([tuple(1), tuple(2)]), tuple(4)]
    )
  })

  it("forgets the rows of a message that is taken back, and keeps its place", () => {
    const encoder = makeBatchEncoder([numbers])
    encoder.beginMessage()
    encoder.sink.row(0, [1])
    encoder.rollbackMessage()
    assert.isUndefined(encoder.endMessage())
    encoder.beginMessage()
    encoder.sink.row(0, [2])
    encoder.endMessage()
    const [rows] = encoder.take()
    assert.deepEqual(
      [rows!.ends, rows!.counts],
      [
        [0, 10],
        [0, 1]
      ]
    )
  })

  it("may be handed on: what it gave is not written over", () => {
    const encoder = makeBatchEncoder([numbers])
    const one = (n: number) => {
      encoder.beginMessage()
      encoder.sink.row(0, [n])
      encoder.endMessage()
      return encoder.take()[0]!.bytes
    }
    const first = one(1)
    one(2)
    assert.deepEqual(Buffer.from(first), tuple(1))
  })
})

describe("a value that has not the form of its column", () => {
  const wrong: ReadonlyArray<readonly [ColumnType, ...ReadonlyArray<Value>]> = [
    ["text", 1, true],
    ["int4", 1.5, 2 ** 31, "1"],
    ["int8", 1.5, 2 ** 53, 2n ** 63n],
    ["float8", "1", 1n],
    ["numeric", 1, "", ".", "1e", "0x1", "1_000", `1${"0".repeat(131_072)}`, `0.${"0".repeat(16_384)}`, "1e999999"],
    ["bool", "true", 1],
    ["timestamptz", "2024-01-01", 2n ** 70n],
    ["date", "2024-02-30", "2023-02-29", "2024-13-01", "0000-01-01", "24-1-1", 5],
    [
      "uuid",
      "",
      "0000000f-ffff-8fff-8000-001a0000000",
      "0000000f-ffff-8fff-8000-001a0000000g",
      "0000000f-ffff-8fff-8000-001a0000000000"
    ],
    ["inet", "1.2.3", "1.2.3.4/33", "1.2.3.256", ":::", "::1/129", "1::2::3", "fe80::1%eth0"],
    ["cidr", "10.0.0.1/8", "::1/64"],
    ["macaddr", "08:00:2b:01:02", "08:00:2b:01:02:03:04", "xx:00:2b:01:02:03"],
    ["bytea", "text", [1, 2]],
    ["text[]", "text", ["a", 1]],
    ["int4[]", [1.5], [2 ** 31], 1],
    ["int8[]", [1.5], 1]
  ]
  for (const [type, ...values] of wrong) {
    it(`is told by the column's name, and its message has no rows: ${type}`, () => {
      const encoder = makeBatchEncoder([tableOf({ name: "good", type: "int4" }, { name: "bad", type })])
      for (const value of values) {
        encoder.beginMessage()
        encoder.sink.row(0, [1, null])
        encoder.sink.row(0, [1, value])
        encoder.sink.row(0, [1, null])
        assert.equal(encoder.endMessage(), "bad", inspect(value).slice(0, 50))
      }
      encoder.beginMessage()
      encoder.sink.row(0, [1, null])
      assert.isUndefined(encoder.endMessage())
      const [rows] = encoder.take()
      assert.deepEqual(rows!.counts, [...values.map(() => 0), 1])
      assert.equal(rows!.bytes.length, 14)
    })
  }
})
