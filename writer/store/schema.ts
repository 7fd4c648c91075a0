import type { Table } from "../tables/table.ts"
import { literal, qualified } from "./sql.ts"

/** The store's own tables, beside the target tables in the same database, so that one transaction covers both. */

/** Version of the tables below, kept in every lane's row. A writer does not touch a lane of a newer version. */
export const schemaVersion = 1

export const laneTable = "eventstream_lane"
export const ledgerTable = "eventstream_ledger"
export const replayTable = "eventstream_replay"
export const lossTable = "eventstream_loss"

/** Dead letters as the COPY of a batch writes them; `id` and `relayed_at` are filled otherwise. */
export const deadLetterTable: Table = {
  name: "eventstream_dead_letter",
  columns: [
    { name: "lane", type: "int8", notNull: true },
    { name: "stream", type: "text", notNull: true },
    { name: "seq", type: "int8", notNull: true },
    { name: "element", type: "int4" },
    { name: "subject", type: "text", notNull: true },
    { name: "message_time", type: "timestamptz", notNull: true },
    { name: "deliveries", type: "int4", notNull: true },
    { name: "reason", type: "text", notNull: true },
    { name: "detail", type: "text" },
    { name: "sqlstate", type: "text" },
    { name: "headers", type: "jsonb" },
    { name: "payload", type: "bytea" }
  ],
  primaryKey: [],
  indexes: [],
  conflict: { mode: "Append" },
  createdAt: true
}

/** Column definitions by name, in order. Times are nanoseconds since 1970 where the ledger compares them. */
type Columns = Readonly<Record<string, string>>

const laneColumns: Columns = {
  id: "int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
  namespace: "text NOT NULL",
  name: "text NOT NULL",
  uid: "text NOT NULL",
  fingerprint: "text NOT NULL",
  stream: "text NOT NULL",
  incarnation: "text NOT NULL",
  generation: "int4 NOT NULL DEFAULT 0",
  start_seq: "int8 NOT NULL",
  start_time: "int8 NOT NULL",
  pruned_to: "int8 NOT NULL DEFAULT 0",
  pruned_time: "int8 NOT NULL DEFAULT 0",
  pruned_messages: "int8 NOT NULL DEFAULT 0",
  pruned_rows: "int8 NOT NULL DEFAULT 0",
  pruned_dead: "int8 NOT NULL DEFAULT 0",
  pruned_dropped: "int8 NOT NULL DEFAULT 0",
  pruned_committed_at: "timestamptz",
  settled_to: "int8 NOT NULL DEFAULT 0",
  settled_filter: "text",
  compacted_to: "int8 NOT NULL DEFAULT 0",
  rollbacks: "int8 NOT NULL DEFAULT 0",
  database: "text NOT NULL",
  timeline: "int8 NOT NULL",
  schema_version: "int4 NOT NULL",
  created_at: "timestamptz NOT NULL DEFAULT now()"
}

const ledgerColumns: Columns = {
  lane: "int8 NOT NULL",
  seqs: "int8multirange NOT NULL CHECK (NOT isempty(seqs))",
  t_lo: "int8 NOT NULL",
  t_hi: "int8 NOT NULL",
  messages: "int8 NOT NULL",
  rows: "int8 NOT NULL",
  dead: "int8 NOT NULL",
  dropped: "int8 NOT NULL",
  writer: "int8",
  committed_at: "timestamptz NOT NULL DEFAULT now()",
  set_aside_at: "timestamptz"
}

const lossColumns: Columns = {
  lane: "int8 NOT NULL",
  seqs: "int8multirange NOT NULL",
  messages: "int8 NOT NULL",
  noticed_at: "timestamptz NOT NULL DEFAULT now()"
}

const deadLetterColumns: Columns = {
  id: "int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
  ...Object.fromEntries(
    deadLetterTable.columns.map((column) => [column.name, `${column.type}${column.notNull ? " NOT NULL" : ""}`])
  ),
  relayed_at: "timestamptz",
  created_at: "timestamptz NOT NULL DEFAULT now()"
}

const replayColumns: Columns = {
  namespace: "text NOT NULL",
  name: "text NOT NULL",
  id: "text NOT NULL",
  generation: "int4 NOT NULL",
  parameters: "text NOT NULL",
  end_seq: "int8",
  cursor_lane: "int8 NOT NULL DEFAULT 0",
  cursor_seq: "int8 NOT NULL DEFAULT 0",
  read: "int8 NOT NULL DEFAULT 0",
  written: "int8 NOT NULL DEFAULT 0",
  failed: "int8 NOT NULL DEFAULT 0",
  started_at: "timestamptz NOT NULL DEFAULT now()",
  updated_at: "timestamptz NOT NULL DEFAULT now()",
  finished_at: "timestamptz"
}

/** A table of the store: what must be there, and how to make it. */
export interface StoreTable {
  readonly name: string
  readonly columns: ReadonlyArray<string>
  /** @param lz4 whether the server can compress with lz4 */
  readonly create: (schema: string, lz4: boolean) => ReadonlyArray<string>
}

const createTable = (schema: string, name: string, columns: Columns, ...constraints: ReadonlyArray<string>) => {
  const lines = Object.entries(columns).map(([column, definition]) => `${column} ${definition}`)
  return `CREATE TABLE ${qualified(schema, name)} (\n  ${[...lines, ...constraints].join(",\n  ")}\n)`
}

const comment = (schema: string, name: string, text: string) =>
  `COMMENT ON TABLE ${qualified(schema, name)} IS ${literal(text)}`

export const storeTables: ReadonlyArray<StoreTable> = [
  {
    name: laneTable,
    columns: Object.keys(laneColumns),
    create: (schema) => [
      createTable(schema, laneTable, laneColumns),
      `CREATE INDEX ON ${qualified(schema, laneTable)} (namespace, name, incarnation, generation)`,
      comment(schema, laneTable, "One row per EventStream, target and incarnation of its stream.")
    ]
  },
  {
    name: ledgerTable,
    columns: Object.keys(ledgerColumns),
    create: (schema, lz4) => [
      createTable(
        schema,
        ledgerTable,
        ledgerColumns,
        // What makes a second outcome impossible; records that were set aside may overlap. Needs the extension btree_gist.
        "CONSTRAINT one_outcome EXCLUDE USING gist (lane WITH =, seqs WITH &&) WHERE (set_aside_at IS NULL)"
      ),
      // PostgreSQL's own compression takes longer than everything else that is done for a record (measured).
      `ALTER TABLE ${qualified(schema, ledgerTable)} ALTER seqs SET ${lz4 ? "COMPRESSION lz4" : "STORAGE EXTERNAL"}`,
      `CREATE INDEX ON ${qualified(schema, ledgerTable)} (lane) WHERE set_aside_at IS NOT NULL`,
      comment(
        schema,
        ledgerTable,
        "Stream sequences that have an outcome, committed together with it. Whoever deletes from it lets messages be written twice."
      )
    ]
  },
  {
    name: lossTable,
    columns: Object.keys(lossColumns),
    create: (schema) => [
      createTable(schema, lossTable, lossColumns),
      `CREATE INDEX ON ${qualified(schema, lossTable)} (lane)`,
      comment(
        schema,
        lossTable,
        "Stream sequences that never got an outcome: the stream had removed the messages before they were written, or the database lost what was acked."
      )
    ]
  },
  {
    name: deadLetterTable.name,
    columns: Object.keys(deadLetterColumns),
    create: (schema) => [
      createTable(schema, deadLetterTable.name, deadLetterColumns),
      `CREATE INDEX ON ${qualified(schema, deadLetterTable.name)} (lane, seq)`,
      `CREATE INDEX ON ${qualified(schema, deadLetterTable.name)} (lane, created_at)`,
      `CREATE INDEX ON ${qualified(schema, deadLetterTable.name)} (lane, id) WHERE relayed_at IS NULL`,
      comment(
        schema,
        deadLetterTable.name,
        "Messages, or elements of a message that is an array, that could not become rows. The payload is kept once per message."
      )
    ]
  },
  {
    name: replayTable,
    columns: Object.keys(replayColumns),
    create: (schema) => [
      createTable(schema, replayTable, replayColumns, "PRIMARY KEY (namespace, name, id)"),
      comment(schema, replayTable, "One row per replay of an EventStream, with how far it came.")
    ]
  }
]
