import type { Column, Row, Table, Value } from "./table.ts"

const dayMillis = 86_400_000

const columns = [
  { name: "id", type: "uuid", notNull: true },
  { name: "time", type: "timestamptz", notNull: true },
  { name: "class_uid", type: "int4", notNull: true },
  { name: "category_uid", type: "int4", notNull: true },
  { name: "activity_id", type: "int4", notNull: true },
  { name: "type_uid", type: "int8", notNull: true },
  { name: "severity_id", type: "int4", notNull: true },
  { name: "activity_name", type: "text" },
  { name: "severity", type: "text" },
  { name: "message", type: "text" },
  { name: "action_id", type: "int4" },
  { name: "action", type: "text" },
  { name: "status_id", type: "int4" },
  { name: "status", type: "text" },
  { name: "status_code", type: "text" },
  { name: "status_detail", type: "text" },
  { name: "start_time", type: "timestamptz" },
  { name: "end_time", type: "timestamptz" },
  { name: "duration", type: "int8" },
  { name: "metadata", type: "jsonb", notNull: true, default: "'{}'" },
  { name: "src_endpoint", type: "jsonb", notNull: true, default: "'{}'" },
  { name: "dst_endpoint", type: "jsonb", notNull: true, default: "'{}'" },
  { name: "connection_info", type: "jsonb", notNull: true, default: "'{}'" },
  { name: "traffic", type: "jsonb", notNull: true, default: "'{}'" },
  { name: "device", type: "jsonb", notNull: true, default: "'{}'" },
  { name: "actor", type: "jsonb", notNull: true, default: "'{}'" },
  { name: "unmapped", type: "jsonb", notNull: true, default: "'{}'" },
  { name: "observables", type: "jsonb", notNull: true, default: "'[]'" },
  { name: "protocol_num", type: "int4" },
  { name: "protocol_name", type: "text" },
  { name: "direction", type: "text" },
  { name: "direction_id", type: "int4" },
  { name: "src_endpoint_ip", type: "text" },
  { name: "dst_endpoint_ip", type: "text" },
  { name: "src_endpoint_port", type: "int4" },
  { name: "dst_endpoint_port", type: "int4" },
  // Autonomous system numbers have 32 bits without a sign.
  { name: "src_as_number", type: "int8" },
  { name: "dst_as_number", type: "int8" },
  { name: "tcp_flags", type: "int4" },
  { name: "tcp_flags_labels", type: "text[]", default: "'{}'" },
  { name: "bytes_total", type: "int8", default: "0" },
  { name: "packets_total", type: "int8", default: "0" },
  { name: "bytes_in", type: "int8", default: "0" },
  { name: "bytes_out", type: "int8", default: "0" },
  { name: "packets_in", type: "int8", default: "0" },
  { name: "packets_out", type: "int8", default: "0" },
  { name: "direction_label", type: "text" },
  { name: "dst_service_label", type: "text" },
  { name: "src_mac", type: "text" },
  { name: "dst_mac", type: "text" },
  { name: "sampler_address", type: "text" },
  { name: "flow_source", type: "text" },
  { name: "scan_type", type: "text" },
  { name: "ports_scanned", type: "int4[]", default: "'{}'" },
  { name: "ports_open", type: "int4[]", default: "'{}'" },
  { name: "icmp_available", type: "bool" },
  { name: "response_time_ns", type: "int8" },
  { name: "gateway_id", type: "text" },
  { name: "agent_id", type: "text" },
  { name: "raw_data", type: "text" },
  { name: "partition", type: "text", default: "'default'" }
] as const satisfies ReadonlyArray<Column>

/** One OCSF Network Activity per row: a flow, or the scan of a host. */
export const ocsfNetworkActivity: Table = {
  name: "ocsf_network_activity",
  columns,
  primaryKey: ["time", "id"],
  indexes: [
    { on: `"src_endpoint_ip", "time" DESC` },
    { on: `"dst_endpoint_ip", "time" DESC` },
    { on: `"protocol_num", "time" DESC` },
    { on: `"src_endpoint_port", "time" DESC`, where: `"src_endpoint_port" IS NOT NULL` },
    { on: `"dst_endpoint_port", "time" DESC`, where: `"dst_endpoint_port" IS NOT NULL` },
    { on: `"src_as_number", "time" DESC`, where: `"src_as_number" IS NOT NULL` },
    { on: `"dst_as_number", "time" DESC`, where: `"dst_as_number" IS NOT NULL` },
    { on: `"sampler_address", "time" DESC` },
    { on: `"partition", "time" DESC` },
    { on: `"time" DESC, "src_endpoint_ip", "bytes_total"` },
    { on: `"time" DESC, "dst_endpoint_port", "bytes_total"` },
    { on: `"time" DESC`, where: `"activity_id" = 6` },
    { on: `"time" DESC`, where: `"activity_id" = 99` }
  ],
  conflict: { mode: "InsertIgnore", keys: ["time", "id"] },
  timeColumn: "time",
  chunkIntervalMillis: dayMillis,
  createdAt: true
}

/** Values by column, NULL where there is none. */
export type NetworkActivity = { readonly [name in (typeof columns)[number]["name"]]?: Value | undefined }

/** The row of an activity. */
export const networkActivityRow = (activity: NetworkActivity): Row => columns.map(({ name }) => activity[name] ?? null)
