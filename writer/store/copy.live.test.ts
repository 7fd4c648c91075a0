import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as fc from "fast-check"
import { connectTo, Databases } from "../../testing/store.ts"
import { jsonText } from "../decode/json.ts"
import { createTable } from "../tables/ddl.ts"
import type { Column, JsonValue, Table, Value } from "../tables/table.ts"
import { planBatch } from "./batch-plan.ts"
import { makeBatchEncoder } from "./copy.ts"
import { ident } from "./sql.ts"

const text = fc.string({ unit: "grapheme", maxLength: 60 }).map((s) => s.replaceAll("\0", ""))
const digits = (max: number) => fc.stringMatching(new RegExp(`^\\d{1,${max}}$`))
const int8 = fc.oneof(fc.maxSafeInteger(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }))
const json: fc.Arbitrary<JsonValue> = fc.letrec<{ json: JsonValue }>((tie) => ({
  json: fc.oneof(
    { depthSize: "small" },
    fc.constant(null),
    fc.boolean(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.bigInt(),
    text,
    fc.array(tie("json"), { maxLength: 4 }),
    fc.dictionary(text, tie("json"), { maxKeys: 4 })
  )
})).json

// From 4713 BC to the year 294216; in its last years PostgreSQL itself computes the epoch in floating point.
const micros = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer({ min: 0, max: 4_102_444_800_000_000 }),
  fc.bigInt({ min: -210_866_803_200_000_000n, max: 9_222_424_646_399_999_999n })
)
const prefix = (max: number) => fc.option(fc.integer({ min: 0, max }), { nil: undefined })
const slash = (length: number | undefined) => (length === undefined ? "" : `/${length}`)
const inet = fc.oneof(
  fc.tuple(fc.ipV4(), prefix(32)).map(([address, length]) => address + slash(length)),
  fc.tuple(fc.ipV6(), prefix(128)).map(([address, length]) => address + slash(length))
)
const cidr = fc.oneof(
  fc.tuple(fc.nat(255), fc.nat(255)).map(([a, b]) => `${a}.${b}.0.0/16`),
  fc.ipV4().map((address) => `${address}/32`),
  fc.constantFrom("::/0", "2001:db8::/32", "fe80::/10", "0.0.0.0/0")
)
const numeric = fc.oneof(
  fc
    .tuple(
      fc.constantFrom("", "-", "+"),
      digits(40),
      fc.option(digits(30)),
      fc.option(fc.integer({ min: -40, max: 40 }))
    )
    .map(
      ([sign, whole, part, power]) =>
        `${sign}${whole}${part === null ? "" : `.${part}`}${power === null ? "" : `e${power}`}`
    ),
  fc.constantFrom("NaN", "Infinity", "-Infinity", "0", "0.00", "-0", ".5", "5.", "10000", "0.0001", "99999999")
)
const date = fc
  .date({ min: new Date("0001-01-01T00:00:00Z"), max: new Date("9999-12-31T00:00:00Z"), noInvalidDate: true })
  .map((d) => d.toISOString().slice(0, 10))

/** A column, its values, and each value as text that PostgreSQL casts to the column's type. */
interface Kind {
  readonly column: Column
  readonly values: fc.Arbitrary<Value>
  readonly written: (value: any) => string
}

const kinds: ReadonlyArray<Kind> = [
  { column: { name: "text", type: "text" }, values: text, written: String },
  { column: { name: "int4", type: "int4" }, values: fc.integer(), written: String },
  { column: { name: "int8", type: "int8" }, values: int8, written: String },
  {
    column: { name: "float8", type: "float8" },
    values: fc.double(),
    written: (n) => (Object.is(n, -0) ? "-0" : String(n))
  },
  { column: { name: "numeric", type: "numeric" }, values: numeric, written: String },
  { column: { name: "bool", type: "bool" }, values: fc.boolean(), written: String },
  {
    column: { name: "timestamptz", type: "timestamptz" },
    values: micros,
    written: String
  },
  { column: { name: "date", type: "date" }, values: date, written: String },
  { column: { name: "uuid", type: "uuid" }, values: fc.uuid(), written: String },
  { column: { name: "inet", type: "inet" }, values: inet, written: String },
  { column: { name: "cidr", type: "cidr" }, values: cidr, written: String },
  {
    column: { name: "macaddr", type: "macaddr" },
    values: fc.constantFrom("08:00:2b:01:02:03", "08-00-2B-01-02-03", "08002b010203"),
    written: String
  },
  { column: { name: "jsonb", type: "jsonb" }, values: json, written: (value) => jsonText(value) },
  { column: { name: "json_text", type: "text", json: true }, values: json, written: (value) => jsonText(value) },
  {
    column: { name: "bytea", type: "bytea" },
    values: fc.uint8Array({ maxLength: 100 }),
    written: (bytes) => `\\x${Buffer.from(bytes).toString("hex")}`
  },
  {
    column: { name: "texts", type: "text[]" },
    values: fc.array(fc.option(text), { maxLength: 4 }),
    written: (list) =>
      `{${list.map((s: string | null) => (s === null ? "NULL" : `"${s.replaceAll(/["\\]/g, "\\$&")}"`)).join(",")}}`
  },
  {
    column: { name: "int4s", type: "int4[]" },
    values: fc.array(fc.option(fc.integer()), { maxLength: 4 }),
    written: (list) => `{${list.map((n: number | null) => n ?? "NULL").join(",")}}`
  },
  {
    column: { name: "int8s", type: "int8[]" },
    values: fc.array(fc.option(int8), { maxLength: 4 }),
    written: (list) => `{${list.map((n: number | bigint | null) => n ?? "NULL").join(",")}}`
  }
]

const everyType: Table = {
  name: "every_type",
  columns: [{ name: "id", type: "int4" }, ...kinds.map(({ column }) => column)],
  primaryKey: [],
  indexes: [],
  conflict: { mode: "Append" },
  createdAt: false
}

layer(Databases.layer, { excludeTestServices: true, timeout: "60 seconds" })("binary COPY", (it) => {
  it.effect("every value of every type arrives as PostgreSQL itself would read it", () =>
    Effect.gen(function* () {
      const session = yield* connectTo(yield* (yield* Databases).create)
      yield* session.query(`${createTable(everyType, "public").join(";")}; SET extra_float_digits = 1`)
      const rows = fc.sample(fc.tuple(...kinds.map(({ values }) => fc.option(values, { freq: 10 }))), 1000)
      const encoder = makeBatchEncoder([everyType])
      rows.forEach((row, id) => {
        encoder.beginMessage()
        encoder.sink.row(0, [id, ...row])
        assert.isUndefined(
          encoder.endMessage(),
          JSON.stringify(row, (_, v) => (typeof v === "bigint" ? String(v) : v))
        )
      })
      const batch = {
        deliveries: rows.map((_, i) => ({ seq: i + 1, timeNanos: 0n }) as never),
        outcomes: rows.map(() => ({ _tag: "Rows" }) as const),
        tables: encoder.take()
      }
      const plan = planBatch(
        {
          schema: "public",
          tables: [everyType],
          shapes: [{ hash: "0" }],
          timeouts: { statementTimeoutMillis: 1, lockTimeoutMillis: 1 },
          deadLetters: { redactHeaders: [], payload: "Keep" },
          writer: 1
        },
        { id: 1, stream: "S", rollbacks: 0 },
        batch,
        rows.map((_, i) => i),
        new Set()
      )
      const { sql, data } = plan.steps.find((step) => step.part === "Copy")!
      assert.deepEqual(yield* session.run({ sql: `${sql};`, copies: [data!] }), [rows.length])

      for (const [at, { column, written }] of kinds.entries()) {
        const name = ident(column.name)
        // Timestamps are compared as microseconds, because text is read with a time zone and an era.
        const [stored, type] =
          column.type === "timestamptz"
            ? [`(extract(epoch FROM ${name}) * 1000000)::numeric(40)`, "numeric"]
            : [name, column.type]
        const different = yield* session.query(
          `SELECT (${stored})::text AS found, (expected::${type})::text AS expected
           FROM every_type JOIN unnest($1::text[]) WITH ORDINALITY e (expected, ordinal) ON id = ordinal - 1
           WHERE (${stored})::text IS DISTINCT FROM (expected::${type})::text LIMIT 3`,
          [rows.map((row) => (row[at] === null ? null : written(row[at])))]
        )
        assert.deepEqual(different, [], column.name)
      }
    })
  )
})
