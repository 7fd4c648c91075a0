import { assert, describe, it } from "vitest"
import { type Fault, faults, type History, historyOf, run, shrink } from "./history.ts"
import { allRules, allRulesBut, type RuleName, type Rules } from "./rules.ts"

/**
 * The promise of delivery as a property of random histories: at most one outcome per message and lane, no ack without an
 * outcome, and when the faults have ended, an outcome for every message that is still in the stream.
 */

/** The history as a text to repeat and to read. */
const tell = (seed: number, history: History, rules: Rules): string => {
  const lines: Array<string> = []
  const violation = run(history, rules, (line) => lines.push(line))
  return `seed ${seed}: ${violation?.kind}: ${violation?.message}\n${lines.join("\n")}`
}

const holds = (seeds: number, rules: Rules, always: ReadonlyArray<Fault>, never: ReadonlyArray<Fault> = []) => {
  for (let seed = 1; seed <= seeds; seed++) {
    const history = historyOf(seed, always, never)
    if (run(history, rules)) assert.fail(tell(seed, shrink(history, rules), rules))
  }
}

describe("every message that the stream keeps gets exactly one outcome", { timeout: 120_000 }, () => {
  it("in any history", () => holds(20_000, allRules, []))

  for (const fault of faults) it(`with ${fault}`, () => holds(3_000, allRules, [fault]))

  // What is lost behind the durable's position is found by the audit only: the tail of a store, or of the database.
  it("also without the audit, as long as no tail is lost and the target stays", () =>
    holds(8_000, allRulesBut("Audit"), ["durable"], ["rollback", "failover", "target"]))
})

/** A rule, the faults that need it, and rules that would still hold the promise if it alone were missing. */
const needed: ReadonlyArray<
  readonly [rule: RuleName, faults: ReadonlyArray<Fault>, heldUpBy?: ReadonlyArray<RuleName>]
> = [
  ["ExactSequences", ["durable"]],
  ["RecordTimes", ["rollback"]],
  ["HeadTimes", ["rollback", "age"]],
  ["SetAsideOlderOnly", ["rollback"], ["AsideCounts"]],
  ["AsideCounts", ["rollback"], ["DropAfterReconnect"]],
  ["LedgerRefuses", ["compaction"]],
  ["HeadInTransaction", ["rollback", "age"]],
  ["AckAfterCommit", ["compaction"]],
  ["DropAfterReconnect", ["rollback"]],
  ["Incarnation", ["rebirth"], ["RecordTimes"]],
  ["Nonce", ["target"], ["NewLaneNewDurable"]],
  ["CreatedReadAgain", ["rebirth", "durable"]],
  ["StartAtLowestUncovered", ["durable"], ["Audit"]],
  ["ReportOfSameLane", ["target", "durable"], ["NewLaneNewDurable"]],
  ["NewLaneNewDurable", ["target", "durable"]],
  ["Position", ["rollback"]],
  // A failover that loses commits, a store that loses its tail, a target that is switched away and back.
  ["Audit", ["failover"]],
  ["Audit", ["rollback"]],
  ["Audit", ["target"]]
]

describe("each rule is needed", { timeout: 60_000 }, () => {
  for (const [rule, always, heldUpBy = []] of needed) {
    const faults = `${rule}, with ${always.join(" and ")}`
    const suffix = heldUpBy.length > 0 ? `, where ${heldUpBy.join(" and ")} does not hold it up` : ""
    it(`${faults}${suffix}`, () => {
      const without = allRulesBut(rule, ...heldUpBy)
      const others = allRulesBut(...heldUpBy)
      for (let seed = 1; seed <= 20_000; seed++) {
        const history = historyOf(seed, always)
        if (run(history, without) && !run(history, others)) return
      }
      assert.fail("no history breaks without it")
    })
  }
})

describe("a history", () => {
  it("is the same for the same seed", () => assert.deepStrictEqual(historyOf(7), historyOf(7)))

  it("is made shorter as long as it breaks the same promise", () => {
    const rules = allRulesBut("LedgerRefuses")
    let seed = 1
    while (run(historyOf(seed), rules)?.kind !== "Double") seed++
    const short = shrink(historyOf(seed), rules)
    assert.strictEqual(run(short, rules)?.kind, "Double")
    assert.isAtMost(short.steps.length, 12)
  })
})
