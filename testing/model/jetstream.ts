import type { ConsumerConfig } from "../../operator/specs/consumer.ts"

/**
 * JetStream as far as delivery depends on it: one stream, its durables, and what can happen to them. What is written here was
 * seen on a real nats-server: sequences are used again after a store lost its tail, and an ack is matched by stream sequence
 * and durable name only.
 */

/** A message as it was published: no other has its `id`, whatever sequence it got. */
export interface Message {
  readonly id: number
  readonly seq: number
  readonly timeNanos: bigint
}

export interface Durable {
  readonly config: ConsumerConfig
  readonly createdNanos: bigint
  /** Sequence it delivered last; `startSeq - 1` at first. */
  delivered: number
  /** Delivered and not acked, by sequence; `due` when its ack wait has passed. */
  readonly pending: Map<number, { readonly id: number; due: boolean }>
}

export interface Stream {
  readonly retention: "Limits" | "WorkQueue"
  /** The server's `created`: tells one life of the stream from the next. */
  created: string
  first: number
  last: number
  readonly messages: Map<number, Message>
  readonly durables: Map<string, Durable>
  /** Grows with every restart of the server, which its clients notice. */
  epoch: number
}

export const newStream = (retention: Stream["retention"], created: string): Stream => ({
  retention,
  created,
  first: 1,
  last: 0,
  messages: new Map(),
  durables: new Map(),
  epoch: 0
})

/** Highest sequence up to which a durable has nothing pending. */
export const ackFloor = (durable: Durable): number => {
  let floor = durable.delivered
  for (const seq of durable.pending.keys()) floor = Math.min(floor, seq - 1)
  return floor
}

export const startOf = ({ config }: Durable) => config.opt_start_seq ?? 1

export const createDurable = (stream: Stream, config: ConsumerConfig, nowNanos: bigint) => {
  const at = config.opt_start_seq ?? 1
  stream.durables.set(config.name, { config, createdNanos: nowNanos, delivered: at - 1, pending: new Map() })
}

export const publish = (stream: Stream, id: number, timeNanos: bigint): Message => {
  const message = { id, seq: ++stream.last, timeNanos }
  stream.messages.set(message.seq, message)
  return message
}

/** What a pull of up to `count` messages gets: what is due again first, then what was never delivered. */
export const pull = (stream: Stream, durable: Durable, count: number) => {
  const got: Array<{ readonly message: Message; readonly redelivered: boolean }> = []
  for (const [seq, pending] of durable.pending) {
    if (got.length === count) return got
    if (!pending.due) continue
    const message = stream.messages.get(seq)
    durable.pending.delete(seq)
    if (!message) continue // the stream has dropped it meanwhile
    durable.pending.set(seq, { id: message.id, due: false })
    got.push({ message, redelivered: true })
  }
  while (got.length < count && durable.delivered < stream.last) {
    const message = stream.messages.get(++durable.delivered)
    if (!message) continue
    durable.pending.set(message.seq, { id: message.id, due: false })
    got.push({ message, redelivered: false })
  }
  return got
}

/** Every message without an ack is delivered again at the next pull. */
export const passAckWait = (stream: Stream) => {
  for (const durable of stream.durables.values()) for (const pending of durable.pending.values()) pending.due = true
}

const advanceFirst = (stream: Stream) => {
  while (stream.first <= stream.last && !stream.messages.has(stream.first)) stream.first++
}

export const remove = (stream: Stream, seq: number): Message | undefined => {
  const message = stream.messages.get(seq)
  stream.messages.delete(seq)
  advanceFirst(stream)
  return message
}

/** Removes everything; the next message still gets the next sequence. */
export const purge = (stream: Stream): ReadonlyArray<Message> => {
  const removed = [...stream.messages.values()]
  stream.messages.clear()
  stream.first = stream.last + 1
  return removed
}

/**
 * The message that an ack settles, or `undefined` when nothing is pending there: the sequence decides, not what was delivered
 * under it.
 */
export const acknowledge = (stream: Stream, durable: string, seq: number): { readonly id: number } | undefined => {
  const consumer = stream.durables.get(durable)
  const pending = consumer?.pending.get(seq)
  if (!consumer || !pending) return undefined
  consumer.pending.delete(seq)
  if (stream.retention === "WorkQueue") remove(stream, seq)
  return pending
}

/** The stream is deleted and made again under its name: sequences start at 1, and its durables are gone. */
export const rebear = (stream: Stream, created: string): ReadonlyArray<Message> => {
  const removed = [...stream.messages.values()]
  stream.messages.clear()
  stream.durables.clear()
  stream.created = created
  stream.first = 1
  stream.last = 0
  return removed
}

/**
 * The server comes back without the last `count` messages, which were not yet on disk; neither `created` nor metadata shows
 * it, and the next messages get the same sequences. The durables' state is a file of its own and may be older or newer.
 */
export const loseTail = (stream: Stream, count: number, durablesToo: boolean): ReadonlyArray<Message> => {
  const last = Math.max(0, stream.last - count)
  const removed = [...stream.messages.values()].filter((message) => message.seq > last)
  for (const message of removed) stream.messages.delete(message.seq)
  stream.last = last
  stream.first = Math.min(stream.first, last + 1)
  stream.epoch++
  if (durablesToo) {
    for (const durable of stream.durables.values()) {
      durable.delivered = Math.min(durable.delivered, last)
      for (const seq of durable.pending.keys()) if (seq > last) durable.pending.delete(seq)
    }
  }
  return removed
}
