import type { JsonColumn, JsonMapping, TableOptions } from "../tables/mapped.ts"
import { columnNames, extraColumnOf } from "../tables/mapped.ts"
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

/** Why a mapping cannot work, one sentence each with the path of the field; empty when it can. */
export const jsonMappingFaults = (mapping: JsonMapping, { timeColumn }: TableOptions): ReadonlyArray<string> => {
  const names = columnNames(mapping)
  const unknown = (path: string, columns: ReadonlyArray<string>): ReadonlyArray<string> =>
    columns
      .filter((name) => !names.includes(name))
      .map((name) => `${path}: ${name} is no column of the mapping; it has ${names.join(", ")}`)
  const faults = mapping.columns.flatMap((column, i) => columnFaults(column, `columns[${i}]`))
  if (names.length === 0) faults.push("columns: at least one is needed")
  for (const [i, name] of names.entries()) {
    if (names.indexOf(name) !== i) faults.push(`columns: ${name} is there twice`)
  }
  if (mapping.onUnknownField === "ExtraColumn" && extraColumnOf(mapping) === undefined) {
    faults.push("extraColumn: needed with onUnknownField ExtraColumn")
  }
  if (mapping.mode !== "Append" && mapping.conflictKeys.length === 0) {
    faults.push(`conflictKeys: needed with mode ${mapping.mode}`)
  }
  if (mapping.mode !== "Upsert" && mapping.newerWins !== undefined) faults.push("newerWins: needs mode Upsert")
  if (mapping.mode !== "Upsert" && mapping.updateColumns !== undefined) faults.push("updateColumns: needs mode Upsert")
  return [
    ...faults,
    ...unknown("conflictKeys", mapping.conflictKeys),
    ...unknown("updateColumns", mapping.updateColumns ?? []),
    ...unknown("newerWins", mapping.newerWins === undefined ? [] : [mapping.newerWins]),
    ...unknown("timeColumn", timeColumn === undefined ? [] : [timeColumn])
  ]
}
