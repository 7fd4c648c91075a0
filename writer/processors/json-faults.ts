import type { JsonConfig } from "../processor-config.ts"
import type { JsonColumn, JsonMapping, JsonRoute, TableOptions } from "../tables/mapped.ts"
import { columnNames, extraColumnOf, isComplete, jsonRoutes } from "../tables/mapped.ts"
import { convertText } from "./json-convert.ts"
import { parseSource, sourceForms } from "./json-source.ts"

const timeTypes: ReadonlySet<string> = new Set(["timestamptz", "date", "text"])

const columnFaults = (column: JsonColumn, at: string): ReadonlyArray<string> => {
  const faults: Array<string> = []
  const { type, timeUnit, defaultValue } = column
  const source = parseSource(column.from, column.name)
  if (source === undefined) faults.push(`${at}.from: ${JSON.stringify(column.from)} is not ${sourceForms}`)
  if (source?._tag === "Time" && !timeTypes.has(type)) {
    faults.push(`${at}.from: time fits the types ${[...timeTypes].join(", ")}, not ${type}`)
  }
  if (source?._tag === "Constant" && convertText(type, source.text, timeUnit) === undefined) {
    faults.push(`${at}.from: ${JSON.stringify(source.text)} is no ${type}`)
  }
  if (defaultValue !== undefined && convertText(type, defaultValue, timeUnit) === undefined) {
    faults.push(`${at}.defaultValue: ${JSON.stringify(defaultValue)} is no ${type}`)
  }
  if (timeUnit !== undefined && type !== "timestamptz") {
    faults.push(`${at}.timeUnit: only a timestamptz has one, this column is ${type}`)
  }
  return faults
}

/** Faults of what a mapping says beside its columns. */
const conflictFaults = ({
  mode,
  conflictKeys,
  newerWins,
  updateColumns
}: NonNullable<JsonRoute["mapping"]>): ReadonlyArray<string> => [
  ...(mode !== "Append" && conflictKeys.length === 0 ? [`conflictKeys: needed with mode ${mode}`] : []),
  ...(mode !== "Upsert" && newerWins !== undefined ? ["newerWins: needs mode Upsert"] : []),
  ...(mode !== "Upsert" && updateColumns !== undefined ? ["updateColumns: needs mode Upsert"] : [])
]

const columnListFaults = (mapping: JsonMapping): ReadonlyArray<string> => {
  const names = columnNames(mapping)
  const unknown = (path: string, columns: ReadonlyArray<string>): ReadonlyArray<string> =>
    columns
      .filter((name) => !names.includes(name))
      .map((name) => `${path}: ${name} is no column of the mapping; it has ${names.join(", ")}`)
  return [
    ...mapping.columns.flatMap((column, i) => columnFaults(column, `columns[${i}]`)),
    ...(names.length === 0 ? ["columns: at least one is needed"] : []),
    ...names.filter((name, i) => names.indexOf(name) !== i).map((name) => `columns: ${name} is there twice`),
    ...unknown("conflictKeys", mapping.conflictKeys),
    ...unknown("updateColumns", mapping.updateColumns ?? []),
    ...unknown("newerWins", mapping.newerWins === undefined ? [] : [mapping.newerWins])
  ]
}

const routeFaults = ({ path, mapping }: JsonRoute): ReadonlyArray<string> => {
  if (mapping === undefined) return []
  const faults = [
    ...(mapping.table === undefined ? ["table: needed"] : []),
    ...(mapping.onUnknownField === "ExtraColumn" && extraColumnOf(mapping) === undefined
      ? ["extraColumn: needed with onUnknownField ExtraColumn"]
      : []),
    ...conflictFaults(mapping),
    ...(isComplete(mapping) ? columnListFaults(mapping) : [])
  ]
  return faults.map((fault) => path + fault)
}

/** A table that two routes write would get its rows in another order than the stream's. */
const sharedTableFaults = (routes: ReadonlyArray<JsonRoute>, { schema }: TableOptions): ReadonlyArray<string> => {
  const fullName = (table: string) => (table.includes(".") || schema === undefined ? table : `${schema}.${table}`)
  const tables = routes.map(({ mapping }) => (mapping?.table === undefined ? undefined : fullName(mapping.table)))
  return routes.flatMap(({ path }, i) => {
    const earlier = tables.indexOf(tables[i])
    return tables[i] === undefined || earlier === i
      ? []
      : [`${path}table: ${tables[i]} is the table of routes[${earlier}] already; one route may have several subjects`]
  })
}

const timeColumnFaults = (routes: ReadonlyArray<JsonRoute>, { timeColumn }: TableOptions): ReadonlyArray<string> => {
  const mappings = routes.flatMap(({ mapping }) => (mapping === undefined ? [] : [mapping]))
  if (timeColumn === undefined || mappings.some(({ columns }) => columns === undefined)) return []
  const names = mappings.flatMap(({ columns = [] }) => columns.map(({ name }) => name))
  return names.includes(timeColumn)
    ? []
    : [`timeColumn: ${timeColumn} is no column of the mapping; it has ${[...new Set(names)].join(", ")}`]
}

/** Why a configuration cannot work, one sentence each with the path of the field; empty when it can. */
export const jsonFaults = (config: JsonConfig, options: TableOptions): ReadonlyArray<string> => {
  const routes = jsonRoutes(config)
  const besideRoutes =
    config.routes === undefined
      ? []
      : [
          ...(["table", "columns", "extraColumn", "updateColumns", "newerWins"] as const).filter(
            (field) => config[field] !== undefined
          ),
          ...(config.conflictKeys.length > 0 ? ["conflictKeys"] : []),
          ...(config.mode === "Append" ? [] : ["mode"]),
          ...(config.onUnknownField === "Ignore" ? [] : ["onUnknownField"])
        ]
  return [
    ...besideRoutes.map((field) => `${field}: belongs into each route, not beside routes`),
    ...(config.routes === undefined && config.onNoRoute !== "DeadLetter" ? ["onNoRoute: needs routes"] : []),
    ...(routes.every(({ mapping }) => mapping === undefined) ? ["routes: at least one must not drop"] : []),
    ...routes.flatMap(routeFaults),
    ...sharedTableFaults(routes, options),
    ...timeColumnFaults(routes, options)
  ]
}

/** Paths of the columns that are those of a table in the database, which has to be asked for them. */
export const unlistedColumns = (config: JsonConfig): ReadonlyArray<string> =>
  jsonRoutes(config).flatMap(({ path, mapping }) =>
    mapping !== undefined && mapping.columns === undefined ? [`${path}columns`] : []
  )
