import { isContainer } from "../fields/values.ts"
import type { JsonObject, JsonValue } from "../tables/table.ts"
import { isEnvelope } from "./cloudevents.ts"
import { decodeBase64, decodeUtf8Document, storable } from "./text.ts"

/**
 * CloudEvents as one JSON object each, in the structured form, whichever mode they come in: attributes and extensions by their
 * names, `data` with what the event is about. Data that is neither JSON nor text is in `data_base64`. Source:
 * https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/nats-protocol-binding.md
 */

/** Reads JSON; `undefined` when the text is none. */
type Parse = (text: string) => JsonValue | undefined

/** Every header of a message, its name in lower case, with its first value. */
export type EventHeaders = ReadonlyMap<string, string>

export const eventHeaders = (headers: Readonly<Record<string, ReadonlyArray<string>>> | undefined): EventHeaders =>
  new Map(Object.entries(headers ?? {}).map(([name, [value = ""]]) => [name.toLowerCase(), value]))

/** Whether a message carries its event in binary mode: attributes in headers, data as the payload. */
export const isBinaryEvent = (headers: EventHeaders): boolean =>
  headers.has("ce-specversion") && !headers.get("content-type")?.toLowerCase().startsWith("application/cloudevents")

/** Data without a content type is JSON. */
const isJsonType = (contentType: JsonValue | undefined): boolean =>
  typeof contentType !== "string" || /[/+]json\s*(?:;|$)/i.test(contentType)
const isTextType = (contentType: JsonValue | undefined): boolean =>
  typeof contentType === "string" && /^\s*text\//i.test(contentType)

/** Header values are percent-encoded; what is not well encoded is as it is. */
const decodeHeader = (value: string): string => {
  try {
    return storable(decodeURIComponent(value))
  } catch {
    return storable(value)
  }
}

/** `data` of bytes, `undefined` when they are neither JSON nor text, or not the JSON that they should be. */
const readData = (bytes: Uint8Array, contentType: JsonValue | undefined, parse: Parse): JsonValue | undefined => {
  if (isJsonType(contentType)) return parse(decodeUtf8Document(bytes))
  return isTextType(contentType) ? storable(decodeUtf8Document(bytes)) : undefined
}

/** The event of a message in binary mode, or the reason why it has none. */
export const binaryEvent = (headers: EventHeaders, payload: Uint8Array, parse: Parse): JsonObject | string => {
  const event: Record<string, JsonValue> = Object.create(null) // an attribute named __proto__ is an attribute
  for (const [name, value] of headers) if (name.startsWith("ce-")) event[name.slice("ce-".length)] = decodeHeader(value)
  delete event["data"]
  delete event["data_base64"]
  if (payload.length === 0) return event
  const contentType = event["datacontenttype"]
  const data = readData(payload, contentType, parse)
  if (data !== undefined) event["data"] = data
  else if (isJsonType(contentType)) return "malformed_json"
  else event["data_base64"] = Buffer.from(payload).toString("base64")
  return event
}

/**
 * The event of an envelope in structured mode, or the reason why it has none. JSON as text and JSON in `data_base64` are read
 * into `data`.
 */
export const structuredEvent = (envelope: JsonObject, parse: Parse): JsonObject | string => {
  if (!isEnvelope(envelope)) return "missing_field:specversion"
  const { data, data_base64: encoded, datacontenttype: contentType } = envelope
  if (typeof data === "string" && isJsonType(contentType)) {
    const parsed = parse(data)
    return isContainer(parsed) ? { ...envelope, data: parsed } : envelope
  }
  if (data !== undefined || encoded === undefined || encoded === null) return envelope
  const bytes = typeof encoded === "string" ? decodeBase64(encoded) : undefined
  if (bytes === undefined) return "malformed_json"
  const decoded = readData(bytes, contentType, parse)
  return decoded === undefined ? envelope : { ...envelope, data: decoded }
}
