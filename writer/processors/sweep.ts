import type { ProcessorConfig } from "../processor-config.ts"
import { RowIds } from "../fields/identity.ts"
import {
  actor,
  device,
  endpoint,
  makeMetadata,
  networkActivity,
  networkActivityName,
  observables,
  statusName,
  typeUid
} from "../fields/ocsf.ts"
import { ocsfSeverityName } from "../fields/severity.ts"
import { parseTimestamp } from "../fields/time.ts"
import { json } from "../fields/values.ts"
import type { NetworkActivity } from "../tables/ocsf-network-activity.ts"
import { networkActivityRow } from "../tables/ocsf-network-activity.ts"
import type { Micros, Row, Table } from "../tables/table.ts"
import { outputOf } from "./outputs.ts"
import type { Message, Processor } from "./processor.ts"
import { rawText } from "./raw.ts"
import type { JsonRecord, RecordMapping } from "./records.ts"
import { mapRecords } from "./records.ts"
import { makeRoute } from "./routing.ts"
import type { Scan } from "./sweep-scan.ts"
import { openPortNumbers, scannedPortNumbers, scanOf, unmappedOfScan } from "./sweep-scan.ts"

const knownSubjects = ["sweep.>"]

const timeOf = (scan: Scan, { envelopeTime }: JsonRecord, { receivedAt }: Message): Micros =>
  scan.time ?? parseTimestamp(envelopeTime) ?? receivedAt

/** The activity "other" of the class, which is called a scan here. */
const scanActivity = 99
const informational = 1
const low = 2
/** A reachable host with more open ports than this is worth a look. */
const usualOpenPorts = 5
const success = 1
const failure = 2

const protocolOf = (icmp: boolean, openPorts: number) =>
  icmp
    ? { protocol_num: 1, protocol_name: "ICMP" }
    : openPorts > 0
      ? { protocol_num: 6, protocol_name: "TCP" }
      : { protocol_num: null, protocol_name: null }

const nanosPerMilli = 1_000_000

const wholeMillis = (nanos: number | bigint | null): number | null =>
  nanos === null ? null : typeof nanos === "bigint" ? Number(nanos / 1_000_000n) : Math.floor(nanos / nanosPerMilli)

/** A scan as a Network Activity, apart from its id, time, metadata, unmapped fields and raw data. */
const activityOfScan = (scan: Scan): NetworkActivity => {
  const { hostIp, hostname, mac, gatewayId, agentId, networkCidr, icmpResponseTime } = scan
  const open = openPortNumbers(scan)
  const icmp = scan.icmpAvailable ?? false
  const reachable = icmp || open.length > 0
  const severityId = open.length > usualOpenPorts ? low : informational
  const statusId = reachable ? success : failure
  return {
    class_uid: networkActivity.classUid,
    category_uid: networkActivity.categoryUid,
    activity_id: scanActivity,
    type_uid: typeUid(networkActivity.classUid, scanActivity),
    severity_id: severityId,
    activity_name: networkActivityName(scanActivity),
    severity: ocsfSeverityName(severityId),
    message: `Network scan: ${hostname === null ? hostIp : `${hostname} (${hostIp})`} is ${reachable ? "reachable" : "unreachable"}`,
    status_id: statusId,
    status: statusName(statusId),
    duration: wholeMillis(icmpResponseTime),
    src_endpoint: endpoint({ ip: hostIp, hostname, mac }),
    dst_endpoint: {},
    connection_info: networkCidr === null ? {} : { network_cidr: networkCidr },
    traffic: {},
    device: device({ name: gatewayId }),
    actor: actor({ app_name: agentId }),
    observables: observables([
      ["src_endpoint.ip", "IP Address", hostIp],
      ["src_endpoint.hostname", "Hostname", hostname],
      ["src_endpoint.mac", "MAC Address", mac]
    ]),
    ...protocolOf(icmp, open.length),
    src_endpoint_ip: hostIp,
    tcp_flags_labels: [],
    scan_type: "network_discovery",
    ports_scanned: scannedPortNumbers(scan),
    ports_open: open,
    icmp_available: icmp,
    response_time_ns: icmpResponseTime,
    gateway_id: gatewayId,
    agent_id: agentId,
    partition: scan.partition ?? "default"
  }
}

type ToRow = (scan: Scan, record: JsonRecord, message: Message) => Row

const stateRow: ToRow = (scan, record, message) => [
  scan.hostIp,
  scan.gatewayId ?? "unknown",
  scan.agentId ?? "unknown",
  scan.partition ?? "default",
  scan.networkCidr,
  scan.hostname,
  scan.mac,
  scan.icmpAvailable,
  scan.icmpResponseTime,
  scan.icmpPacketLoss,
  json(scan.scannedPorts),
  json(scan.openPorts),
  json(scan.portResults),
  timeOf(scan, record, message),
  scan.firstSeen ?? null,
  scan.metadata
]

/**
 * Results of network scans in JSON become rows of `ocsf_network_activity`, or of `sweep_host_states`.
 */
export const makeSweep = (activities: Table, states: Table, config: ProcessorConfig): Processor => {
  const { subjects = [], skipSubjects, storeRaw, ocsf } = config
  const route = makeRoute([...knownSubjects, ...subjects], skipSubjects)
  const ids = new RowIds(activities.name)
  const metadata = makeMetadata(ocsf?.product)
  const activityRow: ToRow = (scan, record, message) =>
    networkActivityRow({
      ...activityOfScan(scan),
      id: ids.next(),
      time: timeOf(scan, record, message),
      metadata: metadata(message, scan.originalTime),
      unmapped: unmappedOfScan(record.object),
      raw_data: storeRaw ? rawText(message, record) : null
    })
  const [table, toRow] = outputOf(config) === "SweepHostStates" ? [states, stateRow] : [activities, activityRow]
  const mapping: RecordMapping<never> = {
    envelopes: true,
    json: (record, message, sink) => {
      const scan = scanOf(record.object)
      if (typeof scan === "string") return scan
      sink.row(0, toRow(scan, record, message))
      return 1
    }
  }
  return {
    tables: [table],
    process: (message, sink) => {
      ids.begin(message)
      return route(message) ?? mapRecords(mapping, message, sink)
    }
  }
}
