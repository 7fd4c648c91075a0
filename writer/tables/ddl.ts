import { ident, literal, qualified } from "../store/sql.ts"
import type { Column, Table } from "./table.ts"

const columnDefinition = (column: Column) =>
  [
    ident(column.name),
    column.type,
    ...(column.notNull ? ["NOT NULL"] : []),
    ...(column.default === undefined ? [] : [`DEFAULT ${column.default}`])
  ].join(" ")

const names = (columns: ReadonlyArray<string>) => columns.map(ident).join(", ")

/**
 * Statements that make the table and its indexes.
 *
 * @param schema of tables that name none
 */
export const createTable = (table: Table, schema: string): ReadonlyArray<string> => {
  const name = qualified(table.schema ?? schema, table.name)
  const lines = [
    ...table.columns.map(columnDefinition),
    ...(table.createdAt ? [`"created_at" timestamptz NOT NULL DEFAULT now()`] : []),
    ...(table.primaryKey.length > 0 ? [`PRIMARY KEY (${names(table.primaryKey)})`] : [])
  ]
  return [
    `CREATE TABLE IF NOT EXISTS ${name} (\n  ${lines.join(",\n  ")}\n)`,
    ...table.indexes.map(
      ({ on, where }) => `CREATE INDEX ON ${name} (${on})${where === undefined ? "" : ` WHERE ${where}`}`
    )
  ]
}

const dayMillis = 86_400_000

/**
 * Makes the table a hypertable; undefined for a table without a time column. Source: TimescaleDB, `create_hypertable`.
 *
 * @param schema of tables that name none
 * @param extensionSchema where the extension's functions are
 */
export const createHypertable = (table: Table, schema: string, extensionSchema: string): string | undefined =>
  table.timeColumn === undefined
    ? undefined
    : `SELECT ${ident(extensionSchema)}.create_hypertable(${literal(qualified(table.schema ?? schema, table.name))}::regclass, ` +
      `${literal(table.timeColumn)}::name, ` +
      `chunk_time_interval => interval '${table.chunkIntervalMillis ?? dayMillis} milliseconds', ` +
      `if_not_exists => true, create_default_indexes => false)`
