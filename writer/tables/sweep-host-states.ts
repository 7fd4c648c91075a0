import type { Table } from "./table.ts"

const dayMillis = 86_400_000
const key = ["host_ip", "gateway_id", "partition", "last_sweep_time"]

/** What a scan found out about one host, per row. */
export const sweepHostStates: Table = {
  name: "sweep_host_states",
  columns: [
    { name: "host_ip", type: "text", notNull: true },
    { name: "gateway_id", type: "text", notNull: true, default: "'unknown'" },
    { name: "agent_id", type: "text", notNull: true, default: "'unknown'" },
    { name: "partition", type: "text", notNull: true, default: "'default'" },
    { name: "network_cidr", type: "text" },
    { name: "hostname", type: "text" },
    { name: "mac", type: "text" },
    { name: "icmp_available", type: "bool" },
    { name: "icmp_response_time_ns", type: "int8" },
    { name: "icmp_packet_loss", type: "float8" },
    { name: "tcp_ports_scanned", type: "jsonb" },
    { name: "tcp_ports_open", type: "jsonb" },
    { name: "port_scan_results", type: "jsonb" },
    { name: "last_sweep_time", type: "timestamptz", notNull: true },
    { name: "first_seen", type: "timestamptz" },
    { name: "metadata", type: "jsonb" }
  ],
  primaryKey: key,
  indexes: [{ on: `"last_sweep_time" DESC` }],
  conflict: { mode: "InsertIgnore", keys: key },
  timeColumn: "last_sweep_time",
  chunkIntervalMillis: 7 * dayMillis,
  createdAt: true
}
