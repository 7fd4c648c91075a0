import type { JsonConfig } from "../processor-config.ts"
import type { Column, Conflict, Table } from "./table.ts"

export type JsonColumn = NonNullable<JsonConfig["columns"]>[number]

/** How the fields of a JSON object become the columns of a table of the user's own. */
export interface JsonMapping extends Omit<JsonConfig, "format" | "routes" | "onNoRoute"> {
  readonly table: string
  readonly columns: ReadonlyArray<JsonColumn>
}

/** Where messages of some subjects go. */
export interface JsonRoute {
  /** What its fields' paths begin with below `json`: nothing, or `routes[0].`. */
  readonly path: string
  /** Filters; empty: every subject. */
  readonly subjects: ReadonlyArray<string>
  /** `undefined`: the messages are dropped. Without `table` or `columns` it is not complete. */
  readonly mapping: Omit<JsonConfig, "format" | "routes" | "onNoRoute"> | undefined
}

/** Whether all is said about the table. */
export const isComplete = (mapping: NonNullable<JsonRoute["mapping"]>): mapping is JsonMapping =>
  mapping.table !== undefined && mapping.columns !== undefined

/** The routes in the order in which they are tried; a configuration without routes is one for every subject. */
export const jsonRoutes = (config: JsonConfig): ReadonlyArray<JsonRoute> =>
  config.routes === undefined
    ? [{ path: "", subjects: [], mapping: config }]
    : config.routes.map((route, i) => ({
        path: `routes[${i}].`,
        subjects: route.subjects,
        mapping: route.drop ? undefined : route
      }))

/** What an EventStream says about its tables beside the processor. */
export interface TableOptions {
  /** Schema of tables that name none. */
  readonly schema?: string
  /** Partitioning column of the hypertable; of several tables, those that have it are hypertables. */
  readonly timeColumn?: string
  readonly chunkIntervalMillis?: number
}

/** The jsonb column that receives unmapped fields, where there is one. */
export const extraColumnOf = (mapping: Pick<JsonMapping, "onUnknownField" | "extraColumn">): string | undefined =>
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

const timeColumnOf = ({ columns }: JsonMapping, { timeColumn }: TableOptions): string | undefined =>
  columns.some(({ name }) => name === timeColumn) ? timeColumn : undefined

/** Names of the columns that a row must have: those said to be, the key, and the column that a hypertable is split by. */
export const requiredColumns = (mapping: JsonMapping, options: TableOptions): ReadonlySet<string> => {
  const timeColumn = timeColumnOf(mapping, options)
  return new Set([
    ...mapping.columns.filter(({ required }) => required).map(({ name }) => name),
    ...(mapping.mode === "Append" ? [] : mapping.conflictKeys),
    ...(timeColumn === undefined ? [] : [timeColumn])
  ])
}

/** Schema and name of `schema.table`, or name alone. */
export const tableName = (table: string): Pick<Table, "schema" | "name"> => {
  const dot = table.indexOf(".")
  return dot === -1 ? { name: table } : { schema: table.slice(0, dot), name: table.slice(dot + 1) }
}

/** The table of a mapping; its columns in the mapping's order, then the extra column. */
export const mappedTable = (mapping: JsonMapping, options: TableOptions): Table => {
  const { chunkIntervalMillis } = options
  const timeColumn = timeColumnOf(mapping, options)
  const required = requiredColumns(mapping, options)
  const columns: Array<Column> = mapping.columns.map(({ name, type }) => ({ name, type, notNull: required.has(name) }))
  const extra = extraColumnOf(mapping)
  if (extra !== undefined) columns.push({ name: extra, type: "jsonb" })
  return {
    ...tableName(mapping.table),
    columns,
    primaryKey: mapping.mode === "Append" ? [] : mapping.conflictKeys,
    indexes: [],
    conflict: conflictOf(mapping),
    ...(timeColumn === undefined ? {} : { timeColumn }),
    ...(chunkIntervalMillis === undefined ? {} : { chunkIntervalMillis }),
    createdAt: false
  }
}
