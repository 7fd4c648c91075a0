import type { Table } from "./table.ts"

const dayMillis = 86_400_000

/** One sample of a metric per row. */
export const timeseriesMetrics: Table = {
  name: "timeseries_metrics",
  columns: [
    { name: "timestamp", type: "timestamptz", notNull: true },
    { name: "gateway_id", type: "text", notNull: true },
    { name: "agent_id", type: "text" },
    { name: "metric_name", type: "text", notNull: true },
    { name: "metric_type", type: "text", notNull: true },
    { name: "series_key", type: "text", notNull: true },
    { name: "device_id", type: "text" },
    { name: "value", type: "float8", notNull: true },
    { name: "unit", type: "text" },
    { name: "partition", type: "text" },
    { name: "tags", type: "jsonb" },
    { name: "metadata", type: "jsonb" },
    { name: "scale", type: "float8" },
    { name: "is_delta", type: "bool", default: "false" },
    { name: "target_device_ip", type: "text" },
    { name: "if_index", type: "int4" }
  ],
  primaryKey: ["timestamp", "gateway_id", "series_key"],
  indexes: [
    { on: `"timestamp" DESC` },
    { on: `"metric_name"` },
    { on: `"device_id"`, where: `"device_id" IS NOT NULL` },
    { on: `"device_id", "if_index", "metric_name", "metric_type", "timestamp" DESC` }
  ],
  conflict: { mode: "InsertIgnore", keys: ["timestamp", "gateway_id", "series_key"] },
  timeColumn: "timestamp",
  chunkIntervalMillis: dayMillis,
  createdAt: true
}
