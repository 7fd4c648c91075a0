import { describe, expect, it } from "vitest"
import { openEnvelope } from "./cloudevents.ts"
import { decodePayload, maxPayloadBytes } from "./payload.ts"

/** Stands for a protobuf decoder: a message is one that begins with a newline and ends with `!`. */
const decodeProtobuf = (bytes: Uint8Array) => (bytes[0] === 0x0a && bytes.at(-1) === 0x21 ? "message" : undefined)

const fault = (reason: string) => expect.objectContaining({ _tag: "Fault", reason })

describe("a payload", () => {
  it.each(["", " \t\r\n", "\uFEFF", "\uFEFF ", "{}", " [ ] "])("%j is empty", (text) => {
    expect(decodePayload(Buffer.from(text))).toEqual({ _tag: "Empty" })
    expect(decodePayload(Buffer.from(text), decodeProtobuf)).toEqual({ _tag: "Empty" })
  })

  it.each([
    ['{"a":1}', { _tag: "Json", value: { a: 1 } }],
    ['\uFEFF\n[{"a":1}]', { _tag: "Json", value: [{ a: 1 }] }],
    ['"text"', fault("unsupported_type")],
    ["12", fault("unsupported_type")],
    ["null", fault("unsupported_type")],
    ["{", fault("malformed_json")],
    ["hello", fault("malformed_json")]
  ])("%j where only JSON is understood", (text, expected) => {
    expect(decodePayload(Buffer.from(text))).toEqual(expected)
  })

  it.each([
    ['{"a":1}', { _tag: "Json", value: { a: 1 } }],
    ["\n{protobuf!", { _tag: "Protobuf", message: "message" }],
    ["\n[protobuf!", { _tag: "Protobuf", message: "message" }],
    ["\nprotobuf!", { _tag: "Protobuf", message: "message" }],
    ["\n{protobuf?", fault("malformed_json")],
    [" [1", fault("malformed_json")],
    ["hello", fault("malformed_protobuf")],
    ["\u0001\u0002", fault("malformed_protobuf")],
    ["true", fault("unsupported_type")]
  ])("%j where protobuf may come too", (text, expected) => {
    expect(decodePayload(Buffer.from(text), decodeProtobuf)).toEqual(expected)
  })

  it("is not decoded when it is too large", () => {
    expect(decodePayload(new Uint8Array(maxPayloadBytes + 1))).toEqual(fault("payload_too_large"))
  })
})

describe("a CloudEvents envelope", () => {
  const base64 = (text: string) => Buffer.from(text).toString("base64")

  it.each([
    [{ data: { a: 1 } }, { _tag: "Json", value: { a: 1 } }],
    [{ data: [1] }, { _tag: "Json", value: [1] }],
    [{ data: '{"a":9007199254740993}' }, { _tag: "Json", value: { a: 9_007_199_254_740_993n } }],
    [{ data: {} }, { _tag: "Empty" }],
    [{ data: "" }, { _tag: "Empty" }],
    [{ data: "text" }, fault("malformed_json")],
    [{ data: "42" }, fault("unsupported_type")],
    [{ data: 42 }, fault("unsupported_type")],
    [{ data: false }, fault("unsupported_type")],
    [
      { data: { a: 1 }, data_base64: base64("[1]") },
      { _tag: "Json", value: { a: 1 } }
    ],
    [
      { data: null, data_base64: base64("[1]") },
      { _tag: "Json", value: [1] }
    ],
    [{ data_base64: base64("[1]").replaceAll("=", "") }, { _tag: "Json", value: [1] }],
    [{ data_base64: base64("\nprotobuf!") }, { _tag: "Protobuf", message: "message" }],
    [{ data_base64: base64("hello") }, fault("malformed_protobuf")],
    [{ data_base64: "" }, { _tag: "Empty" }],
    [{ data_base64: "a b" }, fault("malformed_json")],
    [{ data_base64: "abcde" }, fault("malformed_json")],
    [{ data_base64: 5 }, fault("malformed_json")],
    [{ data: null }, fault("missing_field:data")],
    [{}, fault("missing_field:data")]
  ])("%j", (fields, expected) => {
    expect(openEnvelope({ specversion: "1.0", ...fields }, decodeProtobuf)).toEqual(expected)
  })
})
