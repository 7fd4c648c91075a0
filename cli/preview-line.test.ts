import { Result } from "effect"
import { describe, expect, it } from "vitest"
import { type Columns, examples, matches, outputOf, processorOf } from "../testing/examples.ts"
import { previewLine } from "./preview-line.ts"

interface Preview {
  readonly rows?: ReadonlyArray<{ readonly table: string; readonly columns: Columns }>
  readonly deadLetter?: {
    readonly reason: string
    readonly elements?: ReadonlyArray<{ readonly index: number; readonly reason: string }>
  }
  readonly dropped?: { readonly reason: string }
}

const now = 1_700_000_000_000_000

const preview = (line: object | string): Preview =>
  JSON.parse(Result.getOrThrow(previewLine(typeof line === "string" ? line : JSON.stringify(line), 7, now))) as Preview

const problem = (line: object | string) => {
  const previewed = previewLine(typeof line === "string" ? line : JSON.stringify(line), 7, now)
  return Result.isFailure(previewed) ? previewed.failure.problem : previewed.success
}

describe("the examples of the data contract", () => {
  it.each(examples.map((example) => [`${example.id}: ${example.why}`, example] as const))("%s", (_name, example) => {
    const { meta } = example
    const actual = preview({
      processor: processorOf(example),
      ...outputOf(example),
      subject: example.subject,
      ...(example.encoding === "json" ? { payload: example.payload } : { payloadBase64: example.payload }),
      ...(meta.msg_id === undefined ? {} : { headers: { "Nats-Msg-Id": meta.msg_id } }),
      stream: meta.stream,
      seq: meta.seq,
      receivedAt: meta.received_at,
      ...(example.options === undefined ? {} : { options: example.options })
    })
    const { table, rows = [], also = [], reason, dead_letter, dropped, dead_letter_elements = [] } = example.expect
    const wanted = [...(table === undefined ? [] : [{ table, rows }]), ...also]
    expect(actual.rows ?? []).toHaveLength(wanted.reduce((sum, { rows }) => sum + rows.length, 0))
    for (const { table, rows } of wanted) {
      const found = (actual.rows ?? []).filter((row) => row.table === table).map(({ columns }) => columns)
      expect(found).toHaveLength(rows.length)
      for (const [i, row] of rows.entries()) {
        for (const [column, value] of Object.entries(row)) {
          const is = found[i]?.[column]
          expect(matches(is, value), `${column} is ${JSON.stringify(is)}, not ${JSON.stringify(value)}`).toBe(true)
        }
      }
    }
    expect((actual.deadLetter?.elements ?? []).map(({ index }) => index)).toEqual(dead_letter_elements)
    if (dead_letter) expect(actual.deadLetter?.reason).toBe(reason)
    expect(actual.dropped).toEqual(dropped && { reason })
  })
})

describe("a previewed message", () => {
  const json = (columns: ReadonlyArray<object>, payload: unknown, more: object = {}) => ({
    processor: "Json",
    subject: "a.b",
    payload,
    options: { json: { table: "shop.orders", columns, ...more } }
  })

  it("shows every type in a form that JSON can carry", () => {
    const columns = ["int8", "numeric", "timestamptz", "bytea", "jsonb", "int8[]", "bool", "float8"].map((type) => ({
      name: `c_${type}`,
      type
    }))
    const line = JSON.stringify(json(columns, {})).replace(
      '"payload":{}',
      `"payload":{"c_int8":7,"c_numeric":1.50000000000000000001,"c_timestamptz":1705315800.5,"c_bytea":"aGk","c_int8[]":[1,null],
        "c_jsonb":{"n":9007199254740993},"c_bool":true,"c_float8":1.5}`.replaceAll("\n", "")
    )
    expect(Result.getOrThrow(previewLine(line, 1, now))).toBe(
      '{"rows":[{"table":"shop.orders","columns":{"c_int8":"7","c_numeric":"1.50000000000000000001",' +
        '"c_timestamptz":"2024-01-15T10:50:00.500000Z","c_bytea":"aGk=","c_jsonb":{"n":9007199254740993},' +
        '"c_int8[]":["1",null],"c_bool":true,"c_float8":1.5}}]}'
    )
  })

  it("shows numbers that JSON has not by their names", () => {
    const nan = {
      resourceMetrics: [{ scopeMetrics: [{ metrics: [{ gauge: { dataPoints: [{ asDouble: "NaN" }] } }] }] }]
    }
    expect(
      preview({ processor: "OtelMetrics", subject: "otel.metrics", payload: nan }).rows?.[0]?.columns["value"]
    ).toBe("NaN")
  })

  it("reaches the processor byte for byte", () => {
    expect(preview('{"processor":"Telemetry","subject":"telemetry.x","payload":{"value":1e400}}').deadLetter).toEqual({
      reason: "invalid_field:value"
    })
    expect(
      preview('{"processor":"Telemetry","subject":"telemetry.x","payload":{"value":1,"unit":12345678901234567890}}')
        .rows?.[0]?.columns["unit"]
    ).toBe("12345678901234567890")
    expect(preview({ processor: "Telemetry", subject: "telemetry.x", payload: null }).deadLetter).toEqual({
      reason: "unsupported_type"
    })
  })

  it("has the line's number and the present as default position and time", () => {
    const columns = [
      { name: "seq", type: "int8", from: "seq" },
      { name: "at", type: "timestamptz", from: "time" },
      { name: "x", type: "text", from: "header:X" }
    ]
    expect(preview(json(columns, { a: 1 })).rows?.[0]?.columns).toEqual({
      seq: "7",
      at: "2023-11-14T22:13:20.000000Z",
      x: null
    })
    expect(
      preview({
        ...json(columns, { a: 1 }),
        seq: 9,
        receivedAt: "2024-01-15T11:50:00+01:00",
        headers: { X: ["1", "2"] }
      }).rows
    ).toEqual([{ table: "shop.orders", columns: { seq: "9", at: "2024-01-15T10:50:00.000000Z", x: "1" } }])
  })

  it("shows what is written and what is not", () => {
    expect(preview(json([{ name: "a", type: "int4" }], [{ a: 1 }, { a: "x" }]))).toEqual({
      rows: [{ table: "shop.orders", columns: { a: 1 } }],
      deadLetter: { reason: "invalid_field:a", elements: [{ index: 1, reason: "invalid_field:a" }] }
    })
    expect(preview({ processor: "Telemetry", subject: "a", payload: 1, options: { skipSubjects: ["a"] } })).toEqual({
      dropped: { reason: "skipped_subject" }
    })
  })
})

describe("a line that cannot be read", () => {
  const line = { processor: "Telemetry", subject: "telemetry.x", payload: { value: 1 } }

  it.each<[object | string, string]>([
    ["{", "not JSON"],
    ["[]", "Expected object"],
    [{ ...line, processor: "Nope" }, 'processor: "Nope" is unknown; there are Json, Telemetry, Events, '],
    [{ ...line, processor: "Events", output: "Logs" }, "output: Events has Events, OcsfEvents"],
    [{ ...line, processor: "Events", options: { ocsf: {} } }, "options: ocsf: the table has no OCSF events"],
    [{ ...line, output: "Logs" }, "output: Telemetry has only one"],
    [{ ...line, subject: "" }, '["subject"]'],
    [{ ...line, seq: 0 }, '["seq"]'],
    [{ ...line, payload: undefined }, "payload or payloadBase64: one must be given"],
    [{ ...line, payloadBase64: "e30=" }, "only one may be given"],
    [{ ...line, payload: undefined, payloadBase64: "?" }, "payloadBase64: not base64"],
    [{ ...line, receivedAt: "yesterday" }, 'receivedAt: "yesterday" is no RFC 3339 time'],
    [{ ...line, options: { skipSubject: ["a"] } }, 'options: Expected no excess property at ["skipSubject"]'],
    [{ ...line, processor: "Json" }, "options: json: needed with type Json"]
  ])("%j", (given, expected) => {
    expect(problem(given)).toContain(expected)
    expect(problem(given)).not.toContain("\n")
  })

  it("says so when a payload is nested too deep to be encoded again", () => {
    const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`
    expect(problem(`{"processor":"Telemetry","subject":"a","payload":${deep}}`).slice(0, 200)).toContain(
      "payloadBase64 takes any bytes"
    )
  })
})
