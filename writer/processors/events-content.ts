import { isUtf8 } from "node:buffer"
import { isEnvelope } from "../decode/cloudevents.ts"
import { parseJson } from "../decode/json.ts"
import { decodeBase64, decodeUtf8Document, storable } from "../decode/text.ts"
import { isObject, isPresent, text } from "../fields/values.ts"
import type { JsonObject, JsonValue } from "../tables/table.ts"

/** What is inside an event's `data`, as CloudEvents and its relatives have it. */
export interface EventContent {
  /** The object in `data`; `undefined` where there is none. */
  readonly data: JsonObject | undefined
  /** `data` as it reads, where it is text and not JSON. */
  readonly text: string | null
}

const nothing: EventContent = { data: undefined, text: null }

const contentOfText = (content: string): EventContent => {
  const decoded = parseJson(content)
  if (decoded._tag === "Malformed") return { data: undefined, text: text(content) }
  return decoded._tag === "Json" && isObject(decoded.value) ? { data: decoded.value, text: null } : nothing
}

/** Content in base64, JSON or text. Bytes of anything else, such as an image, are nothing to read. */
const contentOfBase64 = (value: JsonValue | undefined): EventContent => {
  const bytes = typeof value === "string" ? decodeBase64(value) : undefined
  if (bytes === undefined) return nothing
  const content = contentOfText(storable(decodeUtf8Document(bytes)))
  return content.text === null || isUtf8(bytes) ? content : nothing
}

/** Looks into `data`, else `data_base64`. Text in them is read as JSON if it is. */
export const contentOf = (event: JsonObject): EventContent => {
  const data = event["data"]
  if (isObject(data)) return { data, text: null }
  if (isPresent(data)) return typeof data === "string" ? contentOfText(data) : nothing
  return contentOfBase64(event["data_base64"])
}

/** An event with its CloudEvents envelope taken off, where it has one. */
export interface OpenedEvent {
  /** The envelope; `undefined` when the event came without. */
  readonly envelope: JsonObject | undefined
  /** What the envelope carries: its data, with text as `message`; else the event itself, so that nothing of it is lost. */
  readonly content: JsonObject
}

export const openEvent = (event: JsonObject): OpenedEvent => {
  if (!isEnvelope(event)) return { envelope: undefined, content: event }
  const { data, text: message } = contentOf(event)
  if (message !== null) return { envelope: event, content: { message } }
  return { envelope: event, content: data ?? event }
}
