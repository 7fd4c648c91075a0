import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { decodeJson, decodeNumbersAsText, jsonText, maxDepth, parseJson, parseVerbatim } from "./json.ts"

const value = (text: string) => {
  const decoded = parseJson(text)
  if (decoded._tag !== "Json") throw new Error(`${decoded._tag}: ${text}`)
  return decoded.value
}

describe("numbers", () => {
  it.each<[string, unknown]>([
    ["9007199254740991", 9_007_199_254_740_991],
    ["9007199254740992", 9_007_199_254_740_992n],
    ["9007199254740993", 9_007_199_254_740_993n],
    ["-9007199254740993", -9_007_199_254_740_993n],
    ["1705315800123456789", 1_705_315_800_123_456_789n],
    ["9007199254740993.0", 9_007_199_254_740_993n],
    ["9.007199254740993e15", 9_007_199_254_740_993n],
    ["90071992547409930E-1", 9_007_199_254_740_993n],
    ["12345678901234567e3", 12_345_678_901_234_567_000n],
    ["0.30000000000000004", 0.30000000000000004],
    ["9007199254740993.5", 9_007_199_254_740_994],
    ["1.0", 1],
    ["1e400", Number.POSITIVE_INFINITY],
    ["-1e400", Number.NEGATIVE_INFINITY],
    ["9".repeat(400), Number.POSITIVE_INFINITY],
    ["9".repeat(309), Number.POSITIVE_INFINITY],
    ["9".repeat(308), BigInt("9".repeat(308))]
  ])("%s", (text, expected) => {
    expect(value(text)).toStrictEqual(expected)
    expect(value(`{"a":[${text},"x"]}`)).toStrictEqual({ a: [expected, "x"] })
  })

  it("finds a long integer wherever it stands", () => {
    fc.assert(
      fc.property(fc.nat(70), fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n }), fc.boolean(), (indent, n, fraction) => {
        const text = `${" ".repeat(indent)}[${fraction ? "1.2345678901234567," : ""}${n}]`
        expect((value(text) as ReadonlyArray<unknown>).at(-1)).toBe(n)
      })
    )
  })

  it("keeps the text of numbers for those who need all digits", () => {
    const bytes = Buffer.from('{"a":12345678901.123456789012,"b":[1.50,"x",null]}')
    expect(decodeNumbersAsText(bytes)).toEqual({ a: "12345678901.123456789012", b: ["1.50", "x", null] })
    expect(decodeNumbersAsText(Buffer.from('{"a":1.5}'))).toBeUndefined()
    expect(decodeNumbersAsText(Buffer.from('{"a":12345678901.123456789012'))).toBeUndefined()
    expect(JSON.stringify(parseVerbatim('{ "a": 1.50, "b": 1e400 }'))).toBe('{"a":1.50,"b":1e400}')
  })
})

describe("text that PostgreSQL cannot store", () => {
  it.each([
    [String.raw`"a\u0000b"`, "a\uFFFDb"],
    [String.raw`"\\u0000"`, String.raw`\u0000`],
    [String.raw`"\\\u0000"`, "\\\uFFFD"],
    [String.raw`"\ud83d\ude00"`, "😀"],
    [String.raw`"\uD83D\uDE00\u00e9"`, "😀é"],
    [String.raw`"\ud83d"`, "\uFFFD"],
    [String.raw`"\ude00\ud83d"`, "\uFFFD\uFFFD"],
    [String.raw`"\ud83d\ud83d\ude00"`, "\uFFFD😀"],
    [String.raw`"\ud83d\n\ude00"`, "\uFFFD\n\uFFFD"],
    [String.raw`"\ud83dx\u0000"`, "\uFFFDx\uFFFD"]
  ])("%s", (text, expected) => {
    expect(value(text)).toBe(expected)
    expect(value(`{${text}:1}`)).toEqual({ [expected]: 1 })
  })

  it("comes out storable, and equal to the platform's parser otherwise", () => {
    const string = fc.string({ unit: fc.constantFrom("a", "\0", "\uD800", "\uDC00", "é", "\\", '"', "u0000") })
    const storable = (text: string) => text.toWellFormed().replaceAll("\0", "\uFFFD")
    fc.assert(
      fc.property(fc.array(string), string, string, (list, key, text) => {
        expect(value(JSON.stringify({ list, [`_${key}`]: text }))).toEqual({
          list: list.map(storable),
          [`_${storable(key)}`]: storable(text)
        })
      })
    )
  })
})

describe("keys with escapes", () => {
  // Each pair has an object of its own kind, since what is wrong with JSON.parse depends on the keys that came before.
  it.each([
    [String.raw`p\\`, String.raw`p\u0041`, "pA"],
    [String.raw`p\\`, String.raw`p\n`, "p\n"],
    [String.raw`p\\`, String.raw`p\"`, 'p"'],
    [String.raw`p\\u0`, String.raw`p\u0041bc`, "pAbc"],
    [String.raw`\\u`, String.raw`\u540d\u524d`, "名前"],
    [String.raw`_\\`, String.raw`_\udc00`, "_\uFFFD"]
  ])("%s does not change a later %s", (earlier, later, key) => {
    const first = `of ${later}`
    const keys = (escaped: string) => Object.keys(value(`{${JSON.stringify(first)}:0, "${escaped}" : 1}`) as object)
    keys(earlier)
    expect(keys(earlier)).toEqual([first, JSON.parse(`"${earlier}"`)])
    expect(keys(later)).toEqual([first, key])
  })

  it("are those of the platform's parser", () => {
    const string = fc.string({ unit: fc.constantFrom("a", "\n", "\\", '"', ":", "\uFDD0", "0", " ", "__proto__") })
    const json = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        string,
        fc.array(tie("value"), { maxLength: 3 }),
        fc.dictionary(string, tie("value"), { maxKeys: 4, noNullPrototype: true })
      )
    })).value
    fc.assert(
      fc.property(json, fc.boolean(), (document, spaced) => {
        expect(value(JSON.stringify(document, null, spaced ? 1 : 0))).toEqual(document)
      })
    )
    expect(Object.entries(value(String.raw`{"a":1,"\u0061":2,"\u005f_proto__":[3]}`) as object)).toEqual([
      ["a", 2],
      ["__proto__", [3]]
    ])
    expect(parseJson(String.raw`{"\u00":1}`)._tag).toBe("Malformed")
  })
})

describe("documents", () => {
  it("replaces invalid UTF-8 and skips one byte order mark", () => {
    expect(decodeJson(Buffer.from('{"a":"caf\xe9"}', "latin1"))).toEqual({ _tag: "Json", value: { a: "caf\uFFFD" } })
    expect(decodeJson(Buffer.from("\uFEFF[1]"))).toEqual({ _tag: "Json", value: [1] })
    expect(decodeJson(Buffer.from("\uFEFF\uFEFF[1]"))._tag).toBe("Malformed")
  })

  it("takes the last of duplicate keys", () => {
    expect(value('{"a":1,"a":2}')).toEqual({ a: 2 })
  })

  it.each(["", " ", "\r\n\t "])("%j is empty", (text) => {
    expect(parseJson(text)).toEqual({ _tag: "Empty" })
  })

  it.each(["{", '{"a":1', "nul", "{'a':1}", "[1,]", '"\u0000"', '"\n"', "01", "NaN", "1 2", "\u00a0", "\\u0020"])(
    "%j is malformed",
    (text) => {
      expect(parseJson(text)._tag).toBe("Malformed")
    }
  )

  it("reads so deep and no deeper, without recursion", () => {
    const nested = (depth: number) => `${'[{"a":'.repeat(depth / 2)}0${"}]".repeat(depth / 2)}`
    expect(parseJson(nested(maxDepth))._tag).toBe("Json")
    expect(parseJson(nested(maxDepth + 2))).toMatchObject({ _tag: "Malformed", detail: expect.stringContaining("200") })
    expect(parseJson("[".repeat(5_000_000))._tag).toBe("Malformed")
    expect(parseJson(`[${'{"a":1},'.repeat(100_000)}1]`)._tag).toBe("Json")
    expect(parseJson(`"${"[{".repeat(1000)}\\""`)._tag).toBe("Json")
  })

  it("keeps __proto__ as a key and pollutes nothing", () => {
    const object = value('{"__proto__":{"polluted":9007199254740993},"constructor":{"prototype":{"polluted":1}}}')
    expect(Object.keys(object as object)).toEqual(["__proto__", "constructor"])
    expect(jsonText(object)).toContain("9007199254740993")
    expect("polluted" in {}).toBe(false)
  })

  it("writes bigints with all digits and what is no number as null", () => {
    expect(jsonText({ a: [9_007_199_254_740_993n, Number.POSITIVE_INFINITY], b: "\n" })).toBe(
      '{"a":[9007199254740993,null],"b":"\\n"}'
    )
  })

  it("never throws", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 200 }),
          fc.json().map((text) => Buffer.from(text))
        ),
        (bytes) => {
          decodeJson(bytes)
          decodeNumbersAsText(bytes)
        }
      ),
      { numRuns: 2000 }
    )
  })

  it.each([
    ["digits and points", "1.".repeat(500_000)],
    ["escapes", "\\".repeat(1_000_000)],
    ["surrogates", `"${"\\ud800".repeat(200_000)}"`],
    ["quotes", '"[{\\'.repeat(200_000)],
    ["one long integer", "9".repeat(1_000_000)]
  ])("takes time in proportion to the size: %s", (_name, text) => {
    const start = performance.now()
    parseJson(text)
    expect(performance.now() - start).toBeLessThan(1000)
  })
})
