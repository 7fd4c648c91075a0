import type { Outcome } from "./processors/processor.ts"

/** A pulled message with what is needed to settle it. */
export interface Delivery {
  readonly subject: string
  /** Stream sequence. */
  readonly seq: number
  /** Publish time in nanoseconds since 1970, from the ack subject; exact, because coverage is compared by it. */
  readonly timeNanos: bigint
  /** 1 for a first delivery. */
  readonly deliveryCount: number
  /** Ack subject. */
  readonly reply: string
  readonly data: Uint8Array
  readonly header: (name: string) => string | undefined
  /** Every header, for a dead letter; `undefined` when the message has none. */
  readonly headers: () => Readonly<Record<string, ReadonlyArray<string>>> | undefined
}

/** The rows of a batch for one table as binary COPY tuples, without header and trailer. */
export interface TableRows {
  readonly bytes: Uint8Array
  /**
   * `ends[i]`: offset behind the last tuple of delivery `i`; its first is at `ends[i - 1]`. One entry per delivery, so
   * that any subset of a batch is a list of slices: subtracting what is covered and halving never encode again.
   */
  readonly ends: ReadonlyArray<number>
  /** `counts[i]`: number of tuples of delivery `i`. */
  readonly counts: ReadonlyArray<number>
}

/** A batch with its outcomes decided: what is left is to write it. Arrays are parallel to `deliveries`. */
export interface Batch {
  readonly deliveries: ReadonlyArray<Delivery>
  readonly outcomes: ReadonlyArray<Outcome>
  /** Parallel to the processor's tables. */
  readonly tables: ReadonlyArray<TableRows>
}
