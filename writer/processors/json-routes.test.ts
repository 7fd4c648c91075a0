import { Schema } from "effect"
import { describe, expect, it } from "vitest"
import { receivedAt } from "../../testing/process-message.ts"
import { JsonConfig } from "../processor-config.ts"
import type { TableOptions } from "../tables/mapped.ts"
import { columnFaults, InvalidProcessor, makeProcessor, processorFaults } from "./index.ts"
import type { Outcome } from "./processor.ts"

const decode = Schema.decodeUnknownSync(JsonConfig, { onExcessProperty: "error" })
const config = (json: object) => ({ type: "Json" as const, skipSubjects: ["*.skip"], json: decode(json) })

const columns = [
  { name: "id", type: "int8", required: true },
  { name: "at", type: "timestamptz" }
]
const routes = [
  { name: "late", subjects: ["orders.late"], table: "late", columns: [{ name: "n", type: "numeric", from: "/id" }] },
  { name: "noise", subjects: ["*.noise"], drop: true },
  {
    name: "orders",
    subjects: ["orders.>", "returns.*"],
    table: "shop.orders",
    columns,
    mode: "Upsert",
    conflictKeys: ["id"]
  }
]

const process = (json: object, subject: string, payload: unknown, header?: string) => {
  const processor = makeProcessor(config(json))
  const rows: Array<readonly [string, ...ReadonlyArray<unknown>]> = []
  const outcome: Outcome = processor.process(
    {
      subject,
      stream: "S",
      seq: 1,
      receivedAt,
      data: Buffer.from(JSON.stringify(payload)),
      header: (name) => (name === "Nats-Subject" ? header : undefined),
      headers: () => undefined
    },
    { row: (table, values) => rows.push([processor.tables[table]!.name, ...values]) }
  )
  return { outcome, rows }
}

describe("routes", () => {
  it("lead a message to the first that has its subject", () => {
    expect(process({ routes }, "orders.late", { id: 1 })).toEqual({ outcome: { _tag: "Rows" }, rows: [["late", "1"]] })
    expect(process({ routes }, "orders.new", [{ id: 1 }, { id: 2, at: 1_705_315_800 }]).rows).toEqual([
      ["orders", 1, null],
      ["orders", 2, 1_705_315_800_000_000]
    ])
    expect(process({ routes }, "returns.new", { id: 1 }).rows).toHaveLength(1)
    expect(process({ routes }, "mirror.x", { id: 1 }, "orders.late").rows).toEqual([["late", "1"]])
    expect(process({ routes }, "orders.new", { at: 1 }).outcome).toEqual({
      _tag: "DeadLetter",
      reason: "missing_field:id"
    })
  })

  it("have a table each, which is theirs alone", () => {
    expect(makeProcessor(config({ routes }), { timeColumn: "at" }).tables).toMatchObject([
      { name: "late", conflict: { mode: "Append" }, columns: [{ name: "n" }] },
      { schema: "shop", name: "orders", conflict: { mode: "Upsert", update: ["at"] }, timeColumn: "at" }
    ])
    expect(makeProcessor(config({ routes }), { timeColumn: "at" }).tables[0]).not.toHaveProperty("timeColumn")
  })

  it("may drop, and so may skipSubjects", () => {
    const skipped = { outcome: { _tag: "Dropped", reason: "skipped_subject" }, rows: [] }
    expect(process({ routes }, "orders.noise", { id: 1 })).toEqual(skipped)
    expect(process({ routes }, "orders.skip", { id: 1 })).toEqual(skipped)
    expect(process({ table: "t", columns }, "orders.skip", { id: 1 })).toEqual(skipped)
  })

  it.each([
    [undefined, { _tag: "DeadLetter", reason: "unroutable_subject" }],
    ["DeadLetter", { _tag: "DeadLetter", reason: "unroutable_subject" }],
    ["Drop", { _tag: "Dropped", reason: "unroutable_subject" }],
    ["Halt", { _tag: "DeadLetter", reason: "unroutable_subject", halt: "processor.json.onNoRoute" }]
  ])("say what becomes of other subjects: onNoRoute %s", (onNoRoute, outcome) => {
    expect(process({ routes, ...(onNoRoute && { onNoRoute }) }, "other", { id: 1 })).toEqual({ outcome, rows: [] })
    expect(process({ routes, ...(onNoRoute && { onNoRoute }) }, "orders.new", { id: 1 }).rows).toHaveLength(1)
  })

  const route = (fields: object) => ({ routes: [{ name: "a", subjects: ["a"], table: "t", columns, ...fields }] })
  it.each<[object, string, TableOptions?]>([
    [{ routes, table: "t" }, "json.table: belongs into each route"],
    [{ routes, mode: "Upsert" }, "json.mode: belongs into each route"],
    [{ routes, onUnknownField: "Reject" }, "json.onUnknownField: belongs into each route"],
    [{ table: "t", columns, onNoRoute: "Halt" }, "json.onNoRoute: needs routes"],
    [{ columns }, "json.table: needed"],
    [{ routes: [{ name: "a", subjects: ["a"], drop: true }] }, "json.routes: at least one must not drop"],
    [{ routes: [{ name: "a", subjects: ["a"], columns }] }, "json.routes[0].table: needed"],
    [route({ mode: "InsertIgnore" }), "json.routes[0].conflictKeys: needed"],
    [route({ columns: [{ name: "c", type: "text", from: "c" }] }), "json.routes[0].columns[0].from"],
    [
      { routes: [...routes, { name: "again", subjects: ["x"], table: "late", columns }] },
      "json.routes[3].table: late is the table of routes[0]"
    ],
    [
      { routes: [...routes, { name: "again", subjects: ["x"], table: "orders", columns }] },
      "json.routes[3].table: shop.orders is the table of routes[2]",
      { schema: "shop" }
    ],
    [{ routes }, "json.timeColumn: when is no column of the mapping; it has n, id, at", { timeColumn: "when" }]
  ])("that cannot work: %j", (json, fault, options = {}) => {
    expect(processorFaults(config(json), options)).toEqual([expect.stringContaining(fault)])
    expect(() => makeProcessor(config(json), options)).toThrow(InvalidProcessor)
  })

  it("without columns need the database's", () => {
    const json = { routes: [routes[0], { name: "b", subjects: ["b"], table: "b" }] }
    expect(processorFaults(config(json), { timeColumn: "at" })).toEqual([])
    expect(columnFaults(config(json))).toEqual([expect.stringContaining("json.routes[1].columns: needed")])
    expect(columnFaults(config({ table: "t" }))).toEqual([expect.stringContaining("json.columns: needed")])
    expect(() => makeProcessor(config({ table: "t" }))).toThrow(InvalidProcessor)
  })
})
