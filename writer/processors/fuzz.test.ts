import { readFileSync } from "node:fs"
import * as fc from "fast-check"
import { afterAll, describe, expect, it } from "vitest"
import { processMessage } from "../../testing/process-message.ts"
import { jsonText } from "../decode/json.ts"
import type { Value } from "../tables/table.ts"
import { makeProcessor } from "./index.ts"

const processors = {
  Telemetry: { processor: makeProcessor({ type: "Telemetry", skipSubjects: [] }), subject: "telemetry.x" },
  OtelMetrics: { processor: makeProcessor({ type: "OtelMetrics", skipSubjects: [] }), subject: "otel.metrics" },
  Json: {
    processor: makeProcessor({
      type: "Json",
      skipSubjects: [],
      json: {
        table: "t",
        columns: [
          { name: "a", type: "int8", from: "/value" },
          { name: "b", type: "numeric", from: "/scale" },
          { name: "c", type: "timestamptz", from: "/timestamp" },
          { name: "d", type: "text[]", from: "/tags" },
          { name: "e", type: "inet", from: "/target_device_ip" },
          { name: "f", type: "bytea", from: "/metadata/__proto__" }
        ],
        onUnknownField: "ExtraColumn",
        extraColumn: "rest",
        mode: "Append",
        conflictKeys: []
      }
    }),
    subject: "x"
  }
} as const

const names = [
  ..."value timestamp time ts tags metadata scale is_delta target_device_ip if_index duration_ms attributes unit".split(
    " "
  ),
  ..."specversion data data_base64 resourceMetrics resource scopeMetrics scope_metrics metrics gauge sum".split(" "),
  ..."dataPoints data_points key asInt asDouble count flags __proto__ constructor toString".split(" ")
]
const scalars = fc.oneof(
  fc.constantFrom(
    "",
    " ",
    "1705315800",
    "2024-01-15T10:50:00Z",
    "1e400",
    "a=b",
    "{",
    '{"a":1}',
    "10.0.0.1",
    "\0\uD800"
  ),
  fc.double(),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.string()
)
const document = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 6 },
    scalars,
    fc.dictionary(fc.constantFrom(...names), tie("value"), { maxKeys: 6, noNullPrototype: true }),
    fc.array(tie("value"), { maxLength: 4 })
  )
})).value

const examples = readFileSync(new URL("golden/examples.jsonl", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as { encoding: string; payload: unknown })
  .map(({ encoding, payload }) =>
    encoding === "json" ? Buffer.from(JSON.stringify(payload)) : Buffer.from(payload as string, "base64")
  )
/** An example with some bytes changed, cut out or put in. */
const mutated = fc
  .tuple(
    fc.constantFrom(...examples),
    fc.array(fc.tuple(fc.nat(), fc.nat(2), fc.uint8Array({ maxLength: 3 })), { minLength: 1, maxLength: 4 })
  )
  .map(([bytes, edits]) =>
    edits.reduce((edited, [at, removed, inserted]) => {
      const position = at % (edited.length + 1)
      return Buffer.concat([edited.subarray(0, position), inserted, edited.subarray(position + removed)])
    }, bytes)
  )

const prototypeKeys = Object.getOwnPropertyNames(Object.prototype).sort()

const isStorable = (value: Value): boolean => {
  const text = value instanceof Uint8Array ? "" : jsonText(value)
  return !/\\u(?:0000|d[89a-f])/.test(text.replaceAll("\\\\", ""))
}

describe.each(Object.entries(processors))("%s", (_name, { processor, subject }) => {
  const check = (payload: unknown) => {
    const { outcome, rows } = processMessage(processor, subject, payload)
    for (const row of rows) {
      for (const { name, notNull } of processor.tables[0]!.columns) {
        expect(row[name]).not.toBeUndefined()
        if (notNull) expect(row[name]).not.toBeNull()
        expect(isStorable(row[name]!)).toBe(true)
      }
    }
    expect(outcome._tag === "Rows").toBe(rows.length > 0)
    expect(processMessage(processor, subject, payload)).toEqual({ outcome, rows })
  }

  it("takes any bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), check), { numRuns: 1000 })
  })

  it("takes any JSON, again and again with the same result", () => {
    fc.assert(
      fc.property(document, (value) => check(JSON.stringify(value) ?? "")),
      { numRuns: 1000 }
    )
  })

  it("takes damaged examples", () => {
    fc.assert(fc.property(mutated, check), { numRuns: 1500 })
  })
})

afterAll(() => {
  expect(Object.getOwnPropertyNames(Object.prototype).sort()).toEqual(prototypeKeys)
})
