import type { JsonArray, JsonObject, JsonValue } from "../tables/table.ts"
import type { Decoded } from "./json.ts"
import { decodeJson } from "./json.ts"

/** What a payload holds, before any rule about fields. `A` is the protobuf message that the stream may carry. */
export type Payload<A> =
  | { readonly _tag: "Json"; readonly value: JsonObject | JsonArray }
  | { readonly _tag: "Protobuf"; readonly message: A }
  /** Zero length, whitespace, `{}` or `[]`. */
  | { readonly _tag: "Empty" }
  | { readonly _tag: "Fault"; readonly reason: string; readonly detail?: string }

/** Decodes a protobuf message; `undefined` when the bytes are none. Never throws. */
export type DecodeProtobuf<A> = (bytes: Uint8Array) => A | undefined

/** Largest payload that is decoded, in bytes: what NATS itself recommends as the most for `max_payload`. */
export const maxPayloadBytes = 8 * 1024 * 1024

/** Why a payload is not even decoded; `undefined` when it may be. */
export const oversizeFault = ({ length }: Uint8Array): Extract<Payload<never>, { _tag: "Fault" }> | undefined =>
  length > maxPayloadBytes
    ? { _tag: "Fault", reason: "payload_too_large", detail: `${length} bytes; at most ${maxPayloadBytes}` }
    : undefined

const empty: Payload<never> = { _tag: "Empty" }
const unsupported: Payload<never> = { _tag: "Fault", reason: "unsupported_type" }

const isEmpty = (value: JsonObject | JsonArray): boolean =>
  Array.isArray(value) ? value.length === 0 : Object.keys(value).length === 0

/** A JSON value as the payload of a message: only objects and arrays can become rows. */
export const fromValue = (value: JsonValue): Payload<never> =>
  typeof value !== "object" || value === null ? unsupported : isEmpty(value) ? empty : { _tag: "Json", value }

/** {@link fromValue} of text that had to be JSON. */
export const fromDecoded = (decoded: Decoded): Payload<never> => {
  switch (decoded._tag) {
    case "Json":
      return fromValue(decoded.value)
    case "Empty":
      return empty
    case "Malformed":
      return { _tag: "Fault", reason: "malformed_json", detail: decoded.detail }
  }
}

/** First byte behind a byte order mark and JSON whitespace, `undefined` when there is none. */
const firstByte = (bytes: Uint8Array): number | undefined => {
  let at = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0
  while (bytes[at] === 0x20 || bytes[at] === 0x0a || bytes[at] === 0x0d || bytes[at] === 0x09) at++
  return bytes[at]
}

/**
 * Decodes the bytes of a message. Where the stream may carry protobuf, bytes that are not JSON are tried as such even when
 * they begin like JSON: an OTLP request starts with a newline and a length byte, which is `{` for a first part of 123 bytes.
 */
export const decodePayload = <A = never>(bytes: Uint8Array, decodeProtobuf?: DecodeProtobuf<A>): Payload<A> => {
  const oversize = oversizeFault(bytes)
  if (oversize !== undefined) return oversize
  const first = firstByte(bytes)
  if (first === undefined) return empty
  if (decodeProtobuf === undefined) return fromDecoded(decodeJson(bytes))

  const looksLikeJson = first === 0x7b || first === 0x5b
  const decoded = looksLikeJson ? decodeJson(bytes) : undefined
  if (decoded?._tag === "Json") return fromValue(decoded.value)
  const message = decodeProtobuf(bytes)
  if (message !== undefined) return { _tag: "Protobuf", message }
  if (decoded !== undefined) return fromDecoded(decoded)
  return decodeJson(bytes)._tag === "Json" ? unsupported : { _tag: "Fault", reason: "malformed_protobuf" }
}
