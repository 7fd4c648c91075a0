import type { OcsfConfig } from "../processor-config.ts"
import type { RowIds } from "../fields/identity.ts"
import { ip } from "../fields/ip.ts"
import { actor, device, endpoint, makeMetadata, observables } from "../fields/ocsf.ts"
import { ocsfSeverityId } from "../fields/severity.ts"
import { parseTimestamp } from "../fields/time.ts"
import { first, isPresent, text } from "../fields/values.ts"
import { varbindText } from "../fields/varbinds.ts"
import type { JsonObject, Row } from "../tables/table.ts"
import { makeEventLogRow } from "./event-log.ts"
import type { OpenedEvent } from "./events-content.ts"
import type { Message } from "./processor.ts"

/** What kind of source a subject stands for: `syslog` of `events.syslog.a`, `snmp` of `snmp.traps`, one token in front or not. */
const sourceKind = (subject: string): string => {
  const [, stream, kind] = /^(?:[^.]+\.)??(events|snmp)\.([^.]+)/.exec(subject) ?? []
  return (stream === "snmp" ? "snmp" : kind) ?? "unknown"
}

const messageOf = (content: JsonObject): string => {
  const given = first(content["short_message"], content["message"], content["msg"], content["body"]) ?? content["event"]
  const varbinds = content["varbinds"]
  return text(given) ?? varbindText(varbinds) ?? (isPresent(varbinds) ? "SNMP trap received" : "Event received")
}

const severityIdOf = (content: JsonObject): number => {
  const id = ocsfSeverityId(content)
  return id === 0 && isPresent(content["varbinds"]) ? 1 : id
}

/** Makes rows of `ocsf_events` of events that are not OCSF: each becomes an Event Log Activity. */
export const makeConversion = (ocsf: OcsfConfig = {}) => {
  const eventLogRow = makeEventLogRow(ocsf)
  const metadata = makeMetadata(ocsf.product)
  return ({ content, envelope }: OpenedEvent, message: Message, ids: RowIds, rawData: string | null): Row => {
    const address =
      ip(content["_remote_addr"]) ?? ip(content["remote_addr"]) ?? ip(content["source_ip"]) ?? ip(content["source"])
    const hostname = text(first(content["host"], content["hostname"]))
    return eventLogRow({
      id: ids.next(),
      time:
        parseTimestamp(envelope?.["time"]) ??
        parseTimestamp(content["timestamp"]) ??
        parseTimestamp(content["time"]) ??
        message.receivedAt,
      severityId: severityIdOf(content),
      message: messageOf(content),
      metadata: metadata(message, first(envelope?.["time"], content["timestamp"], content["time"])),
      observables: observables([
        ["src_endpoint.hostname", "Hostname", hostname],
        ["src_endpoint.ip", "IP Address", address]
      ]),
      traceId: text(first(content["trace_id"], content["traceId"])),
      spanId: text(first(content["span_id"], content["spanId"])),
      actor: actor({ app_name: text(envelope?.["source"]) ?? sourceKind(message.subject) }),
      device: device({ hostname, ip: address }),
      srcEndpoint: endpoint({ ip: address, hostname }),
      logName: text(envelope?.["subject"]) ?? message.subject,
      logProvider: hostname ?? text(first(content["source"], envelope?.["source"])) ?? "unknown",
      logLevel: text(first(content["severity"], content["level"])),
      logVersion: text(content["version"]),
      unmapped: content,
      rawData
    })
  }
}
