import type { Row, Table } from "../tables/table.ts"
import type { Micros } from "../tables/table.ts"

/** A message as processors see it. Nothing here depends on when or how often it was delivered. */
export interface Message {
  /** Subject as received. */
  readonly subject: string
  /** JetStream name of the stream. */
  readonly stream: string
  /** Stream sequence, 1 or more. */
  readonly seq: number
  /** Publish time kept by JetStream; the last resort of every timestamp, so that a redelivery gives the same row. */
  readonly receivedAt: Micros
  readonly data: Uint8Array
  /** First value of a header, `undefined` when absent. Names are case-sensitive, as NATS keeps them. To be called on the message. */
  readonly header: (name: string) => string | undefined
  /** Every header with its values, `undefined` when the message has none. */
  readonly headers: () => Readonly<Record<string, ReadonlyArray<string>>> | undefined
}

/** Takes the rows of a message. `values` is copied at once: a processor may use one array for all its rows. */
export interface RowSink {
  /** @param table index into {@link Processor.tables} */
  readonly row: (table: number, values: Row) => void
  /**
   * Where given, to be told before the rows of each part that could be a dead letter of its own, by its
   * {@link ElementFault.index}: a replay writes only some of them.
   */
  readonly element?: (index: number) => void
}

export interface ElementFault {
  /** Index of the element in the array, or of the OTLP record in document order. */
  readonly index: number
  readonly reason: string
}

/** What became of a message. Reasons are names that users filter by, e.g. `missing_field:value`; a field or SQLSTATE follows the colon. */
export type Outcome =
  /** Rows went to the sink. `elements`: parts of the message that are dead letters of their own; `dropped`: parts left out instead. */
  | {
      readonly _tag: "Rows"
      readonly elements?: ReadonlyArray<ElementFault>
      readonly dropped?: ReadonlyArray<ElementFault>
    }
  /** `dropped`: the parts of the message, where they were left out one by one. */
  | { readonly _tag: "Dropped"; readonly reason: string; readonly dropped?: ReadonlyArray<ElementFault> }
  /**
   * Nothing of the message can be written; rows given to the sink before are to be taken back. `halt`: the field of the
   * EventStream's spec by which the writer is to stop before it, whatever becomes of other dead letters.
   */
  | {
      readonly _tag: "DeadLetter"
      readonly reason: string
      readonly detail?: string
      readonly elements?: ReadonlyArray<ElementFault>
      readonly halt?: string
    }

/** Pure: no clock, no I/O, never throws for any input. */
export interface Processor {
  readonly tables: ReadonlyArray<Table>
  readonly process: (message: Message, sink: RowSink) => Outcome
}
