import { anyValue, attributes } from "../decode/otlp.ts"
import type { LogRecord, LogsRequest, ResourceLogs, ScopeLogs } from "../decode/otlp-logs.ts"
import { ocsfSeverityIdOfOtel, otelSeverity, otelSeverityNumber, otelSeverityText } from "../fields/severity.ts"
import { parseTimestamp } from "../fields/time.ts"
import { text } from "../fields/values.ts"
import type { JsonObject, JsonValue, Micros } from "../tables/table.ts"
import type { Log, Origin } from "./logs-record.ts"
import { originOf } from "./logs-record.ts"

/** What the records of a resource have in common. */
export interface LogResource extends Origin {
  readonly attributes: JsonObject
}

export const logResource = ({ resource }: ResourceLogs): LogResource => {
  const labels = attributes(resource?.attributes)
  return { ...originOf(labels), attributes: labels }
}

/** What the records of an instrumentation scope have in common. */
export interface LogScope {
  readonly name: string | null
  readonly version: string | null
  readonly attributes: JsonObject
}

export const logScope = ({ scope }: ScopeLogs): LogScope => ({
  name: text(scope?.name),
  version: text(scope?.version),
  attributes: attributes(scope?.attributes)
})

/** The trace flags of W3C are the lowest eight bits. Source: opentelemetry-proto, `LogRecordFlags`. */
const traceFlagsMask = 0xff

/** A record of an OTLP request. */
export const logOfOtlp = (
  record: LogRecord,
  resource: LogResource,
  scope: LogScope,
  envelopeTime: JsonValue | undefined,
  receivedAt: Micros
): Log => {
  const observedTime = parseTimestamp(record.observedTimeUnixNano)
  const time = parseTimestamp(record.timeUnixNano) ?? observedTime
  const number = otelSeverityNumber(record.severityNumber)
  const severity = otelSeverity(number, record.severityText)
  return {
    time: time ?? parseTimestamp(envelopeTime) ?? receivedAt,
    observedTime: observedTime ?? null,
    originalTime: time === undefined ? envelopeTime : undefined,
    traceId: text(record.traceId),
    spanId: text(record.spanId),
    traceFlags: record.flags === undefined || record.flags === 0 ? null : record.flags & traceFlagsMask,
    severityText: severity.text,
    severityNumber: severity.number,
    severityId: ocsfSeverityIdOfOtel(number, record.severityText),
    level: text(record.severityText) ?? (number === undefined ? null : otelSeverityText(number)),
    body: text(anyValue(record.body)),
    eventName: text(record.eventName),
    source: "otel",
    serviceName: resource.serviceName,
    serviceVersion: resource.serviceVersion,
    serviceInstance: resource.serviceInstance,
    logger: null,
    scopeName: scope.name,
    scopeVersion: scope.version,
    scopeAttributes: scope.attributes,
    attributes: attributes(record.attributes),
    resourceAttributes: resource.attributes,
    hostname: resource.hostname,
    hostIp: resource.hostIp,
    remoteIp: resource.hostIp
  }
}

export const countLogs = (request: LogsRequest): number => {
  let count = 0
  for (const { scopeLogs = [] } of request.resourceLogs ?? []) {
    for (const { logRecords = [] } of scopeLogs) count += logRecords.length
  }
  return count
}
