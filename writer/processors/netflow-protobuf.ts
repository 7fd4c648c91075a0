import type { FlowMessage } from "../decode/flow.ts"
import { ipOfBytes } from "../fields/ip.ts"
import { narrowed } from "../fields/values.ts"
import type { JsonObject, JsonValue } from "../tables/table.ts"
import type { Flow } from "./netflow-flow.ts"
import { flowOfJson } from "./netflow-flow.ts"

/** Fields of the message that the flow has under the same or another name; the others are kept as they are. */
const renamed = new Set(
  (
    "type src_addr dst_addr bytes packets sampler_address src_as dst_as in_if out_if proto src_port dst_port tcp_flags " +
    "src_mac dst_mac protocol_name time_received_ns time_flow_start_ns time_flow_end_ns bytes_in bytes_out packets_in " +
    "packets_out"
  ).split(" ")
)

/** By `type`. */
const flowSources = [null, "sFlow v5", "NetFlow v5", "NetFlow v9", "IPFIX"]

type Scalar = number | bigint | Uint8Array

const jsonOf = (value: Scalar): JsonValue =>
  typeof value === "bigint"
    ? narrowed(value)
    : value instanceof Uint8Array
      ? (ipOfBytes(value) ?? Buffer.from(value).toString("hex"))
      : value

/** Zero is how protobuf writes what is not there. */
const isZero = (value: Scalar): boolean => (value instanceof Uint8Array ? value.length === 0 : value == 0)

const nonZero = (n: number | bigint | undefined): number | bigint | null => n || null

const address = (bytes: Uint8Array | undefined): string | null => (bytes === undefined ? null : ipOfBytes(bytes))

/** Fields of the message that the flow has not. */
const unmappedOf = (message: FlowMessage): JsonObject => {
  const unmapped: Record<string, JsonValue> = {}
  const fields: ReadonlyArray<readonly [string, Scalar | ReadonlyArray<Scalar>]> = Object.entries(message)
  for (const [name, value] of fields) {
    if (renamed.has(name)) continue
    if (Array.isArray(value)) unmapped[name] = value.map(jsonOf)
    else if (!isZero(value as Scalar)) unmapped[name] = jsonOf(value as Scalar)
  }
  return unmapped
}

/** Reads a flow from protobuf, or says why it is none. */
export const flowOfProtobuf = (message: FlowMessage): Flow | string => {
  const unmapped = unmappedOf(message)
  const fields: JsonObject = {
    timestamp:
      nonZero(message.time_flow_end_ns) ?? nonZero(message.time_received_ns) ?? nonZero(message.time_flow_start_ns),
    start_time: nonZero(message.time_flow_start_ns),
    end_time: nonZero(message.time_flow_end_ns),
    src_addr: address(message.src_addr),
    dst_addr: address(message.dst_addr),
    src_port: nonZero(message.src_port),
    dst_port: nonZero(message.dst_port),
    src_mac: message.src_mac ?? null,
    dst_mac: message.dst_mac ?? null,
    src_as: nonZero(message.src_as),
    dst_as: nonZero(message.dst_as),
    protocol: nonZero(message.proto),
    protocol_name: message.protocol_name ?? null,
    tcp_flags: nonZero(message.tcp_flags),
    bytes: message.bytes ?? null,
    packets: message.packets ?? null,
    bytes_in: nonZero(message.bytes_in),
    bytes_out: nonZero(message.bytes_out),
    packets_in: nonZero(message.packets_in),
    packets_out: nonZero(message.packets_out),
    input_snmp: nonZero(message.in_if),
    output_snmp: nonZero(message.out_if),
    sampler_address: address(message.sampler_address),
    flow_source: flowSources[message.type ?? 0] ?? null,
    metadata: unmapped
  }
  return flowOfJson(fields, unmapped)
}
