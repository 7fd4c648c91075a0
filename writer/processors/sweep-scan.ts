import { ip } from "../fields/ip.ts"
import { port } from "../fields/port.ts"
import { parseTimestamp } from "../fields/time.ts"
import { bool, first, float8, int8, isObject, isPresent, json, text } from "../fields/values.ts"
import type { JsonArray, JsonObject, JsonValue, Micros } from "../tables/table.ts"

/** What a scan found out about one host; what it does not tell is null or empty. */
export interface Scan {
  readonly hostIp: string
  readonly gatewayId: string | null
  readonly agentId: string | null
  readonly partition: string | null
  readonly networkCidr: string | null
  readonly hostname: string | null
  readonly mac: string | null
  readonly icmpAvailable: boolean | null
  /** Nanoseconds, 0 or more. */
  readonly icmpResponseTime: number | bigint | null
  readonly icmpPacketLoss: number | null
  /** As the payload has it. */
  readonly scannedPorts: JsonValue | undefined
  readonly openPorts: JsonValue | undefined
  readonly portResults: JsonValue | undefined
  /** When the host was scanned; `undefined` when no field says it. */
  readonly time: Micros | undefined
  /** The field that says it, as the payload has it. */
  readonly originalTime: JsonValue | undefined
  readonly firstSeen: Micros | undefined
  readonly metadata: JsonObject | JsonArray | null
}

const known = new Set(
  (
    "host_ip hostIp ip gateway_id gatewayId poller_id pollerId agent_id agentId partition network_cidr networkCidr " +
    "hostname mac icmp_available icmpAvailable icmp_response_time_ns icmpResponseTimeNs icmp_packet_loss icmpPacketLoss " +
    "tcp_ports_scanned tcpPortsScanned tcp_ports_open tcpPortsOpen port_scan_results portScanResults port_results " +
    "portResults last_sweep_time lastSweepTime first_seen firstSeen metadata"
  ).split(" ")
)

/** Fields of a scan that have no place of their own. */
export const unmappedOfScan = (object: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(object).filter(([name]) => !known.has(name)))

/** Reads a scan, or says why it is none. */
export const scanOf = (object: JsonObject): Scan | string => {
  const host = first(object["host_ip"], object["hostIp"], object["ip"])
  if (host === undefined) return "missing_field:host_ip"
  const hostIp = ip(host)
  if (hostIp === null) return "invalid_field:host_ip"
  const responseTime = int8(first(object["icmp_response_time_ns"], object["icmpResponseTimeNs"]))
  const sweptAt = first(object["last_sweep_time"], object["lastSweepTime"])
  return {
    hostIp,
    gatewayId: text(first(object["gateway_id"], object["gatewayId"], object["poller_id"], object["pollerId"])),
    agentId: text(first(object["agent_id"], object["agentId"])),
    partition: text(object["partition"]),
    networkCidr: text(first(object["network_cidr"], object["networkCidr"])),
    hostname: text(object["hostname"]),
    mac: text(object["mac"]),
    icmpAvailable: bool(first(object["icmp_available"], object["icmpAvailable"])),
    icmpResponseTime: responseTime !== null && responseTime >= 0 ? responseTime : null,
    icmpPacketLoss: float8(first(object["icmp_packet_loss"], object["icmpPacketLoss"])),
    scannedPorts: first(object["tcp_ports_scanned"], object["tcpPortsScanned"]),
    openPorts: first(object["tcp_ports_open"], object["tcpPortsOpen"]),
    portResults: first(
      object["port_scan_results"],
      object["portScanResults"],
      object["port_results"],
      object["portResults"]
    ),
    time: parseTimestamp(sweptAt) ?? parseTimestamp(object["timestamp"]),
    originalTime: first(sweptAt, object["timestamp"]),
    firstSeen: parseTimestamp(first(object["first_seen"], object["firstSeen"])),
    metadata: json(object["metadata"])
  }
}

const elements = (value: JsonValue | undefined): JsonArray => {
  const list = json(value)
  return Array.isArray(list) ? list : []
}

const portNumbers = (values: JsonArray): ReadonlyArray<number> => {
  const numbers: Array<number> = []
  for (const value of values) {
    const number = port(value)
    if (number !== null) numbers.push(number)
  }
  return numbers
}

const isOpen = (result: JsonValue): result is JsonObject =>
  isObject(result) && bool(first(result["available"], result["open"])) === true

/** Numbers of the ports that were tried, in the order given. */
export const scannedPortNumbers = ({ scannedPorts }: Scan): ReadonlyArray<number> => portNumbers(elements(scannedPorts))

/** Numbers of the ports that answered: those listed as such, or else those whose result says so. */
export const openPortNumbers = ({ openPorts, portResults }: Scan): ReadonlyArray<number> =>
  portNumbers(
    isPresent(openPorts)
      ? elements(openPorts)
      : elements(portResults)
          .filter(isOpen)
          .map((result) => result["port"] ?? null)
  )
