import { isEnvelope, openEnvelope } from "../decode/cloudevents.ts"
import type { DecodeProtobuf, Payload } from "../decode/payload.ts"
import { decodePayload } from "../decode/payload.ts"
import { isObject } from "../fields/values.ts"
import type { JsonArray, JsonObject, JsonValue } from "../tables/table.ts"
import type { ElementFault, Message, Outcome, RowSink } from "./processor.ts"

/** A record of many parts, of which some became `rows` and the others, at least one, cannot be written. */
export interface PartlyMapped {
  readonly rows: number
  readonly faults: ReadonlyArray<ElementFault>
}

/** How many rows went to the sink, or the reason why the record cannot be written; then none went there. */
export type Mapped = number | string | PartlyMapped

/** A JSON object that is to become rows, and where it comes from. */
export interface JsonRecord {
  readonly object: JsonObject
  /** Its place in the message: index in the array, 0 for a lone object. */
  readonly index: number
  /** The array's element that it came from, envelope and all; `undefined` when the message holds one record. */
  readonly element: JsonObject | undefined
  /** `time` of the CloudEvents envelope around it. */
  readonly envelopeTime: JsonValue | undefined
}

/** What a processor knows about its records. `A` is the protobuf message that its stream may carry. */
export interface RecordMapping<A> {
  /** Whether CloudEvents envelopes are opened. */
  readonly envelopes: boolean
  /** Field that text in an envelope is when it is no JSON; `undefined`: such text is malformed. */
  readonly textField?: string
  readonly json: (record: JsonRecord, message: Message, sink: RowSink) => Mapped
  readonly protobuf?: {
    readonly decode: DecodeProtobuf<A>
    readonly map: (value: A, envelopeTime: JsonValue | undefined, message: Message, sink: RowSink) => Mapped
  }
}

/** Most rows of one message, so that a small payload of empty records cannot fill the memory. */
export const maxRows = 65_536

/** All of a message became rows. */
export const written: Outcome = { _tag: "Rows" }
const noRows: Outcome = { _tag: "Dropped", reason: "no_rows" }
export const emptyPayload: Outcome = { _tag: "Dropped", reason: "empty_payload" }
const tooManyRows: Outcome = {
  _tag: "DeadLetter",
  reason: "payload_too_large",
  detail: `a message may hold at most ${maxRows} records`
}

/** The good parts are written, the others are dead letters of their own, unless no part is good. */
const outcomeOfParts = ({ rows, faults }: PartlyMapped): Outcome =>
  rows === 0 ? { _tag: "DeadLetter", reason: faults[0]!.reason, elements: faults } : { _tag: "Rows", elements: faults }

export const outcomeOf = (mapped: Mapped): Outcome => {
  if (typeof mapped === "string") return { _tag: "DeadLetter", reason: mapped }
  if (typeof mapped === "object") return outcomeOfParts(mapped)
  return mapped === 0 ? noRows : written
}

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
        return mapPayload(
          mapping,
          openEnvelope(value, mapping.protobuf?.decode, mapping.textField),
          value,
          message,
          sink
        )
      }
      return outcomeOf(
        mapping.json({ object: value, index: 0, element: undefined, envelopeTime: envelope?.["time"] }, message, sink)
      )
    }
  }
}

/**
 * Elements become rows one by one: the good ones are written, the others are dead letters of their own.
 *
 * @param sink is told which element comes next
 */
export const mapElements = <E>(
  elements: ReadonlyArray<E>,
  map: (element: E, index: number) => Mapped,
  sink: Pick<RowSink, "element">
): Outcome => {
  if (elements.length > maxRows) return tooManyRows
  let rows = 0
  let faults: Array<ElementFault> | undefined
  for (const [index, element] of elements.entries()) {
    sink.element?.(index)
    const mapped = map(element, index)
    const reason = typeof mapped === "object" ? mapped.faults[0]?.reason : mapped
    if (typeof reason === "string") (faults ??= []).push({ index, reason })
    rows += typeof mapped === "object" ? mapped.rows : typeof mapped === "number" ? mapped : 0
    if (rows > maxRows) return tooManyRows
  }
  return outcomeOf(faults === undefined ? rows : { rows, faults })
}

const mapArray = <A>(
  mapping: RecordMapping<A>,
  elements: JsonArray,
  envelope: JsonObject | undefined,
  message: Message,
  sink: RowSink
): Outcome => {
  // Parts of an element are no elements of the message.
  const inner = sink.element === undefined ? sink : { row: sink.row }
  return mapElements(elements, (element, index) => mapElement(mapping, element, index, envelope, message, inner), sink)
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
    return mapping.json({ object: element, index, element, envelopeTime: envelope?.["time"] }, message, sink)
  }
  const payload = openEnvelope(element, mapping.protobuf?.decode, mapping.textField)
  switch (payload._tag) {
    case "Empty":
      return 0
    case "Fault":
      return payload.reason
    case "Protobuf":
      return mapping.protobuf?.map(payload.message, element["time"], message, sink) ?? 0
    case "Json":
      return isObject(payload.value)
        ? mapping.json({ object: payload.value, index, element, envelopeTime: element["time"] }, message, sink)
        : "unsupported_type"
  }
}
