import type { JsonValue, Micros } from "../tables/table.ts"
import { writtenInteger } from "./values.ts"

/** 0001-01-01T00:00:00Z. */
const firstSecond = -62_135_596_800
/** 9999-12-31T23:59:59Z. */
const lastSecond = 253_402_300_799

/** `seconds` since 1970 and `micros` of the second, or `undefined` outside `earliest` and the end of the year 9999. */
const instant = (seconds: number, micros: number, earliest: number): Micros | undefined => {
  if (!(seconds >= earliest && seconds <= lastSecond)) return undefined
  const exact = seconds * 1_000_000 + micros
  return Number.isSafeInteger(exact) ? exact : BigInt(seconds) * 1_000_000n + BigInt(micros)
}

const floorDivide = (a: bigint, b: bigint): bigint => (a < 0n ? -((b - 1n - a) / b) : a / b)

const instantOfMicros = (micros: bigint, earliest: number): Micros | undefined => {
  const seconds = floorDivide(micros, 1_000_000n)
  return instant(Number(seconds), Number(micros - seconds * 1_000_000n), earliest)
}

/** Powers of ten between a unit and the microsecond. */
const unitShift = { s: 6, ms: 3, us: 0, ns: -3 } as const
export type EpochUnit = keyof typeof unitShift

/** Unit of a positive number by its size: right for every time since 1973 in seconds or milliseconds, or finer. */
const unitOf = (n: number | bigint): EpochUnit => (n < 1e11 ? "s" : n < 1e14 ? "ms" : n < 1e17 ? "us" : "ns")

const decimal = /^\s*([+-]?)(\d+)(?:\.(\d+))?\s*$/
/** Nanoseconds of the year 9999 have 21 digits. */
const maxWholeDigits = 21
/** Further digits cannot change a rounded microsecond by more than a tie; cutting them bounds the work. */
const maxFractionDigits = 20

/**
 * Time of a decimal number. Whole nanoseconds are cut to microseconds; a number with a fraction is rounded to the nearest.
 *
 * @param unit `undefined`: by size, and zero and less are no time
 */
const fromDecimal = (text: string, unit: EpochUnit | undefined, earliest: number): Micros | undefined => {
  const [, sign, digits = "", longFraction = ""] = decimal.exec(text) ?? []
  const whole = digits.replace(/^0+(?=\d)/, "")
  if (sign === undefined || whole.length > maxWholeDigits) return undefined
  if (unit === undefined && (sign === "-" || whole === "0")) return undefined
  const fraction = longFraction.slice(0, maxFractionDigits)
  const magnitude = BigInt(whole + fraction)
  const value = sign === "-" ? -magnitude : magnitude
  const shift = unitShift[unit ?? unitOf(BigInt(whole))] - fraction.length
  if (shift >= 0) return instantOfMicros(value * 10n ** BigInt(shift), earliest)
  const divisor = 10n ** BigInt(-shift)
  const micros = fraction === "" ? floorDivide(value, divisor) : floorDivide(2n * value + divisor, 2n * divisor)
  return instantOfMicros(micros, earliest)
}

const fromBigint = (n: bigint): Micros | undefined => {
  if (n <= 0n) return undefined
  const unit = unitOf(n)
  return instantOfMicros(unit === "ns" ? n / 1000n : n * 10n ** BigInt(unitShift[unit]), 0)
}

const fromNumber = (n: number): Micros | undefined => {
  if (!Number.isInteger(n)) return fromDecimal(String(n), undefined, 0)
  if (n <= 0) return undefined
  if (n < 1e11) return instant(n, 0, 0)
  if (n < 1e14) return instant(Math.floor(n / 1000), (n % 1000) * 1000, 0)
  return Number.isSafeInteger(n) ? n : fromBigint(writtenInteger(n))
}

/** Value of a decimal digit, `NaN` for anything else, which makes every comparison with it false. */
const digit = (text: string, at: number): number => {
  const value = text.charCodeAt(at) - 48
  return value >= 0 && value <= 9 ? value : Number.NaN
}
const twoDigits = (text: string, at: number): number => digit(text, at) * 10 + digit(text, at + 1)

const daysOfMonth = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
const isLeapYear = (year: number): boolean => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)

/** Days from 1970-01-01 to the `YYYY-MM-DD` that `text` begins with, years 1 to 9999; `NaN` when it is no such date. */
const daysOfDate = (text: string): number => {
  if (text[4] !== "-" || text[7] !== "-") return Number.NaN
  const year = twoDigits(text, 0) * 100 + twoDigits(text, 2)
  const month = twoDigits(text, 5)
  const day = twoDigits(text, 8)
  const length = month === 2 && isLeapYear(year) ? 29 : daysOfMonth[month - 1]
  if (length === undefined || !(day >= 1 && day <= length && year >= 1)) return Number.NaN
  // A year that begins in March has its leap day at the end, so the first day of each month is linear in the month.
  const marchYear = month <= 2 ? year - 1 : year
  const marchMonth = month <= 2 ? month + 9 : month - 3
  const leapDays = Math.floor(marchYear / 4) - Math.floor(marchYear / 100) + Math.floor(marchYear / 400)
  return 365 * marchYear + leapDays + Math.floor((153 * marchMonth + 2) / 5) + day - 1 - 719_468
}

/** Offset in seconds written at `text[at]` up to its end: nothing, `Z`, `±hh:mm` or `±hhmm`; else `NaN`. */
const offsetSeconds = (text: string, at: number): number => {
  const sign = text[at]
  if (sign === undefined) return 0
  if (sign === "Z" || sign === "z") return text.length === at + 1 ? 0 : Number.NaN
  if (sign !== "+" && sign !== "-") return Number.NaN
  const colon = text[at + 3] === ":" ? 1 : 0
  const hours = twoDigits(text, at + 1)
  const minutes = twoDigits(text, at + 3 + colon)
  if (text.length !== at + 5 + colon || !(hours <= 23 && minutes <= 59)) return Number.NaN
  return (hours * 3600 + minutes * 60) * (sign === "-" ? -1 : 1)
}

/**
 * ISO 8601 date and time, separated by `T`, `t` or a blank; a fraction of any length is cut to microseconds; no zone is UTC.
 * Leap seconds and dates that do not exist are no time.
 */
const fromIso = (text: string, earliest: number): Micros | undefined => {
  const separator = text[10]
  if (separator !== "T" && separator !== " " && separator !== "t") return undefined
  if (text[13] !== ":" || text[16] !== ":") return undefined
  const hours = twoDigits(text, 11)
  const minutes = twoDigits(text, 14)
  const seconds = twoDigits(text, 17)
  if (!(hours <= 23 && minutes <= 59 && seconds <= 59)) return undefined
  let at = 19
  let micros = 0
  if (text[at] === "." || text[at] === ",") {
    const first = ++at
    let unit = 100_000
    for (let value = digit(text, at); value >= 0; value = digit(text, ++at)) {
      if (unit >= 1) micros += value * unit
      unit /= 10
    }
    if (at === first) return undefined
  }
  const sinceEpoch = daysOfDate(text) * 86_400 + hours * 3600 + minutes * 60 + seconds - offsetSeconds(text, at)
  return instant(sinceEpoch, micros, earliest)
}

const fromText = (text: string, earliest: number): Micros | undefined => {
  const trimmed = text.trim()
  return trimmed[4] === "-" ? fromIso(trimmed, earliest) : fromDecimal(trimmed, undefined, earliest)
}

/**
 * Time of a payload value as microseconds since 1970: a number of seconds to nanoseconds told by its size, or ISO 8601.
 * `undefined` for what is unknown: zero and less, dates before 1970 (such as Go's zero time) or after 9999, anything else.
 */
export const parseTimestamp = (value: JsonValue | undefined): Micros | undefined => {
  if (typeof value === "string") return fromText(value, 0)
  if (typeof value === "number") return fromNumber(value)
  return typeof value === "bigint" ? fromBigint(value) : undefined
}

/**
 * Time of a payload value whose form is declared, years 1 to 9999, zero and less included.
 *
 * @param unit `undefined`: recognised as in {@link parseTimestamp}, but ISO 8601 may lie before 1970
 */
export const parseTimestampIn = (value: JsonValue, unit: EpochUnit | "RFC3339" | undefined): Micros | undefined => {
  if (unit === "RFC3339") return typeof value === "string" ? fromIso(value.trim(), firstSecond) : undefined
  if (unit === undefined) return typeof value === "string" ? fromText(value, firstSecond) : parseTimestamp(value)
  return typeof value === "string" || typeof value === "number" || typeof value === "bigint"
    ? fromDecimal(String(value), unit, firstSecond)
    : undefined
}

/** Whether `text` is a day of the years 1 to 9999 as `YYYY-MM-DD`. */
export const isDate = (text: string): boolean => text.length === 10 && !Number.isNaN(daysOfDate(text))

/** RFC 3339 text in UTC with six digits of fraction; years 1 to 9999. */
export const formatTimestamp = (micros: Micros): string => {
  const millis = floorDivide(BigInt(micros), 1000n)
  const rest = BigInt(micros) - millis * 1000n
  return `${new Date(Number(millis)).toISOString().slice(0, -1)}${String(rest).padStart(3, "0")}Z`
}
