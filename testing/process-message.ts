import { parseTimestamp } from "../writer/fields/time.ts"
import type { Outcome, Processor } from "../writer/processors/processor.ts"
import { Ascii } from "../writer/tables/ascii.ts"
import type { Micros, Value } from "../writer/tables/table.ts"

/** A value that stays as it is. */
export type PlainValue = Exclude<Value, Ascii>

export interface Processed {
  readonly outcome: Outcome
  /** Rows by the names of their columns, none when the message is a dead letter. */
  readonly rows: ReadonlyArray<Readonly<Record<string, PlainValue>>>
}

/** When every test message was published, unless it says otherwise. */
export const receivedAt = parseTimestamp("2026-01-15T00:00:00Z") as Micros

/** What a row shows of itself may change after it was given away. */
const plain = (value: Value): PlainValue => (value instanceof Ascii ? String(value) : value)

/** Runs a message through a processor. `payload`: bytes, the text of the payload, or a value to encode as JSON. */
export const processMessage = (
  processor: Processor,
  subject: string,
  payload: unknown,
  headers: Readonly<Record<string, string>> = {}
): Processed => {
  const data =
    payload instanceof Uint8Array
      ? payload
      : Buffer.from(typeof payload === "string" ? payload : JSON.stringify(payload))
  const rows: Array<Record<string, PlainValue>> = []
  const message = {
    subject,
    stream: "TEST",
    seq: 42,
    receivedAt,
    data,
    given: headers,
    // Methods of the message, as those of a pulled one are: they cannot be taken off it.
    header(name: string) {
      return this.given[name]
    },
    headers() {
      return Object.fromEntries(Object.entries(this.given).map(([name, value]) => [name, [value]]))
    }
  }
  const outcome = processor.process(message, {
    row: (table, values) => {
      const { columns } = processor.tables[table]!
      if (values.length !== columns.length) throw new Error(`${values.length} values for ${columns.length} columns`)
      rows.push(Object.fromEntries(columns.map(({ name }, i) => [name, plain(values[i]!)])))
    }
  })
  return { outcome, rows: outcome._tag === "Rows" ? rows : [] }
}
