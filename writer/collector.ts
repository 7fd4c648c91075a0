import { Effect } from "effect"
import type { Batch, Delivery, TableRows } from "./batch.ts"
import type { PulledMessage } from "./delivery.ts"
import { makeMessageEncoder } from "./encode.ts"
import type { Outcome, Processor } from "./processors/processor.ts"
import type { Source } from "./source.ts"

/**
 * Messages on their way from the socket to a transaction. Each is decoded and encoded in the moment it arrives, so that the
 * next batch is ready when the one in the database is committed.
 */

export interface CollectorLimits {
  /** Most messages and payload bytes of a batch. A batch holds at least one message, however large. */
  readonly maxMessages: number
  readonly maxBytes: number
  /** Longest wait of a message for its batch to fill. */
  readonly maxLatencyMillis: number
}

export interface CollectedBatch extends Batch {
  readonly deliveries: ReadonlyArray<PulledMessage>
  /** Payload bytes. */
  readonly bytes: number
  /** When the first message arrived, on the monotonic clock in milliseconds. */
  readonly since: number
  /** Messages that were delivered before, so that their outcome may be there already. */
  readonly redelivered: number
  /** Pull requests that had been made when its last message came. */
  readonly requests: number
}

export interface Collector {
  /** Never throws. */
  readonly add: (message: PulledMessage) => void
  /**
   * The next batch. It is handed over at once when no more messages are on their way, else when it is full or its first
   * message has waited `maxLatencyMillis`: under load batches are full, on a quiet stream nobody waits.
   */
  readonly next: Effect.Effect<CollectedBatch>
  /** Messages of the batch are settled: their room is free again, and the memory of its rows is that of a later batch. */
  readonly release: (batch: CollectedBatch) => void
  /** How much more may be pulled. */
  readonly room: () => { readonly messages: number; readonly bytes: number }
  /** Whatever is not released, oldest first: what to keep alive, or to give back. */
  readonly held: () => ReadonlyArray<{ readonly deliveries: ReadonlyArray<Delivery>; readonly since: number }>
}

/** Batches that may be held at once: one in the database, one that fills meanwhile, and one on the wire. */
export const batchesHeld = 3

export const makeCollector = (
  processor: Processor,
  limits: CollectorLimits,
  { expecting, requests }: Pick<Source, "expecting" | "requests">
): Collector => {
  const { maxMessages, maxBytes, maxLatencyMillis } = limits
  const encoder = makeMessageEncoder(processor)
  const full: Array<CollectedBatch> = []
  const inWork = new Set<CollectedBatch>()
  let deliveries: Array<PulledMessage> = []
  let outcomes: Array<Outcome> = []
  let bytes = 0
  let since = 0
  let redelivered = 0
  let heldMessages = 0
  let heldBytes = 0
  let waiting: ((batch: CollectedBatch) => void) | undefined
  let timer: NodeJS.Timeout | undefined

  const seal = (): CollectedBatch => {
    const tables: ReadonlyArray<TableRows> = encoder.take()
    const batch = { deliveries, outcomes, tables, bytes, since, redelivered, requests: requests() }
    deliveries = []
    outcomes = []
    bytes = 0
    redelivered = 0
    return batch
  }

  const handOver = () => {
    if (waiting === undefined) return
    const batch = full.shift() ?? seal()
    clearTimeout(timer)
    timer = undefined
    const resume = waiting
    waiting = undefined
    inWork.add(batch)
    resume(batch)
  }

  /** Whether the batch is to leave although it is not full. */
  const due = () => {
    const last = deliveries.at(-1)
    if (last === undefined) return false
    return last.pending === 0 || !expecting() || performance.now() - since >= maxLatencyMillis
  }

  const settleWaiting = () => {
    if (waiting === undefined) return
    if (full.length > 0 || due()) return handOver()
    if (deliveries.length > 0 && timer === undefined) {
      timer = setTimeout(
        () => {
          timer = undefined
          if (deliveries.length > 0) handOver()
        },
        Math.max(0, since + maxLatencyMillis - performance.now())
      )
    }
  }

  return {
    add: (message) => {
      if (deliveries.length > 0 && bytes + message.data.length > maxBytes) full.push(seal())
      if (deliveries.length === 0) since = performance.now()
      outcomes.push(encoder.encode(message))
      deliveries.push(message)
      bytes += message.data.length
      heldMessages++
      heldBytes += message.data.length
      if (message.deliveryCount > 1) redelivered++
      if (deliveries.length >= maxMessages || bytes >= maxBytes) full.push(seal())
      settleWaiting()
    },
    next: Effect.callback<CollectedBatch>((resume) => {
      waiting = (batch) => resume(Effect.succeed(batch))
      settleWaiting()
      return Effect.sync(() => {
        waiting = undefined
        clearTimeout(timer)
        timer = undefined
      })
    }),
    release: (batch) => {
      if (!inWork.delete(batch)) return
      heldMessages -= batch.deliveries.length
      heldBytes -= batch.bytes
      encoder.reuse(batch.tables)
    },
    room: () => ({
      messages: batchesHeld * maxMessages - heldMessages,
      bytes: batchesHeld * maxBytes - heldBytes
    }),
    held: () => [...inWork, ...full, ...(deliveries.length > 0 ? [{ deliveries, since }] : [])]
  }
}
