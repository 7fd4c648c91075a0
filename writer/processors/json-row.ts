import { formatTimestamp } from "../fields/time.ts"
import type { JsonColumn, JsonMapping, TableOptions } from "../tables/mapped.ts"
import { extraColumnOf, requiredColumns } from "../tables/mapped.ts"
import type { JsonObject, JsonValue, Value } from "../tables/table.ts"
import { convert, convertText } from "./json-convert.ts"
import { atPointer, messageValue, parseSource } from "./json-source.ts"
import type { Message, RowSink } from "./processor.ts"

/**
 * Value of a column: null when the message has none, `undefined` when what it has cannot be converted. `exact` is the object
 * with its numbers as text, where one of them has more digits than a double keeps.
 */
type ReadColumn = (object: JsonObject, exact: JsonValue | undefined, message: Message) => Value | undefined

const readColumn = (column: JsonColumn): ReadColumn => {
  const { type, timeUnit } = column
  const fallback = column.defaultValue === undefined ? null : convertText(type, column.defaultValue, timeUnit)
  const converted = (value: JsonValue | undefined): Value | undefined =>
    value === undefined || value === null ? fallback : convert(type, value, timeUnit)

  const source = parseSource(column.from, column.name)
  if (source === undefined) return () => undefined
  if (source._tag === "Constant") {
    const constant = convertText(type, source.text, timeUnit)
    return () => constant
  }
  if (source._tag === "Pointer") {
    const { tokens } = source
    return type === "numeric"
      ? (object, exact) => converted(atPointer(exact ?? object, tokens))
      : (object) => converted(atPointer(object, tokens))
  }
  if (source._tag !== "Time") return (_object, _exact, message) => converted(messageValue(source, message))
  if (type === "timestamptz") return (_object, _exact, message) => message.receivedAt
  const length = type === "date" ? "YYYY-MM-DD".length : undefined
  return (_object, _exact, message) => converted(formatTimestamp(message.receivedAt).slice(0, length))
}

/** Top-level fields that a column takes, with all that is in them. */
const mappedFields = (mapping: JsonMapping): ReadonlySet<string> => {
  const fields = new Set<string>()
  for (const column of mapping.columns) {
    const source = parseSource(column.from, column.name)
    if (source?._tag === "Pointer" && source.tokens[0] !== undefined) fields.add(source.tokens[0])
  }
  return fields
}

const unmappedFields = (object: JsonObject, mapped: ReadonlySet<string>): JsonObject => {
  const unmapped: Record<string, JsonValue> = Object.create(null) // a key named __proto__ is a key
  for (const [name, value] of Object.entries(object)) if (!mapped.has(name)) unmapped[name] = value
  return unmapped
}

/** Makes a row of an object. `exact` is as in {@link ReadColumn}; it is only looked at where a column keeps more digits. */
export interface RowMapper {
  /** Whether a column keeps more digits than a double. */
  readonly keepsDigits: boolean
  /** 1, or the reason why the object cannot be a row. */
  readonly map: (object: JsonObject, exact: JsonValue | undefined, message: Message, sink: RowSink) => 1 | string
}

/** @param table index of the mapping's table in the processor; the mapping must be free of faults */
export const makeRowMapper = (mapping: JsonMapping, options: TableOptions, table: number): RowMapper => {
  const required = requiredColumns(mapping, options)
  const columns = mapping.columns.map((column) => ({
    name: column.name,
    read: readColumn(column),
    required: required.has(column.name)
  }))
  const mapped = mappedFields(mapping)
  const extra = extraColumnOf(mapping) !== undefined
  const row: Array<Value> = []
  return {
    keepsDigits: mapping.columns.some(({ type }) => type === "numeric"),
    map: (object, exact, message, sink) => {
      if (mapping.onUnknownField === "Reject") {
        for (const name of Object.keys(object)) if (!mapped.has(name)) return `unknown_field:${name}`
      }
      for (const [at, { name, read, required }] of columns.entries()) {
        const value = read(object, exact, message)
        if (value === undefined) return `invalid_field:${name}`
        if (value === null && required) return `missing_field:${name}`
        row[at] = value
      }
      if (extra) row[columns.length] = unmappedFields(object, mapped)
      sink.row(table, row)
      return 1
    }
  }
}
