import { assert, describe, it } from "vitest"
import { formatJson, formatTable, median, type Round, summarize } from "./report.ts"

const round = (rowsPerSecond: number): Round => ({
  rows: 300_000,
  rowsPerSecond,
  rowsPerSecondWithStart: rowsPerSecond * 0.96,
  copyRowsPerSecond: 130_000,
  ratio: rowsPerSecond / 130_000,
  writerCpuMicrosPerRow: 10.1234,
  postgresCpuMicrosPerRow: 9,
  natsCpuMicrosPerRow: 7,
  copyPostgresCpuMicrosPerRow: 8,
  peakRssBytes: 251_234_567
})

describe("the report", () => {
  it("takes the middle value, or the mean of the two in the middle", () => {
    assert.strictEqual(median([3, 1, 2]), 2)
    assert.strictEqual(median([4, 1, 2, 3]), 2.5)
  })

  it("has every round and the medians in its table", () => {
    const lines = formatTable("W1", summarize([round(50_000), round(60_000), round(30_000)])).split("\n")
    assert.deepStrictEqual(
      lines.map((line) =>
        line
          .trim()
          .split(/\s{2,}/)
          .slice(0, 2)
      ),
      [
        ["W1", "rows/s"],
        ["round 1", "50k"],
        ["round 2", "60k"],
        ["round 3", "30k"],
        ["median", "50k"]
      ]
    )
  })

  it("is one line of JSON for programs", () => {
    const text = formatJson("W1", summarize([round(50_001)]))
    assert.notInclude(text, "\n")
    const { W1 } = JSON.parse(text) as { W1: Round & { rounds: ReadonlyArray<Round> } }
    assert.deepInclude(W1, {
      rows: 300_000,
      rowsPerSecond: 50_000,
      writerCpuMicrosPerRow: 10.12,
      peakRssBytes: 251_234_567
    })
    assert.strictEqual(W1.rounds.length, 1)
  })
})
