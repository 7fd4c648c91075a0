import type { ProcessorConfig } from "../config.ts"
import type { Column, Conflict, Table } from "./table.ts"

/** How the fields of a JSON object become the columns of a table of the user's own. */
export type JsonMapping = NonNullable<ProcessorConfig["json"]>
export type JsonColumn = JsonMapping["columns"][number]

/** What an EventStream says about its tables beside the processor. */
export interface TableOptions {
  /** Partitioning column of the hypertable. */
  readonly timeColumn?: string
  readonly chunkIntervalMillis?: number
}

/** The jsonb column that receives unmapped fields, where there is one. */
export const extraColumnOf = (mapping: JsonMapping): string | undefined =>
  mapping.onUnknownField === "ExtraColumn" ? mapping.extraColumn : undefined

/** Names of all columns, in the order of the table. */
export const columnNames = (mapping: JsonMapping): ReadonlyArray<string> => {
  const extra = extraColumnOf(mapping)
  return [...mapping.columns.map(({ name }) => name), ...(extra === undefined ? [] : [extra])]
}

const conflictOf = (mapping: JsonMapping): Conflict => {
  const keys = mapping.conflictKeys
  if (mapping.mode === "Append") return { mode: "Append" }
  if (mapping.mode === "InsertIgnore") return { mode: "InsertIgnore", keys }
  return {
    mode: "Upsert",
    keys,
    update: mapping.updateColumns ?? columnNames(mapping).filter((name) => !keys.includes(name)),
    ...(mapping.newerWins === undefined ? {} : { newerWins: mapping.newerWins })
  }
}

/** Names of the columns that a row must have: those said to be, the key, and the column that a hypertable is split by. */
export const requiredColumns = (mapping: JsonMapping, { timeColumn }: TableOptions): ReadonlySet<string> =>
  new Set([
    ...mapping.columns.filter(({ required }) => required).map(({ name }) => name),
    ...(mapping.mode === "Append" ? [] : mapping.conflictKeys),
    ...(timeColumn === undefined ? [] : [timeColumn])
  ])

/** The table of a mapping; its columns in the mapping's order, then the extra column. */
export const mappedTable = (mapping: JsonMapping, options: TableOptions): Table => {
  const { timeColumn, chunkIntervalMillis } = options
  const required = requiredColumns(mapping, options)
  const columns: Array<Column> = mapping.columns.map(({ name, type }) => ({ name, type, notNull: required.has(name) }))
  const extra = extraColumnOf(mapping)
  if (extra !== undefined) columns.push({ name: extra, type: "jsonb" })
  const dot = mapping.table.indexOf(".")
  return {
    ...(dot === -1 ? {} : { schema: mapping.table.slice(0, dot) }),
    name: mapping.table.slice(dot + 1),
    columns,
    primaryKey: mapping.mode === "Append" ? [] : mapping.conflictKeys,
    indexes: [],
    conflict: conflictOf(mapping),
    ...(timeColumn === undefined ? {} : { timeColumn }),
    ...(chunkIntervalMillis === undefined ? {} : { chunkIntervalMillis }),
    createdAt: false
  }
}
