import type { Table } from "./table.ts"

const dayMillis = 86_400_000
const key = ["timestamp", "service_name", "span_name", "span_id", "series_key"]

/** One performance record of a span, or one OpenTelemetry data point, per row. */
export const otelMetrics: Table = {
  name: "otel_metrics",
  columns: [
    { name: "timestamp", type: "timestamptz", notNull: true },
    { name: "trace_id", type: "text" },
    { name: "span_id", type: "text", notNull: true, default: "''" },
    { name: "service_name", type: "text", notNull: true, default: "'unknown'" },
    { name: "span_name", type: "text", notNull: true, default: "'unknown'" },
    { name: "span_kind", type: "text" },
    { name: "duration_ms", type: "float8" },
    { name: "duration_seconds", type: "float8" },
    { name: "metric_type", type: "text" },
    { name: "http_method", type: "text" },
    { name: "http_route", type: "text" },
    { name: "http_status_code", type: "text" },
    { name: "grpc_service", type: "text" },
    { name: "grpc_method", type: "text" },
    { name: "grpc_status_code", type: "text" },
    { name: "is_slow", type: "bool", default: "false" },
    { name: "component", type: "text" },
    { name: "level", type: "text" },
    { name: "unit", type: "text" },
    { name: "value", type: "float8" },
    { name: "count", type: "int8" },
    { name: "attributes", type: "text", json: true },
    { name: "series_key", type: "text", notNull: true, default: "''" }
  ],
  primaryKey: key,
  indexes: [{ on: `"timestamp" DESC` }, { on: `"service_name"` }, { on: `"service_name", "timestamp" DESC` }],
  conflict: { mode: "InsertIgnore", keys: key },
  timeColumn: "timestamp",
  chunkIntervalMillis: dayMillis,
  createdAt: true
}
