import { Schema } from "effect"
import { describe, expect, it } from "vitest"
import { JsonConfig } from "../processor-config.ts"
import type { FoundTable } from "./check.ts"
import { withFoundColumns } from "./found-columns.ts"

const decode = Schema.decodeUnknownSync(JsonConfig)
const column = (name: string, type: string, more: object = {}) => ({
  name,
  type,
  notNull: false,
  filled: false,
  ...more
})
const tables: Readonly<Record<string, FoundTable>> = {
  orders: {
    columns: [
      column("id", "bigint", { notNull: true }),
      column("note", "character varying"),
      column("at", "timestamp with time zone", { notNull: true, filled: true }),
      column("rest", "jsonb")
    ],
    uniqueKeys: [["id"]]
  },
  odd: { columns: [column("small", "smallint")], uniqueKeys: [] },
  filled: { columns: [column("id", "bigint", { filled: true })], uniqueKeys: [] }
}
const complete = (json: object) => withFoundColumns(decode(json), (table) => tables[table])

describe("columns that are not listed", () => {
  const id = { name: "id", type: "int8", required: true }
  const note = { name: "note", type: "text" }
  const rest = { name: "rest", type: "jsonb" }

  it("are those of the table that nothing else fills", () => {
    expect(complete({ table: "orders" })).toMatchObject({ table: "orders", columns: [id, note, rest] })
    expect(complete({ table: "orders", onUnknownField: "ExtraColumn", extraColumn: "rest" })).toMatchObject({
      columns: [id, note],
      extraColumn: "rest"
    })
  })

  it("are looked up for each route", () => {
    const listed = { name: "b", subjects: ["b"], table: "x", columns: [{ name: "c", type: "text" }] }
    expect(
      complete({
        routes: [{ name: "a", subjects: ["a"], table: "orders" }, listed, { name: "c", subjects: ["c"], drop: true }]
      })
    ).toMatchObject({ routes: [{ columns: [id, note, rest] }, listed, { drop: true }] })
  })

  it.each([
    ["missing", "table missing does not exist"],
    ["odd", "column odd.small is smallint, which is not written"],
    ["filled", "table filled has no columns to write to"]
  ])("of table %s", (table, problem) => {
    expect(complete({ table })).toEqual([expect.stringContaining(problem)])
  })
})
