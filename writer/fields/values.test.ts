import { describe, expect, it } from "vitest"
import type { JsonValue } from "../tables/table.ts"
import { bool, first, float8, int4, int8, json, numberText, plainDecimal, text } from "./values.ts"

type Case<A> = [JsonValue | undefined, A]

describe("values of fields", () => {
  it("takes the first spelling that has a value; zero and false are values", () => {
    expect(first(undefined, "b")).toBe("b")
    expect(first(null, "b")).toBe("b")
    expect(first(" \t", "b")).toBe("b")
    expect(first(0, 1)).toBe(0)
    expect(first(false, true)).toBe(false)
    expect(first(undefined, null, "", "d")).toBe("d")
    expect(first("\u00a0", " ")).toBeUndefined()
  })

  it.each<Case<string | null>>([
    [" as is ", " as is "],
    ["  ", null],
    [null, null],
    [undefined, null],
    [1.0, "1"],
    [-0, "0"],
    [0.1, "0.1"],
    [1e21, "1000000000000000000000"],
    [-1e23, "-100000000000000000000000"],
    [12_345_678_901_234_567_890n, "12345678901234567890"],
    [Number.POSITIVE_INFINITY, null],
    [false, "false"],
    [{ a: [1, 12_345_678_901_234_567_890n] }, '{"a":[1,12345678901234567890]}'],
    [[], "[]"]
  ])("text of %s is %s", (value, expected) => {
    expect(text(value)).toBe(expected)
  })

  it.each<Case<number | bigint | null>>([
    [1, 1],
    [-1.9, -1],
    [" +12\n", 12],
    ["-0", 0],
    ["12abc", null],
    ["1.5", null],
    ["1e3", null],
    ["", null],
    [true, null],
    [null, null],
    [[1], null],
    [Number.POSITIVE_INFINITY, null],
    [1.2345678901234e18, 1_234_567_890_123_400_000n],
    [1e300, 9_223_372_036_854_775_807n],
    [-1e300, -9_223_372_036_854_775_808n],
    [9_223_372_036_854_775_806n, 9_223_372_036_854_775_806n],
    ["9223372036854775808", 9_223_372_036_854_775_807n],
    [`-${"9".repeat(1_000_000)}`, -9_223_372_036_854_775_808n],
    [`${"0".repeat(100_000)}7`, 7],
    [`${"0".repeat(100_000)}x`, null]
  ])("64-bit integer of %s", (value, expected) => {
    const n = int8(value)
    expect(n === null || expected === null ? n === expected : BigInt(n) === BigInt(expected)).toBe(true)
  })

  it.each<Case<number | null>>([
    [2_147_483_647, 2_147_483_647],
    [2_147_483_648, null],
    ["-2147483648", -2_147_483_648],
    ["-2147483649", null],
    [3.9, 3],
    [12_345_678_901_234_567_890n, null]
  ])("32-bit integer of %s is %s", (value, expected) => {
    expect(int4(value)).toBe(expected)
  })

  it.each<Case<number | null>>([
    [1, 1],
    ["1", 1],
    [" -1.5 ", -1.5],
    ["2e3", 2000],
    ["1e400", null],
    [Number.POSITIVE_INFINITY, null],
    ["0x10", null],
    ["Infinity", null],
    ["1,5", null],
    ["1 2", null],
    ["", null],
    [" ", null],
    [true, null],
    [{}, null],
    [9_007_199_254_740_993n, 9_007_199_254_740_992],
    [`${"1".repeat(100_000)}x`, null]
  ])("double of %s is %s", (value, expected) => {
    expect(float8(value)).toBe(expected)
  })

  it.each<Case<boolean | null>>([
    [true, true],
    [false, false],
    [1, true],
    [0, false],
    ["TRUE", true],
    ["yes", true],
    ["1", true],
    ["No", false],
    ["false", false],
    ["0", false],
    ["on", null],
    [2, null],
    [null, null]
  ])("boolean of %s is %s", (value, expected) => {
    expect(bool(value)).toBe(expected)
  })

  it.each<Case<JsonValue>>([
    [{ a: null }, { a: null }],
    [[1], [1]],
    ['{"a":[1]}', { a: [1] }],
    [" [1] ", [1]],
    ['{"n":9007199254740993,"s":"\\u0000"}', { n: 9_007_199_254_740_993n, s: "\uFFFD" }],
    ["site=lab, rack = 7", { site: "lab", rack: "7" }],
    ["a=b=c,a=d", { a: "d" }],
    ["a=1,b", { raw: "a=1,b" }],
    ["plain", { raw: "plain" }],
    ["42", { raw: "42" }],
    ['{"broken"', { raw: '{"broken"' }],
    [" ", null],
    [5, null],
    [true, null],
    [null, null],
    [undefined, null]
  ])("object or array of %s", (value, expected) => {
    expect(json(value)).toEqual(expected)
  })

  it("keeps a key named __proto__ as a key", () => {
    const pairs = json("__proto__=x,a=1")
    expect(Object.keys(pairs!)).toEqual(["__proto__", "a"])
    expect(Object.getPrototypeOf({})).toBe(Object.prototype)
  })

  it.each([
    ["1e3", "1000"],
    ["-1.25e1", "-12.5"],
    ["12.5e-3", "0.0125"],
    [".5", "0.5"],
    ["+7.", "7"],
    ["000.10", "0.10"],
    ["0e5", "0"]
  ])("%s without exponent is %s", (scientific, plain) => {
    expect(plainDecimal(scientific)).toBe(plain)
  })

  it("writes numbers in their shortest form", () => {
    expect([1, -0, 1e20, 1e21, 5e-7, 0.30000000000000004].map(numberText)).toEqual([
      "1",
      "0",
      "100000000000000000000",
      "1000000000000000000000",
      "5e-7",
      "0.30000000000000004"
    ])
  })
})
