import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { formatDurationNanos, parseDuration, parseDurationNanos } from "./duration.ts"

describe("duration", () => {
  it.each([
    ["0", 0],
    ["0s", 0],
    ["250ms", 250],
    ["1.5s", 1500],
    ["1h30m", 5_400_000],
    ["1m0.29s", 60_290],
    ["2us", 0.002],
    ["1.9ns", 0.000_001]
  ])("%s is %d ms", (text, millis) => assert.strictEqual(parseDuration(text), millis))

  it.each(["", "1", "1d", "-1s", "+1s", ".5s", "1.s", "1 s", "s", "1e3s", "1S", "1s\n", "0 "])(
    "%j is not a duration",
    (text) => assert.strictEqual(parseDuration(text), undefined)
  )

  it("what is formatted is parsed to the same nanoseconds", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), (nanos) => {
        assert.strictEqual(parseDurationNanos(formatDurationNanos(nanos)), nanos)
      })
    )
  })

  it.each([
    [0, "0s"],
    [90e9, "90s"],
    [7200e9, "2h"],
    [1500, "1500ns"],
    [120e6, "120ms"]
  ])("%d ns is written %s", (nanos, text) => assert.strictEqual(formatDurationNanos(nanos), text))
})
