import { JsonMetricsSerializer, ProtobufMetricsSerializer } from "@opentelemetry/otlp-transformer"
import { resourceFromAttributes } from "@opentelemetry/resources"
import { AggregationType, MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics"
import { describe, expect, it } from "vitest"
import { processMessage, receivedAt } from "../../testing/process-message.ts"
import { otelSeriesKey } from "../fields/series-key.ts"
import { parseTimestamp } from "../fields/time.ts"
import { makeProcessor } from "./index.ts"

const otelMetrics = makeProcessor({ type: "OtelMetrics", skipSubjects: [] })
const process = (payload: unknown) => processMessage(otelMetrics, "otel.metrics.raw", payload)

describe("a performance record", () => {
  const row = (fields: object) => process(fields).rows[0]

  it("has defaults for what is not given", () => {
    expect(process({ other: 1 })).toEqual({
      outcome: { _tag: "Rows" },
      rows: [
        {
          timestamp: receivedAt,
          trace_id: null,
          span_id: "",
          service_name: "unknown",
          span_name: "unknown",
          span_kind: null,
          duration_ms: null,
          duration_seconds: null,
          metric_type: null,
          http_method: null,
          http_route: null,
          http_status_code: null,
          grpc_service: null,
          grpc_method: null,
          grpc_status_code: null,
          is_slow: false,
          component: null,
          level: null,
          unit: null,
          value: null,
          count: null,
          attributes: {},
          series_key: otelSeriesKey(null, null, null, {})
        }
      ]
    })
  })

  it.each([
    [{ duration_ms: 1500 }, 1500, 1.5],
    [{ durationSeconds: "1.5" }, 1500, 1.5],
    [{ durationMs: 3, duration_seconds: 9 }, 3, 9],
    [{ duration_ms: "abc", duration_seconds: 2 }, 2000, 2],
    [{ duration_ms: "abc" }, null, null],
    [{ duration_ms: 0 }, 0, 0],
    [{ duration_ms: -12.5 }, null, null],
    [{ duration_ms: 5, duration_seconds: -1 }, null, null]
  ])("duration of %j", (fields, millis, seconds) => {
    expect(row(fields)).toMatchObject({ duration_ms: millis, duration_seconds: seconds })
  })

  it.each([
    ["timestamp", { timestamp: "bad", time: 1_705_315_800 }, 1_705_315_800_000_000],
    ["trace_id", { traceId: "t" }, "t"],
    ["span_id", { span_id: null, spanId: 5 }, "5"],
    ["service_name", { serviceName: "s" }, "s"],
    ["span_name", { name: "n" }, "n"],
    ["span_kind", { spanKind: "SERVER" }, "SERVER"],
    ["metric_type", { metricType: "span" }, "span"],
    ["http_method", { httpMethod: "GET" }, "GET"],
    ["http_route", { http_route: "" }, null],
    ["http_status_code", { http_status_code: 200 }, "200"],
    ["grpc_service", { grpcService: "s" }, "s"],
    ["grpc_method", { grpc_method: "m" }, "m"],
    ["grpc_status_code", { grpcStatusCode: 0 }, "0"],
    ["is_slow", { isSlow: "Yes" }, true],
    ["component", { component: "c" }, "c"],
    ["level", { level: 3 }, "3"],
    ["value", { value: "2.5" }, 2.5],
    ["count", { count: 5 }, null],
    ["attributes", { attributes: "a=b" }, { a: "b" }],
    ["attributes", { attributes: 5 }, {}]
  ])("%s of %j", (column, fields, expected) => {
    expect(row(fields)?.[column]).toEqual(expected)
  })

  it("keeps the four records of one slow span apart", () => {
    const span = { timestamp: 1_705_315_800, service_name: "s", span_name: "n", span_id: "1" }
    const types = ["span", "http", "grpc", "slow_span"]
    const { rows } = process(types.map((metric_type) => ({ ...span, metric_type })))
    expect(new Set(rows.map(({ series_key }) => series_key)).size).toBe(4)
    expect(row({ metric_type: "a", unit: "b", attributes: { z: 1, y: 2 } })?.["series_key"]).toBe(
      otelSeriesKey("a", "b", null, { y: 2, z: 1 })
    )
  })
})

/** Everything that the OpenTelemetry SDK says, so that its own serializers give the input. */
const collected = async () => {
  class Reader extends MetricReader {
    protected override async onForceFlush() {}
    protected override async onShutdown() {}
  }
  const reader = new Reader()
  const provider = new MeterProvider({
    resource: resourceFromAttributes({ "service.name": "shop", "service.version": "1" }),
    readers: [reader],
    views: [{ instrumentName: "latency.exp", aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }]
  })
  const meter = provider.getMeter("lib", "1.0")
  const labels = {
    "http.request.method": "GET",
    "http.status_code": 200,
    "http.route": "/a",
    level: "info",
    flags: [true, false]
  }
  meter.createGauge("temperature", { unit: "Cel" }).record(-3.5, labels)
  meter.createCounter("requests").add(7)
  meter
    .createHistogram("latency", { unit: "s" })
    .record(0.25, { "rpc.service": "S", "rpc.method": "M", "rpc.grpc.status_code": 0 })
  meter.createHistogram("latency.exp", { unit: "us" }).record(1500, { component: "c", "span.kind": "client" })
  const { resourceMetrics } = await reader.collect()
  await provider.shutdown()
  return resourceMetrics
}

describe("an OTLP request", () => {
  it("of the OpenTelemetry SDK gives the same rows in protobuf and JSON", async () => {
    const metrics = await collected()
    const { outcome, rows } = process(ProtobufMetricsSerializer.serializeRequest(metrics))
    expect(outcome).toEqual({ _tag: "Rows" })
    const byName = ["latency", "latency.exp", "requests", "temperature"].map((name) =>
      rows.find(({ span_name }) => span_name === name)
    )
    expect(rows).toHaveLength(4)
    expect(byName).toMatchObject([
      {
        span_name: "latency",
        metric_type: "histogram",
        unit: "s",
        value: 0.25,
        count: 1,
        duration_ms: 250,
        duration_seconds: 0.25,
        grpc_service: "S",
        grpc_method: "M",
        grpc_status_code: "0"
      },
      {
        span_name: "latency.exp",
        metric_type: "exponential_histogram",
        value: 1500,
        duration_ms: 1.5,
        component: "c",
        span_kind: "client"
      },
      {
        span_name: "requests",
        metric_type: "sum",
        unit: null,
        value: 7,
        count: null,
        attributes: {},
        series_key: otelSeriesKey("sum", null, "lib", {})
      },
      {
        span_name: "temperature",
        metric_type: "gauge",
        service_name: "shop",
        unit: "Cel",
        value: -3.5,
        count: null,
        duration_ms: null,
        http_method: "GET",
        http_route: "/a",
        http_status_code: "200",
        level: "info",
        is_slow: false,
        trace_id: null,
        span_id: "",
        attributes: { flags: [true, false] }
      }
    ])
    const times = rows.map(({ timestamp }) => Number(timestamp) / 1000)
    for (const time of times) expect(Math.abs(time - Date.now())).toBeLessThan(60_000)

    expect(process(JsonMetricsSerializer.serializeRequest(metrics))).toEqual({ outcome, rows })
  })

  const json = (metric: object, resource?: object) => ({
    resourceMetrics: [{ ...(resource && { resource }), scopeMetrics: [{ metrics: [metric] }] }]
  })
  const gauge = (...dataPoints: ReadonlyArray<object>) => json({ name: "m", gauge: { dataPoints } })
  const point = { timeUnixNano: "1705315800123456789", asDouble: 1 }

  it("is read in either spelling", () => {
    const rows = process({
      resource_metrics: [
        {
          resource: { attributes: [{ key: "service.name", value: { string_value: "s" } }] },
          scope_metrics: [
            {
              scope: { name: "lib" },
              metrics: [
                {
                  name: "h",
                  unit: "min",
                  exponential_histogram: {
                    data_points: [{ time_unix_nano: 1_705_315_800_123_456, count: 3, sum: 0.5 }]
                  }
                }
              ]
            }
          ]
        }
      ]
    }).rows
    expect(rows).toMatchObject([
      {
        timestamp: 1_705_315_800_123_456,
        service_name: "s",
        metric_type: "exponential_histogram",
        count: 3,
        value: 0.5,
        duration_ms: 30_000,
        series_key: otelSeriesKey("exponential_histogram", "min", "lib", {})
      }
    ])
  })

  it.each([
    ["ns", 2_500_000, 2.5],
    ["us", 2500, 2.5],
    ["\u00b5s", 2500, 2.5],
    ["\u03bcs", 2500, 2.5],
    ["ms", 2.5, 2.5],
    ["s", 2.5, 2500],
    ["min", 2, 120_000],
    ["h", 2, 7_200_000],
    ["S", 2, null],
    ["By", 2, null],
    ["ms", -1, null]
  ])("converts %s to milliseconds", (unit, value, expected) => {
    const [row] = process(json({ name: "m", unit, gauge: { dataPoints: [{ asDouble: value }] } })).rows
    expect(row).toMatchObject({
      unit,
      value,
      duration_ms: expected,
      duration_seconds: expected === null ? null : expected / 1000
    })
  })

  it("skips points without a value and metrics without data", () => {
    expect(process(gauge({ ...point, flags: 1 }, { ...point, flags: 2 }, { ...point, flags: 3 })).rows).toHaveLength(1)
    expect(process(gauge({ ...point, flags: 1 })).outcome).toEqual({ _tag: "Dropped", reason: "no_rows" })
    expect(process(json({ name: "m" })).outcome).toEqual({ _tag: "Dropped", reason: "no_rows" })
    expect(process({ resourceMetrics: [] }).outcome).toEqual({ _tag: "Dropped", reason: "no_rows" })
    expect(process({ resourceMetrics: null }).outcome).toEqual({ _tag: "Dropped", reason: "no_rows" })
    expect(process({ resourceMetrics: [{ resource: {} }] }).outcome).toEqual({ _tag: "Dropped", reason: "no_rows" })
  })

  it("has defaults for what is not given", () => {
    expect(
      process({ resourceMetrics: [{ scopeMetrics: [{ metrics: [{ sum: { dataPoints: [{}] } }] }] }] }).rows
    ).toMatchObject([
      { timestamp: receivedAt, service_name: "unknown", span_name: "unknown", unit: null, value: null, attributes: {} }
    ])
    expect(
      process(json({ name: " ", summary: { dataPoints: [{ count: "18446744073709551615" }] } }, {})).rows
    ).toMatchObject([{ span_name: "unknown", count: 9_223_372_036_854_775_807n, value: null }])
  })

  it("keeps attributes of every kind", () => {
    const attributes = [
      { key: "s", value: { stringValue: "" } },
      { key: "b", value: { boolValue: false } },
      { key: "i", value: { intValue: "0" } },
      { key: "big", value: { intValue: "9007199254740993" } },
      { key: "d", value: { doubleValue: "NaN" } },
      { key: "a", value: { arrayValue: { values: [{ intValue: 1 }, {}, { kvlistValue: {} }] } } },
      { key: "k", value: { kvlistValue: { values: [{ key: "x", value: { bytesValue: "AP8=" } }, { key: "" }] } } },
      { key: "n" },
      { key: "", value: { intValue: 1 } },
      { key: "__proto__", value: { intValue: 1 } },
      { key: "i", value: { intValue: 2 } }
    ]
    const [row] = process(gauge({ ...point, attributes })).rows
    expect(Object.entries(row!["attributes"]!)).toEqual([
      ["s", ""],
      ["b", false],
      ["i", 2],
      ["big", 9_007_199_254_740_993n],
      ["d", "NaN"],
      ["a", [1, null, {}]],
      ["k", { x: "AP8=" }],
      ["n", null],
      ["__proto__", 1]
    ])
  })

  it("takes the time of an envelope where a point has none", () => {
    const envelope = { specversion: "1.0", time: "2024-01-01T00:00:00Z" }
    const expected = [{ timestamp: parseTimestamp(envelope.time) }, { timestamp: 1_705_315_800_123_456 }]
    const data = gauge({ timeUnixNano: "0" }, point)
    expect(process({ ...envelope, data }).rows).toMatchObject(expected)
    expect(process([{ ...envelope, data }]).rows).toMatchObject(expected)
    const protobuf = Buffer.from("0a14121212100a016d2a0b0a09190000000000000000", "hex")
    expect(process({ ...envelope, data_base64: protobuf.toString("base64") }).rows).toMatchObject([expected[0]])
  })

  it.each([
    [{ resourceMetrics: {} }, "invalid_field:resourceMetrics"],
    [{ resourceMetrics: [5] }, "invalid_field:resourceMetrics"],
    [gauge(5 as never), "unsupported_type"],
    ["\n{not protobuf", "malformed_json"],
    ["\n\u0001", "malformed_protobuf"],
    ["\u0012\u0000", "malformed_protobuf"],
    ['"text"', "unsupported_type"]
  ])("refuses %j", (payload, reason) => {
    expect(process(payload).outcome).toMatchObject({ _tag: "DeadLetter", reason })
  })

  it("writes the points that can be read, and names the others by their place in the document", () => {
    const { outcome, rows } = process(gauge(5 as never, point, { attributes: {} }))
    expect(rows).toHaveLength(1)
    expect(outcome).toEqual({
      _tag: "Rows",
      elements: [
        { index: 0, reason: "unsupported_type" },
        { index: 2, reason: "invalid_field:attributes" }
      ]
    })
  })

  it("has a bound on its points", () => {
    const points = Buffer.alloc(2 * 65_537, Buffer.from([0x0a, 0x00]))
    const field = (number: number, content: Buffer) => {
      const { length } = content
      return Buffer.concat([
        Buffer.from([(number << 3) | 2, (length & 127) | 128, ((length >> 7) & 127) | 128, length >> 14]),
        content
      ])
    }
    const request = field(1, field(2, field(2, field(5, points))))
    expect(process(request).outcome).toMatchObject({ _tag: "DeadLetter", reason: "payload_too_large" })
  })
})
