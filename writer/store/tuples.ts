import { jsonText } from "../decode/json.ts"
import { hasNoHostBits, parseNetwork } from "../fields/ip.ts"
import { isDate } from "../fields/time.ts"
import type { Ascii } from "../tables/ascii.ts"
import type { JsonValue, Micros } from "../tables/table.ts"

/** Microseconds from 1970-01-01 to 2000-01-01 UTC, where PostgreSQL's binary timestamps begin. */
const postgresEpochMicros = 946_684_800_000_000
const postgresEpochDays = 10_957
const millisPerDay = 86_400_000

const two32 = 4_294_967_296

/** Up to this length a loop over ASCII characters is faster than the call into native code. */
const shortText = 40

const hexDigit = (code: number): number => {
  if (code >= 48 && code <= 57) return code - 48
  const lower = code | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}

const decimal = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,6}))?$/
/** Digits of a `numeric` before and behind the point. Source: PostgreSQL, "Numeric Types". */
const numericLimits = { integer: 131_072, fraction: 16_383 }

/**
 * A growing buffer of binary COPY tuples. Each method appends one field: its length in bytes (int32), then its content in the
 * form of the type's `recv` function in PostgreSQL. Methods that take text of a certain form say whether it has that form;
 * when it has not, what they appended is to be taken back.
 */
export class Tuples {
  /** Bytes in use. */
  length = 0
  #bytes: Buffer
  #view: DataView

  /** @param memory how many bytes to begin with, or the memory to begin with */
  constructor(memory: number | ArrayBuffer) {
    this.#bytes = typeof memory === "number" ? Buffer.allocUnsafeSlow(memory) : Buffer.from(memory)
    this.#view = new DataView(this.#bytes.buffer)
  }

  /** What was appended, without a copy: the buffer must not be appended to any more. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length)
  }

  #need(more: number): void {
    const needed = this.length + more
    if (needed <= this.#bytes.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2))
    this.#bytes.copy(grown, 0, 0, this.length)
    this.#bytes = grown
    this.#view = new DataView(grown.buffer)
  }

  /** Begins a tuple. */
  begin(columns: number): void {
    this.#need(2)
    this.#view.setInt16(this.length, columns)
    this.length += 2
  }

  null(): void {
    this.#need(4)
    this.#view.setInt32(this.length, -1)
    this.length += 4
  }

  bool(value: boolean): void {
    this.#need(5)
    this.#view.setInt32(this.length, 1)
    this.#bytes[this.length + 4] = value ? 1 : 0
    this.length += 5
  }

  int4(value: number): boolean {
    if ((value | 0) !== value) return false
    this.#need(8)
    this.#view.setInt32(this.length, 4)
    this.#view.setInt32(this.length + 4, value)
    this.length += 8
    return true
  }

  int8(value: number | bigint): boolean {
    this.#need(12)
    if (typeof value === "bigint") {
      if (BigInt.asIntN(64, value) !== value) return false
      this.#view.setBigInt64(this.length + 4, value)
    } else {
      if (!Number.isSafeInteger(value)) return false
      const high = Math.floor(value / two32)
      this.#view.setInt32(this.length + 4, high)
      this.#view.setUint32(this.length + 8, value - high * two32)
    }
    this.#view.setInt32(this.length, 8)
    this.length += 12
    return true
  }

  float8(value: number): void {
    this.#need(12)
    this.#view.setInt32(this.length, 8)
    this.#view.setFloat64(this.length + 4, value)
    this.length += 12
  }

  timestamptz(value: Micros): boolean {
    const shifted = Number(value) - postgresEpochMicros
    return this.int8(
      typeof value === "number" && Number.isSafeInteger(shifted) ? shifted : BigInt(value) - BigInt(postgresEpochMicros)
    )
  }

  text(value: string): void {
    const { length } = value
    this.#need(4 + length * 3)
    const at = this.length + 4
    let written = 0
    if (length <= shortText) {
      const bytes = this.#bytes
      for (; written < length; written++) {
        const code = value.charCodeAt(written)
        if (code > 127) break
        bytes[at + written] = code
      }
    }
    if (written < length) written = this.#bytes.write(value, at, "utf8")
    this.#view.setInt32(this.length, written)
    this.length = at + written
  }

  ascii({ bytes, start, end }: Ascii): void {
    const length = end - start
    this.#need(4 + length)
    const at = this.length + 4
    const target = this.#bytes
    if (length <= shortText) for (let i = 0; i < length; i++) target[at + i] = bytes[start + i]!
    else target.set(bytes.subarray(start, end), at)
    this.#view.setInt32(this.length, length)
    this.length = at + length
  }

  /** A JSON document as text. */
  json(value: JsonValue): void {
    this.text(jsonText(value))
  }

  /** A JSON document for a jsonb column: a version byte, then its text. */
  jsonb(value: JsonValue): void {
    const text = jsonText(value)
    this.#need(5 + text.length * 3)
    const at = this.length + 4
    this.#bytes[at] = 1
    const written = this.#bytes.write(text, at + 1, "utf8")
    this.#view.setInt32(this.length, written + 1)
    this.length = at + 1 + written
  }

  bytea(value: Uint8Array): void {
    this.#need(4 + value.length)
    this.#view.setInt32(this.length, value.length)
    this.#bytes.set(value, this.length + 4)
    this.length += 4 + value.length
  }

  /** 32 hex digits, with or without dashes. */
  uuid(value: string): boolean {
    return this.#hex(value, 16, 45)
  }

  /** 12 hex digits, with or without separators. */
  macaddr(value: string): boolean {
    return this.#hex(value.includes(":") ? value : value.replaceAll(/[.-]/g, ":"), 6, 58)
  }

  #hex(value: string, size: number, separator: number): boolean {
    this.#need(4 + size)
    let at = this.length + 4
    const end = at + size
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i)
      if (code === separator) continue
      const high = hexDigit(code)
      const low = hexDigit(value.charCodeAt(++i))
      if (high < 0 || low < 0 || at === end) return false
      this.#bytes[at++] = (high << 4) | low
    }
    if (at !== end) return false
    this.#view.setInt32(this.length, size)
    this.length = end
    return true
  }

  /** `YYYY-MM-DD`, years 1 to 9999. */
  date(value: string): boolean {
    return isDate(value) && this.int4(Date.parse(`${value}T00:00:00Z`) / millisPerDay - postgresEpochDays)
  }

  /** An IPv4 or IPv6 address, with a prefix length or without; `network`: a cidr, whose bits behind the prefix are zero. */
  address(value: string, network: boolean): boolean {
    const parsed = parseNetwork(value)
    if (parsed === undefined || (network && !hasNoHostBits(parsed))) return false
    const { bytes, prefix } = parsed
    this.#need(8 + bytes.length)
    let at = this.length
    this.#view.setInt32(at, 4 + bytes.length)
    at += 4
    // PostgreSQL's own numbers for the address families.
    this.#bytes[at++] = bytes.length === 4 ? 2 : 3
    this.#bytes[at++] = prefix
    this.#bytes[at++] = network ? 1 : 0
    this.#bytes[at++] = bytes.length
    this.#bytes.set(bytes, at)
    this.length = at + bytes.length
    return true
  }

  /** Decimal text with or without exponent, `NaN`, `Infinity`, `-Infinity`. Digits are of base 10000. */
  numeric(value: string): boolean {
    const special = { NaN: 0xc000, Infinity: 0xd000, "-Infinity": 0xf000 }[value]
    if (special !== undefined) return this.#numeric([], 0, special, 0)
    const match = decimal.exec(value)
    if (!match) return false
    const exponent = Number(match[4] ?? 0)
    const fraction = match[3] ?? ""
    const digits = match[2]! + fraction
    if (digits === "") return false
    const scale = Math.max(0, fraction.length - exponent)
    // The point stands this many digits from the left.
    const point = match[2]!.length + exponent
    if (scale > numericLimits.fraction || point > numericLimits.integer) return false
    const lead = point >= 0 ? (4 - (point % 4)) % 4 : -point % 4
    const padded = "0".repeat(lead) + digits
    const groups: Array<number> = []
    for (let i = 0; i < padded.length; i += 4) groups.push(Number(padded.slice(i, i + 4).padEnd(4, "0")))
    let weight = Math.ceil(point / 4) - 1
    let first = 0
    while (first < groups.length && groups[first] === 0) {
      first++
      weight--
    }
    let end = groups.length
    while (end > first && groups[end - 1] === 0) end--
    if (first === end) return this.#numeric([], 0, 0, scale)
    return this.#numeric(groups.slice(first, end), weight, match[1] === "-" ? 0x4000 : 0, scale)
  }

  #numeric(digits: ReadonlyArray<number>, weight: number, sign: number, scale: number): boolean {
    this.#need(12 + digits.length * 2)
    const view = this.#view
    let at = this.length
    view.setInt32(at, 8 + digits.length * 2)
    view.setInt16(at + 4, digits.length)
    view.setInt16(at + 6, weight)
    view.setUint16(at + 8, sign)
    view.setUint16(at + 10, scale)
    at += 12
    for (const digit of digits) {
      view.setInt16(at, digit)
      at += 2
    }
    this.length = at
    return true
  }

  /** A one-dimensional array; `element` appends one element. */
  array<A>(values: ReadonlyArray<A | null>, elementOid: number, element: (value: A) => boolean): boolean {
    this.#need(24)
    const at = this.length
    this.length += 4
    this.#int32(values.length === 0 ? 0 : 1)
    this.#int32(values.includes(null) ? 1 : 0)
    this.#int32(elementOid)
    if (values.length > 0) {
      this.#int32(values.length)
      this.#int32(1)
    }
    for (const value of values) {
      if (value === null) this.null()
      else if (!element(value)) return false
    }
    this.#view.setInt32(at, this.length - at - 4)
    return true
  }

  #int32(value: number): void {
    this.#view.setInt32(this.length, value)
    this.length += 4
  }
}
