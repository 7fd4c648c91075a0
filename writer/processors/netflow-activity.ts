import {
  actor,
  compact,
  device,
  endpoint,
  networkActivity,
  networkActivityName,
  observables,
  protocolName,
  statusName,
  typeUid
} from "../fields/ocsf.ts"
import { serviceOf } from "../fields/port.ts"
import { ocsfSeverityName } from "../fields/severity.ts"
import type { NetworkActivity } from "../tables/ocsf-network-activity.ts"
import type { Micros } from "../tables/table.ts"
import type { Count, Flow } from "./netflow-flow.ts"

/** What a flow is unless it says otherwise: traffic, informational, allowed, successful. */
export const flowDefaults = { activityId: 6, severityId: 1, actionId: 1, statusId: 1 } as const

/** Name of the protocol by its number, or else as the flow has it. */
const protocolNameOf = ({ protocol, protocolName: given }: Flow): string => {
  const name = protocolName(protocol)
  return name === "Unknown" ? (given ?? name) : name
}

interface Direction {
  readonly direction: string | null
  readonly direction_id: number
}

const inbound: Direction = { direction: "Inbound", direction_id: 1 }
const outbound: Direction = { direction: "Outbound", direction_id: 2 }
const directions: ReadonlyMap<string, Direction> = new Map([
  ["ingress", inbound],
  ["inbound", inbound],
  ["in", inbound],
  ["egress", outbound],
  ["outbound", outbound],
  ["out", outbound],
  ["lateral", { direction: "Lateral", direction_id: 3 }]
])

const directionOf = (flowDirection: string | null): Direction =>
  directions.get(flowDirection?.trim().toLowerCase() ?? "") ?? { direction: null, direction_id: 0 }

/** From the highest bit down. Source: RFC 9293, section 3.1. */
const tcpFlagNames = ["CWR", "ECE", "URG", "ACK", "PSH", "RST", "SYN", "FIN"]

const tcpFlagLabels = (flags: number | null): ReadonlyArray<string> =>
  flags === null || flags < 0 ? [] : tcpFlagNames.filter((_, i) => (flags & (0x80 >> i)) !== 0)

/** Which way the bytes went that were counted by direction. */
const directionLabel = ({ bytesIn, bytesOut }: Flow): string => {
  const entered = (bytesIn ?? 0) > 0
  const left = (bytesOut ?? 0) > 0
  return entered ? (left ? "bidirectional" : "ingress") : left ? "egress" : "unknown"
}

/** Whole milliseconds between two times, null when one is missing or they are in the wrong order. */
const durationMillis = (start: Micros | undefined, end: Micros | undefined): number | null => {
  if (start === undefined || end === undefined) return null
  const micros = BigInt(end) - BigInt(start)
  return micros < 0n ? null : Number(micros / 1000n)
}

const sizes = ["B", "KB", "MB", "GB", "TB"]

const sizeText = (bytes: Count): string => {
  let size = Number(bytes)
  let unit = 0
  for (; size >= 1000 && unit < sizes.length - 1; unit++) size /= 1000
  return `${unit === 0 ? size : size.toFixed(2)} ${sizes[unit]}`
}

const endText = (ip: string | null, port: number | null): string =>
  port === null ? (ip ?? "unknown") : `${ip?.includes(":") ? `[${ip}]` : (ip ?? "unknown")}:${port}`

const messageOf = (flow: Flow, protocol: string): string =>
  `${protocol} traffic: ${endText(flow.srcIp, flow.srcPort)} -> ${endText(flow.dstIp, flow.dstPort)} ` +
  `(${flow.packets} pkts, ${sizeText(flow.bytes)})`

const sourceNames: ReadonlyArray<readonly [part: string, source: string]> = [
  ["sflow", "sFlow"],
  ["netflow", "NetFlow"],
  ["ipfix", "IPFIX"]
]

const sourceOfSubject = (subject: string): string => {
  const lower = subject.toLowerCase()
  return sourceNames.find(([part]) => lower.includes(part))?.[1] ?? "Unknown"
}

/**
 * A flow as a Network Activity, apart from its id, time, metadata and raw data.
 *
 * @param subject tells the source of a flow that does not name it
 */
export const activityOfFlow = (flow: Flow, subject: string): NetworkActivity => {
  const { activityId, severityId, actionId, statusId } = flowDefaults
  const { srcIp, dstIp, srcPort, dstPort, srcMac, dstMac, protocol, tcpFlags, bytes, packets } = flow
  const protocol_name = protocolNameOf(flow)
  const { direction, direction_id } = directionOf(flow.flowDirection)
  const flow_source = flow.flowSource ?? sourceOfSubject(subject)
  return {
    class_uid: networkActivity.classUid,
    category_uid: networkActivity.categoryUid,
    activity_id: activityId,
    type_uid: typeUid(networkActivity.classUid, activityId),
    severity_id: severityId,
    activity_name: networkActivityName(activityId),
    severity: ocsfSeverityName(severityId),
    message: messageOf(flow, protocol_name),
    action_id: actionId,
    action: "Allowed",
    status_id: statusId,
    status: statusName(statusId),
    start_time: flow.startTime ?? null,
    end_time: flow.endTime ?? null,
    duration: durationMillis(flow.startTime, flow.endTime),
    src_endpoint: endpoint({ ip: srcIp, port: srcPort, mac: srcMac }),
    dst_endpoint: endpoint({ ip: dstIp, port: dstPort, mac: dstMac }),
    connection_info: compact({
      protocol_num: protocol,
      protocol_name,
      direction,
      direction_id,
      tcp_flags: tcpFlags,
      input_snmp: flow.inputInterface,
      output_snmp: flow.outputInterface
    }),
    traffic: compact({
      bytes,
      packets,
      bytes_in: flow.bytesIn,
      bytes_out: flow.bytesOut,
      packets_in: flow.packetsIn,
      packets_out: flow.packetsOut
    }),
    device: device({ uid: flow.deviceId }),
    actor: actor({ app_name: flow_source }),
    unmapped: flow.unmapped,
    observables: observables([
      ["src_endpoint.ip", "IP Address", srcIp],
      ["src_endpoint.port", "Port", srcPort],
      ["dst_endpoint.ip", "IP Address", dstIp],
      ["dst_endpoint.port", "Port", dstPort]
    ]),
    protocol_num: protocol,
    protocol_name,
    direction,
    direction_id,
    src_endpoint_ip: srcIp,
    dst_endpoint_ip: dstIp,
    src_endpoint_port: srcPort,
    dst_endpoint_port: dstPort,
    src_as_number: flow.srcAs,
    dst_as_number: flow.dstAs,
    tcp_flags: tcpFlags,
    tcp_flags_labels: tcpFlagLabels(tcpFlags),
    bytes_total: bytes,
    packets_total: packets,
    bytes_in: flow.bytesIn ?? 0,
    bytes_out: flow.bytesOut ?? 0,
    packets_in: flow.packetsIn ?? 0,
    packets_out: flow.packetsOut ?? 0,
    direction_label: directionLabel(flow),
    dst_service_label: serviceOf(protocol, dstPort),
    src_mac: srcMac,
    dst_mac: dstMac,
    sampler_address: flow.samplerIp,
    flow_source,
    ports_scanned: [],
    ports_open: [],
    gateway_id: flow.gatewayId,
    agent_id: flow.agentId,
    partition: flow.partition ?? "default"
  }
}
