import { assert, describe, it } from "@effect/vitest"
import { nanosOf } from "./consumer.ts"

describe("nanosOf", () => {
  it.each<[string, bigint]>([
    ["2026-11-21T12:00:00Z", 1_795_262_400_000_000_000n],
    ["2026-11-21T12:00:00.5Z", 1_795_262_400_500_000_000n],
    ["2026-11-21T12:00:00.123456789Z", 1_795_262_400_123_456_789n],
    ["2026-11-21T13:00:00.000000001+01:00", 1_795_262_400_000_000_001n],
    ["1970-01-01T00:00:00Z", 0n]
  ])("%s", (time, expected) => assert.strictEqual(nanosOf(time), expected))

  it("refuses what is no time", () => assert.throws(() => nanosOf("yesterday"), /RFC 3339/))
})
