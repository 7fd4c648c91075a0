import { hash } from "node:crypto"
import type { JsonValue } from "../tables/table.ts"
import { isContainer, text } from "./values.ts"

/** The namespace for URLs. Source: RFC 9562, section 6.6. */
const urlNamespace = Buffer.from("6ba7b8119dad11d180b400c04fd430c8", "hex")

/** UUID version 5 (SHA-1) of a name in the URL namespace, lower case. Source: RFC 9562, section 5.5. */
export const uuidV5 = (name: string): string => {
  // Text all the way: reading the digest as bytes takes twice as long.
  const digest = hash("sha1", Buffer.concat([urlNamespace, Buffer.from(name)]), "hex")
  const variant = "89ab"[Number.parseInt(digest[16]!, 16) & 3]!
  return `${digest.slice(0, 8)}-${digest.slice(8, 12)}-5${digest.slice(13, 16)}-${variant}${digest.slice(17, 20)}-${digest.slice(20, 32)}`
}

/** What a message's identity is made of; a message as processors see it has all of it. */
export interface Identified {
  readonly stream: string
  readonly seq: number
  readonly header: (name: string) => string | undefined
}

/** What identifies a message however often it is delivered: its `Nats-Msg-Id` header, else its place in the stream. */
const messageIdentity = (message: Identified): string => {
  const messageId = message.header("Nats-Msg-Id")
  return messageId === undefined || messageId === "" ? `seq:${message.stream}:${message.seq}` : `msg:${messageId}`
}

const uuid = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i

/** Whether text is a UUID in its usual form, any case. */
export const isUuid = (id: string): boolean => uuid.test(id)

/** Id of a row that the payload names: a UUID as it is, other text hashed. Case does not matter. */
export const payloadId = (table: string, id: string): string =>
  isUuid(id) ? id.toLowerCase() : uuidV5(`${table}:id:${id.toLowerCase()}`)

/**
 * Ids of one table's rows that are the same for every delivery of their message. A processor has one for each of its tables
 * that needs ids, and calls `begin` for every message.
 */
export class RowIds {
  readonly #table: string
  #message: Identified | undefined
  #identity: string | undefined
  #generated = 0

  constructor(table: string) {
    this.#table = table
  }

  begin(message: Identified): void {
    this.#message = message
    this.#identity = undefined
    this.#generated = 0
  }

  /** Id of the next row that the payload names none for. */
  next(): string {
    this.#identity ??= messageIdentity(this.#message!)
    return uuidV5(`${this.#table}:${this.#identity}:${this.#generated++}`)
  }

  /** Id of a row by what the payload names it: {@link payloadId} of a scalar's text, else {@link next}. */
  of(id: JsonValue | undefined): string {
    const given = isContainer(id) ? null : text(id)
    return given === null ? this.next() : payloadId(this.#table, given)
  }
}
