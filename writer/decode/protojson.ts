import { bool, float8, int8, isContainer, isObject, text } from "../fields/values.ts"
import type { JsonObject, JsonValue } from "../tables/table.ts"
import type { Field, MessageType, Scalar } from "./protobuf.ts"
import { fieldMessage } from "./protobuf.ts"
import { decodeBase64 } from "./text.ts"

/**
 * The JSON form of protobuf messages, into the same objects that the binary form gives. Names are camelCase or as in the
 * .proto file, 64-bit integers are numbers or strings, bytes are base64. A scalar of another type counts as absent, like any
 * other optional field that cannot be read. Source: https://protobuf.dev/programming-guides/json/
 */

/** `field` had to hold a message, or a list, and does not. */
export class WrongShape extends Error {
  readonly field: string
  constructor(field: string) {
    super(`${field} is not of its protobuf type`)
    this.field = field
  }
}

/**
 * Elements of a field of records as read from JSON: in the place of one that cannot be read is what is wrong with it,
 * `undefined` where it is no object.
 */
export type JsonRecords<T> = ReadonlyArray<T | Unreadable>

type Unreadable = WrongShape | undefined

/** Whether a record cannot be read. */
export const isUnreadable = (record: object | undefined): record is Unreadable =>
  record === undefined || record instanceof WrongShape

/** Why a record is a dead letter. */
export const reasonOf = (record: Unreadable): string =>
  record === undefined ? "unsupported_type" : `invalid_field:${record.field}`

const nonFinite: ReadonlyMap<JsonValue, number> = new Map([
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY]
])

const uint64Max = 18_446_744_073_709_551_615n
const digits = /^-?\d{1,20}$/

const integer64 = (value: JsonValue): bigint | undefined => {
  const written = typeof value === "string" ? value.trim() : text(value)
  if (written === null || typeof value === "boolean" || !digits.test(written)) return undefined
  const n = BigInt(written)
  return n <= uint64Max ? n : undefined
}

const scalar = (type: Scalar, value: JsonValue): unknown => {
  switch (type) {
    case "double":
      return nonFinite.get(value) ?? float8(value) ?? undefined
    case "fixed64":
    case "sfixed64":
    case "int64":
    case "uint64":
      return integer64(value)
    case "fixed32":
    case "int32":
    case "uint32":
    case "sint32": {
      const n = int8(value)
      return typeof n === "number" ? n : undefined
    }
    case "bool":
      return bool(value) ?? undefined
    case "string":
      return typeof value === "string" ? value : isContainer(value) ? undefined : (text(value) ?? undefined)
    case "bytes":
      return typeof value === "string" ? decodeBase64(value) : undefined
    case "hex":
      return typeof value === "string" ? value.trim().toLowerCase() : undefined
  }
}

const fieldValue = (name: string, field: Field, value: JsonValue): unknown => {
  const message = fieldMessage(field)
  if (message === undefined) {
    const named = typeof value === "string" ? field.names?.get(value.trim().toUpperCase()) : undefined
    return named ?? scalar(field.type as Scalar, value)
  }
  if (!isObject(value)) throw new WrongShape(name)
  return readMessage(message, value)
}

const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

const readMessage = (type: MessageType<object>, object: JsonObject): Record<string, unknown> => {
  const target: Record<string, unknown> = {}
  for (const [name, field] of type.byName) {
    const value = object[snakeCase(name)] ?? object[name]
    if (value === undefined || value === null) continue
    if (!field.repeated) {
      target[name] = fieldValue(name, field, value)
      continue
    }
    if (!Array.isArray(value)) throw new WrongShape(name)
    const message = field.records ? fieldMessage(field) : undefined
    target[name] = value.map((element: JsonValue) => {
      if (message === undefined) return fieldValue(name, field, element)
      return isObject(element) ? fromProtoJson(message, element) : undefined
    })
  }
  return target
}

/** Reads a message from its JSON form. */
export const fromProtoJson = <T extends object>(type: MessageType<T>, object: JsonObject): T | WrongShape => {
  try {
    return readMessage(type, object) as T
  } catch (cause) {
    if (cause instanceof WrongShape) return cause
    throw cause
  }
}
