import { Schema } from "effect"
import { describe, expect, it } from "vitest"
import { processMessage } from "../../testing/process-message.ts"
import { JsonConfig } from "../processor-config.ts"
import { makeProcessor } from "./index.ts"

const decode = Schema.decodeUnknownSync(JsonConfig)
const make = (json: object) => makeProcessor({ type: "Json", skipSubjects: [], json: decode({ table: "t", ...json }) })

describe("NDJson", () => {
  const columns = [
    { name: "id", type: "int8", required: true },
    { name: "price", type: "numeric" }
  ]
  const process = (payload: string | Buffer) => processMessage(make({ format: "NDJson", columns }), "s", payload)

  it("has a row per line, and no line is wrong because of another", () => {
    expect(process('\uFEFF{"id":1}\r\n\n  \n{"id":2,"price":0.12345678901234567890}\n')).toEqual({
      outcome: { _tag: "Rows" },
      rows: [
        { id: 1, price: null },
        { id: 2, price: "0.12345678901234567890" }
      ]
    })
    expect(process('{"id":1}\n\n{"id":\n[{"id":2}]\n5\n{}\n{"id":3}')).toEqual({
      outcome: {
        _tag: "Rows",
        elements: [
          { index: 1, reason: "malformed_json" },
          { index: 2, reason: "unsupported_type" },
          { index: 3, reason: "unsupported_type" },
          { index: 4, reason: "missing_field:id" }
        ]
      },
      rows: [
        { id: 1, price: null },
        { id: 3, price: null }
      ]
    })
  })

  it.each([
    ["", { _tag: "Dropped", reason: "empty_payload" }],
    [" \r\n\n", { _tag: "Dropped", reason: "empty_payload" }],
    ["{", { _tag: "DeadLetter", reason: "malformed_json", elements: [{ index: 0, reason: "malformed_json" }] }],
    ['{"x":1}\n7', expect.objectContaining({ _tag: "DeadLetter", reason: "missing_field:id" })],
    ["{}\n".repeat(65_537), expect.objectContaining({ _tag: "DeadLetter", reason: "payload_too_large" })],
    [Buffer.alloc(8_388_609, "\n"), expect.objectContaining({ _tag: "DeadLetter", reason: "payload_too_large" })]
  ])("without a good line", (payload, outcome) => {
    expect(process(payload)).toEqual({ outcome, rows: [] })
  })
})

describe("CloudEvents", () => {
  const columns = [
    { name: "id", type: "text", required: true },
    { name: "time", type: "timestamptz" },
    { name: "partition", type: "text", from: "/partitionkey" },
    { name: "total", type: "numeric", from: "/data/total" },
    { name: "body", type: "jsonb", from: "/data" },
    { name: "bytes", type: "bytea", from: "/data_base64" }
  ]
  const process = (payload: unknown, headers: Readonly<Record<string, string>> = {}) =>
    processMessage(make({ format: "CloudEvents", columns }), "s", payload, headers)
  const attributes = { specversion: "1.0", id: "e1", source: "/shop", type: "t", partitionkey: "k é" }
  const headers = (more: Readonly<Record<string, string>> = {}) => ({
    "ce-specversion": "1.0",
    "ce-id": "e1",
    "Ce-Time": "2024-01-15T10:50:00Z",
    "ce-partitionkey": "k%20%C3%A9",
    ...more
  })
  const row = { id: "e1", time: null, partition: "k é", total: null, body: null, bytes: null }

  it("are the same in structured and in binary mode", () => {
    const payload = '{"total":0.12345678901234567890,"n":1}'
    const expected = {
      outcome: { _tag: "Rows" },
      rows: [
        {
          ...row,
          time: 1_705_315_800_000_000,
          total: "0.12345678901234567890",
          body: { total: Number("0.12345678901234567890"), n: 1 }
        }
      ]
    }
    const structured = { ...attributes, time: "2024-01-15T10:50:00Z" }
    const withData = (data: string) => `${JSON.stringify(structured).slice(0, -1)},"data":${data}}`
    expect(process(withData(payload))).toEqual(expected)
    expect(process(withData(JSON.stringify(payload)))).toEqual(expected)
    expect(process({ ...structured, data_base64: Buffer.from(payload).toString("base64") })).toMatchObject({
      ...expected,
      rows: [{ ...expected.rows[0], bytes: Buffer.from(payload) }]
    })
    expect(process(payload, headers())).toEqual(expected)
    expect(process(payload, headers({ "ce-datacontenttype": "application/vnd.shop+json; charset=utf-8" }))).toEqual(
      expected
    )
  })

  it("may come several at a time in structured mode", () => {
    expect(process([{ ...attributes, data: {} }, { ...attributes, id: "e2" }, { id: "e3" }, 5])).toEqual({
      outcome: {
        _tag: "Rows",
        elements: [
          { index: 2, reason: "missing_field:specversion" },
          { index: 3, reason: "unsupported_type" }
        ]
      },
      rows: [
        { ...row, body: {} },
        { ...row, id: "e2" }
      ]
    })
  })

  it("may carry no data, text, or bytes", () => {
    expect(process("", headers()).rows).toMatchObject([{ id: "e1", body: null, bytes: null }])
    expect(process("5", headers()).rows).toMatchObject([{ body: 5 }])
    expect(process("plain\0", headers({ "ce-datacontenttype": "text/plain" })).rows).toMatchObject([
      { body: "plain\uFFFD" }
    ])
    expect(process("{}", headers({ "ce-datacontenttype": "application/octet-stream" })).rows).toMatchObject([
      { body: null, bytes: Buffer.from("{}") }
    ])
    expect(process({ ...attributes, datacontenttype: "text/xml", data: "<a/>" }).rows).toMatchObject([{ body: "<a/>" }])
    expect(process({ ...attributes, data: "just text" }).rows).toMatchObject([{ body: "just text" }])
    expect(process({ ...attributes, datacontenttype: "image/png", data_base64: "AP8=" }).rows).toMatchObject([
      { body: null, bytes: Buffer.from([0, 255]) }
    ])
  })

  it("say by their content type that they are structured, although headers repeat attributes", () => {
    expect(
      process({ ...attributes, id: "e9" }, headers({ "Content-Type": "application/cloudevents+json" })).rows
    ).toMatchObject([{ id: "e9" }])
  })

  it("keep attributes that no column takes, when asked to", () => {
    const processor = make({
      format: "CloudEvents",
      columns: [{ name: "id", type: "text" }],
      onUnknownField: "ExtraColumn",
      extraColumn: "rest"
    })
    const expected = [{ id: "e1", rest: { specversion: "1.0", ["__proto__"]: "p", data: { a: 1 } } }]
    const [binary] = processMessage(processor, "s", '{"a":1}', {
      "ce-specversion": "1.0",
      "ce-id": "e1",
      "ce-__proto__": "p",
      "ce-data": "not an attribute",
      other: "header"
    }).rows
    expect(Object.entries(binary!["rest"]!)).toEqual([
      ["specversion", "1.0"],
      ["__proto__", "p"],
      ["data", { a: 1 }]
    ])
    const [structured] = processMessage(
      processor,
      "s",
      '{"specversion":"1.0","id":"e1","__proto__":"p","data":{"a":1}}'
    ).rows
    expect(Object.entries(structured!["rest"]!)).toEqual(Object.entries(expected[0]!.rest))
  })

  it.each([
    ["{", headers(), "malformed_json"],
    ["not json", headers({ "ce-datacontenttype": "application/json" }), "malformed_json"],
    [{ id: "e1" }, {}, "missing_field:specversion"],
    [{ specversion: "1.0", data: {} }, {}, "missing_field:id"],
    [{ ...attributes, data_base64: "*" }, {}, "malformed_json"],
    [{ ...attributes, data_base64: 5 }, {}, "malformed_json"],
    ["[", {}, "malformed_json"],
    ['"text"', {}, "unsupported_type"],
    [{ ...attributes, data: { total: "x" } }, {}, "invalid_field:total"]
  ])("that cannot be rows: %j", (payload, given, reason) => {
    expect(process(payload, given).outcome).toMatchObject({ _tag: "DeadLetter", reason })
  })
})
