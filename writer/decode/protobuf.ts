import { decodeUtf8, storable } from "./text.ts"

/**
 * A decoder of protobuf messages described as values. It is strict where that tells protobuf from other bytes: a message is
 * complete and its known fields have their wire types. Unknown fields are skipped. Source of the rules:
 * https://protobuf.dev/programming-guides/encoding/
 */

/**
 * Scalars of protobuf. 64-bit integers are decoded as bigints, bytes are a view of the input; `hex` are bytes decoded to
 * lower-case hex, which is how OTLP writes ids in JSON.
 */
export type Scalar =
  | "double"
  | "fixed32"
  | "fixed64"
  | "sfixed64"
  | "int32"
  | "int64"
  | "uint32"
  | "uint64"
  | "sint32"
  | "bool"
  | "string"
  | "bytes"
  | "hex"

export interface FieldType {
  readonly number: number
  /** A function where a message contains itself. */
  readonly type: Scalar | MessageType<object> | (() => MessageType<object>)
  readonly repeated?: true
  /** Whether an element that JSON has wrong fails alone, see `JsonRecords`; otherwise the whole message does. */
  readonly records?: true
  /** Values of an enum by the names, in capitals, that JSON may have for them. */
  readonly names?: ReadonlyMap<string, number>
  /** Fields with the same name exclude each other: the last on the wire counts. */
  readonly oneof?: string
}

/** A field with what decoding needs to know, worked out once. */
export interface Field extends FieldType {
  /** Name in the decoded object and in JSON; `undefined` for a field that is checked but not kept. */
  readonly name: string | undefined
  /** Names of the other fields of its oneof. */
  readonly excludes: ReadonlyArray<string>
}

/** A message whose decoded form is `T`. Absent fields are absent; there are no default values. */
export interface MessageType<out T extends object> {
  readonly byNumber: ReadonlyArray<Field | undefined>
  readonly byName: ReadonlyMap<string, Field>
  /** Never set: ties the description to its decoded form. */
  readonly decoded?: T
}

/**
 * Describes a message.
 *
 * @param kept fields by their name in JSON
 * @param checked fields whose form is checked although nobody reads them
 */
export const messageType = <T extends object>(
  kept: { readonly [K in keyof T]-?: FieldType },
  checked: ReadonlyArray<FieldType> = []
): MessageType<T> => {
  const byNumber: Array<Field | undefined> = []
  const byName = new Map<string, Field>()
  const types = Object.entries<FieldType>(kept)
  for (const [name, type] of types) {
    const excludes = types
      .filter(([other, { oneof }]) => oneof !== undefined && oneof === type.oneof && other !== name)
      .map(([other]) => other)
    const field = { ...type, name, excludes }
    byName.set(name, field)
    byNumber[type.number] = field
  }
  for (const field of checked) byNumber[field.number] = { ...field, name: undefined, excludes: [] }
  return { byNumber, byName }
}

export const fieldMessage = (field: Field): MessageType<object> | undefined =>
  typeof field.type === "function" ? field.type() : typeof field.type === "string" ? undefined : field.type

/** Deepest nesting of messages that is decoded, the default of the protobuf libraries. */
const maxDepth = 100
/** Most messages within one, so that a small payload of empty parts cannot fill the memory. */
const maxMessages = 1_000_000

class NotProtobuf extends Error {}

const varintWire = 0
const fixed64Wire = 1
const bytesWire = 2
const startGroupWire = 3
const endGroupWire = 4
const fixed32Wire = 5

const wireTypes: Readonly<Record<Scalar, number>> = {
  double: fixed64Wire,
  fixed32: fixed32Wire,
  fixed64: fixed64Wire,
  sfixed64: fixed64Wire,
  int32: varintWire,
  int64: varintWire,
  uint32: varintWire,
  uint64: varintWire,
  sint32: varintWire,
  bool: varintWire,
  string: bytesWire,
  bytes: bytesWire,
  hex: bytesWire
}

class Reader {
  position = 0
  messages = 0
  readonly #bytes: Uint8Array
  readonly #view: DataView

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Moves behind `length` bytes that must end at or before `end`, and returns where they begin. */
  advance(length: number, end: number): number {
    const start = this.position
    if (length > end - start) throw new NotProtobuf()
    this.position = start + length
    return start
  }

  varint(end: number): bigint {
    const start = this.position
    let low = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte(end)
      low += (byte & 0x7f) << shift
      if (byte < 0x80) return BigInt(low)
    }
    let value = BigInt(low)
    for (let shift = 28n; this.position < start + 10; shift += 7n) {
      const byte = this.#byte(end)
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asUintN(64, value)
    }
    throw new NotProtobuf()
  }

  /** A varint that fits 32 bits: tags and lengths. */
  varint32(end: number): number {
    const byte = this.#byte(end)
    if (byte < 0x80) return byte
    this.position--
    const value = this.varint(end)
    if (value > 0xffff_ffffn) throw new NotProtobuf()
    return Number(value)
  }

  /** Moves behind a length and the bytes it counts, and returns where those end. */
  length(end: number): number {
    const length = this.varint32(end)
    if (length > end - this.position) throw new NotProtobuf()
    return this.position + length
  }

  scalar(type: Scalar, end: number): bigint | number | boolean | string | Uint8Array {
    switch (type) {
      case "double":
        return this.#view.getFloat64(this.advance(8, end), true)
      case "fixed32":
        return this.#view.getUint32(this.advance(4, end), true)
      case "fixed64":
        return this.#view.getBigUint64(this.advance(8, end), true)
      case "sfixed64":
        return this.#view.getBigInt64(this.advance(8, end), true)
      case "int32":
        return Number(BigInt.asIntN(32, this.varint(end)))
      case "int64":
        return BigInt.asIntN(64, this.varint(end))
      case "uint32":
        return Number(BigInt.asUintN(32, this.varint(end)))
      case "uint64":
        return this.varint(end)
      case "sint32": {
        const zigzag = Number(BigInt.asUintN(32, this.varint(end)))
        return (zigzag >>> 1) ^ -(zigzag & 1)
      }
      case "bool":
        return this.varint(end) !== 0n
      case "string":
        return storable(decodeUtf8(this.#slice(end)))
      case "bytes":
        return this.#slice(end)
      case "hex":
        return this.#hex(end)
    }
  }

  skip(number: number, wireType: number, end: number, depth: number): void {
    switch (wireType) {
      case varintWire:
        this.varint(end)
        return
      case fixed64Wire:
        this.advance(8, end)
        return
      case bytesWire:
        this.position = this.length(end)
        return
      case startGroupWire:
        if (depth >= maxDepth) throw new NotProtobuf()
        for (;;) {
          const tag = this.tag(end)
          if (tag % 8 === endGroupWire) {
            if (Math.floor(tag / 8) !== number) throw new NotProtobuf()
            return
          }
          this.skip(Math.floor(tag / 8), tag % 8, end, depth + 1)
        }
      case fixed32Wire:
        this.advance(4, end)
        return
      default:
        throw new NotProtobuf()
    }
  }

  /** Field number × 8 + wire type. */
  tag(end: number): number {
    const tag = this.varint32(end)
    if (tag < 8) throw new NotProtobuf()
    return tag
  }

  #byte(end: number): number {
    return this.#view.getUint8(this.advance(1, end))
  }

  #hex(end: number): string {
    const slice = this.#slice(end)
    return Buffer.from(slice.buffer, slice.byteOffset, slice.length).toString("hex")
  }

  #slice(end: number): Uint8Array {
    const sliceEnd = this.length(end)
    return this.#bytes.subarray(this.advance(sliceEnd - this.position, end), this.position)
  }
}

type Target = Record<string, unknown>

const append = (target: Target, name: string, value: unknown): void => {
  const list = target[name]
  if (Array.isArray(list)) list.push(value)
  else target[name] = [value]
}

const store = (target: Target, field: Field, value: unknown): void => {
  if (field.name === undefined) return
  if (field.repeated) {
    append(target, field.name, value)
    return
  }
  for (const other of field.excludes) if (target[other] !== undefined) target[other] = undefined
  target[field.name] = value
}

const readField = (
  reader: Reader,
  field: Field,
  wireType: number,
  end: number,
  target: Target,
  depth: number
): void => {
  const message = fieldMessage(field)
  if (message !== undefined) {
    if (wireType !== bytesWire) throw new NotProtobuf()
    // A singular message that comes in parts is merged.
    const earlier = field.repeated || field.name === undefined ? undefined : target[field.name]
    const part = (earlier ?? {}) as Target
    readMessage(reader, message, reader.length(end), part, depth + 1)
    store(target, field, part)
    return
  }
  const scalar = field.type as Scalar
  if (wireType === wireTypes[scalar]) {
    store(target, field, reader.scalar(scalar, end))
    return
  }
  if (!field.repeated || wireType !== bytesWire) throw new NotProtobuf()
  const packedEnd = reader.length(end)
  while (reader.position < packedEnd) store(target, field, reader.scalar(scalar, packedEnd))
}

const readMessage = (reader: Reader, type: MessageType<object>, end: number, target: Target, depth: number): void => {
  if (depth > maxDepth || ++reader.messages > maxMessages) throw new NotProtobuf()
  while (reader.position < end) {
    const tag = reader.tag(end)
    const number = Math.floor(tag / 8)
    const field = type.byNumber[number]
    if (field === undefined) reader.skip(number, tag % 8, end, depth)
    else readField(reader, field, tag % 8, end, target, depth)
  }
}

/** Decodes a message; `undefined` when the bytes are not a complete, well-formed one. Never throws. */
export const decodeProtobuf = <T extends object>(type: MessageType<T>, bytes: Uint8Array): T | undefined => {
  const target: Target = {}
  try {
    readMessage(new Reader(bytes), type, bytes.length, target, 1)
    return target as T
  } catch (cause) {
    if (cause instanceof NotProtobuf) return undefined
    throw cause
  }
}
