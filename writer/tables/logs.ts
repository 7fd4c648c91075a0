import type { Table } from "./table.ts"

const dayMillis = 86_400_000

/** One log record per row. */
export const logs: Table = {
  name: "logs",
  columns: [
    { name: "timestamp", type: "timestamptz", notNull: true },
    { name: "observed_timestamp", type: "timestamptz" },
    { name: "id", type: "uuid", notNull: true },
    { name: "trace_id", type: "text" },
    { name: "span_id", type: "text" },
    { name: "trace_flags", type: "int4" },
    { name: "severity_text", type: "text" },
    { name: "severity_number", type: "int4" },
    { name: "body", type: "text" },
    { name: "event_name", type: "text" },
    { name: "source", type: "text" },
    { name: "service_name", type: "text" },
    { name: "service_version", type: "text" },
    { name: "service_instance", type: "text" },
    { name: "scope_name", type: "text" },
    { name: "scope_version", type: "text" },
    { name: "scope_attributes", type: "text", json: true },
    { name: "attributes", type: "text", json: true },
    { name: "resource_attributes", type: "text", json: true }
  ],
  primaryKey: ["timestamp", "id"],
  indexes: [
    { on: `"timestamp" DESC` },
    { on: `"service_name"` },
    { on: `"severity_text"` },
    { on: `"source"` },
    { on: `"id"` },
    { on: `COALESCE("observed_timestamp", "timestamp") DESC` },
    { on: `"trace_id"`, where: `"trace_id" IS NOT NULL` }
  ],
  conflict: { mode: "InsertIgnore", keys: ["timestamp", "id"] },
  timeColumn: "timestamp",
  chunkIntervalMillis: dayMillis,
  createdAt: true
}
