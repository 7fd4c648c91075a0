import { Schema } from "effect"
import { optional, withDefault } from "./config-field.ts"

/** `processor` of the writer's configuration. */

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

export const JsonColumn = Schema.Struct({
  name: Schema.NonEmptyString,
  from: optional(
    Schema.NonEmptyString,
    "JSON pointer, header:<name>, subject, subject:<n>, seq, time or const:<text>. Unset: /<name>."
  ),
  type: Schema.Literals(ColumnTypes),
  timeUnit: optional(
    Schema.Literals(["RFC3339", "s", "ms", "us", "ns"]),
    "How a timestamptz is written in the payload. Unset: recognised by size and shape."
  ),
  required: optional(Schema.Boolean, "Absent or null makes the message a dead letter."),
  defaultValue: optional(Schema.String, "Used when absent or null.")
})

/** How the fields of a message become the columns of one table. */
const mappingFields = {
  columns: optional(
    Schema.Array(JsonColumn),
    "How fields become columns. Unset: the table exists, and fields become its columns of the same name."
  ),
  onUnknownField: withDefault(
    Schema.Literals(["Ignore", "ExtraColumn", "Reject"]),
    "Ignore",
    "What to do with top-level fields no column takes."
  ),
  extraColumn: optional(Schema.NonEmptyString, "jsonb column that receives unmapped fields."),
  mode: withDefault(
    Schema.Literals(["Append", "InsertIgnore", "Upsert"]),
    "Append",
    "What happens when a row's key exists."
  ),
  conflictKeys: withDefault(Schema.Array(Schema.NonEmptyString), [], "Key columns of InsertIgnore and Upsert."),
  updateColumns: optional(Schema.Array(Schema.NonEmptyString), "Columns an Upsert replaces. Unset: all but the keys."),
  newerWins: optional(
    Schema.NonEmptyString,
    "Column compared on conflict, so that late messages never overwrite newer rows."
  )
}

export const JsonRoute = Schema.Struct({
  name: Schema.NonEmptyString,
  subjects: Schema.Array(Schema.NonEmptyString).check(Schema.isMinLength(1)),
  drop: optional(Schema.Boolean, "Messages are dropped and counted. Unset: false."),
  table: optional(Schema.NonEmptyString, "table or schema.table; needed unless messages are dropped."),
  ...mappingFields
})

export const JsonConfig = Schema.Struct({
  format: withDefault(
    Schema.Literals(["Json", "NDJson", "CloudEvents"]),
    "Json",
    "How a message holds its JSON. CloudEvents are mapped in their structured form, in whichever mode they come."
  ),
  table: optional(Schema.NonEmptyString, "table or schema.table; excludes routes."),
  ...mappingFields,
  routes: optional(
    Schema.Array(JsonRoute).check(Schema.isMinLength(1)),
    "Several tables: a message belongs to the first route that has its subject."
  ),
  onNoRoute: withDefault(
    Schema.Literals(["DeadLetter", "Drop", "Halt"]),
    "DeadLetter",
    "A message whose subject no route has."
  )
})
export type JsonConfig = typeof JsonConfig.Type

export const ProcessorTypes = [
  "Json",
  "Telemetry",
  "Events",
  "Logs",
  "OtelMetrics",
  "OtelTraces",
  "Sweep",
  "NetFlow"
] as const

/** What a type can make of its messages, where there is a choice; unset, it is the first. */
export const ProcessorOutputs = {
  Events: ["Events", "OcsfEvents"],
  Logs: ["OcsfEvents", "Logs", "Both"],
  Sweep: ["OcsfNetworkActivity", "SweepHostStates"],
  NetFlow: ["OcsfNetworkActivity", "NetflowMetrics"]
} as const

const OcsfConfig = Schema.Struct({
  eventLogActivityId: optional(
    Schema.Literals([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 99]),
    "activity_id of events that are made of logs. Unset: 1."
  ),
  product: optional(
    Schema.Struct({
      vendorName: optional(Schema.NonEmptyString, "Unset: EventStream."),
      name: optional(Schema.NonEmptyString, "Unset: eventstream."),
      version: optional(Schema.NonEmptyString, "Unset: none.")
    }),
    "The product named in metadata."
  )
})
export type OcsfConfig = typeof OcsfConfig.Type

export const ProcessorConfig = Schema.Struct({
  type: Schema.Literals(ProcessorTypes),
  output: optional(
    Schema.Literals([
      ...new Set([
        ...ProcessorOutputs.Events,
        ...ProcessorOutputs.Logs,
        ...ProcessorOutputs.Sweep,
        ...ProcessorOutputs.NetFlow
      ])
    ]),
    "What the messages become, for types that have a choice. Unset: the type's first."
  ),
  storeRaw: optional(Schema.Boolean, "Whether raw_data keeps the payload. Unset: false."),
  ocsf: optional(OcsfConfig, "Of events in the form of the Open Cybersecurity Schema Framework."),
  skipSubjects: withDefault(
    Schema.Array(Schema.NonEmptyString),
    [],
    "Subjects (exact or wildcard) that are dropped and counted."
  ),
  subjects: optional(
    Schema.Array(Schema.NonEmptyString),
    "Subjects the EventStream captures: routed to the processor besides those it knows by itself."
  ),
  json: optional(JsonConfig, "Mapping of type Json.")
})
export type ProcessorConfig = typeof ProcessorConfig.Type
