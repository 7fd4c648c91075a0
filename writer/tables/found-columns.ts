import type { JsonConfig } from "../processor-config.ts"
import { columnTypeOf, type FoundTable } from "./check.ts"
import type { JsonColumn } from "./mapped.ts"

/** Columns for mappings that list none: those of a table that exists already. */

/** A sentence that says why a table gives no columns. */
type Problem = string

/** What columns of the database may be listed as. */
const isListed = (type: string): type is JsonColumn["type"] => type !== "int4[]"

/**
 * A top-level field per column, by name. Columns that PostgreSQL fills by itself (a default, an identity, a generation
 * expression) are left to it, since a message without the field would otherwise store null there.
 *
 * @param found undefined when there is no such table
 * @param extra column that takes all other fields
 */
const columnsOf = (
  table: string,
  found: FoundTable | undefined,
  extra: string | undefined
): ReadonlyArray<JsonColumn> | Problem => {
  if (found === undefined) return `table ${table} does not exist, and without columns it cannot be made`
  const columns: Array<JsonColumn> = []
  for (const { name, type: written, notNull, filled } of found.columns) {
    if (filled || name === extra) continue
    const type = columnTypeOf(written)
    if (type === undefined || !isListed(type)) {
      return `column ${table}.${name} is ${written}, which is not written; list the columns that are`
    }
    columns.push({ name, type, ...(notNull ? { required: true } : {}) })
  }
  return columns.length === 0 ? `table ${table} has no columns to write to` : columns
}

/** The configuration with all columns listed, or why that is not possible. */
export const withFoundColumns = (
  config: JsonConfig,
  find: (table: string) => FoundTable | undefined
): JsonConfig | ReadonlyArray<Problem> => {
  const problems: Array<Problem> = []
  const completed = <M extends Pick<JsonConfig, "table" | "columns" | "extraColumn">>(mapping: M): M => {
    if (mapping.table === undefined || mapping.columns !== undefined) return mapping
    const columns = columnsOf(mapping.table, find(mapping.table), mapping.extraColumn)
    if (typeof columns !== "string") return { ...mapping, columns }
    problems.push(columns)
    return mapping
  }
  const complete = config.routes === undefined ? completed(config) : { ...config, routes: config.routes.map(completed) }
  return problems.length === 0 ? complete : problems
}
