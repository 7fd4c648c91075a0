import type { JsonObject } from "../tables/table.ts"
import { InstrumentationScope, KeyValue, Resource } from "./otlp.ts"
import type { FieldType } from "./protobuf.ts"
import { decodeProtobuf, messageType } from "./protobuf.ts"
import type { JsonRecords, WrongShape } from "./protojson.ts"
import { fromProtoJson } from "./protojson.ts"

/** `ExportMetricsServiceRequest`. Source: opentelemetry-proto, metrics/v1. */

/** What the rows need of any kind of data point. */
export interface DataPoint {
  readonly timeUnixNano?: bigint
  readonly attributes?: ReadonlyArray<KeyValue>
  readonly flags?: number
  /** Of gauges and sums. */
  readonly asDouble?: number
  readonly asInt?: bigint
  /** Of histograms and summaries. */
  readonly count?: bigint
  readonly sum?: number
}

export interface Metric {
  readonly name?: string
  readonly unit?: string
  readonly gauge?: { readonly dataPoints?: JsonRecords<DataPoint> }
  readonly sum?: { readonly dataPoints?: JsonRecords<DataPoint> }
  readonly histogram?: { readonly dataPoints?: JsonRecords<DataPoint> }
  readonly exponentialHistogram?: { readonly dataPoints?: JsonRecords<DataPoint> }
  readonly summary?: { readonly dataPoints?: JsonRecords<DataPoint> }
}

export interface ScopeMetrics {
  readonly scope?: InstrumentationScope
  readonly metrics?: ReadonlyArray<Metric>
}

export interface ResourceMetrics {
  readonly resource?: Resource
  readonly scopeMetrics?: ReadonlyArray<ScopeMetrics>
}

export interface MetricsRequest {
  readonly resourceMetrics?: ReadonlyArray<ResourceMetrics>
}

/** Bit of `flags`: the point says only that there is no value. */
export const noRecordedValue = 1

const startTime: FieldType = { number: 2, type: "fixed64" }
const timeUnixNano: FieldType = { number: 3, type: "fixed64" }

const Exemplar = messageType({}, [
  { number: 2, type: "fixed64" },
  { number: 3, type: "double" },
  { number: 4, type: "bytes" },
  { number: 5, type: "bytes" },
  { number: 6, type: "sfixed64" },
  { number: 7, type: KeyValue, repeated: true }
])

type NumberDataPoint = Omit<DataPoint, "count" | "sum">
const NumberDataPoint = messageType<NumberDataPoint>(
  {
    timeUnixNano,
    asDouble: { number: 4, type: "double", oneof: "value" },
    asInt: { number: 6, type: "sfixed64", oneof: "value" },
    attributes: { number: 7, type: KeyValue, repeated: true },
    flags: { number: 8, type: "uint32" }
  },
  [startTime, { number: 5, type: Exemplar, repeated: true }]
)

type DistributionDataPoint = Omit<DataPoint, "asDouble" | "asInt">
const HistogramDataPoint = messageType<DistributionDataPoint>(
  {
    timeUnixNano,
    count: { number: 4, type: "fixed64" },
    sum: { number: 5, type: "double" },
    attributes: { number: 9, type: KeyValue, repeated: true },
    flags: { number: 10, type: "uint32" }
  },
  [
    startTime,
    { number: 6, type: "fixed64", repeated: true },
    { number: 7, type: "double", repeated: true },
    { number: 8, type: Exemplar, repeated: true },
    { number: 11, type: "double" },
    { number: 12, type: "double" }
  ]
)

const Buckets = messageType({}, [
  { number: 1, type: "sint32" },
  { number: 2, type: "uint64", repeated: true }
])

const ExponentialHistogramDataPoint = messageType<DistributionDataPoint>(
  {
    timeUnixNano,
    attributes: { number: 1, type: KeyValue, repeated: true },
    count: { number: 4, type: "fixed64" },
    sum: { number: 5, type: "double" },
    flags: { number: 10, type: "uint32" }
  },
  [
    startTime,
    { number: 6, type: "sint32" },
    { number: 7, type: "fixed64" },
    { number: 8, type: Buckets },
    { number: 9, type: Buckets },
    { number: 11, type: Exemplar, repeated: true },
    { number: 12, type: "double" },
    { number: 13, type: "double" },
    { number: 14, type: "double" }
  ]
)

const ValueAtQuantile = messageType({}, [
  { number: 1, type: "double" },
  { number: 2, type: "double" }
])

const SummaryDataPoint = messageType<DistributionDataPoint>(
  {
    timeUnixNano,
    count: { number: 4, type: "fixed64" },
    sum: { number: 5, type: "double" },
    attributes: { number: 7, type: KeyValue, repeated: true },
    flags: { number: 8, type: "uint32" }
  },
  [startTime, { number: 6, type: ValueAtQuantile, repeated: true }]
)

type Data = { readonly dataPoints?: JsonRecords<DataPoint> }
const temporality: FieldType = { number: 2, type: "int32" }

const Gauge = messageType<Data>({ dataPoints: { number: 1, type: NumberDataPoint, repeated: true, records: true } })
const Sum = messageType<Data>({ dataPoints: { number: 1, type: NumberDataPoint, repeated: true, records: true } }, [
  temporality,
  { number: 3, type: "bool" }
])
const Histogram = messageType<Data>(
  { dataPoints: { number: 1, type: HistogramDataPoint, repeated: true, records: true } },
  [temporality]
)
const ExponentialHistogram = messageType<Data>(
  { dataPoints: { number: 1, type: ExponentialHistogramDataPoint, repeated: true, records: true } },
  [temporality]
)
const Summary = messageType<Data>({ dataPoints: { number: 1, type: SummaryDataPoint, repeated: true, records: true } })

const Metric = messageType<Metric>(
  {
    name: { number: 1, type: "string" },
    unit: { number: 3, type: "string" },
    gauge: { number: 5, type: Gauge, oneof: "data" },
    sum: { number: 7, type: Sum, oneof: "data" },
    histogram: { number: 9, type: Histogram, oneof: "data" },
    exponentialHistogram: { number: 10, type: ExponentialHistogram, oneof: "data" },
    summary: { number: 11, type: Summary, oneof: "data" }
  },
  [
    { number: 2, type: "string" },
    { number: 12, type: KeyValue, repeated: true }
  ]
)

const ScopeMetrics = messageType<ScopeMetrics>(
  {
    scope: { number: 1, type: InstrumentationScope },
    metrics: { number: 2, type: Metric, repeated: true }
  },
  [{ number: 3, type: "string" }]
)

const ResourceMetrics = messageType<ResourceMetrics>(
  {
    resource: { number: 1, type: Resource },
    scopeMetrics: { number: 2, type: ScopeMetrics, repeated: true }
  },
  [{ number: 3, type: "string" }]
)

const MetricsRequest = messageType<MetricsRequest>({
  resourceMetrics: { number: 1, type: ResourceMetrics, repeated: true }
})

/**
 * Decodes a request in protobuf. `undefined` when the bytes are no such message, or hold no field of it: almost any bytes are
 * a message of unknown fields.
 */
export const decodeMetricsRequest = (bytes: Uint8Array): MetricsRequest | undefined => {
  const request = decodeProtobuf(MetricsRequest, bytes)
  return request?.resourceMetrics === undefined ? undefined : request
}

/** Whether a JSON object is a request in the JSON form of OTLP. */
export const isMetricsRequest = (object: JsonObject): boolean =>
  object["resourceMetrics"] !== undefined || object["resource_metrics"] !== undefined

/** Reads a request from the JSON form of OTLP. */
export const metricsRequestFromJson = (object: JsonObject): MetricsRequest | WrongShape =>
  fromProtoJson(MetricsRequest, object)
