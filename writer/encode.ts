import type { Batch, Delivery, TableRows } from "./batch.ts"
import type { Message, Outcome, Processor, RowSink } from "./processors/processor.ts"
import { makeBatchEncoder } from "./store/copy.ts"

/** Turns messages into outcomes and encoded rows, one after the other. */
export interface MessageEncoder {
  /**
   * Never throws.
   *
   * @param sink what the processor is given instead of `rows`, which it passes on what is wanted to
   */
  readonly encode: (message: Message, sink?: (rows: RowSink) => RowSink) => Outcome
  /** The rows so far, parallel to the processor's tables, with an entry per message; the encoder is empty afterwards. */
  readonly take: () => ReadonlyArray<TableRows>
  /** Rows that were taken are done with, and their memory is free for later ones. */
  readonly reuse: (rows: ReadonlyArray<TableRows>) => void
}

const failed = (error: unknown): Outcome => ({
  _tag: "DeadLetter",
  reason: "processor_failed",
  detail: error instanceof Error ? error.message : String(error)
})

export const makeMessageEncoder = (processor: Processor): MessageEncoder => {
  const encoder = makeBatchEncoder(processor.tables)
  return {
    encode: (message, sink) => {
      encoder.beginMessage()
      let outcome: Outcome
      try {
        outcome = processor.process(message, sink === undefined ? encoder.sink : sink(encoder.sink))
      } catch (error) {
        outcome = failed(error) // the message is kept as a dead letter, and the stream goes on
      }
      if (outcome._tag !== "Rows") encoder.rollbackMessage()
      const column = encoder.endMessage()
      return column === undefined ? outcome : { _tag: "DeadLetter", reason: `invalid_field:${column}` }
    },
    take: encoder.take,
    reuse: encoder.reuse
  }
}

/** The messages as a batch that is ready to be written. */
export const batchOf = (processor: Processor, deliveries: ReadonlyArray<Delivery & Message>): Batch => {
  const encoder = makeMessageEncoder(processor)
  return { deliveries, outcomes: deliveries.map((message) => encoder.encode(message)), tables: encoder.take() }
}
