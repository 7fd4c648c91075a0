import { hash } from "node:crypto"

/** The namespace for URLs of RFC 9562, appendix A. */
const urlNamespace = Buffer.from("6ba7b8119dad11d180b400c04fd430c8", "hex")

/** UUID version 5 (SHA-1) of a name in the URL namespace, lower case. Source: RFC 9562, section 5.5. */
export const uuidV5 = (name: string): string => {
  const bytes = Buffer.from(hash("sha1", Buffer.concat([urlNamespace, Buffer.from(name)]), "hex").slice(0, 32), "hex")
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  const hex = bytes.toString("hex")
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/**
 * What identifies a message however often it is delivered: its `Nats-Msg-Id` header, else its place in the stream.
 *
 * @param stream JetStream name
 * @param seq stream sequence
 */
export const messageIdentity = (messageId: string | undefined, stream: string, seq: number): string =>
  messageId === undefined || messageId === "" ? `seq:${stream}:${seq}` : `msg:${messageId}`

/** Id of a row whose payload has none: the same for every delivery. `row` counts the generated ids of the message per table. */
export const generatedId = (table: string, identity: string, row: number): string =>
  uuidV5(`${table}:${identity}:${row}`)

const uuid = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/

/** Id of a row that the payload names: a UUID as it is, other text hashed. Case does not matter. */
export const payloadId = (table: string, id: string): string =>
  uuid.test(id.toLowerCase()) ? id.toLowerCase() : uuidV5(`${table}:id:${id.toLowerCase()}`)
