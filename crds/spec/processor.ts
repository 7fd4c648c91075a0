import { Schema } from "effect"
import { freeText, mapList, optional, required, set, withDefault } from "../field.ts"
import { ColumnSource, Identifier, RouteName, SubjectFilter, TableName } from "../names.ts"

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

const onUnknownField = Schema.Literals(["Ignore", "ExtraColumn", "Reject"])
const onUnknownFieldDescription =
  "What happens to top-level fields no column takes: nothing, kept in extraColumn, or the message is a dead letter."
const mode = Schema.Literals(["Append", "InsertIgnore", "Upsert"])
const modeDescription =
  "Append: always a new row. InsertIgnore: the stored row stays when its key exists. Upsert: the new row replaces it."

const columnsDescription =
  "How fields of the payload become columns. Unset: the table exists already, and its columns without a default take the top-level fields of their names; they are read when a writer starts."

const keyFields = {
  conflictKeys: optional(set(Identifier, 16), "Key columns, with mode InsertIgnore or Upsert."),
  updateColumns: optional(set(Identifier, 200), "Columns an Upsert replaces. Unset: all but the key."),
  newerWins: optional(
    Identifier,
    "Column compared by an Upsert: the stored row stays unless the new value is greater, so that a late message never overwrites newer data."
  )
}

const extraColumn = optional(
  Identifier,
  "jsonb column that receives the unknown fields, with onUnknownField ExtraColumn."
)

/** Items of a list have no defaults: tools that merge lists as a whole would see a difference for ever. */
const JsonRouteSpec = Schema.Struct({
  name: required(RouteName, "Name of the route, for people."),
  subjects: required(
    set(SubjectFilter, 64, 1),
    "Subjects of the messages that take this route, if no earlier one has them."
  ),
  drop: optional(Schema.Boolean, "Messages are dropped and counted; excludes table. Unset: false."),
  table: optional(TableName, "table or schema.table, another one in each route. Without a schema: target.schema."),
  columns: optional(mapList(JsonColumnSpec, "name", 100, 1), columnsDescription),
  onUnknownField: optional(onUnknownField, `${onUnknownFieldDescription} Unset: Ignore.`),
  extraColumn,
  mode: optional(mode, `${modeDescription} Unset: Append.`),
  ...keyFields,
  updateColumns: optional(set(Identifier, 100), "Columns an Upsert replaces. Unset: all but the key.")
})

const JsonSpec = Schema.Struct({
  format: withDefault(
    Schema.Literals(["Json", "NDJson", "CloudEvents"]),
    "Json",
    "Json: an object, or an array of objects. NDJson: an object per line. CloudEvents: an event, or an array of events, in structured or binary mode; from sees it in structured form in either mode: /id, /type, /data/total, and data that is neither JSON nor text as /data_base64."
  ),
  table: optional(TableName, "table or schema.table. Without a schema: target.schema. Excludes routes."),
  columns: optional(mapList(JsonColumnSpec, "name", 200, 1), columnsDescription),
  onUnknownField: withDefault(onUnknownField, "Ignore", onUnknownFieldDescription),
  extraColumn,
  mode: withDefault(mode, "Append", modeDescription),
  ...keyFields,
  routes: optional(
    mapList(JsonRouteSpec, "name", 16, 1),
    "Several tables from one stream: the first route that has a message's subject decides. All tables of a batch are written in one transaction."
  ),
  onNoRoute: withDefault(
    Schema.Literals(["DeadLetter", "Drop", "Halt"]),
    "DeadLetter",
    "What happens to a message whose subject no route has: it is a dead letter, or dropped and counted, or the writer stops before it."
  )
})

const OcsfSpec = Schema.Struct({
  eventLogActivityId: optional(
    Schema.Literals([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 99]),
    "activity_id of the Event Log Activity that a log or event becomes; activity_name and type_uid follow it. Only with types Events and Logs. Unset: 1, Create."
  ),
  product: optional(
    Schema.Struct({
      vendorName: optional(freeText(256), "Unset: EventStream."),
      name: optional(freeText(256), "Unset: eventstream."),
      version: optional(freeText(256), "Unset: none.")
    }),
    "The product that metadata names. Events that are OCSF already keep their own metadata."
  )
})

/** `spec.processor`. */
export const ProcessorSpec = Schema.Struct({
  type: withDefault(
    Schema.Literals(["Json", "Telemetry", "Events", "Logs", "OtelMetrics", "OtelTraces", "Sweep", "NetFlow"]),
    "Json",
    "How messages become rows. Json: any table, mapped by json. Telemetry: timeseries_metrics. Events: CloudEvents, GELF, SNMP traps. Logs: JSON or OTLP. OtelMetrics: otel_metrics. OtelTraces: otel_traces. Sweep: results of network scans. NetFlow: flows."
  ),
  output: optional(
    Schema.Literals([
      "Events",
      "OcsfEvents",
      "Logs",
      "Both",
      "OcsfNetworkActivity",
      "SweepHostStates",
      "NetflowMetrics"
    ]),
    "The table, where a type has a choice. Events: Events or OcsfEvents. Logs: OcsfEvents, Logs or Both. Sweep: OcsfNetworkActivity or SweepHostStates. NetFlow: OcsfNetworkActivity or NetflowMetrics. Unset: the first."
  ),
  storeRaw: withDefault(
    Schema.Boolean,
    false,
    "Keep what a row was made of in its column raw_data: the JSON text, protobuf as base64, nothing of an OTLP request. Only where the table has that column."
  ),
  ocsf: optional(OcsfSpec, "What OCSF events say of themselves, with output OcsfEvents, Both or OcsfNetworkActivity."),
  skipSubjects: optional(set(SubjectFilter, 64), "Messages of these subjects are dropped and counted."),
  json: optional(JsonSpec, "Mapping of JSON onto tables; only and always with type Json.")
})
