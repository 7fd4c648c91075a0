import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { addTraffic, isHalted, type Traffic } from "./halt.ts"

const threshold = { percent: 50, windowMillis: 60_000, minMessages: 100 }

interface Event {
  readonly at: number
  readonly messages: number
  readonly poison: number
}

const after = (events: ReadonlyArray<Event>): Traffic =>
  events.reduce<Traffic>(
    (traffic, { at, messages, poison }) => addTraffic(traffic, threshold, at, messages, poison),
    []
  )

const halted = (...events: ReadonlyArray<readonly [at: number, messages: number, poison: number]>) =>
  isHalted(after(events.map(([at, messages, poison]) => ({ at, messages, poison }))), threshold)

describe("isHalted", () => {
  it.each<[string, boolean, ReadonlyArray<readonly [number, number, number]>]>([
    ["nothing", false, []],
    ["fewer messages than asked for, all poison", false, [[0, 99, 99]]],
    ["enough, all poison", true, [[0, 100, 100]]],
    ["enough, half poison", true, [[0, 100, 50]]],
    ["enough, less than half poison", false, [[0, 100, 49]]],
    [
      "enough over the window",
      true,
      [
        [0, 60, 60],
        [59_000, 60, 10]
      ]
    ],
    [
      "what has left the window does not count",
      false,
      [
        [0, 100, 100],
        [62_000, 1, 1]
      ]
    ],
    [
      "good traffic dilutes it",
      false,
      [
        [0, 1_000, 0],
        [1_000, 500, 500]
      ]
    ]
  ])("%s", (_name, expected, events) => assert.strictEqual(halted(...events), expected))

  it("counts what happened in the window, to one slice", () => {
    const slice = threshold.windowMillis / 30
    const event = fc.record({
      at: fc.integer({ min: 0, max: 300_000 }),
      messages: fc.integer({ min: 0, max: 100 }),
      poison: fc.integer({ min: 0, max: 100 })
    })
    fc.assert(
      fc.property(fc.array(event, { minLength: 1, maxLength: 50 }), (unordered) => {
        const events = unordered.sort((a, b) => a.at - b.at)
        const now = events.at(-1)!.at
        const within = (millis: number) =>
          events.filter(({ at }) => at > now - millis).reduce((sum, { messages }) => sum + messages, 0)
        const counted = after(events).reduce((sum, { messages }) => sum + messages, 0)
        assert.isAtLeast(counted, within(threshold.windowMillis - slice))
        assert.isAtMost(counted, within(threshold.windowMillis + slice))
        assert.isAtMost(after(events).length, 30)
      })
    )
  })
})
