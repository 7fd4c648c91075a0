import { JsonTraceSerializer, ProtobufTraceSerializer } from "@opentelemetry/otlp-transformer"
import { resourceFromAttributes } from "@opentelemetry/resources"
import { describe, expect, it } from "vitest"
import { processMessage, receivedAt } from "../../testing/process-message.ts"
import { parseTimestamp } from "../fields/time.ts"
import { makeProcessor } from "./index.ts"

const otelTraces = makeProcessor({ type: "OtelTraces", skipSubjects: [] })
const process = (payload: unknown) => processMessage(otelTraces, "otel.traces.raw", payload)

const ids = { trace_id: "t", span_id: "s" }

describe("a span in JSON", () => {
  const row = (fields: object) => process({ ...ids, ...fields }).rows[0]

  it("has defaults for what is not given", () => {
    expect(process(ids)).toEqual({
      outcome: { _tag: "Rows" },
      rows: [
        {
          timestamp: receivedAt,
          trace_id: "t",
          span_id: "s",
          parent_span_id: null,
          name: null,
          kind: null,
          start_time_unix_nano: null,
          end_time_unix_nano: null,
          service_name: "unknown",
          service_version: null,
          service_instance: null,
          scope_name: null,
          scope_version: null,
          status_code: null,
          status_message: null,
          attributes: {},
          resource_attributes: {},
          events: [],
          links: []
        }
      ]
    })
  })

  it("is read in either spelling, snake case first", () => {
    const camel = {
      traceId: "T",
      spanId: "S",
      parentSpanId: "P",
      startTimeUnixNano: "1705315800123456789",
      endTimeUnixNano: 1_705_315_801_000_000,
      serviceName: "shop",
      serviceVersion: 2,
      serviceInstance: "i",
      scopeName: "lib",
      scopeVersion: "1.0",
      statusCode: 2,
      statusMessage: "bad",
      resourceAttributes: { a: 1 }
    }
    const expected = {
      timestamp: 1_705_315_800_123_456,
      trace_id: "T",
      span_id: "S",
      parent_span_id: "P",
      start_time_unix_nano: 1_705_315_800_123_456_789n,
      end_time_unix_nano: 1_705_315_801_000_000,
      service_name: "shop",
      service_version: "2",
      service_instance: "i",
      scope_name: "lib",
      scope_version: "1.0",
      status_code: 2,
      status_message: "bad",
      resource_attributes: { a: 1 }
    }
    expect(process(camel).rows).toMatchObject([expected])
    expect(row({ ...camel, service_name: "web", parent_span_id: " " })).toMatchObject({
      trace_id: "t",
      service_name: "web",
      parent_span_id: "P"
    })
  })

  it("knows its service from the resource", () => {
    const resource = { "service.name": "shop", "service.version": "1", "service.instance.id": 7 }
    const expected = { service_name: "shop", service_version: "1", service_instance: "7" }
    expect(row({ resource_attributes: resource })).toMatchObject({ ...expected, resource_attributes: resource })
    expect(row({ resourceAttributes: JSON.stringify(resource), service_name: null })).toMatchObject(expected)
    expect(row({ resource_attributes: "[1]" })).toMatchObject({ resource_attributes: [1], service_name: "unknown" })
  })

  it.each([
    [{ timestamp: "2024-01-15T10:50:00Z", start_time_unix_nano: 1 }, "2024-01-15T10:50:00Z"],
    [{ timestamp: "bad", start_time_unix_nano: 1_705_315_800 }, "2024-01-15T10:50:00Z"],
    [{ start_time_unix_nano: 0, endTimeUnixNano: "1705315800000000000" }, "2024-01-15T10:50:00Z"],
    [{ start_time_unix_nano: 1_705_315_800, end_time_unix_nano: 1 }, "2024-01-15T10:50:00Z"]
  ])("takes its time from %j", (fields, time) => {
    expect(row(fields)).toMatchObject({ timestamp: parseTimestamp(time) })
  })

  it.each([
    [3, 3],
    ["3", 3],
    ["CLIENT", 3],
    ["span_kind_client", 3],
    ["SPAN_KIND_UNSPECIFIED", 0],
    ["weird", null],
    [99_999_999_999, null]
  ])("of kind %j", (kind, expected) => {
    expect(row({ kind })).toMatchObject({ kind: expected })
  })

  it.each([
    [2, 2],
    ["OK", 1],
    ["STATUS_CODE_ERROR", 2],
    ["Unset", 0],
    [true, null]
  ])("of status %j", (status_code, expected) => {
    expect(row({ status_code })).toMatchObject({ status_code: expected })
  })

  it("keeps events and links as they are, when they are arrays", () => {
    expect(row({ events: [{ name: "e" }, 5], links: [] })).toMatchObject({ events: [{ name: "e" }, 5], links: [] })
    expect(row({ events: "[1]", links: { a: 1 } })).toMatchObject({ events: [], links: [] })
  })

  it.each([
    [{ span_id: "s" }, "missing_field:trace_id"],
    [{ trace_id: " ", span_id: "s" }, "missing_field:trace_id"],
    [{ trace_id: "t", spanId: null }, "missing_field:span_id"]
  ])("needs its ids: %j", (payload, reason) => {
    expect(process(payload).outcome).toEqual({ _tag: "DeadLetter", reason })
    expect(process([payload, ids])).toMatchObject({
      outcome: { _tag: "Rows", elements: [{ index: 0, reason }] },
      rows: [{ span_id: "s" }]
    })
  })
})

type ReadableSpan = Parameters<typeof ProtobufTraceSerializer.serializeRequest>[0][number]

/** A span as the OpenTelemetry SDK hands it to its exporters. */
const exported = (): ReadableSpan => ({
  name: "GET /",
  kind: 1,
  spanContext: () => ({ traceId: "5b8efff798038103d269b633813fc60c", spanId: "eee19b7ec3c1b174", traceFlags: 1 }),
  parentSpanContext: { traceId: "5b8efff798038103d269b633813fc60c", spanId: "eee19b7ec3c1b173", traceFlags: 1 },
  startTime: [1_705_315_800, 123_456_789],
  endTime: [1_705_315_801, 1],
  status: { code: 2, message: "it broke" },
  attributes: { "http.status_code": 500, ok: false, list: ["a", "b"] },
  links: [
    {
      context: { traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", traceFlags: 1 },
      attributes: { why: "batch" }
    }
  ],
  events: [{ time: [1_705_315_800, 200_000_000], name: "exception", attributes: { "exception.type": "E" } }],
  duration: [0, 876_543_212],
  ended: true,
  resource: resourceFromAttributes({
    "service.name": "shop",
    "service.version": "1.2",
    "service.instance.id": "i-1"
  }),
  instrumentationScope: { name: "lib", version: "0.1" },
  droppedAttributesCount: 1,
  droppedEventsCount: 2,
  droppedLinksCount: 3
})

describe("an OTLP request", () => {
  it("of the OpenTelemetry SDK gives the same rows in protobuf and JSON", () => {
    const protobuf = process(ProtobufTraceSerializer.serializeRequest([exported()]))
    expect(protobuf).toEqual({
      outcome: { _tag: "Rows" },
      rows: [
        {
          timestamp: 1_705_315_800_123_456,
          trace_id: "5b8efff798038103d269b633813fc60c",
          span_id: "eee19b7ec3c1b174",
          parent_span_id: "eee19b7ec3c1b173",
          name: "GET /",
          kind: 2,
          start_time_unix_nano: 1_705_315_800_123_456_789n,
          end_time_unix_nano: 1_705_315_801_000_000_001n,
          service_name: "shop",
          service_version: "1.2",
          service_instance: "i-1",
          scope_name: "lib",
          scope_version: "0.1",
          status_code: 2,
          status_message: "it broke",
          attributes: { "http.status_code": 500, ok: false, list: ["a", "b"] },
          resource_attributes: { "service.name": "shop", "service.version": "1.2", "service.instance.id": "i-1" },
          events: [{ time_unix_nano: "1705315800200000000", name: "exception", attributes: { "exception.type": "E" } }],
          links: [
            { trace_id: "0af7651916cd43dd8448eb211c80319c", span_id: "b7ad6b7169203331", attributes: { why: "batch" } }
          ]
        }
      ]
    })
    expect(process(JsonTraceSerializer.serializeRequest([exported()]))).toEqual(protobuf)
  })

  const request = (...spans: ReadonlyArray<object>) => ({ resourceSpans: [{ scopeSpans: [{ spans }] }] })
  const span = { traceId: "AB", spanId: "CD" }

  it("is read in either spelling, with names of enums and ids in any case", () => {
    expect(
      process({
        resource_spans: [
          {
            resource: { attributes: [{ key: "service.name", value: { string_value: "s" } }] },
            scope_spans: [
              {
                scope: { name: " ", version: "v" },
                spans: [
                  {
                    trace_id: "AB",
                    span_id: "CD",
                    parent_span_id: "",
                    name: " ",
                    kind: "SPAN_KIND_SERVER",
                    end_time_unix_nano: 1_705_315_800,
                    status: { code: "STATUS_CODE_ERROR" },
                    links: [{}],
                    events: [{}]
                  }
                ]
              }
            ]
          }
        ]
      }).rows
    ).toMatchObject([
      {
        timestamp: 1_705_315_800_000_000,
        trace_id: "ab",
        span_id: "cd",
        parent_span_id: null,
        name: null,
        kind: 2,
        start_time_unix_nano: 0,
        end_time_unix_nano: 1_705_315_800,
        service_name: "s",
        scope_name: null,
        scope_version: "v",
        status_code: 2,
        status_message: null,
        links: [{ trace_id: null, span_id: null, attributes: {} }],
        events: [{ time_unix_nano: "0", name: "", attributes: {} }]
      }
    ])
  })

  it("lets spans without ids alone be dead letters, counted over the whole request", () => {
    const { outcome, rows } = process({
      resourceSpans: [
        { scopeSpans: [{ spans: [span, {}] }, { spans: [span] }] },
        { resource: {}, scopeSpans: [{ spans: [{ traceId: "AB" }, span] }] }
      ]
    })
    expect(outcome).toEqual({
      _tag: "Rows",
      elements: [
        { index: 1, reason: "missing_field:trace_id" },
        { index: 3, reason: "missing_field:span_id" }
      ]
    })
    expect(rows).toHaveLength(3)
    expect(process(request({ traceId: "AB" }, {})).outcome).toEqual({
      _tag: "DeadLetter",
      reason: "missing_field:span_id",
      elements: [
        { index: 0, reason: "missing_field:span_id" },
        { index: 1, reason: "missing_field:trace_id" }
      ]
    })
    // An array's elements are its requests.
    expect(process([request(span, {}), request({})]).outcome).toEqual({
      _tag: "Rows",
      elements: [
        { index: 0, reason: "missing_field:trace_id" },
        { index: 1, reason: "missing_field:trace_id" }
      ]
    })
  })

  it("writes the spans that can be read, and names the others by their place in the document", () => {
    const { outcome, rows } = process(request(5 as never, span, { attributes: {} }))
    expect(rows).toHaveLength(1)
    expect(outcome).toEqual({
      _tag: "Rows",
      elements: [
        { index: 0, reason: "unsupported_type" },
        { index: 2, reason: "invalid_field:attributes" }
      ]
    })
  })

  it("takes the time of an envelope where a span has none", () => {
    const envelope = { specversion: "1.0", time: "2024-01-01T00:00:00Z", data: request(span) }
    expect(process(envelope).rows).toMatchObject([{ timestamp: parseTimestamp(envelope.time) }])
  })

  it.each([
    [{ resourceSpans: [] }, { _tag: "Dropped", reason: "no_rows" }],
    [request(), { _tag: "Dropped", reason: "no_rows" }],
    [{ resourceSpans: {} }, { _tag: "DeadLetter", reason: "invalid_field:resourceSpans" }],
    [request(5 as never), { _tag: "DeadLetter", reason: "unsupported_type" }],
    ["\n\u0001", { _tag: "DeadLetter", reason: "malformed_protobuf" }],
    [request(...Array.from({ length: 65_537 }, () => ({}))), { _tag: "DeadLetter", reason: "payload_too_large" }]
  ])("is not written without spans or with another shape", (payload, outcome) => {
    expect(process(payload).outcome).toMatchObject(outcome)
  })
})
