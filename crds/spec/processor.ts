import { Schema } from "effect"
import { freeText, mapList, optional, required, set, withDefault } from "../field.ts"
import { ColumnSource, Identifier, SubjectFilter, TableName } from "../names.ts"

/** PostgreSQL types a column of a Json table may have. */
export const ColumnTypes = [
  "text",
  "int4",
  "int8",
  "float8",
  "numeric",
  "bool",
  "timestamptz",
  "date",
  "uuid",
  "inet",
  "cidr",
  "macaddr",
  "jsonb",
  "bytea",
  "text[]",
  "int8[]"
] as const

const JsonColumnSpec = Schema.Struct({
  name: required(Identifier, "Name of the column."),
  from: optional(
    ColumnSource,
    "JSON pointer (/a/b), header:<name>, subject, subject:<token number>, seq, time or const:<text>. Unset: /<name>."
  ),
  type: required(Schema.Literals(ColumnTypes), "PostgreSQL type of the column."),
  timeUnit: optional(
    Schema.Literals(["RFC3339", "s", "ms", "us", "ns"]),
    "How a timestamptz is written in the payload. Unset: recognised by size and shape."
  ),
  required: optional(Schema.Boolean, "The message is a dead letter when the value is absent or null. Unset: false."),
  defaultValue: optional(freeText(1024), "Used when the value is absent or null.")
})

const JsonSpec = Schema.Struct({
  table: required(TableName, "table or schema.table. Without a schema: target.schema."),
  columns: required(mapList(JsonColumnSpec, "name", 200, 1), "How fields of the payload become columns."),
  onUnknownField: withDefault(
    Schema.Literals(["Ignore", "ExtraColumn", "Reject"]),
    "Ignore",
    "What happens to top-level fields no column takes: nothing, kept in extraColumn, or the message is a dead letter."
  ),
  extraColumn: optional(Identifier, "jsonb column that receives the unknown fields, with onUnknownField ExtraColumn."),
  mode: withDefault(
    Schema.Literals(["Append", "InsertIgnore", "Upsert"]),
    "Append",
    "Append: always a new row. InsertIgnore: the stored row stays when its key exists. Upsert: the new row replaces it."
  ),
  conflictKeys: optional(set(Identifier, 16), "Key columns, with mode InsertIgnore or Upsert."),
  updateColumns: optional(set(Identifier, 200), "Columns an Upsert replaces. Unset: all but the key."),
  newerWins: optional(
    Identifier,
    "Column compared by an Upsert: the stored row stays unless the new value is greater, so that a late message never overwrites newer data."
  )
})

/** `spec.processor`. */
export const ProcessorSpec = Schema.Struct({
  type: withDefault(
    Schema.Literals(["Json", "Telemetry", "OtelMetrics"]),
    "Json",
    "Json: any table, mapped by json. Telemetry: timeseries_metrics. OtelMetrics: otel_metrics, from JSON or OTLP protobuf."
  ),
  skipSubjects: optional(set(SubjectFilter, 64), "Messages of these subjects are dropped and counted."),
  json: optional(JsonSpec, "Mapping of a JSON payload onto a table; only and always with type Json.")
})
