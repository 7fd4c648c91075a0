import type { Table } from "./table.ts"

const dayMillis = 86_400_000

/** One event in the form of the Open Cybersecurity Schema Framework per row. */
export const ocsfEvents: Table = {
  name: "ocsf_events",
  columns: [
    { name: "id", type: "uuid", notNull: true },
    { name: "time", type: "timestamptz", notNull: true },
    { name: "class_uid", type: "int4", notNull: true },
    { name: "category_uid", type: "int4", notNull: true },
    { name: "type_uid", type: "int8", notNull: true },
    { name: "activity_id", type: "int4", notNull: true },
    { name: "activity_name", type: "text" },
    { name: "severity_id", type: "int4" },
    { name: "severity", type: "text" },
    { name: "message", type: "text" },
    { name: "status_id", type: "int4" },
    { name: "status", type: "text" },
    { name: "status_code", type: "text" },
    { name: "status_detail", type: "text" },
    { name: "metadata", type: "jsonb", notNull: true, default: "'{}'" },
    { name: "observables", type: "jsonb", notNull: true, default: "'[]'" },
    { name: "trace_id", type: "text" },
    { name: "span_id", type: "text" },
    { name: "actor", type: "jsonb", notNull: true, default: "'{}'" },
    { name: "device", type: "jsonb", notNull: true, default: "'{}'" },
    { name: "src_endpoint", type: "jsonb", notNull: true, default: "'{}'" },
    { name: "dst_endpoint", type: "jsonb", notNull: true, default: "'{}'" },
    { name: "log_name", type: "text" },
    { name: "log_provider", type: "text" },
    { name: "log_level", type: "text" },
    { name: "log_version", type: "text" },
    { name: "unmapped", type: "jsonb", notNull: true, default: "'{}'" },
    { name: "raw_data", type: "text" }
  ],
  primaryKey: ["time", "id"],
  indexes: [{ on: `"time" DESC` }, { on: `"severity_id"` }],
  conflict: { mode: "InsertIgnore", keys: ["time", "id"] },
  timeColumn: "time",
  chunkIntervalMillis: dayMillis,
  createdAt: true
}
