import { jsonText, parseJson } from "../decode/json.ts"
import { decodeBase64 } from "../decode/text.ts"
import { hasNoHostBits, parseNetwork } from "../fields/ip.ts"
import type { EpochUnit } from "../fields/time.ts"
import { isDate, parseTimestampIn } from "../fields/time.ts"
import { bool, float8, int4, integer, isContainer, numberText, plainDecimal } from "../fields/values.ts"
import type { JsonColumn } from "../tables/mapped.ts"
import type { JsonValue, Value } from "../tables/table.ts"

type ColumnType = JsonColumn["type"]

/** How a timestamptz is written in the payload; `undefined`: recognised by its size and shape. */
export type TimeUnit = EpochUnit | "RFC3339" | undefined

const text = (value: JsonValue): string | undefined => {
  if (typeof value === "string") return value
  if (typeof value === "number") return Number.isFinite(value) ? numberText(value) : undefined
  return typeof value === "bigint" || typeof value === "boolean" ? String(value) : jsonText(value)
}

/** An integer as written: a fraction is not cut. */
const wholeInteger = (value: JsonValue): number | bigint | undefined =>
  typeof value === "number" && !Number.isInteger(value) ? undefined : (integer(value) ?? undefined)

const wholeInt4 = (value: JsonValue): number | undefined =>
  wholeInteger(value) === undefined ? undefined : (int4(value) ?? undefined)

const wholeInt8 = (value: JsonValue): number | bigint | undefined => {
  const n = wholeInteger(value)
  return typeof n === "bigint" && BigInt.asIntN(64, n) !== n ? undefined : n
}

/** Bounds of `numeric(precision)`, so that a short exponent cannot become a long row. */
const maxNumericDigits = 1000
const decimal = /^\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,4})?)\s*$/

const numeric = (value: JsonValue): string | undefined => {
  const written = typeof value === "boolean" || isContainer(value) ? undefined : text(value)
  if (written === undefined || written.length > maxNumericDigits) return undefined
  const number = decimal.exec(written)?.[1]
  if (number === undefined || Math.abs(Number(/[eE](.*)$/.exec(number)?.[1] ?? 0)) > maxNumericDigits) return undefined
  return plainDecimal(number)
}

const uuid = /^[\da-f]{8}-?(?:[\da-f]{4}-?){3}[\da-f]{12}$/
const macaddr =
  /^(?:[\da-f]{2}(?:(?::[\da-f]{2}){5}|(?:-[\da-f]{2}){5})|[\da-f]{4}(?:\.[\da-f]{4}){2}|[\da-f]{6}[:-]?[\da-f]{6})$/

/** Text that `accepts` after trimming and lower-casing it. */
const formatted = (value: JsonValue, accepts: (text: string) => boolean): string | undefined => {
  if (typeof value !== "string") return undefined
  const normal = value.trim().toLowerCase()
  return accepts(normal) ? normal : undefined
}

const isNetwork = (address: string): boolean => {
  const network = parseNetwork(address)
  return network !== undefined && hasNoHostBits(network)
}

const list = <A extends JsonValue>(
  value: JsonValue,
  element: (value: JsonValue) => A | undefined
): ReadonlyArray<A | null> | undefined => {
  if (!Array.isArray(value)) return undefined
  const converted: Array<A | null> = []
  for (const given of value as ReadonlyArray<JsonValue>) {
    const kept = given === null ? null : element(given)
    if (kept === undefined) return undefined
    converted.push(kept)
  }
  return converted
}

/**
 * A JSON value, not null, as the value of a column; `undefined` when it cannot be one without change. Nothing is guessed,
 * cut or clamped: who maps a field to a type wants to know when it does not fit.
 */
export const convert = (type: ColumnType, value: JsonValue, unit: TimeUnit): Value | undefined => {
  switch (type) {
    case "text":
      return text(value)
    case "int4":
      return wholeInt4(value)
    case "int8":
      return wholeInt8(value)
    case "float8":
      return float8(value) ?? undefined
    case "numeric":
      return numeric(value)
    case "bool":
      return bool(value) ?? undefined
    case "timestamptz":
      return parseTimestampIn(value, unit)
    case "date":
      return formatted(value, isDate)
    case "uuid":
      return formatted(value, (text) => uuid.test(text))
    case "inet":
      return formatted(value, (text) => parseNetwork(text) !== undefined)
    case "cidr":
      return formatted(value, isNetwork)
    case "macaddr":
      return formatted(value, (text) => macaddr.test(text))
    case "jsonb":
      return value
    case "bytea":
      return typeof value === "string" ? decodeBase64(value) : undefined
    case "text[]":
      return list(value, (element) => (isContainer(element) ? undefined : text(element)))
    case "int8[]":
      return list(value, wholeInt8)
  }
}

/** {@link convert} of text in the mapping itself; for JSON and array columns it is JSON text. */
export const convertText = (type: ColumnType, written: string, unit: TimeUnit): Value | undefined => {
  if (type !== "jsonb" && type !== "text[]" && type !== "int8[]") return convert(type, written, unit)
  const parsed = parseJson(written)
  return parsed._tag === "Json" ? convert(type, parsed.value, unit) : undefined
}
