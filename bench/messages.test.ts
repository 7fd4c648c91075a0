import { assert, describe, it } from "vitest"
import { workloads } from "./workload.ts"
import { metricMessages } from "./messages.ts"

const parsed = (count: number, seed?: number) =>
  [...metricMessages(count, seed)].map((bytes) => ({
    bytes,
    record: (JSON.parse(Buffer.from(bytes).toString()) as ReadonlyArray<Record<string, unknown>>)[0]!
  }))

describe("metricMessages", () => {
  it("gives the same bytes for the same seed, and others for another", () => {
    assert.deepStrictEqual(parsed(100), parsed(100))
    assert.notDeepEqual(parsed(100), parsed(100, 2))
  })

  it("gives records of 19 fields and about 500 bytes", () => {
    const messages = parsed(2_000)
    for (const { record } of messages) assert.strictEqual(Object.keys(record).length, 19)
    const mean = messages.reduce((sum, { bytes }) => sum + bytes.length, 0) / messages.length
    assert.approximately(mean, 516, 10)
  })

  it("gives rows that the workload's distinct column tells apart", () => {
    const values = parsed(20_000).map(({ record }) => record[workloads.W1.distinct])
    assert.strictEqual(new Set(values).size, values.length)
  })
})
