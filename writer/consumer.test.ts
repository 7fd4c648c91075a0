import { assert, describe, it } from "@effect/vitest"
import { StartMark } from "./config.ts"
import { misfitOf, nanosOf, wasUsed } from "./consumer.ts"

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

describe("misfitOf", () => {
  const fit = { ack_policy: "explicit", max_deliver: -1 }

  it.each<[string | undefined, Parameters<typeof misfitOf>[0]]>([
    [undefined, fit],
    [undefined, { ack_policy: "explicit" }],
    ["a push consumer", { ...fit, deliver_subject: "inbox" }],
    ["ack policy all", { ...fit, ack_policy: "all" }],
    ["max_deliver 5", { ...fit, max_deliver: 5 }],
    ["headers_only", { ...fit, headers_only: true }]
  ])("%s", (expected, config) => {
    const misfit = misfitOf(config)
    if (expected === undefined) assert.isUndefined(misfit)
    else assert.include(misfit, expected)
  })
})

describe("wasUsed", () => {
  const consumer = (start: number | undefined, first: string | undefined, delivered = 0, pending = 0) => ({
    config: {
      ...(start === undefined ? {} : { opt_start_seq: start }),
      ...(first === undefined ? {} : { metadata: { [StartMark]: first } })
    },
    delivered: { consumer_seq: delivered },
    num_ack_pending: pending
  })

  it.each<[string, boolean, ReturnType<typeof consumer>]>([
    ["the first durable, from the beginning", false, consumer(undefined, "1")],
    ["the first durable, from its start policy", false, consumer(40, "40")],
    ["a durable that has delivered", true, consumer(40, "40", 1)],
    ["a durable of which nothing was acked", false, consumer(40, "40", 9, 9)],
    ["a durable of which something was acked", true, consumer(40, "40", 9, 8)],
    ["a durable made again behind what was covered", true, consumer(55, "40")],
    ["a durable of somebody else", false, consumer(55, undefined)]
  ])("%s", (_, expected, given) => assert.strictEqual(wasUsed(given), expected))
})
