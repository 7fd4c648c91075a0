import type { Table } from "./table.ts"

const dayMillis = 86_400_000
const key = ["timestamp", "trace_id", "span_id"]

/** One span per row. */
export const otelTraces: Table = {
  name: "otel_traces",
  columns: [
    { name: "timestamp", type: "timestamptz", notNull: true },
    { name: "trace_id", type: "text", notNull: true },
    { name: "span_id", type: "text", notNull: true },
    { name: "parent_span_id", type: "text" },
    { name: "name", type: "text" },
    { name: "kind", type: "int4" },
    { name: "start_time_unix_nano", type: "int8" },
    { name: "end_time_unix_nano", type: "int8" },
    { name: "service_name", type: "text", default: "'unknown'" },
    { name: "service_version", type: "text" },
    { name: "service_instance", type: "text" },
    { name: "scope_name", type: "text" },
    { name: "scope_version", type: "text" },
    { name: "status_code", type: "int4" },
    { name: "status_message", type: "text" },
    { name: "attributes", type: "text", json: true },
    { name: "resource_attributes", type: "text", json: true },
    { name: "events", type: "text", json: true },
    { name: "links", type: "text", json: true }
  ],
  primaryKey: key,
  indexes: [{ on: `"timestamp" DESC` }, { on: `"trace_id"` }, { on: `"service_name"` }],
  conflict: { mode: "InsertIgnore", keys: key },
  timeColumn: "timestamp",
  chunkIntervalMillis: dayMillis,
  createdAt: true
}
