import { assert, describe, it } from "vitest"
import { type FoundTable, tableProblems } from "./check.ts"
import { createHypertable, createTable } from "./ddl.ts"
import type { Table } from "./table.ts"

const table: Table = {
  schema: `odd"schema`,
  name: "odd'table",
  columns: [
    { name: "time", type: "timestamptz", notNull: true },
    { name: `select"`, type: "text", notNull: true, default: "''" },
    { name: "data", type: "text", json: true }
  ],
  primaryKey: ["time", `select"`],
  indexes: [{ on: `"time" DESC` }, { on: `"data"`, where: `"data" IS NOT NULL` }],
  conflict: { mode: "InsertIgnore", keys: ["time", `select"`] },
  timeColumn: "time",
  chunkIntervalMillis: 3_600_000,
  createdAt: true
}

describe("DDL", () => {
  it("names everything by quoted identifiers", () => {
    const name = `"odd""schema"."odd'table"`
    assert.deepEqual(createTable(table, "public"), [
      `CREATE TABLE IF NOT EXISTS ${name} (
  "time" timestamptz NOT NULL,
  "select""" text NOT NULL DEFAULT '',
  "data" text,
  "created_at" timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY ("time", "select""")
)`,
      `CREATE INDEX ON ${name} ("time" DESC)`,
      `CREATE INDEX ON ${name} ("data") WHERE "data" IS NOT NULL`
    ])
  })

  it("makes a hypertable by the time column, and only of a table that has one", () => {
    assert.equal(
      createHypertable(table, "public", "timescale"),
      `SELECT "timescale".create_hypertable('"odd""schema"."odd''table"'::regclass, 'time'::name, ` +
        `chunk_time_interval => interval '3600000 milliseconds', if_not_exists => true, create_default_indexes => false)`
    )
    const { timeColumn: _, ...plain } = table
    assert.isUndefined(createHypertable(plain, "public", "timescale"))
  })
})

describe("an existing table", () => {
  const found: FoundTable = {
    columns: [
      { name: "time", type: "timestamp with time zone", notNull: true, filled: false },
      { name: `select"`, type: "character varying", notNull: true, filled: false },
      { name: "data", type: "json", notNull: false, filled: false },
      { name: "id", type: "bigint", notNull: true, filled: true }
    ],
    uniqueKeys: [["id"], [`select"`, "time"]]
  }

  it("fits with types of the same form, in any order, beside columns that fill themselves", () => {
    assert.deepEqual(tableProblems(table, found), [])
  })

  const [time, , data, id] = found.columns
  const cases: ReadonlyArray<readonly [FoundTable | undefined, RegExp]> = [
    [undefined, /does not exist/],
    [{ ...found, columns: [time!] }, /lacks columns select" text, data text/],
    [
      { ...found, columns: found.columns.with(0, { ...time!, type: "bigint" }) },
      /time is bigint, wanted timestamp with time zone/
    ],
    [{ ...found, columns: found.columns.with(2, { ...data!, type: "jsonb" }) }, /data is jsonb, wanted text/],
    [{ ...found, columns: found.columns.with(3, { ...id!, filled: false }) }, /id are NOT NULL without a default/],
    [{ ...found, uniqueKeys: [["time"]] }, /no unique index on \(time, select"\), which InsertIgnore needs/]
  ]
  for (const [changed, problem] of cases) {
    it(`does not fit: ${problem.source}`, () => {
      const problems = tableProblems(table, changed)
      assert.equal(problems.length, 1)
      assert.match(problems[0]!, problem)
    })
  }
})
