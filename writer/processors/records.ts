import { isEnvelope, openEnvelope } from "../decode/cloudevents.ts"
import type { DecodeProtobuf, Payload } from "../decode/payload.ts"
import { decodePayload } from "../decode/payload.ts"
import { isObject } from "../fields/values.ts"
import type { JsonArray, JsonObject, JsonValue } from "../tables/table.ts"
import type { ElementFault, Message, Outcome, RowSink } from "./processor.ts"

/** How many rows went to the sink, or the reason why the record cannot be written; then none went there. */
export type Mapped = number | string

/** A JSON object that is to become rows, and where it comes from. */
export interface JsonRecord {
  readonly object: JsonObject
  /** Its place in the message: index in the array, 0 for a lone object. */
  readonly index: number
  /** `time` of the CloudEvents envelope around it. */
  readonly envelopeTime: JsonValue | undefined
}

/** What a processor knows about its records. `A` is the protobuf message that its stream may carry. */
export interface RecordMapping<A> {
  /** Whether CloudEvents envelopes are opened. */
  readonly envelopes: boolean
  readonly json: (record: JsonRecord, message: Message, sink: RowSink) => Mapped
  readonly protobuf?: {
    readonly decode: DecodeProtobuf<A>
    readonly map: (value: A, envelopeTime: JsonValue | undefined, message: Message, sink: RowSink) => Mapped
  }
}

/** Most rows of one message, so that a small payload of empty records cannot fill the memory. */
export const maxRows = 65_536

const written: Outcome = { _tag: "Rows" }
const noRows: Outcome = { _tag: "Dropped", reason: "no_rows" }
const emptyPayload: Outcome = { _tag: "Dropped", reason: "empty_payload" }
const tooManyRows: Outcome = {
  _tag: "DeadLetter",
  reason: "payload_too_large",
  detail: `a message may hold at most ${maxRows} records`
}

const outcomeOf = (mapped: Mapped): Outcome =>
  typeof mapped === "string" ? { _tag: "DeadLetter", reason: mapped } : mapped === 0 ? noRows : written

/** A message's records become rows: the rules that hold for every kind of record. */
export const mapRecords = <A>(mapping: RecordMapping<A>, message: Message, sink: RowSink): Outcome =>
  mapPayload(mapping, decodePayload(message.data, mapping.protobuf?.decode), undefined, message, sink)

/** @param envelope the opened envelope that the payload was in */
const mapPayload = <A>(
  mapping: RecordMapping<A>,
  payload: Payload<A>,
  envelope: JsonObject | undefined,
  message: Message,
  sink: RowSink
): Outcome => {
  switch (payload._tag) {
    case "Empty":
      return emptyPayload
    case "Fault":
      return { ...payload, _tag: "DeadLetter" }
    case "Protobuf":
      return outcomeOf(mapping.protobuf?.map(payload.message, envelope?.["time"], message, sink) ?? 0)
    case "Json": {
      const { value } = payload
      if (!isObject(value)) return mapArray(mapping, value, envelope, message, sink)
      if (mapping.envelopes && envelope === undefined && isEnvelope(value)) {
        return mapPayload(mapping, openEnvelope(value, mapping.protobuf?.decode), value, message, sink)
      }
      return outcomeOf(mapping.json({ object: value, index: 0, envelopeTime: envelope?.["time"] }, message, sink))
    }
  }
}

/** The good elements are written, the others are dead letters of their own, unless no element is good. */
const mapArray = <A>(
  mapping: RecordMapping<A>,
  elements: JsonArray,
  envelope: JsonObject | undefined,
  message: Message,
  sink: RowSink
): Outcome => {
  if (elements.length > maxRows) return tooManyRows
  let rows = 0
  let faults: Array<ElementFault> | undefined
  for (let index = 0; index < elements.length; index++) {
    const mapped = mapElement(mapping, elements[index], index, envelope, message, sink)
    if (typeof mapped === "string") (faults ??= []).push({ index, reason: mapped })
    else if ((rows += mapped) > maxRows) return tooManyRows
  }
  const [firstFault] = faults ?? []
  if (faults === undefined || firstFault === undefined) return rows === 0 ? noRows : written
  return rows === 0
    ? { _tag: "DeadLetter", reason: firstFault.reason, elements: faults }
    : { _tag: "Rows", elements: faults }
}

const mapElement = <A>(
  mapping: RecordMapping<A>,
  element: JsonValue | undefined,
  index: number,
  envelope: JsonObject | undefined,
  message: Message,
  sink: RowSink
): Mapped => {
  if (!isObject(element)) return "unsupported_type"
  if (!mapping.envelopes || envelope !== undefined || !isEnvelope(element)) {
    return mapping.json({ object: element, index, envelopeTime: envelope?.["time"] }, message, sink)
  }
  const payload = openEnvelope(element, mapping.protobuf?.decode)
  switch (payload._tag) {
    case "Empty":
      return 0
    case "Fault":
      return payload.reason
    case "Protobuf":
      return mapping.protobuf?.map(payload.message, element["time"], message, sink) ?? 0
    case "Json":
      return isObject(payload.value)
        ? mapping.json({ object: payload.value, index, envelopeTime: element["time"] }, message, sink)
        : "unsupported_type"
  }
}
