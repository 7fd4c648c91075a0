import { narrowed, setMember } from "../fields/values.ts"
import type { JsonObject, JsonValue } from "../tables/table.ts"
import type { MessageType } from "./protobuf.ts"
import { messageType } from "./protobuf.ts"

/** The parts that OTLP requests of all signals share. Source: opentelemetry-proto, common/v1 and resource/v1. */

export interface AnyValue {
  readonly stringValue?: string
  readonly boolValue?: boolean
  readonly intValue?: bigint
  readonly doubleValue?: number
  readonly arrayValue?: { readonly values?: ReadonlyArray<AnyValue> }
  readonly kvlistValue?: { readonly values?: ReadonlyArray<KeyValue> }
  readonly bytesValue?: Uint8Array
}

export interface KeyValue {
  readonly key?: string
  readonly value?: AnyValue
}

export const AnyValue: MessageType<AnyValue> = messageType<AnyValue>({
  stringValue: { number: 1, type: "string", oneof: "value" },
  boolValue: { number: 2, type: "bool", oneof: "value" },
  intValue: { number: 3, type: "int64", oneof: "value" },
  doubleValue: { number: 4, type: "double", oneof: "value" },
  arrayValue: { number: 5, type: () => ArrayValue, oneof: "value" },
  kvlistValue: { number: 6, type: () => KeyValueList, oneof: "value" },
  bytesValue: { number: 7, type: "bytes", oneof: "value" }
})

export const KeyValue = messageType<KeyValue>({
  key: { number: 1, type: "string" },
  value: { number: 2, type: AnyValue }
})

const ArrayValue = messageType<{ readonly values?: ReadonlyArray<AnyValue> }>({
  values: { number: 1, type: AnyValue, repeated: true }
})

const KeyValueList = messageType<{ readonly values?: ReadonlyArray<KeyValue> }>({
  values: { number: 1, type: KeyValue, repeated: true }
})

export interface Resource {
  readonly attributes?: ReadonlyArray<KeyValue>
}

export const Resource = messageType<Resource>({ attributes: { number: 1, type: KeyValue, repeated: true } }, [
  { number: 2, type: "uint32" }
])

export interface InstrumentationScope {
  readonly name?: string
  readonly version?: string
  readonly attributes?: ReadonlyArray<KeyValue>
}

export const InstrumentationScope = messageType<InstrumentationScope>(
  {
    name: { number: 1, type: "string" },
    version: { number: 2, type: "string" },
    attributes: { number: 3, type: KeyValue, repeated: true }
  },
  [{ number: 4, type: "uint32" }]
)

/** An attribute's value as JSON: bytes as base64, doubles that JSON does not know by their name, an unset one as null. */
export const anyValue = (value: AnyValue | undefined): JsonValue => {
  if (value === undefined) return null
  if (value.stringValue !== undefined) return value.stringValue
  if (value.boolValue !== undefined) return value.boolValue
  if (value.intValue !== undefined) return narrowed(value.intValue)
  if (value.doubleValue !== undefined) {
    return Number.isFinite(value.doubleValue) ? value.doubleValue : String(value.doubleValue)
  }
  if (value.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(anyValue)
  if (value.kvlistValue !== undefined) return attributes(value.kvlistValue.values)
  if (value.bytesValue !== undefined) return Buffer.from(value.bytesValue).toString("base64")
  return null
}

/** Attributes as a JSON object: empty keys are left out, of duplicate keys the last counts. */
export const attributes = (list: ReadonlyArray<KeyValue> | undefined): JsonObject => {
  const object: Record<string, JsonValue> = {}
  for (const { key, value } of list ?? []) if (key !== undefined && key !== "") setMember(object, key, anyValue(value))
  return object
}
