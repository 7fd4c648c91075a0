import type { ProcessorConfig } from "../processor-config.ts"
import type { LogsRequest } from "../decode/otlp-logs.ts"
import { decodeLogsRequest, isLogsRequest, logsRequestFromJson } from "../decode/otlp-logs.ts"
import { isUnreadable, reasonOf, WrongShape } from "../decode/protojson.ts"
import { RowIds } from "../fields/identity.ts"
import type { Metadata } from "../fields/ocsf.ts"
import { actor, device, endpoint, makeMetadata, observables } from "../fields/ocsf.ts"
import type { JsonObject, JsonValue, Row, Table } from "../tables/table.ts"
import type { EventLogActivity } from "./event-log.ts"
import { makeEventLogRow } from "./event-log.ts"
import { logOfJson } from "./logs-json.ts"
import { countLogs, logOfOtlp, logResource, logScope } from "./logs-otlp.ts"
import type { Log } from "./logs-record.ts"
import { outputOf } from "./outputs.ts"
import type { ElementFault, Message, Processor, RowSink } from "./processor.ts"
import { rawText } from "./raw.ts"
import type { JsonRecord, Mapped, RecordMapping } from "./records.ts"
import { mapRecords, maxRows } from "./records.ts"
import { makeRoute } from "./routing.ts"

const knownSubjects = ["logs.>"]

/** The token behind `logs` of a subject `logs.<source>…`, which may have one token in front. */
const sourceOfSubject = (subject: string): string | undefined => {
  const [first, second, third] = subject.split(".", 3)
  return first === "logs" ? second : second === "logs" ? third : undefined
}

const logsRow = (log: Log, id: string, message: Message): Row => [
  log.time,
  log.observedTime,
  id,
  log.traceId,
  log.spanId,
  log.traceFlags,
  log.severityText,
  log.severityNumber,
  log.body,
  log.eventName,
  sourceOfSubject(message.subject) ?? log.source,
  log.serviceName,
  log.serviceVersion,
  log.serviceInstance,
  log.scopeName,
  log.scopeVersion,
  log.scopeAttributes,
  log.attributes,
  log.resourceAttributes
]

const isEmpty = (object: object): boolean => {
  for (const _ in object) return false
  return true
}

/** What of a record has no column of its own in `ocsf_events`. */
const unmappedOf = ({ attributes, resourceAttributes }: Log): JsonObject => {
  if (isEmpty(resourceAttributes)) return isEmpty(attributes) ? {} : { attributes }
  return isEmpty(attributes)
    ? { resource_attributes: resourceAttributes }
    : { attributes, resource_attributes: resourceAttributes }
}

const eventOf = (log: Log, id: string, message: Message, metadata: Metadata, raw: string | null): EventLogActivity => ({
  id,
  time: log.time,
  severityId: log.severityId,
  message: log.body ?? "Event received",
  metadata: metadata(message, log.originalTime),
  observables: observables([
    ["device.hostname", "Hostname", log.hostname],
    ["device.ip", "IP Address", log.hostIp],
    ["src_endpoint.ip", "IP Address", log.remoteIp]
  ]),
  traceId: log.traceId,
  spanId: log.spanId,
  actor: actor({ app_name: log.serviceName, app_ver: log.serviceVersion }),
  device: device({ hostname: log.hostname, ip: log.hostIp }),
  srcEndpoint: endpoint({ hostname: log.hostname, ip: log.remoteIp }),
  logName: log.logger ?? log.scopeName ?? message.subject,
  logProvider: log.serviceName ?? "unknown",
  logLevel: log.level,
  logVersion: log.scopeVersion,
  unmapped: unmappedOf(log),
  rawData: raw
})

/** Writes the rows of a record and says how many. `raw`: what the record was made of, where that is to be kept. */
type WriteLog = (log: Log, message: Message, sink: RowSink, raw: string | null) => number

/**
 * An OTLP request: every record that can be read is written. The request itself is not kept: its records would each repeat all
 * the others.
 */
const mapRequest = (
  request: LogsRequest,
  envelopeTime: JsonValue | undefined,
  message: Message,
  sink: RowSink,
  write: WriteLog
): Mapped => {
  let index = 0
  let rows = 0
  const faults: Array<ElementFault> = []
  for (const resourceLogs of request.resourceLogs ?? []) {
    const resource = logResource(resourceLogs)
    for (const scopeLogs of resourceLogs.scopeLogs ?? []) {
      const scope = logScope(scopeLogs)
      for (const record of scopeLogs.logRecords ?? []) {
        sink.element?.(index)
        if (isUnreadable(record)) faults.push({ index, reason: reasonOf(record) })
        else rows += write(logOfOtlp(record, resource, scope, envelopeTime, message.receivedAt), message, sink, null)
        index++
      }
    }
  }
  return faults.length === 0 ? rows : { rows, faults }
}

/**
 * Log records in JSON and OpenTelemetry logs, as OTLP protobuf or JSON, become rows of `ocsf_events`, `logs` or both.
 *
 * @param config its `output` says which tables
 */
export const makeLogs = (events: Table, logs: Table, config: ProcessorConfig): Processor => {
  const { subjects = [], skipSubjects, ocsf, storeRaw } = config
  const output = outputOf(config)
  const tables = output === "Logs" ? [logs] : output === "OcsfEvents" ? [events] : [events, logs]
  const eventTable = tables.indexOf(events)
  const logTable = tables.indexOf(logs)

  const eventIds = new RowIds(events.name)
  const logIds = new RowIds(logs.name)
  const metadata = makeMetadata(ocsf?.product)
  const eventLogRow = makeEventLogRow(ocsf)
  const write: WriteLog = (log, message, sink, raw) => {
    if (eventTable !== -1) {
      sink.row(eventTable, eventLogRow(eventOf(log, eventIds.next(), message, metadata, raw)))
    }
    if (logTable !== -1) sink.row(logTable, logsRow(log, logIds.next(), message))
    return tables.length
  }

  const mapOtlp = (
    request: LogsRequest,
    envelopeTime: JsonValue | undefined,
    message: Message,
    sink: RowSink
  ): Mapped =>
    countLogs(request) * tables.length > maxRows
      ? "payload_too_large"
      : mapRequest(request, envelopeTime, message, sink, write)

  const mapJson = (record: JsonRecord, message: Message, sink: RowSink): Mapped => {
    const { object, envelopeTime } = record
    if (isLogsRequest(object)) {
      const request = logsRequestFromJson(object)
      return request instanceof WrongShape
        ? `invalid_field:${request.field}`
        : mapOtlp(request, envelopeTime, message, sink)
    }
    const raw = storeRaw ? rawText(message, record) : null
    return write(logOfJson(object, envelopeTime, message.receivedAt), message, sink, raw)
  }

  const mapping: RecordMapping<LogsRequest> = {
    envelopes: true,
    textField: "message",
    json: mapJson,
    protobuf: { decode: decodeLogsRequest, map: mapOtlp }
  }
  const route = makeRoute([...knownSubjects, ...subjects], skipSubjects)
  return {
    tables,
    process: (message, sink) => {
      const routed = route(message)
      if (routed !== undefined) return routed
      eventIds.begin(message)
      logIds.begin(message)
      return mapRecords(mapping, message, sink)
    }
  }
}
