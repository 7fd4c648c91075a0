import type { ProcessorConfig } from "../config.ts"
import type { Resource } from "../decode/otlp.ts"
import { anyValue, attributes } from "../decode/otlp.ts"
import type { DataPoint, Metric, MetricsRequest } from "../decode/otlp-metrics.ts"
import {
  decodeMetricsRequest,
  isMetricsRequest,
  metricsRequestFromJson,
  noRecordedValue
} from "../decode/otlp-metrics.ts"
import { WrongShape } from "../decode/protojson.ts"
import { bareOtelSeriesKey, otelSeriesKey } from "../fields/series-key.ts"
import { parseTimestamp } from "../fields/time.ts"
import { bool, first, float8, int8, json, text } from "../fields/values.ts"
import type { JsonObject, JsonValue, Table } from "../tables/table.ts"
import type { Message, Processor, RowSink } from "./processor.ts"
import type { JsonRecord, Mapped, RecordMapping } from "./records.ts"
import { mapRecords, maxRows } from "./records.ts"
import { makeRoute } from "./routing.ts"

const knownSubjects = ["otel.metrics", "otel.metrics.>"]

const noAttributes: JsonObject = {}

/** A performance record: one measured span of a service. */
const mapPerformance = (
  object: JsonObject,
  envelopeTime: JsonValue | undefined,
  message: Message,
  sink: RowSink
): Mapped => {
  const givenMillis = float8(first(object["duration_ms"], object["durationMs"]))
  const givenSeconds = float8(first(object["duration_seconds"], object["durationSeconds"]))
  const negative = (givenMillis !== null && givenMillis < 0) || (givenSeconds !== null && givenSeconds < 0)
  const millis = givenMillis ?? (givenSeconds === null ? null : givenSeconds * 1000)
  const seconds = givenSeconds ?? (givenMillis === null ? null : givenMillis / 1000)
  const metricType = text(first(object["metric_type"], object["metricType"]))
  const unit = text(object["unit"])
  const attributes = json(object["attributes"])
  sink.row(0, [
    parseTimestamp(object["timestamp"]) ??
      parseTimestamp(object["time"]) ??
      parseTimestamp(envelopeTime) ??
      message.receivedAt,
    text(first(object["trace_id"], object["traceId"])),
    text(first(object["span_id"], object["spanId"])) ?? "",
    text(first(object["service_name"], object["serviceName"])) ?? "unknown",
    text(first(object["span_name"], object["spanName"], object["name"])) ?? "unknown",
    text(first(object["span_kind"], object["spanKind"])),
    negative ? null : millis,
    negative ? null : seconds,
    metricType,
    text(first(object["http_method"], object["httpMethod"])),
    text(first(object["http_route"], object["httpRoute"])),
    text(first(object["http_status_code"], object["httpStatusCode"])),
    text(first(object["grpc_service"], object["grpcService"])),
    text(first(object["grpc_method"], object["grpcMethod"])),
    text(first(object["grpc_status_code"], object["grpcStatusCode"])),
    bool(first(object["is_slow"], object["isSlow"])) ?? false,
    text(object["component"]),
    text(object["level"]),
    unit,
    float8(object["value"]),
    null,
    attributes ?? noAttributes,
    attributes === null ? bareOtelSeriesKey(metricType, unit) : otelSeriesKey(metricType, unit, null, attributes)
  ])
  return 1
}

/** Milliseconds of one unit, as a fraction so that no digit is lost. Both signs for micro are in use. */
const durationUnits: ReadonlyMap<string, { readonly multiply: number; readonly divide: number }> = new Map([
  ["ns", { multiply: 1, divide: 1_000_000 }],
  ["us", { multiply: 1, divide: 1000 }],
  ["\u00b5s", { multiply: 1, divide: 1000 }],
  ["\u03bcs", { multiply: 1, divide: 1000 }],
  ["ms", { multiply: 1, divide: 1 }],
  ["s", { multiply: 1000, divide: 1 }],
  ["min", { multiply: 60_000, divide: 1 }],
  ["h", { multiply: 3_600_000, divide: 1 }]
])

const durationMillis = (value: number | null, unit: string | null): number | null => {
  const scale = unit === null ? undefined : durationUnits.get(unit)
  if (value === null || scale === undefined) return null
  const millis = (value * scale.multiply) / scale.divide
  return millis >= 0 ? millis : null
}

interface Series {
  readonly serviceName: string
  readonly scopeName: string | null
  readonly metricName: string
  readonly metricType: string
  readonly unit: string | null
}

const mapPoint = (
  point: DataPoint,
  series: Series,
  envelopeTime: JsonValue | undefined,
  message: Message,
  sink: RowSink
): void => {
  const { metricType, unit } = series
  const distribution = metricType !== "gauge" && metricType !== "sum"
  const value = distribution
    ? point.sum
    : (point.asDouble ?? (point.asInt === undefined ? undefined : Number(point.asInt)))
  const millis = durationMillis(value ?? null, unit)
  const labels = attributes(point.attributes)
  sink.row(0, [
    parseTimestamp(point.timeUnixNano) ?? parseTimestamp(envelopeTime) ?? message.receivedAt,
    null,
    "",
    series.serviceName,
    series.metricName,
    text(labels["span.kind"]),
    millis,
    millis === null ? null : millis / 1000,
    metricType,
    text(first(labels["http.method"], labels["http.request.method"])),
    text(labels["http.route"]),
    text(first(labels["http.status_code"], labels["http.response.status_code"])),
    text(first(labels["rpc.service"], labels["grpc.service"])),
    text(first(labels["rpc.method"], labels["grpc.method"])),
    text(first(labels["rpc.grpc.status_code"], labels["grpc.status_code"])),
    false,
    text(labels["component"]),
    text(labels["level"]),
    unit,
    value ?? null,
    distribution ? int8(point.count ?? 0) : null,
    labels,
    otelSeriesKey(metricType, unit, series.scopeName, labels)
  ])
}

const pointsOf = (metric: Metric): { readonly metricType: string; readonly points: ReadonlyArray<DataPoint> } => {
  if (metric.gauge !== undefined) return { metricType: "gauge", points: metric.gauge.dataPoints ?? [] }
  if (metric.sum !== undefined) return { metricType: "sum", points: metric.sum.dataPoints ?? [] }
  if (metric.histogram !== undefined) return { metricType: "histogram", points: metric.histogram.dataPoints ?? [] }
  if (metric.exponentialHistogram !== undefined) {
    return { metricType: "exponential_histogram", points: metric.exponentialHistogram.dataPoints ?? [] }
  }
  return { metricType: "summary", points: metric.summary?.dataPoints ?? [] }
}

const countPoints = (request: MetricsRequest): number => {
  let count = 0
  for (const { scopeMetrics = [] } of request.resourceMetrics ?? []) {
    for (const { metrics = [] } of scopeMetrics) for (const metric of metrics) count += pointsOf(metric).points.length
  }
  return count
}

const serviceNameOf = (resource: Resource | undefined): string => {
  const named = resource?.attributes?.findLast(({ key }) => key === "service.name")
  return text(anyValue(named?.value)) ?? "unknown"
}

/** An OTLP request: every data point that has a value is a row. */
const mapRequest = (
  request: MetricsRequest,
  envelopeTime: JsonValue | undefined,
  message: Message,
  sink: RowSink
): Mapped => {
  if (countPoints(request) > maxRows) return "payload_too_large"
  let rows = 0
  for (const { resource, scopeMetrics = [] } of request.resourceMetrics ?? []) {
    const serviceName = serviceNameOf(resource)
    for (const { scope, metrics = [] } of scopeMetrics) {
      const scopeName = text(scope?.name)
      for (const metric of metrics) {
        const { metricType, points } = pointsOf(metric)
        const metricName = text(metric.name) ?? "unknown"
        const series = { serviceName, scopeName, metricName, metricType, unit: text(metric.unit) }
        for (const point of points) {
          if (((point.flags ?? 0) & noRecordedValue) !== 0) continue
          mapPoint(point, series, envelopeTime, message, sink)
          rows++
        }
      }
    }
  }
  return rows
}

const mapJson = ({ object, envelopeTime }: JsonRecord, message: Message, sink: RowSink): Mapped => {
  if (!isMetricsRequest(object)) return mapPerformance(object, envelopeTime, message, sink)
  const request = metricsRequestFromJson(object)
  return request instanceof WrongShape
    ? `invalid_field:${request.field}`
    : mapRequest(request, envelopeTime, message, sink)
}

const mapping: RecordMapping<MetricsRequest> = {
  envelopes: true,
  json: mapJson,
  protobuf: { decode: decodeMetricsRequest, map: mapRequest }
}

/** Performance records in JSON and OpenTelemetry metrics, as OTLP protobuf or JSON, become rows of `otel_metrics`. */
export const makeOtelMetrics = (table: Table, { subjects = [], skipSubjects }: ProcessorConfig): Processor => {
  const route = makeRoute([...knownSubjects, ...subjects], skipSubjects)
  return {
    tables: [table],
    process: (message, sink) => route(message) ?? mapRecords(mapping, message, sink)
  }
}
