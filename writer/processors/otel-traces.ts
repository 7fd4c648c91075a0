import type { ProcessorConfig } from "../processor-config.ts"
import type { Resource } from "../decode/otlp.ts"
import { attributes } from "../decode/otlp.ts"
import type { ScopeSpans, Span, SpanEvent, SpanLink, TraceRequest } from "../decode/otlp-traces.ts"
import {
  decodeTraceRequest,
  isTraceRequest,
  spanKinds,
  statusCodes,
  traceRequestFromJson
} from "../decode/otlp-traces.ts"
import { isUnreadable, reasonOf, WrongShape } from "../decode/protojson.ts"
import { parseTimestamp } from "../fields/time.ts"
import { first, int4, int8, isObject, json, text } from "../fields/values.ts"
import type { JsonArray, JsonObject, JsonValue, Table } from "../tables/table.ts"
import type { ElementFault, Message, Processor, RowSink } from "./processor.ts"
import type { JsonRecord, Mapped, RecordMapping } from "./records.ts"
import { mapRecords, maxRows } from "./records.ts"
import { makeRoute } from "./routing.ts"

const knownSubjects = ["otel.traces", "otel.traces.>"]

const noAttributes: JsonObject = {}
const none: JsonArray = []

/** An enum's value given as a number or by its name in any case. */
const enumValue = (value: JsonValue | undefined, names: ReadonlyMap<string, number>): number | null =>
  int4(value) ?? (typeof value === "string" ? names.get(value.trim().toUpperCase()) : undefined) ?? null

const arrayOf = (value: JsonValue | undefined): JsonArray => (Array.isArray(value) ? value : none)

/** A span as a JSON object of its own. */
const mapSpanObject = (
  object: JsonObject,
  envelopeTime: JsonValue | undefined,
  message: Message,
  sink: RowSink
): Mapped => {
  const traceId = text(first(object["trace_id"], object["traceId"]))
  if (traceId === null) return "missing_field:trace_id"
  const spanId = text(first(object["span_id"], object["spanId"]))
  if (spanId === null) return "missing_field:span_id"
  const start = first(object["start_time_unix_nano"], object["startTimeUnixNano"])
  const end = first(object["end_time_unix_nano"], object["endTimeUnixNano"])
  const resourceAttributes = json(first(object["resource_attributes"], object["resourceAttributes"])) ?? noAttributes
  const resource = isObject(resourceAttributes) ? resourceAttributes : noAttributes
  sink.row(0, [
    parseTimestamp(object["timestamp"]) ??
      parseTimestamp(start) ??
      parseTimestamp(end) ??
      parseTimestamp(envelopeTime) ??
      message.receivedAt,
    traceId,
    spanId,
    text(first(object["parent_span_id"], object["parentSpanId"])),
    text(object["name"]),
    enumValue(object["kind"], spanKinds),
    int8(start),
    int8(end),
    text(first(object["service_name"], object["serviceName"], resource["service.name"])) ?? "unknown",
    text(first(object["service_version"], object["serviceVersion"], resource["service.version"])),
    text(first(object["service_instance"], object["serviceInstance"], resource["service.instance.id"])),
    text(first(object["scope_name"], object["scopeName"])),
    text(first(object["scope_version"], object["scopeVersion"])),
    enumValue(first(object["status_code"], object["statusCode"]), statusCodes),
    text(first(object["status_message"], object["statusMessage"])),
    json(object["attributes"]) ?? noAttributes,
    resourceAttributes,
    arrayOf(object["events"]),
    arrayOf(object["links"])
  ])
  return 1
}

const eventJson = ({ timeUnixNano = 0n, name = "", attributes: labels }: SpanEvent): JsonObject => ({
  time_unix_nano: String(timeUnixNano),
  name,
  attributes: attributes(labels)
})

const linkJson = ({ traceId, spanId, attributes: labels }: SpanLink): JsonObject => ({
  trace_id: text(traceId),
  span_id: text(spanId),
  attributes: attributes(labels)
})

/** What the spans of a resource have in common. */
interface Origin {
  readonly attributes: JsonObject
  readonly serviceName: string
  readonly serviceVersion: string | null
  readonly serviceInstance: string | null
}

const originOf = (resource: Resource | undefined): Origin => {
  const labels = attributes(resource?.attributes)
  return {
    attributes: labels,
    serviceName: text(labels["service.name"]) ?? "unknown",
    serviceVersion: text(labels["service.version"]),
    serviceInstance: text(labels["service.instance.id"])
  }
}

const mapSpan = (
  span: Span,
  origin: Origin,
  scope: ScopeSpans["scope"],
  envelopeTime: JsonValue | undefined,
  message: Message,
  sink: RowSink
): string | undefined => {
  const traceId = text(span.traceId)
  if (traceId === null) return "missing_field:trace_id"
  const spanId = text(span.spanId)
  if (spanId === null) return "missing_field:span_id"
  const { kind = 0, startTimeUnixNano = 0n, endTimeUnixNano = 0n, status } = span
  sink.row(0, [
    parseTimestamp(startTimeUnixNano) ??
      parseTimestamp(endTimeUnixNano) ??
      parseTimestamp(envelopeTime) ??
      message.receivedAt,
    traceId,
    spanId,
    text(span.parentSpanId),
    text(span.name),
    int4(kind),
    int8(startTimeUnixNano),
    int8(endTimeUnixNano),
    origin.serviceName,
    origin.serviceVersion,
    origin.serviceInstance,
    text(scope?.name),
    text(scope?.version),
    int4(status?.code ?? 0),
    text(status?.message),
    attributes(span.attributes),
    origin.attributes,
    span.events?.map(eventJson) ?? none,
    span.links?.map(linkJson) ?? none
  ])
  return undefined
}

const countSpans = (request: TraceRequest): number => {
  let count = 0
  for (const { scopeSpans = [] } of request.resourceSpans ?? []) {
    for (const { spans = [] } of scopeSpans) count += spans.length
  }
  return count
}

/** An OTLP request: every span that can be read and has its ids is a row. */
const mapRequest = (
  request: TraceRequest,
  envelopeTime: JsonValue | undefined,
  message: Message,
  sink: RowSink
): Mapped => {
  if (countSpans(request) > maxRows) return "payload_too_large"
  let index = 0
  const faults: Array<ElementFault> = []
  for (const { resource, scopeSpans = [] } of request.resourceSpans ?? []) {
    const origin = originOf(resource)
    for (const { scope, spans = [] } of scopeSpans) {
      for (const span of spans) {
        sink.element?.(index)
        const reason = isUnreadable(span) ? reasonOf(span) : mapSpan(span, origin, scope, envelopeTime, message, sink)
        if (reason !== undefined) faults.push({ index, reason })
        index++
      }
    }
  }
  const rows = index - faults.length
  return faults.length === 0 ? rows : { rows, faults }
}

const mapJson = ({ object, envelopeTime }: JsonRecord, message: Message, sink: RowSink): Mapped => {
  if (!isTraceRequest(object)) return mapSpanObject(object, envelopeTime, message, sink)
  const request = traceRequestFromJson(object)
  return request instanceof WrongShape
    ? `invalid_field:${request.field}`
    : mapRequest(request, envelopeTime, message, sink)
}

const mapping: RecordMapping<TraceRequest> = {
  envelopes: true,
  json: mapJson,
  protobuf: { decode: decodeTraceRequest, map: mapRequest }
}

/** Spans in JSON and OpenTelemetry traces, as OTLP protobuf or JSON, become rows of `otel_traces`. */
export const makeOtelTraces = (table: Table, { subjects = [], skipSubjects }: ProcessorConfig): Processor => {
  const route = makeRoute([...knownSubjects, ...subjects], skipSubjects)
  return {
    tables: [table],
    process: (message, sink) => route(message) ?? mapRecords(mapping, message, sink)
  }
}
