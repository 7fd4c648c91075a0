import type { Field, Members } from "../fields/field.ts"
import { parseTimestamp } from "../fields/time.ts"
import { bool, float8, text } from "../fields/values.ts"
import { Ascii } from "../tables/ascii.ts"
import type { JsonValue, Micros } from "../tables/table.ts"
import { parseJson } from "./json.ts"

/**
 * The fast way through the most common messages: JSON objects whose members are scalars, in plain ASCII without escapes. Their
 * bytes are looked through once, and text is copied from message to row without a string or an object in between, which takes
 * half the time of `JSON.parse` and leaves nothing to collect. Whatever is not of this form is for the full parser: a reader
 * never decides that a message is faulty.
 */

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const openBracket = 0x5b
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d
const minus = 0x2d
const plus = 0x2b
const point = 0x2e
const zero = 0x30
const nine = 0x39

/** Larger messages are for the full parser, which knows their limits. */
const maxBytes = 65_536

/** Offset that means: not of the form that is read here. */
const unfit = -1

const isDigit = (code: number | undefined): boolean => code !== undefined && code >= zero && code <= nine

const behindDigits = (bytes: Uint8Array, at: number): number => {
  while (isDigit(bytes[at])) at++
  return at
}

/** Offset behind the JSON number that begins at `at`. */
const behindNumber = (bytes: Uint8Array, at: number): number => {
  if (bytes[at] === minus) at++
  const whole = at
  at = behindDigits(bytes, at)
  if (at === whole || (bytes[whole] === zero && at > whole + 1)) return unfit
  if (bytes[at] === point) {
    const fraction = at + 1
    at = behindDigits(bytes, fraction)
    if (at === fraction) return unfit
  }
  if ((bytes[at]! | 0x20) !== 0x65) return at
  const sign = bytes[at + 1]
  const exponent = sign === minus || sign === plus ? at + 2 : at + 1
  at = behindDigits(bytes, exponent)
  return at === exponent ? unfit : at
}

/** 1 for characters that stand for themselves in a JSON string: printable ASCII but the quote and the backslash. */
const plain = Uint8Array.from({ length: 256 }, (_, code) =>
  code >= 0x20 && code <= 0x7e && code !== quote && code !== backslash ? 1 : 0
)

/** Offset of the quote that ends the string whose first character is at `at`. */
const endOfString = (bytes: Uint8Array, at: number): number => {
  const { length } = bytes
  while (at < length && plain[bytes[at]!] === 1) at++
  return bytes[at] === quote ? at : unfit
}

const behindBlanks = (bytes: Uint8Array, at: number): number => {
  for (;;) {
    const code = bytes[at]
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return at
    at++
  }
}

const [letterT, letterF, letterN] = [0x74, 0x66, 0x6e]
const [literalTrue, literalFalse, literalNull] = [Buffer.from("true"), Buffer.from("false"), Buffer.from("null")]

const startsWith = (bytes: Uint8Array, at: number, word: Uint8Array): boolean => {
  for (let i = 0; i < word.length; i++) if (bytes[at + i] !== word[i]) return false
  return true
}

/** Doubles are exact up to so many digits, and so are the powers of ten that a fraction of them is divided by. */
const exactDigits = 15
const powersOfTen = Array.from({ length: exactDigits + 1 }, (_, exponent) => 10 ** exponent)

/** A member by its name, with its value in the object that was read last. As text it is its own {@link Ascii}. */
class FlatField extends Ascii implements Field {
  readonly name: Uint8Array
  /** First byte of the value, a quote left out; 0 when the object has no such member. */
  kind = 0
  /** The field that came next the last time: producers write their members in one order. */
  next: FlatField | undefined
  #text = ""

  constructor(name: string) {
    super()
    this.name = Buffer.from(name)
  }

  /** The value as the full parser gives it; `undefined` when absent. */
  value(): JsonValue | undefined {
    switch (this.kind) {
      case 0:
        return undefined
      case quote:
        return this.toString()
      case letterN:
        return null
      case letterT:
        return true
      case letterF:
        return false
      default: {
        const parsed = parseJson(this.toString())
        return parsed._tag === "Json" ? parsed.value : undefined
      }
    }
  }

  /** A string of the text; the one of the last time where it is the same. */
  override toString(): string {
    const { bytes, start, end } = this
    const last = this.#text
    if (end - start === last.length) {
      let i = 0
      while (i < last.length && bytes[start + i] === last.charCodeAt(i)) i++
      if (i === last.length) return last
    }
    this.#text = Buffer.prototype.latin1Slice.call(bytes, start, end)
    return this.#text
  }

  /** As {@link text} of the value. */
  text(): Ascii | string | null {
    if (this.kind === 0) return null
    return this.kind === quote && this.bytes[this.start]! > 0x20 && this.start < this.end ? this : text(this.value())
  }

  /** As {@link text}, as a string. */
  string(): string | null {
    const found = this.text()
    return found === null ? null : String(found)
  }

  /** As {@link float8} of the value. */
  float8(): number | null {
    const { bytes, kind, end } = this
    if (kind === 0) return null
    if (kind !== minus && !isDigit(kind)) return float8(this.value())
    let digits = 0
    let fraction = -1
    for (let at = kind === minus ? this.start + 1 : this.start; at < end; at++) {
      const code = bytes[at]!
      if (code === point) fraction = end - at - 1
      else if (isDigit(code)) digits = digits * 10 + code - zero
      else return float8(this.value())
    }
    if (end - this.start > exactDigits) return float8(this.value())
    const magnitude = fraction > 0 ? digits / powersOfTen[fraction]! : digits
    return kind === minus ? -magnitude : magnitude
  }

  /** As {@link bool} of the value. */
  bool(): boolean | null {
    return this.kind === 0 ? null : bool(this.value())
  }

  /** As {@link parseTimestamp} of the value. */
  timestamp(): Micros | undefined {
    return this.kind === 0 ? undefined : parseTimestamp(this.value())
  }
}

/**
 * Reads messages that are an object, or an array of objects, with the fields that were asked for:
 *
 * ```
 * const records = flat.open(bytes) // 0: for the full parser
 * for (let i = 0; i < records; i++) map(flat.next())
 * ```
 */
export class FlatFields<M extends Members> {
  readonly #fields: Readonly<Record<keyof M, FlatField>>
  readonly #list: ReadonlyArray<FlatField>
  /** Members with which a record is for the full parser. */
  readonly #others: ReadonlySet<FlatField>
  /** Stands before the first member. */
  readonly #before = new FlatField("")
  #bytes: Uint8Array = new Uint8Array(0)
  #at = 0
  /** Whether the only object of the message was read by {@link open} already. */
  #read = false

  /**
   * @param members by their first spelling; with another one a record is for the full parser
   * @param others names of further members with which a record is for the full parser
   */
  constructor(members: M, others: ReadonlyArray<string>) {
    const fields = Object.entries(members).map(([key, [name]]) => [key, new FlatField(name!)] as const)
    const unread = [...Object.values(members).flatMap((names) => names.slice(1)), ...others]
    this.#fields = Object.fromEntries(fields) as Record<keyof M, FlatField>
    this.#others = new Set(unread.map((name) => new FlatField(name)))
    this.#list = [...fields.map(([, field]) => field), ...this.#others]
  }

  /** How many objects the message holds, 0 when it is for the full parser. */
  open(bytes: Uint8Array): number {
    if (bytes.length > maxBytes) return 0
    this.#bytes = bytes
    let at = behindBlanks(bytes, 0)
    let objects = 0
    if (bytes[at] === openBracket) {
      this.#at = at + 1
      do {
        at = this.#object(behindBlanks(bytes, at + 1))
        if (at === unfit) return 0
        objects++
        at = behindBlanks(bytes, at)
      } while (bytes[at] === comma)
      if (bytes[at] !== closeBracket) return 0
      at++
    } else {
      at = this.#object(at)
      if (at === unfit) return 0
      objects = 1
    }
    if (behindBlanks(bytes, at) !== bytes.length) return 0
    this.#read = objects === 1
    return objects
  }

  /** The fields of the next object, until the next call. */
  next(): Readonly<Record<keyof M, Field>> {
    if (this.#read) this.#read = false
    // Behind the opening bracket, and then behind the comma.
    else this.#at = behindBlanks(this.#bytes, this.#object(behindBlanks(this.#bytes, this.#at))) + 1
    return this.#fields
  }

  /** Reads the object that begins at `at` into the fields; the offset behind it. */
  #object(at: number): number {
    const bytes = this.#bytes
    if (bytes[at] !== openBrace) return unfit
    for (const field of this.#list) field.kind = 0
    let previous: FlatField | undefined = this.#before
    for (;;) {
      at = behindBlanks(bytes, at + 1)
      if (bytes[at] !== quote) return unfit // also the empty object, whose meaning depends on where it stands
      const start = at + 1
      let field: FlatField | undefined = previous?.next
      let end: number
      if (field !== undefined && startsWith(bytes, start, field.name) && bytes[start + field.name.length] === quote) {
        end = start + field.name.length
      } else {
        end = endOfString(bytes, start)
        if (end === unfit) return unfit
        field = this.#find(start, end)
        if (previous !== undefined) previous.next = field
      }
      if (field !== undefined && (field.kind !== 0 || this.#others.has(field))) return unfit
      at = behindBlanks(bytes, end + 1)
      if (bytes[at] !== colon) return unfit
      at = behindBlanks(bytes, at + 1)
      const kind = bytes[at]!
      const from = kind === quote ? at + 1 : at
      at = this.#behindScalar(kind, from)
      if (at === unfit) return unfit
      if (field !== undefined) {
        field.kind = kind
        field.bytes = bytes
        field.start = from
        field.end = kind === quote ? at - 1 : at
      }
      previous = field
      at = behindBlanks(bytes, at)
      if (bytes[at] === closeBrace) return at + 1
      if (bytes[at] !== comma) return unfit
    }
  }

  #behindScalar(kind: number, at: number): number {
    const bytes = this.#bytes
    if (kind === quote) {
      const end = endOfString(bytes, at)
      return end === unfit ? unfit : end + 1
    }
    if (kind === minus || isDigit(kind)) return behindNumber(bytes, at)
    const literal = kind === letterN ? literalNull : kind === letterT ? literalTrue : literalFalse
    return startsWith(bytes, at, literal) ? at + literal.length : unfit
  }

  #find(start: number, end: number): FlatField | undefined {
    return this.#list.find(({ name }) => name.length === end - start && startsWith(this.#bytes, start, name))
  }
}
