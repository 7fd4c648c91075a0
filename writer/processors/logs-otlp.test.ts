import { JsonLogsSerializer, ProtobufLogsSerializer } from "@opentelemetry/otlp-transformer"
import { resourceFromAttributes } from "@opentelemetry/resources"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { processMessage, receivedAt } from "../../testing/process-message.ts"
import { field, protobuf } from "../../testing/protobuf.ts"
import { jsonText } from "../decode/json.ts"
import type { JsonObject } from "../tables/table.ts"
import { makeProcessor } from "./index.ts"

const make = (output: "Logs" | "OcsfEvents") =>
  makeProcessor({ type: "Logs", output, skipSubjects: [], subjects: [">"] })
const logs = make("Logs")
const ocsf = make("OcsfEvents")
const process = (payload: unknown, subject = "logs.otel") => processMessage(logs, subject, payload)

const request = (record: object, resource?: object, scope?: object) => ({
  resourceLogs: [{ ...(resource && { resource }), scopeLogs: [{ ...(scope && { scope }), logRecords: [record] }] }]
})
const row = (record: object, resource?: object, scope?: object) => process(request(record, resource, scope)).rows[0]

describe("an OTLP record", () => {
  it("has nothing but a time and an id when it says nothing", () => {
    expect(process(request({}), "audit").rows).toEqual([
      {
        timestamp: receivedAt,
        observed_timestamp: null,
        id: expect.any(String),
        trace_id: null,
        span_id: null,
        trace_flags: null,
        severity_text: null,
        severity_number: null,
        body: null,
        event_name: null,
        source: "otel",
        service_name: null,
        service_version: null,
        service_instance: null,
        scope_name: null,
        scope_version: null,
        scope_attributes: {},
        attributes: {},
        resource_attributes: {}
      }
    ])
  })

  it.each<[column: string, record: object, expected: unknown]>([
    ["timestamp", { timeUnixNano: "1705315800123456789", observedTimeUnixNano: "1" }, 1_705_315_800_123_456],
    ["timestamp", { timeUnixNano: "0", observedTimeUnixNano: 1_705_315_800_000_000_000 }, 1_705_315_800_000_000],
    ["observed_timestamp", { timeUnixNano: "1705315800123456789" }, null],
    ["observed_timestamp", { observedTimeUnixNano: "1705315800123456789" }, 1_705_315_800_123_456],
    ["trace_id", { traceId: "5B8EFFF798038103D269B633813FC60C" }, "5b8efff798038103d269b633813fc60c"],
    ["trace_id", { trace_id: "" }, null],
    ["span_id", { span_id: "EEE19B7EC3C1B174" }, "eee19b7ec3c1b174"],
    ["trace_flags", { flags: 0 }, null],
    ["trace_flags", { flags: 256 }, 0],
    ["trace_flags", { flags: 4_294_967_295 }, 255],
    ["severity_number", { severityNumber: "SEVERITY_NUMBER_WARN2", severityText: "error" }, 14],
    ["severity_number", { severityNumber: 0, severityText: "error" }, 17],
    ["severity_number", { severityNumber: 25 }, null],
    ["severity_number", { severityText: "Unknown" }, null],
    ["severity_text", { severityNumber: 14, severityText: "error" }, "ERROR"],
    ["severity_text", { severityNumber: 14, severityText: "Unknown" }, "WARN"],
    ["severity_text", { severityText: "Unknown" }, "Unknown"],
    ["body", { body: { stringValue: " as is\n" } }, " as is\n"],
    ["body", { body: { stringValue: "" } }, null],
    ["body", { body: { intValue: "42" } }, "42"],
    ["body", { body: { intValue: "-9223372036854775808" } }, "-9223372036854775808"],
    ["body", { body: { boolValue: false } }, "false"],
    ["body", { body: { doubleValue: 0 } }, "0"],
    ["body", { body: { doubleValue: "-Infinity" } }, "-Infinity"],
    ["body", { body: { bytesValue: "AP8=" } }, "AP8="],
    ["body", { body: { arrayValue: { values: [{ intValue: 1 }, {}] } } }, "[1,null]"],
    ["body", { body: { kvlistValue: { values: [{ key: "a", value: { boolValue: true } }] } } }, '{"a":true}'],
    ["body", { body: { kvlist_value: {} } }, "{}"],
    ["body", { body: {} }, null],
    ["event_name", { event_name: "e" }, "e"],
    ["event_name", { eventName: " " }, null],
    [
      "attributes",
      { attributes: [{ key: "a", value: { intValue: "0" } }, { key: "n" }, { key: "e", value: { kvlistValue: {} } }] },
      { a: 0, n: null, e: {} }
    ]
  ])("%s of %j", (column, record, expected) => {
    expect(row(record)?.[column]).toEqual(expected)
  })

  const strings = (fields: Readonly<Record<string, string>>) => ({
    attributes: Object.entries(fields).map(([key, stringValue]) => ({ key, value: { stringValue } }))
  })

  it.each<[resource: Readonly<Record<string, string>>, expected: object]>([
    [{ "service.name": "a", service_name: "b" }, { service_name: "a" }],
    [{ "service.name": " ", service_name: "b" }, { service_name: "b" }],
    [{ "host.name": "h" }, { service_name: null }],
    [
      { "service.version": "1", "service.instance.id": "i" },
      { service_version: "1", service_instance: "i" }
    ]
  ])("of the resource %j", (resource, expected) => {
    expect(row({}, strings(resource))).toMatchObject({ ...expected, resource_attributes: resource })
  })

  it("has what its scope says", () => {
    expect(row({}, undefined, { name: "n", version: "1", ...strings({ a: "b" }) })).toMatchObject({
      scope_name: "n",
      scope_version: "1",
      scope_attributes: { a: "b" }
    })
    expect(row({}, {}, { name: "", version: " " })).toMatchObject({ scope_name: null, scope_version: null })
  })

  it("is a row in the order of the document", () => {
    const record = (text: string) => ({ body: { stringValue: text } })
    const scopes = (...bodies: ReadonlyArray<string>) => ({
      scopeLogs: bodies.map((body) => ({ logRecords: [record(body), record(`${body}'`)] }))
    })
    const { outcome, rows } = process({ resourceLogs: [scopes("a", "b"), {}, scopes(), scopes("c")] })
    expect(outcome).toEqual({ _tag: "Rows" })
    expect(rows.map(({ body }) => body)).toEqual(["a", "a'", "b", "b'", "c", "c'"])
  })

  it("may be one of 65,536 at most, and of half as many for two tables", () => {
    const empty = protobuf(field(2, ""))
    const ofRecords = (count: number) => {
      const records = Buffer.alloc(count * empty.length, empty)
      return protobuf(field(1, protobuf(field(2, records))))
    }
    const both = makeProcessor({ type: "Logs", output: "Both", skipSubjects: [] })
    const tooLarge = { _tag: "DeadLetter", reason: "payload_too_large" }
    expect(processMessage(both, "logs.x", ofRecords(32_769)).outcome).toEqual(tooLarge)
    expect(process(ofRecords(65_537)).outcome).toEqual(tooLarge)
  })
})

/** A record as the OpenTelemetry SDK has it, so that its own serializers give the input. */
type SdkRecord = Parameters<typeof ProtobufLogsSerializer.serializeRequest>[0][number]

const name = fc.string({ minLength: 1, maxLength: 8 }).filter((text) => text.trim() !== "")
const scalar = fc.oneof(
  fc.string(),
  fc.boolean(),
  fc.maxSafeInteger(),
  // The SDK's integers beyond 2^53 are doubles, of which each serializer writes other digits.
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((n) => (Number.isInteger(n) ? 0.5 : n))
)
const labels = fc.dictionary(name, scalar, { maxKeys: 4 })
const resource = fc
  .tuple(name, fc.dictionary(fc.constantFrom("service_name", "service.version", "host.name", "host.ip", "x"), name))
  .map(([serviceName, others]) => resourceFromAttributes({ ...others, "service.name": serviceName }))
const nanos = fc
  .tuple(fc.integer({ min: 946_684_800, max: 4_102_444_800 }), fc.nat(999_999_999))
  .map(([seconds, rest]): [number, number] => [seconds, rest])
const hex = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => Buffer.from(bytes).toString("hex"))

const sdkRecord: fc.Arbitrary<SdkRecord> = fc.record({
  hrTime: nanos,
  hrTimeObserved: nanos,
  spanContext: fc.record({ traceId: hex(16), spanId: hex(8), traceFlags: fc.integer({ min: 1, max: 255 }) }),
  severityText: fc.constantFrom("WARN", "warning", "Custom", "critical"),
  severityNumber: fc.integer({ min: 1, max: 24 }),
  body: fc.oneof(name, fc.boolean(), fc.maxSafeInteger(), labels, fc.array(name, { maxLength: 3 })),
  eventName: name,
  resource,
  instrumentationScope: fc.record({ name, version: name }),
  attributes: fc.dictionary(name, fc.oneof(scalar, fc.array(fc.string(), { minLength: 1, maxLength: 3 })), {
    maxKeys: 4
  }),
  droppedAttributesCount: fc.constant(0)
})

const nanosOf = ([seconds, rest]: readonly [number, number]) => BigInt(seconds) * 1_000_000_000n + BigInt(rest)

/** The same record as an object of its own. */
const asObject = (record: SdkRecord): JsonObject => ({
  time_unix_nano: nanosOf(record.hrTime),
  observed_time_unix_nano: nanosOf(record.hrTimeObserved),
  trace_id: record.spanContext!.traceId,
  span_id: record.spanContext!.spanId,
  flags: record.spanContext!.traceFlags,
  severity_number: record.severityNumber!,
  severity_text: record.severityText!,
  body: record.body as JsonObject,
  event_name: record.eventName!,
  resource: { attributes: record.resource.attributes as JsonObject },
  scope: { name: record.instrumentationScope.name, version: record.instrumentationScope.version! },
  attributes: record.attributes as JsonObject
})

describe("a record of the OpenTelemetry SDK", () => {
  it("gives the same row as protobuf, as OTLP/JSON and as an object of its own", () => {
    fc.assert(
      fc.property(sdkRecord, (record) => {
        for (const processor of [logs, ocsf]) {
          const rows = (payload: unknown) => processMessage(processor, "logs.otel", payload)
          const binary = rows(ProtobufLogsSerializer.serializeRequest([record]))
          expect(binary.outcome).toEqual({ _tag: "Rows" })
          expect(rows(JsonLogsSerializer.serializeRequest([record]))).toEqual(binary)
          expect(rows(jsonText(asObject(record)))).toEqual(binary)
        }
      }),
      { numRuns: 200 }
    )
  })
})
