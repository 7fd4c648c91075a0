import { parseTimestamp } from "../writer/fields/time.ts"
import type { Outcome, Processor } from "../writer/processors/processor.ts"
import type { Micros, Value } from "../writer/tables/table.ts"

export interface Processed {
  readonly outcome: Outcome
  /** Rows by the names of their columns, none when the message is a dead letter. */
  readonly rows: ReadonlyArray<Readonly<Record<string, Value>>>
}

/** When every test message was published, unless it says otherwise. */
export const receivedAt = parseTimestamp("2026-01-15T00:00:00Z") as Micros

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
  const rows: Array<Record<string, Value>> = []
  const outcome = processor.process(
    { subject, stream: "TEST", seq: 42, receivedAt, data, header: (name) => headers[name] },
    {
      row: (table, values) => {
        const { columns } = processor.tables[table]!
        if (values.length !== columns.length) throw new Error(`${values.length} values for ${columns.length} columns`)
        rows.push(Object.fromEntries(columns.map(({ name }, i) => [name, values[i]!])))
      }
    }
  )
  return { outcome, rows: outcome._tag === "Rows" ? rows : [] }
}
