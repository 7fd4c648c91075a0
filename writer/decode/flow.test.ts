import { describe, expect, it } from "vitest"
import { type FieldValue, field, packed, protobuf } from "../../testing/protobuf.ts"
import { decodeFlow } from "./flow.ts"

const bytes = Uint8Array.of(10, 0, 0, 1)
const u64 = 18_446_744_073_709_551_615n

const singular: ReadonlyArray<readonly [number, string, FieldValue]> = [
  [1, "type", 3],
  [3, "sampling_rate", u64],
  [4, "sequence_num", 4_294_967_295],
  [6, "src_addr", bytes],
  [7, "dst_addr", bytes],
  [9, "bytes", u64],
  [10, "packets", u64],
  [11, "sampler_address", bytes],
  [12, "next_hop", bytes],
  [13, "next_hop_as", 13],
  [14, "src_as", 4_294_967_295],
  [15, "dst_as", 15],
  [16, "src_net", 24],
  [17, "dst_net", 16],
  [18, "in_if", 18],
  [19, "out_if", 19],
  [20, "proto", 6],
  [21, "src_port", 21],
  [22, "dst_port", 22],
  [23, "ip_tos", 23],
  [24, "forwarding_status", 64],
  [25, "ip_ttl", 25],
  [26, "tcp_flags", 26],
  [27, "src_mac", 0x001122334455n],
  [28, "dst_mac", 28n],
  [29, "vlan_id", 29],
  [30, "etype", 0x0800],
  [31, "icmp_type", 31],
  [32, "icmp_code", 32],
  [33, "src_vlan", 33],
  [34, "dst_vlan", 34],
  [35, "fragment_id", 35],
  [36, "fragment_offset", 36],
  [37, "ipv6_flow_label", 37],
  [38, "ip_flags", 38],
  [70, "observation_domain_id", 70],
  [71, "observation_point_id", 71],
  [100, "bgp_next_hop", bytes],
  [106, "ipv6_routing_header_seg_left", 106],
  [107, "protocol_name", "TCP"],
  [110, "time_received_ns", 1_705_315_800_000_000_000n],
  [111, "time_flow_start_ns", 111n],
  [112, "time_flow_end_ns", 112n],
  [113, "bytes_in", 113n],
  [114, "bytes_out", 114n],
  [115, "packets_in", 115n],
  [116, "packets_out", 116n]
]

describe("a flow in protobuf", () => {
  it.each(singular)("field %i is %s", (number, name, value) => {
    expect(decodeFlow(protobuf(field(number, value)))).toEqual({ [name]: value })
  })

  it.each([
    [80, "mpls_ttl"],
    [81, "mpls_label"],
    [101, "bgp_communities"],
    [102, "as_path"],
    [103, "layer_stack"],
    [104, "layer_size"]
  ])("field %i is the list %s, packed or not", (number, name) => {
    const values = [1, 300, 0]
    expect(decodeFlow(protobuf(packed(number, values)))).toEqual({ [name]: values })
    expect(decodeFlow(protobuf(...values.map((value) => field(number, value))))).toEqual({ [name]: values })
    expect(decodeFlow(protobuf(packed(number, [7]), field(number, 8)))).toEqual({ [name]: [7, 8] })
  })

  it.each([
    [82, "mpls_ip"],
    [105, "ipv6_routing_header_addresses"]
  ])("field %i is the list of addresses %s", (number, name) => {
    expect(decodeFlow(protobuf(field(number, bytes), field(number, bytes)))).toEqual({ [name]: [bytes, bytes] })
  })

  it("may have unknown fields, and has at least one that is known", () => {
    expect(decodeFlow(protobuf(field(2, 5), field(20, 6), field(500, "x")))).toEqual({ proto: 6 })
    expect(decodeFlow(protobuf(field(2, 5), field(500, "x")))).toBeUndefined()
    expect(decodeFlow(protobuf())).toBeUndefined()
  })

  it.each([
    ["of another wire type", protobuf(field(20, "six"))],
    ["cut off", protobuf(field(6, bytes)).subarray(0, 4)],
    ["text", Buffer.from("src_addr=10.0.0.1")]
  ])("is not %s", (_, payload) => {
    expect(decodeFlow(payload)).toBeUndefined()
  })
})
