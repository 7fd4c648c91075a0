import { otelSeverityNumbers } from "../fields/severity.ts"
import type { JsonObject } from "../tables/table.ts"
import { AnyValue, InstrumentationScope, KeyValue, Resource } from "./otlp.ts"
import { decodeProtobuf, messageType } from "./protobuf.ts"
import type { JsonRecords, WrongShape } from "./protojson.ts"
import { fromProtoJson } from "./protojson.ts"

/** `ExportLogsServiceRequest`. Source: opentelemetry-proto, logs/v1. */

export interface LogRecord {
  readonly timeUnixNano?: bigint
  readonly observedTimeUnixNano?: bigint
  readonly severityNumber?: number
  readonly severityText?: string
  readonly body?: AnyValue
  readonly attributes?: ReadonlyArray<KeyValue>
  readonly flags?: number
  readonly traceId?: string
  readonly spanId?: string
  readonly eventName?: string
}

export interface ScopeLogs {
  readonly scope?: InstrumentationScope
  readonly logRecords?: JsonRecords<LogRecord>
}

export interface ResourceLogs {
  readonly resource?: Resource
  readonly scopeLogs?: ReadonlyArray<ScopeLogs>
}

export interface LogsRequest {
  readonly resourceLogs?: ReadonlyArray<ResourceLogs>
}

const LogRecord = messageType<LogRecord>(
  {
    timeUnixNano: { number: 1, type: "fixed64" },
    severityNumber: { number: 2, type: "int32", names: otelSeverityNumbers },
    severityText: { number: 3, type: "string" },
    body: { number: 5, type: AnyValue },
    attributes: { number: 6, type: KeyValue, repeated: true },
    flags: { number: 8, type: "fixed32" },
    traceId: { number: 9, type: "hex" },
    spanId: { number: 10, type: "hex" },
    observedTimeUnixNano: { number: 11, type: "fixed64" },
    eventName: { number: 12, type: "string" }
  },
  [{ number: 7, type: "uint32" }]
)

const ScopeLogs = messageType<ScopeLogs>(
  {
    scope: { number: 1, type: InstrumentationScope },
    logRecords: { number: 2, type: LogRecord, repeated: true, records: true }
  },
  [{ number: 3, type: "string" }]
)

const ResourceLogs = messageType<ResourceLogs>(
  {
    resource: { number: 1, type: Resource },
    scopeLogs: { number: 2, type: ScopeLogs, repeated: true }
  },
  [{ number: 3, type: "string" }]
)

const LogsRequest = messageType<LogsRequest>({
  resourceLogs: { number: 1, type: ResourceLogs, repeated: true }
})

/**
 * Decodes a request in protobuf. `undefined` when the bytes are no such message, or hold no field of it: almost any bytes are
 * a message of unknown fields.
 */
export const decodeLogsRequest = (bytes: Uint8Array): LogsRequest | undefined => {
  const request = decodeProtobuf(LogsRequest, bytes)
  return request?.resourceLogs === undefined ? undefined : request
}

/** Whether a JSON object is a request in the JSON form of OTLP. */
export const isLogsRequest = (object: JsonObject): boolean =>
  object["resourceLogs"] !== undefined || object["resource_logs"] !== undefined

/** Reads a request from the JSON form of OTLP. */
export const logsRequestFromJson = (object: JsonObject): LogsRequest | WrongShape => fromProtoJson(LogsRequest, object)
