import { assert, describe, it } from "vitest"
import type { Result } from "./campaign.ts"
import { formatFailure, formatResult, formatSummary } from "./report.ts"

const fine: Result = {
  id: "N14",
  title: "a writer freezes",
  seed: 7,
  seconds: 20.04,
  confirmed: 1_000,
  tally: { rows: 998, deadLetters: 2, lost: 0, double: 0, removed: 0 },
  recoveries: [
    { seconds: 1, bound: 10, what: "flow" },
    { seconds: 2, bound: 5, what: "pause" }
  ],
  peakMegabytes: 120.4,
  violations: [],
  logs: undefined
}
const failed: Result = {
  ...fine,
  recoveries: [{ seconds: Infinity, bound: 15, what: "flow" }],
  tally: { ...fine.tally, rows: 997, lost: 1 },
  violations: ["V1: 1 confirmed messages have no outcome in events (e.g. 12)"],
  logs: "logs/N14-7"
}

describe("report", () => {
  it("tells each run in one line, with the recovery that is nearest to its bound", () => {
    assert.match(formatResult(fine), /^N14 +a writer freezes +2\.0 s\/5 s +1000 +998 +2 +0 +0 +120 +20\.0 s$/)
    assert.match(formatResult(failed), /never\/15 s +1000 +997 +2 +1 +0 +120 +20\.0 s {2}FAILED$/)
    assert.match(formatResult({ ...fine, recoveries: [] }), /freezes +- +1000/)
  })

  it("says how to run a failed one again", () => {
    assert.deepEqual(formatFailure(failed, "make faults CASE SEED FULL=1"), [
      "      V1: 1 confirmed messages have no outcome in events (e.g. 12)",
      "      again: make faults CASE=N14 SEED=7 FULL=1; logs: logs/N14-7"
    ])
  })

  it("sums all runs up", () => {
    assert.strictEqual(
      formatSummary([fine, failed]),
      "2 runs, 1 failed; 2000 confirmed, 1995 rows, 4 dead letters, 1 lost, 0 double; 40 s"
    )
  })
})
