import type { Table } from "./table.ts"

const weekMillis = 7 * 86_400_000

/** One CloudEvent, GELF message or plain JSON event per row. */
export const events: Table = {
  name: "events",
  columns: [
    { name: "event_timestamp", type: "timestamptz", notNull: true },
    { name: "id", type: "text", notNull: true },
    { name: "specversion", type: "text" },
    { name: "source", type: "text" },
    { name: "type", type: "text" },
    { name: "datacontenttype", type: "text" },
    { name: "subject", type: "text" },
    { name: "remote_addr", type: "text" },
    { name: "host", type: "text" },
    { name: "level", type: "int4" },
    { name: "severity", type: "text" },
    { name: "short_message", type: "text" },
    { name: "version", type: "text" },
    { name: "raw_data", type: "text" }
  ],
  primaryKey: ["event_timestamp", "id"],
  indexes: [
    { on: `"event_timestamp" DESC` },
    { on: `"source"` },
    { on: `"severity"` },
    { on: `"subject"` },
    { on: `"id", "event_timestamp"` }
  ],
  conflict: {
    mode: "Upsert",
    keys: ["event_timestamp", "id"],
    update: ["short_message", "level", "severity"]
  },
  timeColumn: "event_timestamp",
  chunkIntervalMillis: weekMillis,
  createdAt: true
}
