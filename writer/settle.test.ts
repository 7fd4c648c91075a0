import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { type Attempt, decide, type SettleRules, split } from "./settle.ts"
import { DatabaseMisconfigured, DatabaseUnavailable, LedgerConflict, RowRefused } from "./store/errors.ts"

const rules: SettleRules = {
  onPoison: "DeadLetter",
  maxAttempts: 5,
  backoffInitialMillis: 250,
  backoffMaxMillis: 30_000
}
const attempt = (failure: Attempt["failure"], more: Partial<Attempt> = {}): Attempt => ({
  failure,
  failures: 0,
  refusals: 0,
  conflicts: 0,
  size: 1,
  ...more
})
const unavailable = (reason: DatabaseUnavailable["reason"], shrink = false) =>
  new DatabaseUnavailable({ reason, sqlstate: null, detail: "no answer", shrink })
const refusal = (more: Partial<Pick<RowRefused, "sqlstate" | "detail" | "mayPass" | "suspect">> = {}) =>
  new RowRefused({ sqlstate: "22003", detail: "out of range", rowData: null, mayPass: false, suspect: null, ...more })
const conflict = new LedgerConflict({ lane: 1 })
const most = () => 1
const poison = { reason: "db_rejected:22003", detail: "out of range" }

describe("decide", () => {
  it.each<[string, Attempt, SettleRules, ReturnType<typeof decide>]>([
    [
      "asks a lost database again, first after the initial backoff",
      attempt(unavailable("TargetUnreachable")),
      rules,
      { _tag: "Retry", afterMillis: 250, reason: "TargetUnreachable" }
    ],
    [
      "waits longer from failure to failure",
      attempt(unavailable("TargetBusy"), { failures: 3 }),
      rules,
      { _tag: "Retry", afterMillis: 2_000, reason: "TargetBusy" }
    ],
    [
      "probes a database every 5 to 6 s after the fifth failure in a row",
      attempt(unavailable("TargetUnreachable"), { failures: 4 }),
      rules,
      { _tag: "Retry", afterMillis: 6_000, reason: "TargetUnreachable" }
    ],
    [
      "probes with the same pause whatever the backoff is",
      attempt(unavailable("TargetUnreachable"), { failures: 100 }),
      { ...rules, backoffMaxMillis: 1 },
      { _tag: "Retry", afterMillis: 6_000, reason: "TargetUnreachable" }
    ],
    [
      "never gives up on a database that is busy",
      attempt(unavailable("TargetBusy"), { failures: 1_000_000 }),
      rules,
      { _tag: "Retry", afterMillis: 6_000, reason: "TargetBusy" }
    ],
    [
      "makes a batch smaller that takes too long",
      attempt(unavailable("TargetBusy", true), { size: 2 }),
      rules,
      { _tag: "Split", suspect: null }
    ],
    [
      "waits when the one message takes too long",
      attempt(unavailable("TargetBusy", true)),
      rules,
      { _tag: "Retry", afterMillis: 250, reason: "TargetBusy" }
    ],
    [
      "waits for a person when tables or rights are wrong, however often it was tried",
      attempt(new DatabaseMisconfigured({ reason: "SchemaMismatch", sqlstate: "42703", detail: "no column" }), {
        failures: 1_000
      }),
      rules,
      { _tag: "Stall", afterMillis: 30_000, reason: "SchemaMismatch" }
    ],
    [
      "asks again soon after a refused login: a rotated password is in two places",
      attempt(new DatabaseMisconfigured({ reason: "LoginFailed", sqlstate: "28P01", detail: "no" }), {
        failures: 1_000
      }),
      rules,
      { _tag: "Stall", afterMillis: 10_000, reason: "LoginFailed" }
    ],
    ["isolates a refused row", attempt(refusal({ suspect: 7 }), { size: 10 }), rules, { _tag: "Split", suspect: 7 }],
    ["dead-letters it when it is alone", attempt(refusal()), rules, { _tag: "DeadLetter", ...poison }],
    [
      "drops it when asked to",
      attempt(refusal()),
      { ...rules, onPoison: "Drop" },
      { _tag: "Drop", reason: poison.reason }
    ],
    ["halts when asked to", attempt(refusal()), { ...rules, onPoison: "Halt" }, { _tag: "Halt", ...poison }],
    [
      "tries again when the refusal may pass",
      attempt(refusal({ sqlstate: "23503", mayPass: true }), { refusals: 3 }),
      rules,
      { _tag: "Retry", afterMillis: 2_000, reason: "db_rejected:23503" }
    ],
    [
      "takes it for poison after the last attempt",
      attempt(refusal({ sqlstate: "23503", detail: "no such key", mayPass: true }), { refusals: 4 }),
      rules,
      { _tag: "DeadLetter", reason: "db_rejected:23503", detail: "no such key" }
    ],
    ["reads coverage on a ledger conflict", attempt(conflict, { size: 5 }), rules, { _tag: "Subtract" }],
    [
      "opens the lane anew when the ledger refuses and nothing is covered",
      attempt(conflict, { conflicts: 1, size: 5 }),
      rules,
      { _tag: "Reopen" }
    ]
  ])("%s", (_, given, rules, expected) => assert.deepStrictEqual(decide(given, rules, most), expected))
})

describe("split", () => {
  const ascending = fc.uniqueArray(fc.nat(1_000), { minLength: 2 }).map((all) => all.toSorted((a, b) => a - b))

  it("keeps every message once, in order, in smaller groups", () => {
    fc.assert(
      fc.property(ascending, fc.option(fc.nat(1_000)), (selected, suspect) => {
        const groups = split(selected, suspect)
        assert.deepStrictEqual(groups.flat(), selected)
        for (const group of groups) {
          assert.isAbove(group.length, 0)
          assert.isBelow(group.length, selected.length)
        }
      })
    )
  })

  it("finds one bad message among 1,000 in at most 22 transactions, its dead letter included", () => {
    const all = Array.from({ length: 1_000 }, (_, index) => index)
    fc.assert(
      fc.property(fc.nat(999), fc.boolean(), (bad, named) => {
        let transactions = 1
        const groups = [all]
        while (groups.length > 0) {
          const group = groups.shift()!
          transactions++
          if (group.includes(bad) && group.length > 1)
            groups.push(...split(group, named ? bad : null).map((g) => [...g]))
        }
        assert.isAtMost(transactions, named ? 7 : 22)
      })
    )
  })
})
