import type { ProcessorConfig } from "../processor-config.ts"
import { RowIds } from "../fields/identity.ts"
import { severityOfWord, syslogLevelName } from "../fields/severity.ts"
import { parseTimestamp } from "../fields/time.ts"
import { first, int4, text } from "../fields/values.ts"
import type { JsonObject, JsonValue, Row, Table } from "../tables/table.ts"
import { contentOf, openEvent } from "./events-content.ts"
import { isOcsfEvent, nativeRow } from "./events-native.ts"
import { makeConversion } from "./events-ocsf.ts"
import { outputOf } from "./outputs.ts"
import type { Message, Processor, RowSink } from "./processor.ts"
import { rawText } from "./raw.ts"
import type { JsonRecord, Mapped, RecordMapping } from "./records.ts"
import { mapRecords } from "./records.ts"
import { makeRoute, publishedSubject } from "./routing.ts"

const knownSubjects = ["events.>", "snmp.traps"]

/** Subjects whose events are OCSF already, one token in front or not. */
const ocsfSubject = /^(?:[^.]+\.)?events\.ocsf(?:\.|$)/

const noData: JsonObject = {}

/** Syslog level of an event: the number or word given, else what the word of its severity stands for. */
const levelOf = (level: JsonValue | undefined, severity: JsonValue | undefined): number | null =>
  int4(level) ?? (severityOfWord(level) ?? severityOfWord(severity))?.syslogLevel ?? null

/** Row of `events`. What the event itself does not say is looked up in its `data`. */
const eventRow = (event: JsonObject, message: Message, ids: RowIds, rawData: string | null): Row => {
  const { data = noData, text: dataText } = contentOf(event)
  const givenSeverity = first(event["severity"], data["severity"])
  const level = levelOf(first(event["level"], data["level"]), givenSeverity)
  return [
    parseTimestamp(event["time"]) ??
      parseTimestamp(event["timestamp"]) ??
      parseTimestamp(data["timestamp"]) ??
      parseTimestamp(data["time"]) ??
      message.receivedAt,
    text(event["id"]) ?? ids.next(),
    text(event["specversion"]),
    text(event["source"]),
    text(event["type"]),
    text(event["datacontenttype"]),
    text(event["subject"]) ?? message.subject,
    text(
      first(event["remote_addr"], event["remoteAddr"], event["_remote_addr"]) ??
        first(data["remote_addr"], data["remoteAddr"], data["_remote_addr"])
    ),
    text(first(event["host"], event["hostname"], data["host"], data["hostname"])),
    level,
    text(givenSeverity) ?? (level === null ? null : (syslogLevelName(level) ?? null)),
    text(
      first(event["short_message"], event["message"], event["msg"]) ??
        first(data["short_message"], data["message"], data["msg"])
    ) ?? dataText,
    text(first(event["version"], data["version"])),
    rawData
  ]
}

/**
 * CloudEvents, GELF messages, SNMP traps and plain JSON become rows of `events`, or Event Log Activities in `ocsf_events`; OCSF
 * events become rows of `ocsf_events`.
 *
 * With output `Events`, OCSF events are those of the subjects `events.ocsf` and below; with output `OcsfEvents` also others that
 * look like it.
 */
export const makeEvents = (events: Table, ocsfEvents: Table, config: ProcessorConfig): Processor => {
  const { subjects = [], skipSubjects, storeRaw = false, ocsf } = config
  const route = makeRoute([...knownSubjects, ...subjects], skipSubjects)
  const convert = makeConversion(ocsf)
  const toOcsf = outputOf(config) === "OcsfEvents"
  const tables = toOcsf ? [ocsfEvents] : [events, ocsfEvents]
  const ocsfTable = tables.length - 1
  const eventIds = new RowIds(events.name)
  const ocsfIds = new RowIds(ocsfEvents.name)

  const mapEvent = (record: JsonRecord, message: Message, sink: RowSink): Mapped => {
    const event = record.object
    const rawData = storeRaw ? rawText(message, record) : null
    const native = ocsfSubject.test(publishedSubject(message))
    if (!native && !toOcsf) {
      sink.row(0, eventRow(event, message, eventIds, rawData))
      return 1
    }
    const opened = openEvent(event)
    if (!native && !isOcsfEvent(opened.content)) {
      sink.row(ocsfTable, convert(opened, message, ocsfIds, rawData))
      return 1
    }
    const row = nativeRow(opened, message, ocsfIds, rawData)
    if (typeof row === "string") return row
    sink.row(ocsfTable, row)
    return 1
  }

  const mapping: RecordMapping<never> = { envelopes: false, json: mapEvent }
  return {
    tables,
    process: (message, sink) => {
      eventIds.begin(message)
      ocsfIds.begin(message)
      return route(message) ?? mapRecords(mapping, message, sink)
    }
  }
}
