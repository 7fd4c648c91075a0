import type { Delivery } from "./batch.ts"
import type { Message } from "./processors/processor.ts"

/** What is needed of a message as the NATS client hands it over. */
export interface ReceivedMessage {
  readonly subject: string
  readonly data: Uint8Array
  /** Bytes of subject, reply, headers and data. */
  size(): number
  /** Throws when a header's name is not printable ASCII. */
  readonly headers?: {
    get(name: string): string
    has(name: string): boolean
    keys(): Array<string>
    values(name: string): Array<string>
  }
}

/** Index behind the `n`th dot of `text`. */
const behindDot = (text: string, n: number): number => {
  let at = 0
  for (let i = 0; i < n; i++) at = text.indexOf(".", at) + 1
  return at
}

/**
 * Where the five numbers of an ack subject begin: behind `$JS.ACK.<stream>.<consumer>.` (9 tokens) or, in the newer form,
 * behind `$JS.ACK.<domain>.<account>.<stream>.<consumer>.` (11 tokens, more may follow). 0 when the text is no ack subject.
 * Source: ADR-15 of NATS.
 */
export const ackNumbersAt = (reply: string): number => {
  if (!reply.startsWith("$JS.ACK.")) return 0
  const tokens = reply.split(".").length
  return tokens === 9 ? behindDot(reply, 4) : tokens >= 11 ? behindDot(reply, 6) : 0
}

const zero = 48
const dot = 46

/**
 * A message of a pull consumer, for the processor and for the store in one object, because there is one per message. What it
 * says about itself comes from the last numbers of its ack subject: delivery count, stream sequence, consumer sequence,
 * publish time in nanoseconds, and how many messages wait behind it.
 */
export class PulledMessage implements Delivery, Message {
  readonly subject: string
  readonly stream: string
  readonly reply: string
  readonly data: Uint8Array
  readonly deliveryCount: number
  readonly seq: number
  /** Grows with every delivery of the consumer, first or repeated. */
  readonly consumerSeq: number
  readonly receivedAt: number
  /** Messages that the consumer had not yet delivered when this one was sent. */
  readonly pending: number
  /** Kept only for its headers: without it the client's own objects can be freed at once. */
  readonly #message: ReceivedMessage | undefined
  readonly #timeAt: number

  /**
   * @param subject the message's, as a string that others share if it can be
   * @param at where the numbers of `reply` begin: {@link ackNumbersAt}
   */
  constructor(message: ReceivedMessage, stream: string, subject: string, reply: string, at: number) {
    this.subject = subject
    this.stream = stream
    this.reply = reply
    this.data = message.data
    this.#message = message.size() > subject.length + reply.length + this.data.length ? message : undefined
    let i = at
    const numberUntil = (end: number) => {
      let value = 0
      while (i < end) value = value * 10 + (reply.charCodeAt(i++) - zero)
      return value
    }
    const nextDot = () => {
      let end = i
      while (end < reply.length && reply.charCodeAt(end) !== dot) end++
      return end
    }
    this.deliveryCount = numberUntil(nextDot())
    i++
    this.seq = numberUntil(nextDot())
    i++
    this.consumerSeq = numberUntil(nextDot())
    this.#timeAt = ++i
    const timeEnd = nextDot()
    this.receivedAt = numberUntil(timeEnd - 3)
    i = timeEnd + 1
    this.pending = numberUntil(nextDot())
  }

  get timeNanos(): bigint {
    return BigInt(this.reply.slice(this.#timeAt, this.reply.indexOf(".", this.#timeAt)))
  }

  #headers(): ReceivedMessage["headers"] {
    try {
      return this.#message?.headers
    } catch {
      return undefined // headers that the client can't read are as good as none: the payload decides
    }
  }

  header(name: string): string | undefined {
    const headers = this.#headers()
    return headers?.has(name) ? headers.get(name) : undefined
  }

  headers(): Readonly<Record<string, ReadonlyArray<string>>> | undefined {
    const headers = this.#headers()
    return headers && Object.fromEntries(headers.keys().map((name) => [name, headers.values(name)]))
  }
}
