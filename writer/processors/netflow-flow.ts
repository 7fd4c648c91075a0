import { ip } from "../fields/ip.ts"
import { mac } from "../fields/mac.ts"
import { port } from "../fields/port.ts"
import { parseTimestamp } from "../fields/time.ts"
import { first, int4, int8, integer, json, text } from "../fields/values.ts"
import type { JsonArray, JsonObject, JsonValue, Micros } from "../tables/table.ts"

/** Bytes or packets, 0 to 2^63 − 1. */
export type Count = number | bigint

/** A flow, whatever form it came in; what it does not tell is null. */
export interface Flow {
  /** When it was observed; `undefined` when no field says it. */
  readonly time: Micros | undefined
  /** The field that says it, as the payload has it. */
  readonly originalTime: JsonValue | undefined
  readonly startTime: Micros | undefined
  readonly endTime: Micros | undefined
  readonly gatewayId: string | null
  readonly agentId: string | null
  readonly deviceId: string | null
  readonly partition: string | null
  readonly flowDirection: string | null
  /** At least one of the two addresses is there. */
  readonly srcIp: string | null
  readonly dstIp: string | null
  readonly srcPort: number | null
  readonly dstPort: number | null
  readonly srcMac: string | null
  readonly dstMac: string | null
  readonly srcAs: number | null
  readonly dstAs: number | null
  /** IP protocol number. */
  readonly protocol: number | null
  /** Name of the protocol that came with the flow. */
  readonly protocolName: string | null
  readonly tcpFlags: number | null
  readonly bytes: Count
  readonly packets: Count
  readonly bytesIn: Count | null
  readonly bytesOut: Count | null
  readonly packetsIn: Count | null
  readonly packetsOut: Count | null
  readonly inputInterface: number | null
  readonly outputInterface: number | null
  readonly samplerIp: string | null
  readonly flowSource: string | null
  readonly metadata: JsonObject | JsonArray | null
  /** Fields that have no place of their own. */
  readonly unmapped: JsonObject
}

const protocolNumbers: ReadonlyMap<string, number> = new Map([
  ["icmp", 1],
  ["tcp", 6],
  ["udp", 17],
  ["gre", 47],
  ["esp", 50],
  ["ah", 51],
  ["icmpv6", 58],
  ["ospf", 89],
  ["sctp", 132]
])

const protocolNumber = (value: JsonValue | undefined): number | null =>
  int4(value) ?? (typeof value === "string" ? (protocolNumbers.get(value.trim().toLowerCase()) ?? null) : null)

const count = (value: JsonValue | undefined): Count | null => {
  const n = int8(value)
  return n !== null && n < 0 ? 0 : n
}

const largestAs = 4_294_967_295

const asNumber = (value: JsonValue | undefined): number | null => {
  const n = integer(value)
  return typeof n === "number" && n >= 0 && n <= largestAs ? n : null
}

const known = new Set(
  (
    "timestamp start_time startTime end_time endTime gateway_id gatewayId poller_id pollerId agent_id agentId device_id " +
    "deviceId flow_direction flowDirection src_addr srcAddr sourceAddress dst_addr dstAddr destinationAddress src_port " +
    "srcPort sourcePort dst_port dstPort destinationPort protocol packets octets bytes bytes_in bytesIn bytes_out " +
    "bytesOut packets_in packetsIn packets_out packetsOut tcp_flags tcpFlags src_as srcAs dst_as dstAs src_mac srcMac " +
    "sourceMac dst_mac dstMac destinationMac sampler_address samplerAddress input_snmp inputSnmp output_snmp outputSnmp " +
    "flow_source protocol_name partition metadata"
  ).split(" ")
)

const unmappedOf = (object: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(object).filter(([name]) => !known.has(name)))

/**
 * Reads a flow from a JSON object, or says why it is none.
 *
 * @param unmapped fields without a place of their own, where the caller knows them
 */
export const flowOfJson = (object: JsonObject, unmapped?: JsonObject): Flow | string => {
  const srcIp = ip(first(object["src_addr"], object["srcAddr"], object["sourceAddress"]))
  const dstIp = ip(first(object["dst_addr"], object["dstAddr"], object["destinationAddress"]))
  if (srcIp === null && dstIp === null) return "missing_field:src_addr"
  const start = first(object["start_time"], object["startTime"])
  const end = first(object["end_time"], object["endTime"])
  const startTime = parseTimestamp(start)
  const endTime = parseTimestamp(end)
  return {
    time: parseTimestamp(object["timestamp"]) ?? endTime ?? startTime,
    originalTime: first(object["timestamp"], end, start),
    startTime,
    endTime,
    gatewayId: text(first(object["gateway_id"], object["gatewayId"], object["poller_id"], object["pollerId"])),
    agentId: text(first(object["agent_id"], object["agentId"])),
    deviceId: text(first(object["device_id"], object["deviceId"])),
    partition: text(object["partition"]),
    flowDirection: text(first(object["flow_direction"], object["flowDirection"])),
    srcIp,
    dstIp,
    srcPort: port(first(object["src_port"], object["srcPort"], object["sourcePort"])),
    dstPort: port(first(object["dst_port"], object["dstPort"], object["destinationPort"])),
    srcMac: mac(first(object["src_mac"], object["srcMac"], object["sourceMac"])),
    dstMac: mac(first(object["dst_mac"], object["dstMac"], object["destinationMac"])),
    srcAs: asNumber(first(object["src_as"], object["srcAs"])),
    dstAs: asNumber(first(object["dst_as"], object["dstAs"])),
    protocol: protocolNumber(object["protocol"]),
    protocolName: text(object["protocol_name"]),
    tcpFlags: int4(first(object["tcp_flags"], object["tcpFlags"])),
    bytes: count(first(object["octets"], object["bytes"])) ?? 0,
    packets: count(object["packets"]) ?? 0,
    bytesIn: count(first(object["bytes_in"], object["bytesIn"])),
    bytesOut: count(first(object["bytes_out"], object["bytesOut"])),
    packetsIn: count(first(object["packets_in"], object["packetsIn"])),
    packetsOut: count(first(object["packets_out"], object["packetsOut"])),
    inputInterface: int4(first(object["input_snmp"], object["inputSnmp"])),
    outputInterface: int4(first(object["output_snmp"], object["outputSnmp"])),
    samplerIp: ip(first(object["sampler_address"], object["samplerAddress"])),
    flowSource: text(object["flow_source"]),
    metadata: json(object["metadata"]),
    unmapped: unmapped ?? unmappedOf(object)
  }
}
