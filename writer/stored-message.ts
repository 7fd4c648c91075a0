import type { Delivery } from "./batch.ts"
import type { Message } from "./processors/processor.ts"

/** Headers by name, names as they were sent. */
export type Headers = Readonly<Record<string, ReadonlyArray<string>>>

export interface StoredMessageFields {
  readonly stream: string
  readonly subject: string
  readonly seq: number
  /** Publish time in nanoseconds since 1970. */
  readonly timeNanos: bigint
  readonly data: Uint8Array
  readonly headers: Headers | undefined
}

/** A message that was not pulled from a consumer: there is nothing to acknowledge. */
export const storedMessage = (fields: StoredMessageFields): Delivery & Message => {
  const { stream, subject, seq, timeNanos, data, headers } = fields
  return {
    stream,
    subject,
    seq,
    timeNanos,
    receivedAt: Number(timeNanos / 1000n),
    deliveryCount: 1,
    reply: "",
    data,
    header: (name) => (headers !== undefined && Object.hasOwn(headers, name) ? headers[name]![0] : undefined),
    headers: () => headers
  }
}

/** The headers of a message as JetStream stores them: a version line, then `Name: value` lines. Source: ADR-4 of NATS. */
export const parseHeaders = (bytes: Uint8Array): Headers => {
  const headers: Record<string, Array<string>> = Object.create(null)
  for (const line of Buffer.from(bytes).toString("utf8").split("\r\n").slice(1)) {
    const colon = line.indexOf(":")
    if (colon > 0) (headers[line.slice(0, colon)] ??= []).push(line.slice(colon + 1).trim())
  }
  return headers
}
