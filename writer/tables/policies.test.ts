import { assert, describe, it } from "vitest"
import type { ChunkPolicies } from "../config.ts"
import { type FoundPolicies, missingColumns, policyStatements } from "./policies.ts"
import type { Table } from "./table.ts"

const table: Table = {
  name: "readings",
  columns: [
    { name: "time", type: "timestamptz" },
    { name: "sensor's", type: "text" }
  ],
  primaryKey: [],
  indexes: [],
  conflict: { mode: "Append" },
  timeColumn: "time",
  createdAt: false
}
const hour = 3_600_000
const none: FoundPolicies = { compressAfterMillis: null, dropAfterMillis: null, segmentBy: [], orderBy: [] }
const statements = (policies: ChunkPolicies, found: Partial<FoundPolicies> = {}) =>
  policyStatements(table, "app", "timescale", policies, { ...none, ...found })

describe("policies of a hypertable", () => {
  it("are set up where there are none", () => {
    const wanted = {
      compressAfterMillis: hour,
      segmentBy: ["sensor's"],
      orderBy: "time DESC, x",
      dropAfterMillis: 2 * hour
    }
    assert.deepEqual(statements(wanted), [
      `ALTER TABLE "app"."readings" SET (timescaledb.compress, timescaledb.compress_segmentby = '"sensor''s"', ` +
        `timescaledb.compress_orderby = '"time" DESC NULLS FIRST, "x" ASC NULLS LAST')`,
      `SELECT "timescale".remove_compression_policy('"app"."readings"'::regclass, if_exists => true)`,
      `SELECT "timescale".add_compression_policy('"app"."readings"'::regclass, compress_after => interval '3600000 milliseconds')`,
      `SELECT "timescale".remove_retention_policy('"app"."readings"'::regclass, if_exists => true)`,
      `SELECT "timescale".add_retention_policy('"app"."readings"'::regclass, drop_after => interval '7200000 milliseconds')`
    ])
    assert.deepEqual(
      statements({ compressAfterMillis: hour })[0],
      `ALTER TABLE "app"."readings" SET (timescaledb.compress)`
    )
  })

  it("are left alone when they are as wanted, or not asked for", () => {
    const asked = {
      compressAfterMillis: hour,
      segmentBy: ["sensor's"],
      orderBy: "sensor's NULLS FIRST",
      dropAfterMillis: 5
    }
    const found: FoundPolicies = {
      compressAfterMillis: hour,
      dropAfterMillis: 5,
      segmentBy: ["sensor's"],
      // TimescaleDB adds the time column.
      orderBy: [
        { name: "sensor's", descending: false, nullsFirst: true },
        { name: "time", descending: true, nullsFirst: true }
      ]
    }
    assert.deepEqual(statements(asked, found), [])
    assert.deepEqual(statements({}, found), [])
    assert.deepEqual(statements({ compressAfterMillis: hour }, found), [])
  })

  it("are changed one by one", () => {
    const found = { compressAfterMillis: hour, dropAfterMillis: 5, segmentBy: ["a"] }
    const touched = (policies: ChunkPolicies) =>
      statements(policies, found).map((text) => /ALTER|remove_\w+|add_\w+/.exec(text)?.[0])
    assert.deepEqual(touched({ compressAfterMillis: hour, dropAfterMillis: 6 }), [
      "remove_retention_policy",
      "add_retention_policy"
    ])
    const compression = ["ALTER", "remove_compression_policy", "add_compression_policy"]
    assert.deepEqual(touched({ compressAfterMillis: 2 * hour, dropAfterMillis: 5 }), compression)
    assert.deepEqual(touched({ compressAfterMillis: hour, segmentBy: ["b"] }), compression)
    assert.deepEqual(touched({ compressAfterMillis: hour, orderBy: "time" }), compression)
  })

  it("name columns of the table", () => {
    assert.deepEqual(missingColumns(table, { segmentBy: ["sensor's", "a"], orderBy: "time, b DESC" }), ["a", "b"])
    assert.deepEqual(missingColumns(table, {}), [])
  })
})
