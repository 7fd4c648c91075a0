import { describe, expect, it } from "vitest"
import { processMessage, receivedAt } from "../../testing/process-message.ts"
import type { ProcessorConfig } from "../processor-config.ts"
import type { JsonColumn, JsonMapping, TableOptions } from "../tables/mapped.ts"
import type { Value } from "../tables/table.ts"
import { InvalidProcessor, makeProcessor, processorFaults } from "./index.ts"

type ColumnType = JsonColumn["type"]

const mapping = (json: Partial<JsonMapping>): ProcessorConfig => ({
  type: "Json",
  skipSubjects: [],
  json: {
    format: "Json",
    table: "t",
    columns: [],
    onUnknownField: "Ignore",
    mode: "Append",
    conflictKeys: [],
    onNoRoute: "DeadLetter",
    ...json
  }
})
const make = (json: Partial<JsonMapping>, options: TableOptions = {}) => makeProcessor(mapping(json), options)

const deadLetter = (reason: string) => expect.objectContaining({ _tag: "DeadLetter", reason })

describe("a column's type", () => {
  const convert = (column: Partial<JsonColumn> & { readonly type: ColumnType }, json: string) =>
    processMessage(make({ columns: [{ name: "c", ...column }] }), "s", `{"c":${json}}`)

  it.each<[ColumnType, string, Value]>([
    ["text", '" as is "', " as is "],
    ["text", '""', ""],
    ["text", "1.50", "1.5"],
    ["text", "12345678901234567890", "12345678901234567890"],
    ["text", "true", "true"],
    ["text", '{"a":[1]}', '{"a":[1]}'],
    ["int4", "-2147483648", -2_147_483_648],
    ["int4", "5.0", 5],
    ["int4", '" 12 "', 12],
    ["int8", "9223372036854775807", 9_223_372_036_854_775_807n],
    ["int8", '"9007199254740993"', 9_007_199_254_740_993n],
    ["int8", "7", 7],
    ["float8", "0.1", 0.1],
    ["float8", '"1e3"', 1000],
    ["numeric", "12345678901.123456789012", "12345678901.123456789012"],
    ["numeric", '"-12.50"', "-12.50"],
    ["numeric", '" +1.5e3 "', "1500"],
    ["numeric", "1e-7", "0.0000001"],
    ["numeric", "123456789012345678901234567890", "123456789012345678901234567890"],
    ["bool", "false", false],
    ["bool", '"YES"', true],
    ["bool", "0", false],
    ["timestamptz", '"2024-01-15T10:50:00Z"', 1_705_315_800_000_000],
    ["timestamptz", "1705315800123", 1_705_315_800_123_000],
    ["date", '"2024-02-29"', "2024-02-29"],
    ["uuid", '"C0B2F5AF-7D5D-4C1A-8C5B-7C6A9F4C94B2"', "c0b2f5af-7d5d-4c1a-8c5b-7c6a9f4c94b2"],
    ["inet", '"2001:DB8::1/64"', "2001:db8::1/64"],
    ["inet", '"10.0.0.1"', "10.0.0.1"],
    ["cidr", '"10.0.0.0/8"', "10.0.0.0/8"],
    ["macaddr", '"08-00-2B-01-02-03"', "08-00-2b-01-02-03"],
    ["macaddr", '"0800.2b01.0203"', "0800.2b01.0203"],
    ["jsonb", '"text"', "text"],
    ["jsonb", '{"a":[9007199254740993]}', { a: [9_007_199_254_740_993n] }],
    ["jsonb", "false", false],
    ["bytea", '"AP8="', Buffer.from([0, 255])],
    ["bytea", '""', Buffer.alloc(0)],
    ["text[]", '["a",1,true,null,""]', ["a", "1", "true", null, ""]],
    ["text[]", "[]", []],
    ["int8[]", '[1,"2",null,9007199254740993]', [1, 2, null, 9_007_199_254_740_993n]]
  ])("%s takes %s", (type, json, expected) => {
    expect(convert({ type }, json)).toEqual({ outcome: { _tag: "Rows" }, rows: [{ c: expected }] })
  })

  it.each<[ColumnType, string]>([
    ["text", "1e400"],
    ["int4", "2147483648"],
    ["int4", "1.5"],
    ["int4", "true"],
    ["int4", '""'],
    ["int4", '"1.0"'],
    ["int8", "9223372036854775808"],
    ["int8", '"-9223372036854775809"'],
    ["int8", "1e300"],
    ["int8", "[1]"],
    ["float8", '"abc"'],
    ["float8", "1e400"],
    ["numeric", "true"],
    ["numeric", '"1,5"'],
    ["numeric", '"NaN"'],
    ["numeric", '"1e1001"'],
    ["numeric", `"${"1".repeat(1001)}"`],
    ["bool", "2"],
    ["bool", '"on"'],
    ["timestamptz", '"yesterday"'],
    ["timestamptz", "0"],
    ["timestamptz", "true"],
    ["date", '"2023-02-29"'],
    ["date", '"2024-01-15T10:50:00Z"'],
    ["date", "20240115"],
    ["uuid", '"c0b2f5af"'],
    ["uuid", '"g0b2f5af-7d5d-4c1a-8c5b-7c6a9f4c94b2"'],
    ["inet", '"10.0.0.256"'],
    ["inet", "167772161"],
    ["cidr", '"10.0.0.1/8"'],
    ["macaddr", '"08:00-2b:01:02:03"'],
    ["macaddr", '"08002b01020"'],
    ["bytea", '"a b"'],
    ["bytea", "[0]"],
    ["text[]", '"a"'],
    ["text[]", "[[1]]"],
    ["int8[]", "[1.5]"],
    ["int8[]", '["x"]']
  ])("%s refuses %s", (type, json) => {
    expect(convert({ type }, json).outcome).toEqual(deadLetter("invalid_field:c"))
  })

  it.each<[NonNullable<JsonColumn["timeUnit"]>, string, number | undefined]>([
    ["s", "-1", -1_000_000],
    ["ms", "1.5", 1500],
    ["us", '"7"', 7],
    ["ns", "1705315800123456789", 1_705_315_800_123_456],
    ["RFC3339", '"1969-12-31T23:59:59Z"', -1_000_000],
    ["RFC3339", "5", undefined],
    ["s", '"1969-12-31T23:59:59Z"', undefined]
  ])("timestamptz in %s of %s", (timeUnit, json, expected) => {
    const { outcome, rows } = convert({ type: "timestamptz", timeUnit }, json)
    if (expected === undefined) expect(outcome).toEqual(deadLetter("invalid_field:c"))
    else expect(rows).toEqual([{ c: expected }])
  })

  it("is null where the field is absent or null, unless it is required or has a default", () => {
    const json = {
      columns: [
        { name: "plain", type: "text" },
        { name: "defaulted", type: "jsonb", defaultValue: '{"n":9007199254740993}', required: true },
        { name: "needed", type: "int4", required: true }
      ]
    } satisfies Partial<JsonMapping>
    expect(processMessage(make(json), "s", { needed: 1, plain: null, defaulted: null }).rows).toEqual([
      { plain: null, defaulted: { n: 9_007_199_254_740_993n }, needed: 1 }
    ])
    expect(processMessage(make(json), "s", { plain: "x" }).outcome).toEqual(deadLetter("missing_field:needed"))
    expect(processMessage(make(json), "s", { needed: null }).outcome).toEqual(deadLetter("missing_field:needed"))
  })
})

describe("a column's source", () => {
  const read = (from: string, payload: unknown, type: ColumnType = "jsonb") =>
    processMessage(make({ columns: [{ name: "c", type, from }] }), "orders.eu.new", payload, { Kind: "new\0" })
      .rows[0]?.["c"]

  it.each<[string, Value]>([
    ["/a/b", 1],
    ["/a", { b: 1 }],
    ["/list/0/x", 2],
    ["/list/1", null],
    ["/list/00", null],
    ["/list/-", null],
    ["/list/length", null],
    ["/a/b/c", null],
    ["/", 3],
    ["/x~1y", 4],
    ["/m~0n", 5],
    ["/~01", 6],
    ["/toString", null],
    ["/__proto__", null],
    ["/a/__proto__/b", null]
  ])("%s points into the payload", (from, expected) => {
    expect(read(from, { a: { b: 1 }, list: [{ x: 2 }], "": 3, "x/y": 4, "m~n": 5, "~1": 6 })).toEqual(expected)
  })

  it("may be a key named like a part of every object", () => {
    expect(read("/__proto__/a", '{"__proto__":{"a":1}}')).toBe(1)
  })

  it.each<[string, ColumnType, Value]>([
    ["header:Kind", "text", "new\uFFFD"],
    ["header:kind", "text", null],
    ["subject", "text", "orders.eu.new"],
    ["subject:2", "text", "eu"],
    ["subject:4", "text", null],
    ["seq", "int8", 42],
    ["seq", "text", "42"],
    ["time", "timestamptz", receivedAt],
    ["time", "date", "2026-01-15"],
    ["time", "text", "2026-01-15T00:00:00.000000Z"],
    ["const:order", "text", "order"],
    ["const:", "text", ""],
    ["const:5", "int4", 5],
    ["const:[1,2]", "int8[]", [1, 2]],
    ['const:{"a":1}', "jsonb", { a: 1 }]
  ])("%s as %s", (from, type, expected) => {
    expect(read(from, { other: 1 }, type)).toEqual(expected)
  })
})

describe("a message", () => {
  const columns: JsonMapping["columns"] = [{ name: "a", type: "int4", required: true }]

  it("may be an array, its bad elements dead letters of their own", () => {
    const { outcome, rows } = processMessage(make({ columns }), "s", [{ a: 1 }, { a: "x" }, 5, {}, { a: 2 }])
    expect(rows).toEqual([{ a: 1 }, { a: 2 }])
    expect(outcome).toEqual({
      _tag: "Rows",
      elements: [
        { index: 1, reason: "invalid_field:a" },
        { index: 2, reason: "unsupported_type" },
        { index: 3, reason: "missing_field:a" }
      ]
    })
  })

  it("keeps the digits of each element of an array", () => {
    const json = make({ columns: [{ name: "n", type: "numeric", from: "/x/n" }] })
    expect(
      processMessage(json, "s", '[{"x":{"n":1.00000000000000000001}},{"x":{"n":2}},{"x":{"n":"3.10"}}]').rows
    ).toEqual([{ n: "1.00000000000000000001" }, { n: "2" }, { n: "3.10" }])
    expect(processMessage(json, "s", '{"x":{"n":4}}').rows).toEqual([{ n: "4" }])
  })

  it.each(['{"n":1e400}', '{"n":1e400,"other":12345678901234567890}'])(
    "%s has no number for a numeric column",
    (json) => {
      const numeric = make({ columns: [{ name: "n", type: "numeric" }] })
      expect(processMessage(numeric, "s", json).outcome).toEqual(deadLetter("invalid_field:n"))
    }
  )

  it("is taken on any subject but those to skip, and no envelope is opened", () => {
    const json = makeProcessor({ ...mapping({ columns }), skipSubjects: ["raw.>"] })
    expect(processMessage(json, "any", { a: 1 }).rows).toEqual([{ a: 1 }])
    expect(processMessage(json, "raw.x", { a: 1 }).outcome).toEqual({ _tag: "Dropped", reason: "skipped_subject" })
    expect(processMessage(json, "s", { specversion: "1.0", data: { a: 1 } }).outcome).toEqual(
      deadLetter("missing_field:a")
    )
    expect(processMessage(json, "s", "{}").outcome).toEqual({ _tag: "Dropped", reason: "empty_payload" })
    expect(processMessage(json, "s", "{").outcome).toEqual(deadLetter("malformed_json"))
  })

  it("may not have unknown fields, or keeps them", () => {
    const nested: JsonMapping["columns"] = [
      { name: "a", type: "int4", from: "/x/a" },
      { name: "k", type: "text", from: "const:k" }
    ]
    const payload = '{"x":{"a":1,"b":2},"k":3,"__proto__":{"y":1}}'
    const process = (json: Partial<JsonMapping>) => processMessage(make({ columns: nested, ...json }), "s", payload)
    expect(process({}).rows).toEqual([{ a: 1, k: "k" }])
    expect(process({ onUnknownField: "Reject" }).outcome).toEqual(deadLetter("unknown_field:k"))
    const [row] = process({ onUnknownField: "ExtraColumn", extraColumn: "rest" }).rows
    expect(JSON.stringify(row)).toBe('{"a":1,"k":"k","rest":{"k":3,"__proto__":{"y":1}}}')
    const strict = make({ columns, onUnknownField: "Reject" })
    expect(processMessage(strict, "s", [{ a: 1 }, { a: 2, b: 3 }]).outcome).toEqual({
      _tag: "Rows",
      elements: [{ index: 1, reason: "unknown_field:b" }]
    })
  })
})

describe("the table", () => {
  const columns: JsonMapping["columns"] = [
    { name: "id", type: "uuid" },
    { name: "at", type: "timestamptz" },
    { name: "note", type: "text", required: true },
    { name: "n", type: "int4" }
  ]

  it("is append-only without a key", () => {
    expect(make({ table: "shop.orders", columns }).tables).toEqual([
      {
        schema: "shop",
        name: "orders",
        columns: [
          { name: "id", type: "uuid", notNull: false },
          { name: "at", type: "timestamptz", notNull: false },
          { name: "note", type: "text", notNull: true },
          { name: "n", type: "int4", notNull: false }
        ],
        primaryKey: [],
        indexes: [],
        conflict: { mode: "Append" },
        createdAt: false
      }
    ])
  })

  it("has the conflict keys as its key, and they are required as the time column is", () => {
    const json = { columns, mode: "Upsert", conflictKeys: ["id"], newerWins: "at" } as const
    const options = { timeColumn: "at", chunkIntervalMillis: 3_600_000 }
    const [table] = make(json, options).tables
    expect(table).toMatchObject({
      name: "t",
      primaryKey: ["id"],
      conflict: { mode: "Upsert", keys: ["id"], update: ["at", "note", "n"], newerWins: "at" },
      ...options
    })
    expect(table?.columns.filter(({ notNull }) => notNull).map(({ name }) => name)).toEqual(["id", "at", "note"])
    expect(processMessage(make(json, options), "s", { at: 1_705_315_800, note: "x" }).outcome).toEqual(
      deadLetter("missing_field:id")
    )
    expect(
      make({ ...json, updateColumns: ["n"], onUnknownField: "ExtraColumn", extraColumn: "rest" }).tables[0]
    ).toMatchObject({ conflict: { update: ["n"] }, columns: { length: 5, 4: { name: "rest", type: "jsonb" } } })
    expect(make({ columns, mode: "InsertIgnore", conflictKeys: ["id"] }).tables[0]?.conflict).toEqual({
      mode: "InsertIgnore",
      keys: ["id"]
    })
  })

  it("takes nothing else of the target", () => {
    const target = { postgres: { passwordFile: "secret" }, schema: "public", timeColumn: "at" }
    expect(JSON.stringify(make({ columns }, target).tables)).not.toContain("secret")
    expect(
      makeProcessor({ type: "Telemetry", skipSubjects: [] }, { chunkIntervalMillis: 60_000 }).tables[0]
    ).toMatchObject({
      name: "timeseries_metrics",
      chunkIntervalMillis: 60_000
    })
  })
})

describe("a mapping that cannot work", () => {
  const column = (fields: Partial<JsonColumn>): Partial<JsonMapping> => ({
    columns: [{ name: "c", type: "text", ...fields }]
  })

  it.each<[Partial<JsonMapping>, string]>([
    [{}, "columns: at least one is needed"],
    [column({ from: "c" }), 'json.columns[0].from: "c" is not a JSON pointer'],
    [column({ from: "subject:0" }), 'columns[0].from: "subject:0" is not'],
    [column({ from: "header:" }), "columns[0].from"],
    [column({ from: "/a~2" }), "columns[0].from"],
    [column({ from: "time", type: "int8" }), "columns[0].from: time fits"],
    [column({ from: "const:x", type: "int4" }), 'columns[0].from: "x" is no int4'],
    [column({ defaultValue: "{", type: "jsonb" }), 'columns[0].defaultValue: "{" is no jsonb'],
    [column({ timeUnit: "s" }), "columns[0].timeUnit"],
    [
      {
        columns: [
          { name: "c", type: "text" },
          { name: "c", type: "int4" }
        ]
      },
      "columns: c is there twice"
    ],
    [{ ...column({}), onUnknownField: "ExtraColumn" }, "extraColumn: needed"],
    [{ ...column({}), onUnknownField: "ExtraColumn", extraColumn: "c" }, "columns: c is there twice"],
    [{ ...column({}), mode: "Upsert" }, "conflictKeys: needed with mode Upsert"],
    [{ ...column({}), mode: "InsertIgnore", conflictKeys: ["x"] }, "conflictKeys: x is no column"],
    [{ ...column({}), mode: "Upsert", conflictKeys: ["c"], updateColumns: ["x"] }, "updateColumns: x is no column"],
    [{ ...column({}), newerWins: "c" }, "newerWins: needs mode Upsert"],
    [{ ...column({}), updateColumns: ["c"] }, "updateColumns: needs mode Upsert"]
  ])("%j", (json, fault) => {
    expect(processorFaults(mapping(json))).toEqual([expect.stringContaining(fault)])
    expect(() => make(json)).toThrow(InvalidProcessor)
  })

  it("says everything at once, and which processors take a mapping", () => {
    expect(processorFaults(mapping({ ...column({ from: "x", defaultValue: "1" }), mode: "Upsert" }))).toHaveLength(2)
    expect(processorFaults(mapping(column({})), { timeColumn: "at" })).toEqual([
      expect.stringContaining("timeColumn: at is no column")
    ])
    expect(processorFaults({ type: "Json", skipSubjects: [] })).toEqual(["json: needed with type Json"])
    expect(processorFaults({ ...mapping(column({})), type: "Telemetry" })).toEqual(["json: not with type Telemetry"])
  })
})
