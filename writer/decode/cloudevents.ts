import { isPresent } from "../fields/values.ts"
import type { JsonObject } from "../tables/table.ts"
import { parseJson } from "./json.ts"
import type { DecodeProtobuf, Payload } from "./payload.ts"
import { decodePayload, fromDecoded, fromValue } from "./payload.ts"
import { decodeBase64 } from "./text.ts"

/** Whether an object is a CloudEvents 1.0 envelope in structured JSON form: it has a `specversion`. */
export const isEnvelope = (object: JsonObject): boolean => isPresent(object["specversion"])

/**
 * What an envelope carries: `data`, a string of it being JSON text, or else the decoded `data_base64`. An envelope inside an
 * envelope is not opened again.
 *
 * @param textField makes a string that is no JSON an object with this one field
 */
export const openEnvelope = <A = never>(
  envelope: JsonObject,
  decodeProtobuf?: DecodeProtobuf<A>,
  textField?: string
): Payload<A> => {
  const data = envelope["data"]
  if (typeof data === "string") {
    const decoded = parseJson(data)
    return decoded._tag === "Malformed" && textField !== undefined
      ? { _tag: "Json", value: { [textField]: data } }
      : fromDecoded(decoded)
  }
  if (data !== undefined && data !== null) return fromValue(data)
  const encoded = envelope["data_base64"]
  if (encoded === undefined || encoded === null) return { _tag: "Fault", reason: "missing_field:data" }
  const bytes = typeof encoded === "string" ? decodeBase64(encoded) : undefined
  return bytes === undefined
    ? { _tag: "Fault", reason: "malformed_json", detail: "data_base64 is not base64" }
    : decodePayload(bytes, decodeProtobuf)
}
