import type { JsonValue } from "../tables/table.ts"
import { parseWithKeys } from "./json-keys.ts"
import { decodeUtf8Document } from "./text.ts"

/** What a text is as JSON. */
export type Decoded =
  | { readonly _tag: "Json"; readonly value: JsonValue }
  /** Nothing but JSON whitespace. */
  | { readonly _tag: "Empty" }
  | { readonly _tag: "Malformed"; readonly detail: string }

/** Deepest nesting that is read. PostgreSQL parses `jsonb` recursively, so an unbounded depth would be refused there (54001). */
export const maxDepth = 200

// Source access and raw numbers are part of JavaScript since 2025 and of Node since 22, but not yet of TypeScript's library.
interface Leaf {
  /** The text of a string, number, boolean or null as written. */
  readonly source?: string
}
const parseText = JSON.parse as (
  text: string,
  reviver?: (key: string, value: unknown, leaf: Leaf) => unknown
) => JsonValue
/** `reviver` does not look at keys. */
const parse = (text: string, reviver?: (key: string, value: unknown, leaf: Leaf) => unknown): JsonValue =>
  parseWithKeys(text, (plain) => parseText(plain, reviver))
const { rawJSON } = JSON as unknown as { readonly rawJSON: (text: string) => object }

const isNumberPart = (code: number): boolean => (code >= 48 && code <= 57) || code === 46

/** Calls `found` with the ends of every run of 16 or more digits and points until it says true; then that is the answer. */
const someLongRun = (text: string, found: (start: number, end: number) => boolean): boolean => {
  // A run of 16 covers one of every 16 positions, so only those are looked at.
  for (let probe = 15; probe < text.length; probe += 16) {
    if (!isNumberPart(text.charCodeAt(probe))) continue
    let start = probe
    let end = probe + 1
    while (start > 0 && isNumberPart(text.charCodeAt(start - 1))) start--
    while (end < text.length && isNumberPart(text.charCodeAt(end))) end++
    if (end - start >= 16 && found(start, end)) return true
    probe = end
  }
  return false
}

/** Whether `text` may hold an integer that a double does not hold exactly; may be true for digits inside a string. */
const mayHoldLongInteger = (text: string): boolean =>
  someLongRun(text, (start, end) => {
    const point = text.indexOf(".", start)
    return point === -1 || point - start >= 16 || text[end] === "e" || text[end] === "E"
  })

/** The integer written as `source`, a JSON number whose double is finite; `undefined` when it has a fraction. */
const exactInteger = (source: string): bigint | undefined => {
  const [, whole = "", fraction = "", exponent = "0"] = /^(-?\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(source) ?? []
  const digits = whole + fraction
  const shift = Number(exponent) - fraction.length
  if (shift >= 0) return BigInt(digits + "0".repeat(shift))
  return /^0+$/.test(digits.slice(shift)) ? BigInt(digits.slice(0, shift)) : undefined
}

const restoreInteger = (_key: string, value: unknown, leaf: Leaf): unknown =>
  typeof value === "number" && Number.isFinite(value) && !Number.isSafeInteger(value) && leaf.source !== undefined
    ? (exactInteger(leaf.source) ?? value)
    : value

const atMost = (text: string, character: string, limit: number): boolean => {
  let at = -1
  for (let found = 0; found <= limit; found++) {
    at = text.indexOf(character, at + 1)
    if (at === -1) return true
  }
  return false
}

const isDeeperThan = (text: string, limit: number): boolean => {
  if (atMost(text, "{", limit / 2) && atMost(text, "[", limit / 2)) return false
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const character = text[i]
    if (character === '"') {
      for (i++; i < text.length && text[i] !== '"'; i++) if (text[i] === "\\") i++
    } else if (character === "{" || character === "[") {
      if (++depth > limit) return true
    } else if (character === "}" || character === "]") depth--
  }
  return false
}

const unstorableEscape = /\\u(?:0000|[dD][89a-fA-F])/
/** Alternatives in order: a surrogate pair; what PostgreSQL refuses; any other escape, so that `\\` is never split. */
const escapes = /\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|u0000|u[dD][89a-fA-F][\da-fA-F]{2}|.)/gs

/**
 * JSON text whose strings PostgreSQL can store: escapes of U+0000 and of unpaired surrogates become `\ufffd`. Unescaped ones
 * cannot occur: raw control characters are no JSON and decoded UTF-8 has no surrogates.
 */
const withStorableEscapes = (text: string): string =>
  unstorableEscape.test(text) ? text.replace(escapes, (escape) => (escape.length === 6 ? "\\ufffd" : escape)) : text

const onlyWhitespace = /^[ \t\n\r]*$/

/**
 * Reads JSON without loss and never throws. Integers beyond ±2^53 are bigints; a number beyond the range of a double is
 * Infinity, which every reader of values takes for "not a number"; of duplicate keys the last wins; keys such as `__proto__`
 * are own properties like any other.
 */
export const parseJson = (text: string): Decoded => {
  if (isDeeperThan(text, maxDepth)) {
    return { _tag: "Malformed", detail: `JSON is nested deeper than ${maxDepth} levels` }
  }
  const clean = text.includes("\\u") ? withStorableEscapes(text) : text
  try {
    return { _tag: "Json", value: mayHoldLongInteger(clean) ? parse(clean, restoreInteger) : parse(clean) }
  } catch (cause) {
    if (onlyWhitespace.test(clean)) return { _tag: "Empty" }
    return { _tag: "Malformed", detail: (cause as SyntaxError).message }
  }
}

/** {@link parseJson} of UTF-8 bytes; one byte order mark is skipped. */
export const decodeJson = (bytes: Uint8Array): Decoded => parseJson(decodeUtf8Document(bytes))

/**
 * The JSON of `text` with every number within the range of a double as the text that was written, for columns that keep more
 * digits than a double; `undefined` when no number has so many, or when the text is no JSON.
 */
export const numbersAsText = (text: string): JsonValue | undefined => {
  if (!someLongRun(text, () => true)) return undefined
  try {
    return parse(withStorableEscapes(text), (_key, value, leaf) => (Number.isFinite(value) ? leaf.source : value))
  } catch {
    return undefined
  }
}

/** {@link numbersAsText} of UTF-8 bytes. */
export const decodeNumbersAsText = (bytes: Uint8Array): JsonValue | undefined =>
  numbersAsText(decodeUtf8Document(bytes))

/**
 * JSON to be passed on: its numbers are opaque, and `JSON.stringify` prints them as they were written.
 *
 * @throws SyntaxError when `text` is no JSON
 */
export const parseVerbatim = (text: string): unknown =>
  parse(text, (_key, value, leaf) =>
    typeof value === "number" && leaf.source !== undefined ? rawJSON(leaf.source) : value
  )

const bigintAsNumber = (_key: string, value: unknown): unknown =>
  typeof value === "bigint" ? rawJSON(String(value)) : value

/** Compact JSON text; bigints are numbers with all their digits, what is no finite number is `null`. */
export const jsonText = (value: JsonValue): string => {
  try {
    return JSON.stringify(value)
  } catch {
    return JSON.stringify(value, bigintAsNumber) // a function per value is slow, and bigints are rare
  }
}
