import type { Ascii } from "./ascii.ts"

/**
 * A table as the writer sees it: everything that DDL, COPY, ON CONFLICT and the docs need, written once.
 *
 * Column order is the order of values in a row. Columns that PostgreSQL fills by itself (`created_at`) are not listed;
 * `ddl.ts` adds them.
 */

export type ColumnType =
  | "text"
  | "int4"
  | "int8"
  | "float8"
  | "numeric"
  | "bool"
  | "timestamptz"
  | "date"
  | "uuid"
  | "inet"
  | "cidr"
  | "macaddr"
  | "jsonb"
  | "bytea"
  | "text[]"
  | "int4[]"
  | "int8[]"

export interface Column {
  readonly name: string
  readonly type: ColumnType
  readonly notNull?: boolean
  /** SQL expression of the column default; rows always carry a value, the default serves other writers of the table. */
  readonly default?: string
  /** A `text` column whose content is a JSON document: rows give the JSON value, the encoder writes its text. */
  readonly json?: boolean
}

export interface Index {
  /** SQL of the indexed expressions, e.g. `"timestamp" DESC`. Only built-in tables have indexes, so this is never user text. */
  readonly on: string
  /** SQL of a partial index's predicate. */
  readonly where?: string
}

/** What happens when a row meets one with the same key. */
export type Conflict =
  | { readonly mode: "Append" }
  | { readonly mode: "InsertIgnore"; readonly keys: ReadonlyArray<string> }
  | {
      readonly mode: "Upsert"
      readonly keys: ReadonlyArray<string>
      /** Columns that take the new row's value. */
      readonly update: ReadonlyArray<string>
      /** Column compared on conflict: the stored row stays when its value is greater or equal. */
      readonly newerWins?: string
    }

export interface Table {
  /** `undefined`: `target.schema` of the EventStream. */
  readonly schema?: string
  readonly name: string
  readonly columns: ReadonlyArray<Column>
  readonly primaryKey: ReadonlyArray<string>
  readonly indexes: ReadonlyArray<Index>
  readonly conflict: Conflict
  /** Partitioning column of the hypertable where the TimescaleDB extension exists. */
  readonly timeColumn?: string
  /** Chunk interval of the hypertable in milliseconds. */
  readonly chunkIntervalMillis?: number
  /** Adds `created_at timestamptz NOT NULL DEFAULT now()`; true for the built-in tables. */
  readonly createdAt: boolean
}

export type JsonValue = null | boolean | number | bigint | string | JsonArray | JsonObject
export type JsonArray = ReadonlyArray<JsonValue>
export type JsonObject = { readonly [key: string]: JsonValue }

/** Microseconds since 1970-01-01 UTC. A `bigint` only beyond ±2^53 (after the year 2255), where a number is not exact. */
export type Micros = number | bigint

/**
 * A column value as processors give it:
 *
 * | column type | value |
 * | --- | --- |
 * | text, uuid, numeric, date, inet, cidr, macaddr | string (uuid lower case, numeric as decimal text, date `YYYY-MM-DD`) |
 * | text | or {@link Ascii}, whose content is taken at once |
 * | int4 | number; int8: number or bigint |
 * | float8 | number, NaN and ±Infinity included |
 * | timestamptz | {@link Micros} |
 * | jsonb, text with `json` | {@link JsonValue} |
 * | bytea | Uint8Array |
 * | text[], int4[], int8[] | array of the element's form |
 * | any | `null` for SQL NULL |
 */
export type Value = JsonValue | Uint8Array | Ascii
export type Row = ReadonlyArray<Value>
