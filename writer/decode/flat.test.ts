import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { processMessage } from "../../testing/process-message.ts"
import { makeOtelMetrics } from "../processors/otel-metrics.ts"
import { otelMetrics } from "../tables/otel-metrics.ts"

/** With a byte order mark in front a message is for the full parser, which skips it: both ways must lead to the same rows. */
const mark = Buffer.from([0xef, 0xbb, 0xbf])

const processor = makeOtelMetrics(otelMetrics, { type: "OtelMetrics", skipSubjects: [] })
const process = (payload: Uint8Array) => processMessage(processor, "otel.metrics", payload)
const expectSame = (payload: Uint8Array) => {
  expect(process(payload)).toEqual(process(Buffer.concat([mark, payload])))
}

const names = (
  "timestamp time trace_id traceId span_id service_name span_name name span_kind unit duration_ms durationMs " +
  "duration_seconds metric_type http_method http_status_code grpc_method is_slow isSlow component level value attributes " +
  "other na\u00efve __proto__ specversion"
).split(" ")

const numbers = fc.oneof(
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.bigInt().map(String),
  fc.constantFrom(
    "0",
    "-0",
    "0.0",
    "-0.10",
    "1e3",
    "1E-2",
    "1.5e+400",
    "123456789012345",
    "0.1234567890123456789",
    "00",
    "1.",
    ".5"
  )
)
const strings = fc.oneof(
  fc.string(),
  fc.string({ unit: "grapheme" }),
  fc.constantFrom(
    "",
    " ",
    "\t",
    "ab\u007f",
    "1.5",
    "true",
    "a=b,c=d",
    '{"a":1}',
    "2026-01-02T03:04:05.678901Z",
    "1767225600"
  )
)
const values = fc.oneof(
  strings.map((text) => JSON.stringify(text)),
  numbers,
  fc.constantFrom("true", "false", "null", "nul", "True", "[]", '{"a":[1]}', '"\\u0000"', '"\\ud800"', '"a\\/b"')
)
const blank = fc.constantFrom("", "", "", " ", "\n\t", "\r")
const object = fc
  .array(fc.tuple(fc.constantFrom(...names), values, blank, blank), { maxLength: 8 })
  .map((members) => `{${members.map(([name, value, a, b]) => `${a}"${name}"${b}:${a}${value}${b}`).join(",")}}`)
const message = fc.oneof(
  object,
  fc.array(object, { maxLength: 4 }).map((objects) => `[${objects.join(", ")}]`),
  fc.tuple(object, blank, fc.constantFrom("", "x", "}", ",{}")).map((parts) => parts.join(""))
)

describe("flat records", () => {
  it("become the rows that the full parser's records become", () => {
    fc.assert(
      fc.property(message, (text) => {
        expectSame(Buffer.from(text))
      }),
      { numRuns: 3000 }
    )
  })

  it("are refused as the full parser refuses them, whatever byte is wrong", () => {
    const record =
      '[{"timestamp":"2026-01-02T03:04:05Z","span_id":"ab","duration_ms":-1.25e2,"is_slow":true,"value":null}, {"value" : 3}]'
    fc.assert(
      fc.property(fc.nat(record.length), fc.nat(255), fc.boolean(), (at, byte, cut) => {
        const bytes = Buffer.from(record)
        if (at < bytes.length) bytes[at] = byte
        expectSame(cut ? bytes.subarray(0, at) : bytes)
      }),
      { numRuns: 3000 }
    )
  })

  it("keep their text where a producer changes the order of its members", () => {
    const payload = (...members: ReadonlyArray<string>) => Buffer.from(`{${members.join(",")}}`)
    const [unit, level] = ['"unit":"ms"', '"level":"slow"']
    for (const bytes of [payload(unit, level), payload(level, unit), payload('"x":1', unit), payload(unit, level)])
      expectSame(bytes)
  })
})
