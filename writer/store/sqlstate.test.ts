import { assert, describe, it } from "vitest"
import { type Fault, reactionTo } from "./sqlstate.ts"

const tag = (sqlstate: string | null, more: Partial<Fault> = {}) => {
  const reaction = reactionTo({ sqlstate, constraint: null, ledger: false, ...more })
  switch (reaction._tag) {
    case "Stalled":
      return reaction.reason
    case "Busy":
      return reaction.shrink ? "Shrink" : "Busy"
    case "Row":
      return reaction.mayPass ? "RowMayPass" : "Row"
    case "Unreachable":
    case "LedgerConflict":
      return reaction._tag
  }
}

describe("SQLSTATE", () => {
  const table: ReadonlyArray<readonly [expected: string, ...codes: ReadonlyArray<string | null>]> = [
    ["Unreachable", null, "08000", "08003", "08006", "57P01", "57P02", "57P03", "25006", "25P02", "25P03", "58030"],
    ["Busy", "40001", "40P01", "55P03", "53200", "53300", "53400", "XX000"],
    ["Shrink", "57014", "25P04"],
    ["TargetFull", "53100"],
    ["PermissionDenied", "42501"],
    ["LoginFailed", "28000", "28P01"],
    ["TargetUnreachable", "3D000"],
    [
      "SchemaMismatch",
      "42P01",
      "42703",
      "42804",
      "42846",
      "42883",
      "42P10",
      "3F000",
      "0A000",
      "22P03",
      "55000",
      "ZZ999"
    ],
    ["Row", "22001", "22003", "22007", "22008", "22012", "22021", "22030", "22P02", "22P05"],
    ["Row", "23502", "23505", "23P01", "21000", "44000", "54000", "54001", "P0001"],
    ["RowMayPass", "23503"]
  ]
  for (const [expected, ...codes] of table) {
    for (const code of codes) it(`${code ?? "none"} is ${expected}`, () => assert.equal(tag(code), expected))
  }

  it("a CHECK has a name, a missing partition has none", () => {
    assert.equal(tag("23514", { constraint: "positive" }), "Row")
    assert.equal(tag("23514"), "SchemaMismatch")
  })

  it("division by zero is the ledger's way to refuse, elsewhere it is a row's fault", () => {
    assert.equal(tag("22012", { ledger: true }), "LedgerConflict")
    assert.equal(tag("22012"), "Row")
  })
})
