import { decodeProtobuf, messageType } from "./protobuf.ts"

/**
 * `flowpb.FlowMessage`, the message of the flow collector GoFlow2, with the counters per direction that other collectors add.
 * Fields have their names of the .proto file, so that those without a column keep them. Source:
 * https://github.com/netsampler/goflow2/blob/main/pb/flow.proto
 */
export interface FlowMessage {
  /** 1 sFlow 5, 2 NetFlow v5, 3 NetFlow v9, 4 IPFIX. */
  readonly type?: number
  readonly sampling_rate?: bigint
  readonly sequence_num?: number
  /** Addresses have 4 or 16 bytes. */
  readonly src_addr?: Uint8Array
  readonly dst_addr?: Uint8Array
  readonly bytes?: bigint
  readonly packets?: bigint
  readonly sampler_address?: Uint8Array
  readonly next_hop?: Uint8Array
  readonly next_hop_as?: number
  readonly src_as?: number
  readonly dst_as?: number
  readonly src_net?: number
  readonly dst_net?: number
  readonly in_if?: number
  readonly out_if?: number
  /** IP protocol number. */
  readonly proto?: number
  readonly src_port?: number
  readonly dst_port?: number
  readonly ip_tos?: number
  readonly forwarding_status?: number
  readonly ip_ttl?: number
  readonly tcp_flags?: number
  /** The six bytes of the address as one big-endian integer. */
  readonly src_mac?: bigint
  readonly dst_mac?: bigint
  readonly vlan_id?: number
  readonly etype?: number
  readonly icmp_type?: number
  readonly icmp_code?: number
  readonly src_vlan?: number
  readonly dst_vlan?: number
  readonly fragment_id?: number
  readonly fragment_offset?: number
  readonly ipv6_flow_label?: number
  readonly ip_flags?: number
  readonly observation_domain_id?: number
  readonly observation_point_id?: number
  readonly mpls_ttl?: ReadonlyArray<number>
  readonly mpls_label?: ReadonlyArray<number>
  readonly mpls_ip?: ReadonlyArray<Uint8Array>
  readonly bgp_next_hop?: Uint8Array
  readonly bgp_communities?: ReadonlyArray<number>
  readonly as_path?: ReadonlyArray<number>
  readonly layer_stack?: ReadonlyArray<number>
  readonly layer_size?: ReadonlyArray<number>
  readonly ipv6_routing_header_addresses?: ReadonlyArray<Uint8Array>
  readonly ipv6_routing_header_seg_left?: number
  readonly protocol_name?: string
  /** Nanoseconds since 1970. */
  readonly time_received_ns?: bigint
  readonly time_flow_start_ns?: bigint
  readonly time_flow_end_ns?: bigint
  readonly bytes_in?: bigint
  readonly bytes_out?: bigint
  readonly packets_in?: bigint
  readonly packets_out?: bigint
}

const FlowMessage = messageType<FlowMessage>({
  type: { number: 1, type: "int32" },
  sampling_rate: { number: 3, type: "uint64" },
  sequence_num: { number: 4, type: "uint32" },
  src_addr: { number: 6, type: "bytes" },
  dst_addr: { number: 7, type: "bytes" },
  bytes: { number: 9, type: "uint64" },
  packets: { number: 10, type: "uint64" },
  sampler_address: { number: 11, type: "bytes" },
  next_hop: { number: 12, type: "bytes" },
  next_hop_as: { number: 13, type: "uint32" },
  src_as: { number: 14, type: "uint32" },
  dst_as: { number: 15, type: "uint32" },
  src_net: { number: 16, type: "uint32" },
  dst_net: { number: 17, type: "uint32" },
  in_if: { number: 18, type: "uint32" },
  out_if: { number: 19, type: "uint32" },
  proto: { number: 20, type: "uint32" },
  src_port: { number: 21, type: "uint32" },
  dst_port: { number: 22, type: "uint32" },
  ip_tos: { number: 23, type: "uint32" },
  forwarding_status: { number: 24, type: "uint32" },
  ip_ttl: { number: 25, type: "uint32" },
  tcp_flags: { number: 26, type: "uint32" },
  src_mac: { number: 27, type: "uint64" },
  dst_mac: { number: 28, type: "uint64" },
  vlan_id: { number: 29, type: "uint32" },
  etype: { number: 30, type: "uint32" },
  icmp_type: { number: 31, type: "uint32" },
  icmp_code: { number: 32, type: "uint32" },
  src_vlan: { number: 33, type: "uint32" },
  dst_vlan: { number: 34, type: "uint32" },
  fragment_id: { number: 35, type: "uint32" },
  fragment_offset: { number: 36, type: "uint32" },
  ipv6_flow_label: { number: 37, type: "uint32" },
  ip_flags: { number: 38, type: "uint32" },
  observation_domain_id: { number: 70, type: "uint32" },
  observation_point_id: { number: 71, type: "uint32" },
  mpls_ttl: { number: 80, type: "uint32", repeated: true },
  mpls_label: { number: 81, type: "uint32", repeated: true },
  mpls_ip: { number: 82, type: "bytes", repeated: true },
  bgp_next_hop: { number: 100, type: "bytes" },
  bgp_communities: { number: 101, type: "uint32", repeated: true },
  as_path: { number: 102, type: "uint32", repeated: true },
  layer_stack: { number: 103, type: "int32", repeated: true },
  layer_size: { number: 104, type: "uint32", repeated: true },
  ipv6_routing_header_addresses: { number: 105, type: "bytes", repeated: true },
  ipv6_routing_header_seg_left: { number: 106, type: "uint32" },
  protocol_name: { number: 107, type: "string" },
  time_received_ns: { number: 110, type: "uint64" },
  time_flow_start_ns: { number: 111, type: "uint64" },
  time_flow_end_ns: { number: 112, type: "uint64" },
  bytes_in: { number: 113, type: "uint64" },
  bytes_out: { number: 114, type: "uint64" },
  packets_in: { number: 115, type: "uint64" },
  packets_out: { number: 116, type: "uint64" }
})

/**
 * Decodes a flow in protobuf. `undefined` when the bytes are no such message, or hold no field of it: almost any bytes are a
 * message of unknown fields.
 */
export const decodeFlow = (bytes: Uint8Array): FlowMessage | undefined => {
  const flow = decodeProtobuf(FlowMessage, bytes)
  return flow === undefined || Object.keys(flow).length === 0 ? undefined : flow
}
