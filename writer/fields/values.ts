import { jsonText, parseJson } from "../decode/json.ts"
import type { JsonArray, JsonObject, JsonValue } from "../tables/table.ts"

type Maybe = JsonValue | undefined

/** Whether text is empty or nothing but white space. */
export const isBlank = (text: string): boolean => {
  const first = text.charCodeAt(0)
  return first > 0x20 && first < 0x7f ? false : text.trim() === ""
}

/** Whether a field has a value: it is there, not null and not a blank string. Zero and false are values. */
export const isPresent = (value: Maybe): boolean =>
  value !== undefined && value !== null && !(typeof value === "string" && isBlank(value))

/** The first of a field's spellings that has a value. */
export const first = (a: Maybe, b: Maybe, c?: Maybe, d?: Maybe): Maybe =>
  isPresent(a) ? a : isPresent(b) ? b : isPresent(c) ? c : isPresent(d) ? d : undefined

/** Whether a JSON value is an object, neither null nor an array. */
export const isObject = (value: Maybe): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Whether a JSON value is an object or an array. */
export const isContainer = (value: Maybe): value is JsonObject | JsonArray =>
  typeof value === "object" && value !== null

/** Sets a member of a JSON object that is being made: a key named `__proto__` is a key like any other. */
export const setMember = (object: Record<string, JsonValue>, key: string, value: JsonValue): void => {
  if (key === "__proto__")
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
  else object[key] = value
}

/** Decimal text without an exponent of a number in scientific or plain form. */
export const plainDecimal = (text: string): string => {
  const [, sign = "", whole = "", fraction = "", exponent = "0"] =
    /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? []
  const digits = whole + fraction
  const point = whole.length + Number(exponent)
  const before = digits.slice(0, Math.max(0, point)).padEnd(point, "0").replace(leadingZeros, "")
  const behind = point < 0 ? "0".repeat(-point) + digits : digits.slice(point)
  return `${sign === "-" ? "-" : ""}${before === "" ? "0" : before}${behind === "" ? "" : `.${behind}`}`
}

/** Shortest decimal text that reads back as the same double; integers with all their digits. `n` is finite. */
export const numberText = (n: number): string => (Math.abs(n) < 1e21 ? String(n) : plainDecimal(String(n)))

/** Integer of a whole double beyond ±2^53: that of its shortest text, which is what was written. */
export const writtenInteger = (n: number): bigint => BigInt(numberText(n))

/** Text of any value: scalars as they read, objects and arrays as compact JSON, null for blank text and for null. */
export const text = (value: Maybe): string | null => {
  if (typeof value === "string") return isBlank(value) ? null : value
  if (value === undefined || value === null) return null
  if (typeof value === "number") return Number.isFinite(value) ? numberText(value) : null
  return typeof value === "object" ? jsonText(value) : String(value)
}

const integerText = /^\s*([+-]?)(\d+)\s*$/
const leadingZeros = /^0+(?=\d)/
/** More digits than any 64-bit integer: longer text is cut, because it only has to stay beyond the limit. */
const maxIntegerDigits = 20

/** A bigint as a number where that is exact. */
export const narrowed = (n: bigint): number | bigint => {
  const exact = Number(n)
  return Number.isSafeInteger(exact) ? exact : n
}

/** Integer of a number (cut toward zero) or of digits, a bigint beyond ±2^53; null for anything else. */
export const integer = (value: Maybe): number | bigint | null => {
  if (typeof value === "bigint") return narrowed(value)
  if (typeof value === "number") {
    if (!Number.isFinite(value)) return null
    const whole = Math.trunc(value)
    return Number.isSafeInteger(whole) ? whole : writtenInteger(whole)
  }
  if (typeof value !== "string") return null
  const [, sign, digits = ""] = integerText.exec(value) ?? []
  if (sign === undefined) return null
  const magnitude = BigInt(digits.replace(leadingZeros, "").slice(0, maxIntegerDigits))
  return narrowed(sign === "-" ? -magnitude : magnitude)
}

const int8Min = -9_223_372_036_854_775_808n
const int8Max = 9_223_372_036_854_775_807n

/** {@link integer} clamped to 64 bits. */
export const int8 = (value: Maybe): number | bigint | null => {
  const n = integer(value)
  if (typeof n !== "bigint") return n
  return n < int8Min ? int8Min : n > int8Max ? int8Max : n
}

/** {@link integer}, null outside 32 bits: a clamped code would be another code. */
export const int4 = (value: Maybe): number | null => {
  const n = integer(value)
  return typeof n === "number" && n >= -2_147_483_648 && n <= 2_147_483_647 ? n : null
}

const numeric = /^\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*$/

/** Finite number, or text that is nothing but one; null for anything else. */
export const float8 = (value: Maybe): number | null => {
  if (typeof value === "string" && !numeric.test(value)) return null
  if (typeof value !== "number" && typeof value !== "string" && typeof value !== "bigint") return null
  const n = Number(value)
  return Number.isFinite(n) ? n : null
}

/** true, 1, yes and false, 0, no in any case; null for anything else. */
export const bool = (value: Maybe): boolean | null => {
  if (typeof value === "boolean") return value
  if (value === 1) return true
  if (value === 0) return false
  if (typeof value !== "string") return null
  switch (value.toLowerCase()) {
    case "true":
    case "1":
    case "yes":
      return true
    case "false":
    case "0":
    case "no":
      return false
    default:
      return null
  }
}

/** `k=v` pairs separated by commas, or `undefined` when a segment has no `=`. */
const keyValueList = (list: string): JsonObject | undefined => {
  const pairs: Record<string, string> = Object.create(null) // a key named __proto__ is a key
  for (const segment of list.split(",")) {
    const equals = segment.indexOf("=")
    if (equals === -1) return undefined
    pairs[segment.slice(0, equals).trim()] = segment.slice(equals + 1).trim()
  }
  return pairs
}

/**
 * Object or array of a field that may also be written as text: as JSON text, as `k=v` list, or else kept as `{"raw": text}`.
 * Null for other scalars and for blank text.
 */
export const json = (value: Maybe): JsonObject | JsonArray | null => {
  if (isContainer(value)) return value
  if (typeof value !== "string" || isBlank(value)) return null
  const parsed = parseJson(value)
  if (parsed._tag === "Json" && isContainer(parsed.value)) return parsed.value
  return keyValueList(value) ?? { raw: value }
}
