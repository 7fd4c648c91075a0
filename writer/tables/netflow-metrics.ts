import type { Table } from "./table.ts"

const dayMillis = 86_400_000
const key = ["timestamp", "id"]

/** One flow per row, without what OCSF adds. */
export const netflowMetrics: Table = {
  name: "netflow_metrics",
  columns: [
    { name: "timestamp", type: "timestamptz", notNull: true },
    { name: "id", type: "uuid", notNull: true },
    { name: "gateway_id", type: "text" },
    { name: "agent_id", type: "text" },
    { name: "device_id", type: "text" },
    { name: "flow_direction", type: "text" },
    { name: "src_addr", type: "text" },
    { name: "dst_addr", type: "text" },
    { name: "src_port", type: "int4" },
    { name: "dst_port", type: "int4" },
    { name: "protocol", type: "int4" },
    { name: "packets", type: "int8", default: "0" },
    { name: "octets", type: "int8", default: "0" },
    { name: "sampler_address", type: "text" },
    { name: "input_snmp", type: "int4" },
    { name: "output_snmp", type: "int4" },
    { name: "metadata", type: "jsonb" }
  ],
  primaryKey: key,
  indexes: [{ on: `"timestamp" DESC` }],
  conflict: { mode: "InsertIgnore", keys: key },
  timeColumn: "timestamp",
  chunkIntervalMillis: dayMillis,
  createdAt: true
}
