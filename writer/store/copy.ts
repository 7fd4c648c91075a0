import type { TableRows } from "../batch.ts"
import type { RowSink } from "../processors/processor.ts"
import { Ascii } from "../tables/ascii.ts"
import type { Column, JsonValue, Row, Table, Value } from "../tables/table.ts"
import { Tuples } from "./tuples.ts"

/** Turns the rows of a batch into binary COPY tuples, message by message. */
export interface BatchEncoder {
  /** Where a processor puts the rows of the message that was begun. */
  readonly sink: RowSink
  readonly beginMessage: () => void
  /** Takes back the rows of the message; it still has its place in the batch, without rows. */
  readonly rollbackMessage: () => void
  /**
   * Gives the message its place in the batch, also when it has no rows. A column's name when a value was not of its column's
   * form: then the rows of the message are taken back, and its outcome must be the dead letter `invalid_field:<column>`.
   */
  readonly endMessage: () => string | undefined
  /** Bytes of all tables so far. */
  readonly byteLength: () => number
  /** The batch, parallel to the tables; the encoder is empty afterwards. */
  readonly take: () => ReadonlyArray<TableRows>
  /** A batch that was taken is done with: its memory becomes that of a later one, so that there is none to be collected. */
  readonly reuse: (batch: ReadonlyArray<TableRows>) => void
}

/** What the form of a value depends on: the column's type, and for text whether it holds a JSON document. */
type Form = Column["type"] | "json"

const textOid = 25
const int4Oid = 23
const int8Oid = 20

/** Appends a value that is not null; false when it has not the form of its column. */
const append = (tuples: Tuples, form: Form, value: Exclude<Value, null>): boolean => {
  switch (form) {
    case "text":
      if (typeof value === "string") tuples.text(value)
      else if (value instanceof Ascii) tuples.ascii(value)
      else return false
      return true
    case "float8":
      if (typeof value !== "number") return false
      tuples.float8(value)
      return true
    case "timestamptz":
      return (typeof value === "number" || typeof value === "bigint") && tuples.timestamptz(value)
    case "bool":
      if (typeof value !== "boolean") return false
      tuples.bool(value)
      return true
    case "int4":
      return typeof value === "number" && tuples.int4(value)
    case "int8":
      return (typeof value === "number" || typeof value === "bigint") && tuples.int8(value)
    case "json":
      tuples.json(value as JsonValue)
      return true
    case "jsonb":
      tuples.jsonb(value as JsonValue)
      return true
    case "uuid":
      return typeof value === "string" && tuples.uuid(value)
    case "numeric":
      return typeof value === "string" && tuples.numeric(value)
    case "date":
      return typeof value === "string" && tuples.date(value)
    case "inet":
      return typeof value === "string" && tuples.address(value, false)
    case "cidr":
      return typeof value === "string" && tuples.address(value, true)
    case "macaddr":
      return typeof value === "string" && tuples.macaddr(value)
    case "bytea":
      if (!(value instanceof Uint8Array)) return false
      tuples.bytea(value)
      return true
    case "text[]":
      return (
        Array.isArray(value) &&
        tuples.array(value as ReadonlyArray<string | null>, textOid, (element) => append(tuples, "text", element))
      )
    case "int4[]":
      return (
        Array.isArray(value) &&
        tuples.array(value as ReadonlyArray<number | null>, int4Oid, (element) => append(tuples, "int4", element))
      )
    case "int8[]":
      return (
        Array.isArray(value) &&
        tuples.array(value as ReadonlyArray<number | null>, int8Oid, (element) => append(tuples, "int8", element))
      )
  }
}

class TableEncoder {
  readonly #columns: ReadonlyArray<string>
  readonly #forms: ReadonlyArray<Form>
  #tuples: Tuples
  #count = 0
  #messageStart = 0
  #ends: Array<number> = []
  #counts: Array<number> = []
  #spare: ArrayBuffer | undefined

  constructor(table: Table) {
    this.#columns = table.columns.map((column) => column.name)
    this.#forms = table.columns.map((column) => (column.json ? "json" : column.type))
    this.#tuples = new Tuples(smallestBuffer)
  }

  get length(): number {
    return this.#tuples.length
  }

  begin(): void {
    this.#count = 0
    this.#messageStart = this.#tuples.length
  }

  /** The name of the column whose value has not its form, if there is one. */
  row(values: Row): string | undefined {
    const tuples = this.#tuples
    const forms = this.#forms
    tuples.begin(forms.length)
    for (let i = 0; i < forms.length; i++) {
      const value = values[i]
      if (value === null || value === undefined) tuples.null()
      else if (!append(tuples, forms[i]!, value)) return this.#columns[i]!
    }
    this.#count++
    return undefined
  }

  rollback(): void {
    this.#tuples.length = this.#messageStart
    this.#count = 0
  }

  end(): void {
    this.#ends.push(this.#tuples.length)
    this.#counts.push(this.#count)
  }

  take(): TableRows {
    const rows = { bytes: this.#tuples.bytes(), ends: this.#ends, counts: this.#counts }
    // The next batch is probably as large as this one.
    this.#tuples = new Tuples(this.#spare ?? Math.max(smallestBuffer, rows.bytes.length))
    this.#spare = undefined
    this.#ends = []
    this.#counts = []
    return rows
  }

  reuse({ bytes }: TableRows): void {
    this.#spare = bytes.buffer as ArrayBuffer
  }
}

const smallestBuffer = 16 * 1024

export const makeBatchEncoder = (tables: ReadonlyArray<Table>): BatchEncoder => {
  const encoders = tables.map((table) => new TableEncoder(table))
  let fault: string | undefined
  const rollback = () => {
    for (const encoder of encoders) encoder.rollback()
  }
  return {
    sink: {
      row: (table, values) => {
        fault = encoders[table]!.row(values) ?? fault
      }
    },
    beginMessage: () => {
      fault = undefined
      for (const encoder of encoders) encoder.begin()
    },
    rollbackMessage: () => {
      fault = undefined
      rollback()
    },
    endMessage: () => {
      if (fault !== undefined) rollback()
      for (const encoder of encoders) encoder.end()
      return fault
    },
    byteLength: () => encoders.reduce((sum, encoder) => sum + encoder.length, 0),
    take: () => encoders.map((encoder) => encoder.take()),
    reuse: (batch) => {
      for (const [i, rows] of batch.entries()) encoders[i]!.reuse(rows)
    }
  }
}
