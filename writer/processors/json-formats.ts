import type { JsonConfig } from "../processor-config.ts"
import { binaryEvent, eventHeaders, isBinaryEvent, structuredEvent } from "../decode/cloudevent.ts"
import { decodeNumbersAsText, numbersAsText, parseJson } from "../decode/json.ts"
import { decodePayload, oversizeFault } from "../decode/payload.ts"
import { decodeUtf8Document } from "../decode/text.ts"
import { isBlank, isObject } from "../fields/values.ts"
import type { JsonArray, JsonObject, JsonValue } from "../tables/table.ts"
import type { RowMapper } from "./json-row.ts"
import type { Message, Outcome, RowSink } from "./processor.ts"
import type { Mapped, RecordMapping } from "./records.ts"
import { emptyPayload, mapElements, mapRecords, outcomeOf } from "./records.ts"

/** How a message's payload becomes rows of the one mapping that its subject has. */
type Read = (message: Message, sink: RowSink) => Outcome

const elementOf = (document: JsonValue | undefined, index: number): JsonValue | undefined =>
  Array.isArray(document) ? (document as JsonArray)[index] : document

/** An object, or an array of objects. */
const readJson = (rows: RowMapper): Read => {
  let exact: JsonValue | undefined
  const mapping: RecordMapping<never> = {
    envelopes: false,
    json: ({ object, index }, message, sink) => rows.map(object, elementOf(exact, index), message, sink)
  }
  return (message, sink) => {
    exact = rows.keepsDigits ? decodeNumbersAsText(message.data) : undefined
    return mapRecords(mapping, message, sink)
  }
}

/** An object per line; blank lines are none. */
const readLines =
  (rows: RowMapper): Read =>
  (message, sink) => {
    const oversize = oversizeFault(message.data)
    if (oversize !== undefined) return { ...oversize, _tag: "DeadLetter" }
    const lines = decodeUtf8Document(message.data)
      .split("\n")
      .filter((line) => !isBlank(line))
    if (lines.length === 0) return emptyPayload
    return mapElements(
      lines,
      (line): Mapped => {
        const parsed = parseJson(line)
        if (parsed._tag !== "Json") return "malformed_json"
        if (!isObject(parsed.value)) return "unsupported_type"
        return rows.map(parsed.value, rows.keepsDigits ? numbersAsText(line) : undefined, message, sink)
      },
      sink
    )
  }

const plainly = (text: string): JsonValue | undefined => {
  const parsed = parseJson(text)
  return parsed._tag === "Json" ? parsed.value : undefined
}
const exactly = (text: string): JsonValue | undefined => numbersAsText(text) ?? plainly(text)

/** An event in binary or structured mode, or an array of events. */
const readCloudEvents = (rows: RowMapper): Read => {
  const mapEvent = (
    event: JsonObject | string,
    exactEvent: () => JsonObject | string,
    message: Message,
    sink: RowSink
  ): Mapped => {
    if (typeof event === "string") return event
    const exact = rows.keepsDigits ? exactEvent() : undefined
    return rows.map(event, isObject(exact) ? exact : undefined, message, sink)
  }
  return (message, sink) => {
    const { data } = message
    const oversize = oversizeFault(data)
    if (oversize !== undefined) return { ...oversize, _tag: "DeadLetter" }
    const headers = eventHeaders(message.headers())
    if (isBinaryEvent(headers)) {
      const event = binaryEvent(headers, data, plainly)
      return outcomeOf(mapEvent(event, () => binaryEvent(headers, data, exactly), message, sink))
    }
    const payload = decodePayload(data)
    if (payload._tag === "Empty") return emptyPayload
    if (payload._tag === "Fault") return { ...payload, _tag: "DeadLetter" }
    if (payload._tag === "Protobuf") return emptyPayload
    const exact = rows.keepsDigits ? decodeNumbersAsText(data) : undefined
    const mapElement = (element: JsonValue, index: number): Mapped => {
      if (!isObject(element)) return "unsupported_type"
      const exactElement = elementOf(exact, index)
      const exactEvent = () => structuredEvent(isObject(exactElement) ? exactElement : element, exactly)
      return mapEvent(structuredEvent(element, plainly), exactEvent, message, sink)
    }
    return isObject(payload.value)
      ? outcomeOf(mapElement(payload.value, 0))
      : mapElements(payload.value, mapElement, sink)
  }
}

/** By `format`. */
export const readers: Readonly<Record<JsonConfig["format"], (rows: RowMapper) => Read>> = {
  Json: readJson,
  NDJson: readLines,
  CloudEvents: readCloudEvents
}
