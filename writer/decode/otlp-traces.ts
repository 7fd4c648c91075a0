import type { JsonObject } from "../tables/table.ts"
import { InstrumentationScope, KeyValue, Resource } from "./otlp.ts"
import { decodeProtobuf, messageType } from "./protobuf.ts"
import type { JsonRecords, WrongShape } from "./protojson.ts"
import { fromProtoJson } from "./protojson.ts"

/** `ExportTraceServiceRequest`. Source: opentelemetry-proto, trace/v1. */

export interface SpanEvent {
  readonly timeUnixNano?: bigint
  readonly name?: string
  readonly attributes?: ReadonlyArray<KeyValue>
}

export interface SpanLink {
  readonly traceId?: string
  readonly spanId?: string
  readonly attributes?: ReadonlyArray<KeyValue>
}

export interface Span {
  readonly traceId?: string
  readonly spanId?: string
  readonly parentSpanId?: string
  readonly name?: string
  readonly kind?: number
  readonly startTimeUnixNano?: bigint
  readonly endTimeUnixNano?: bigint
  readonly attributes?: ReadonlyArray<KeyValue>
  readonly events?: ReadonlyArray<SpanEvent>
  readonly links?: ReadonlyArray<SpanLink>
  readonly status?: { readonly message?: string; readonly code?: number }
}

export interface ScopeSpans {
  readonly scope?: InstrumentationScope
  readonly spans?: JsonRecords<Span>
}

export interface ResourceSpans {
  readonly resource?: Resource
  readonly scopeSpans?: ReadonlyArray<ScopeSpans>
}

export interface TraceRequest {
  readonly resourceSpans?: ReadonlyArray<ResourceSpans>
}

/** Values of an enum by their names in capitals, with and without the enum's prefix. */
const enumNames = (prefix: string, names: ReadonlyArray<string>): ReadonlyMap<string, number> =>
  new Map(names.flatMap((name, value) => [[name, value] as const, [prefix + name, value] as const]))

export const spanKinds = enumNames("SPAN_KIND_", [
  "UNSPECIFIED",
  "INTERNAL",
  "SERVER",
  "CLIENT",
  "PRODUCER",
  "CONSUMER"
])

export const statusCodes = enumNames("STATUS_CODE_", ["UNSET", "OK", "ERROR"])

const SpanEvent = messageType<SpanEvent>(
  {
    timeUnixNano: { number: 1, type: "fixed64" },
    name: { number: 2, type: "string" },
    attributes: { number: 3, type: KeyValue, repeated: true }
  },
  [{ number: 4, type: "uint32" }]
)

const SpanLink = messageType<SpanLink>(
  {
    traceId: { number: 1, type: "hex" },
    spanId: { number: 2, type: "hex" },
    attributes: { number: 4, type: KeyValue, repeated: true }
  },
  [
    { number: 3, type: "string" },
    { number: 5, type: "uint32" },
    { number: 6, type: "fixed32" }
  ]
)

const Status = messageType<NonNullable<Span["status"]>>({
  message: { number: 2, type: "string" },
  code: { number: 3, type: "int32", names: statusCodes }
})

const Span = messageType<Span>(
  {
    traceId: { number: 1, type: "hex" },
    spanId: { number: 2, type: "hex" },
    parentSpanId: { number: 4, type: "hex" },
    name: { number: 5, type: "string" },
    kind: { number: 6, type: "int32", names: spanKinds },
    startTimeUnixNano: { number: 7, type: "fixed64" },
    endTimeUnixNano: { number: 8, type: "fixed64" },
    attributes: { number: 9, type: KeyValue, repeated: true },
    events: { number: 11, type: SpanEvent, repeated: true },
    links: { number: 13, type: SpanLink, repeated: true },
    status: { number: 15, type: Status }
  },
  [
    { number: 3, type: "string" },
    { number: 10, type: "uint32" },
    { number: 12, type: "uint32" },
    { number: 14, type: "uint32" },
    { number: 16, type: "fixed32" }
  ]
)

const ScopeSpans = messageType<ScopeSpans>(
  {
    scope: { number: 1, type: InstrumentationScope },
    spans: { number: 2, type: Span, repeated: true, records: true }
  },
  [{ number: 3, type: "string" }]
)

const ResourceSpans = messageType<ResourceSpans>(
  {
    resource: { number: 1, type: Resource },
    scopeSpans: { number: 2, type: ScopeSpans, repeated: true }
  },
  [{ number: 3, type: "string" }]
)

const TraceRequest = messageType<TraceRequest>({
  resourceSpans: { number: 1, type: ResourceSpans, repeated: true }
})

/**
 * Decodes a request in protobuf. `undefined` when the bytes are no such message, or hold no field of it: almost any bytes are
 * a message of unknown fields.
 */
export const decodeTraceRequest = (bytes: Uint8Array): TraceRequest | undefined => {
  const request = decodeProtobuf(TraceRequest, bytes)
  return request?.resourceSpans === undefined ? undefined : request
}

/** Whether a JSON object is a request in the JSON form of OTLP. */
export const isTraceRequest = (object: JsonObject): boolean =>
  object["resourceSpans"] !== undefined || object["resource_spans"] !== undefined

/** Reads a request from the JSON form of OTLP. */
export const traceRequestFromJson = (object: JsonObject): TraceRequest | WrongShape =>
  fromProtoJson(TraceRequest, object)
