import type { ProcessorConfig } from "../processor-config.ts"
import type { Resource } from "../decode/otlp.ts"
import { anyValue, attributes } from "../decode/otlp.ts"
import type { DataPoint, Metric, MetricsRequest } from "../decode/otlp-metrics.ts"
import {
  decodeMetricsRequest,
  isMetricsRequest,
  metricsRequestFromJson,
  noRecordedValue
} from "../decode/otlp-metrics.ts"
import { isUnreadable, type JsonRecords, reasonOf, WrongShape } from "../decode/protojson.ts"
import { FlatFields } from "../decode/flat.ts"
import { type Field, JsonFields } from "../fields/field.ts"
import { bareOtelSeriesKey, otelSeriesKey } from "../fields/series-key.ts"
import { parseTimestamp } from "../fields/time.ts"
import { first, int8, json, text } from "../fields/values.ts"
import type { JsonObject, JsonValue, Table } from "../tables/table.ts"
import type { ElementFault, Message, Processor, RowSink } from "./processor.ts"
import type { JsonRecord, Mapped, RecordMapping } from "./records.ts"
import { mapRecords, maxRows, written } from "./records.ts"
import { makeRoute } from "./routing.ts"

const knownSubjects = ["otel.metrics", "otel.metrics.>"]

const noAttributes: JsonObject = {}

/** Members of a performance record: every spelling, of which the first one that has a value counts. */
const members = {
  timestamp: ["timestamp"],
  time: ["time"],
  traceId: ["trace_id", "traceId"],
  spanId: ["span_id", "spanId"],
  serviceName: ["service_name", "serviceName"],
  spanName: ["span_name", "spanName", "name"],
  spanKind: ["span_kind", "spanKind"],
  durationMillis: ["duration_ms", "durationMs"],
  durationSeconds: ["duration_seconds", "durationSeconds"],
  metricType: ["metric_type", "metricType"],
  httpMethod: ["http_method", "httpMethod"],
  httpRoute: ["http_route", "httpRoute"],
  httpStatusCode: ["http_status_code", "httpStatusCode"],
  grpcService: ["grpc_service", "grpcService"],
  grpcMethod: ["grpc_method", "grpcMethod"],
  grpcStatusCode: ["grpc_status_code", "grpcStatusCode"],
  isSlow: ["is_slow", "isSlow"],
  component: ["component"],
  level: ["level"],
  unit: ["unit"],
  value: ["value"],
  attributes: ["attributes"]
} as const

type Performance = Readonly<Record<keyof typeof members, Field>>

/** A performance record: one measured span of a service. */
const mapPerformance = (
  record: Performance,
  envelopeTime: JsonValue | undefined,
  message: Message,
  sink: RowSink
): void => {
  const givenMillis = record.durationMillis.float8()
  const givenSeconds = record.durationSeconds.float8()
  const negative = (givenMillis !== null && givenMillis < 0) || (givenSeconds !== null && givenSeconds < 0)
  const millis = givenMillis ?? (givenSeconds === null ? null : givenSeconds * 1000)
  const seconds = givenSeconds ?? (givenMillis === null ? null : givenMillis / 1000)
  const metricType = record.metricType.string()
  const unit = record.unit.string()
  const attributes = json(record.attributes.value())
  sink.row(0, [
    record.timestamp.timestamp() ?? record.time.timestamp() ?? parseTimestamp(envelopeTime) ?? message.receivedAt,
    record.traceId.text(),
    record.spanId.text() ?? "",
    record.serviceName.text() ?? "unknown",
    record.spanName.text() ?? "unknown",
    record.spanKind.text(),
    negative ? null : millis,
    negative ? null : seconds,
    metricType,
    record.httpMethod.text(),
    record.httpRoute.text(),
    record.httpStatusCode.text(),
    record.grpcService.text(),
    record.grpcMethod.text(),
    record.grpcStatusCode.text(),
    record.isSlow.bool() ?? false,
    record.component.text(),
    record.level.text(),
    unit,
    record.value.float8(),
    null,
    attributes ?? noAttributes,
    attributes === null ? bareOtelSeriesKey(metricType, unit) : otelSeriesKey(metricType, unit, null, attributes)
  ])
}

const performanceFromJson = new JsonFields(members)

const flatPerformance = new FlatFields(members, ["specversion", "resourceMetrics", "resource_metrics"])

/** Performance records of the common form, without the full parser; false when the message has another: then it gave no row. */
const mapFlat = (message: Message, sink: RowSink): boolean => {
  const records = flatPerformance.open(message.data)
  for (let i = 0; i < records; i++) mapPerformance(flatPerformance.next(), undefined, message, sink)
  return records > 0
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

const pointsOf = (metric: Metric): { readonly metricType: string; readonly points: JsonRecords<DataPoint> } => {
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

/** An OTLP request: every data point that can be read and has a value is a row. */
const mapRequest = (
  request: MetricsRequest,
  envelopeTime: JsonValue | undefined,
  message: Message,
  sink: RowSink
): Mapped => {
  if (countPoints(request) > maxRows) return "payload_too_large"
  let index = 0
  let rows = 0
  const faults: Array<ElementFault> = []
  for (const { resource, scopeMetrics = [] } of request.resourceMetrics ?? []) {
    const serviceName = serviceNameOf(resource)
    for (const { scope, metrics = [] } of scopeMetrics) {
      const scopeName = text(scope?.name)
      for (const metric of metrics) {
        const { metricType, points } = pointsOf(metric)
        const metricName = text(metric.name) ?? "unknown"
        const series = { serviceName, scopeName, metricName, metricType, unit: text(metric.unit) }
        for (const point of points) {
          sink.element?.(index)
          if (isUnreadable(point)) faults.push({ index, reason: reasonOf(point) })
          else if (((point.flags ?? 0) & noRecordedValue) === 0) {
            mapPoint(point, series, envelopeTime, message, sink)
            rows++
          }
          index++
        }
      }
    }
  }
  return faults.length === 0 ? rows : { rows, faults }
}

const mapJson = ({ object, envelopeTime }: JsonRecord, message: Message, sink: RowSink): Mapped => {
  if (!isMetricsRequest(object)) {
    mapPerformance(performanceFromJson.of(object), envelopeTime, message, sink)
    return 1
  }
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
    process: (message, sink) =>
      route(message) ?? (mapFlat(message, sink) ? written : mapRecords(mapping, message, sink))
  }
}
