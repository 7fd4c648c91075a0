import { assert, describe, it } from "vitest"
import { termsOf } from "./filter.ts"

describe("the terms of an audit", () => {
  it.each<[string, ReadonlyArray<string>, ReadonlyArray<string> | null, "Same" | "Narrower" | "Other", boolean]>([
    ["of the first one are those of its filter", ["a.>"], null, "Same", false],
    ["are complete without a filter", [], [], "Same", true],
    ["don't depend on the order of subjects", ["a", "b"], ["b", "a"], "Same", false],
    ["are narrow where there was no filter", ["a"], [], "Narrower", false],
    ["are narrow within wildcards", ["a.b.c", "x.y"], ["a.>", "*.y"], "Narrower", false],
    ["are narrow within a wildcard that is no last one", ["a.b.c"], ["a.*.c"], "Narrower", false],
    ["are wide without a filter", [], ["a"], "Other", false],
    ["are others when one subject is new", ["a.b", "c"], ["a.>"], "Other", false],
    ["tell one token from several", ["a.>"], ["a.*"], "Other", false],
    ["know that the last wildcard takes at least one token", ["a"], ["a.>"], "Other", false],
    ["know that a longer subject is another", ["a.b"], ["a"], "Other", false]
  ])("%s", (_, filter, before, expected, complete) => {
    const settledFor = before === null ? null : termsOf(before, null).settles
    const terms = termsOf(filter, settledFor)
    assert.deepInclude(terms, { filter: expected, complete })
    assert.strictEqual(terms.settles, expected === "Narrower" ? settledFor : termsOf(filter, null).settles)
  })

  it("miss of a widened filter only what the narrow one took", () => {
    const { wanted } = termsOf([], termsOf(["a.*"], null).settles)
    assert.deepStrictEqual(["a.b", "c"].map(wanted), [true, false])
  })
})
