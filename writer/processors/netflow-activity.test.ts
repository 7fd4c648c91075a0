import { describe, expect, it } from "vitest"
import { processMessage, receivedAt } from "../../testing/process-message.ts"
import { uuidV5 } from "../fields/identity.ts"
import { parseTimestamp } from "../fields/time.ts"
import { makeProcessor } from "./index.ts"

const netflow = makeProcessor({ type: "NetFlow", skipSubjects: [] })
const process = (payload: unknown, subject = "flows.raw.x") => processMessage(netflow, subject, payload)
const ends = { src_addr: "10.0.0.1", dst_addr: "10.0.0.2" }
const row = (fields: object, subject?: string) => process({ ...ends, ...fields }, subject).rows[0]
const at = (text: string) => parseTimestamp(text)

const [early, late] = ["2024-01-01T00:00:00Z", "2024-01-01T00:00:01.5Z"]
const [earlyNanos, lateNanos] = [1_704_067_200_000_000_000n, 1_704_067_201_500_000_000n]

const everything = {
  timestamp: late,
  start_time: early,
  end_time: late,
  gateway_id: "gateway-1",
  agent_id: "agent-1",
  device_id: "router-1",
  flow_direction: "ingress",
  src_addr: "192.168.1.100",
  dst_addr: "2001:DB8::1",
  src_port: 45_678,
  dst_port: 443,
  protocol: 6,
  packets: 100,
  octets: 150_000,
  bytes_in: 100_000,
  bytes_out: 50_000,
  packets_in: 60,
  packets_out: 40,
  tcp_flags: 18,
  src_as: 64_512,
  dst_as: 4_200_000_000,
  src_mac: "00:11:22:aa:bb:cc",
  dst_mac: "0011.22aa.bbcd",
  sampler_address: "10.9.9.9",
  input_snmp: 3,
  output_snmp: 4,
  flow_source: "NetFlow v9",
  partition: "lab",
  metadata: { site: "a" },
  vlan: 7
}

const camelNames: Readonly<Record<string, string>> = {
  src_addr: "sourceAddress",
  dst_addr: "destinationAddress",
  src_port: "sourcePort",
  dst_port: "destinationPort",
  src_mac: "sourceMac",
  dst_mac: "destinationMac",
  octets: "bytes",
  flow_source: "flow_source",
  protocol_name: "protocol_name"
}
const camelCased = (name: string) => name.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase())

describe("a flow as a network activity", () => {
  it("has defaults for what it does not say", () => {
    expect(process(ends)).toEqual({
      outcome: { _tag: "Rows" },
      rows: [
        {
          id: uuidV5("ocsf_network_activity:seq:TEST:42:0"),
          time: receivedAt,
          class_uid: 4001,
          category_uid: 4,
          activity_id: 6,
          type_uid: 400_106,
          severity_id: 1,
          activity_name: "Traffic",
          severity: "Informational",
          message: "Unknown traffic: 10.0.0.1 -> 10.0.0.2 (0 pkts, 0 B)",
          action_id: 1,
          action: "Allowed",
          status_id: 1,
          status: "Success",
          status_code: null,
          status_detail: null,
          start_time: null,
          end_time: null,
          duration: null,
          metadata: {
            version: "1.7.0",
            product: { vendor_name: "EventStream", name: "eventstream" },
            logged_time: 1_768_435_200_000,
            correlation_uid: "flows.raw.x"
          },
          src_endpoint: { ip: "10.0.0.1" },
          dst_endpoint: { ip: "10.0.0.2" },
          connection_info: { protocol_name: "Unknown", direction_id: 0 },
          traffic: { bytes: 0, packets: 0 },
          device: {},
          actor: { app_name: "Unknown" },
          unmapped: {},
          observables: [
            { name: "src_endpoint.ip", type: "IP Address", type_id: 2, value: "10.0.0.1" },
            { name: "dst_endpoint.ip", type: "IP Address", type_id: 2, value: "10.0.0.2" }
          ],
          protocol_num: null,
          protocol_name: "Unknown",
          direction: null,
          direction_id: 0,
          src_endpoint_ip: "10.0.0.1",
          dst_endpoint_ip: "10.0.0.2",
          src_endpoint_port: null,
          dst_endpoint_port: null,
          src_as_number: null,
          dst_as_number: null,
          tcp_flags: null,
          tcp_flags_labels: [],
          bytes_total: 0,
          packets_total: 0,
          bytes_in: 0,
          bytes_out: 0,
          packets_in: 0,
          packets_out: 0,
          direction_label: "unknown",
          dst_service_label: null,
          src_mac: null,
          dst_mac: null,
          sampler_address: null,
          flow_source: "Unknown",
          scan_type: null,
          ports_scanned: [],
          ports_open: [],
          icmp_available: null,
          response_time_ns: null,
          gateway_id: null,
          agent_id: null,
          raw_data: null,
          partition: "default"
        }
      ]
    })
  })

  it("has all that it says", () => {
    expect(row(everything)).toMatchObject({
      time: at(late),
      message: "TCP traffic: 192.168.1.100:45678 -> [2001:db8::1]:443 (100 pkts, 150.00 KB)",
      start_time: at(early),
      end_time: at(late),
      duration: 1500,
      metadata: { original_time: late },
      src_endpoint: { ip: "192.168.1.100", port: 45_678, mac: "001122AABBCC" },
      dst_endpoint: { ip: "2001:db8::1", port: 443, mac: "001122AABBCD" },
      connection_info: {
        protocol_num: 6,
        protocol_name: "TCP",
        direction: "Inbound",
        direction_id: 1,
        tcp_flags: 18,
        input_snmp: 3,
        output_snmp: 4
      },
      traffic: {
        bytes: 150_000,
        packets: 100,
        bytes_in: 100_000,
        bytes_out: 50_000,
        packets_in: 60,
        packets_out: 40
      },
      device: { uid: "router-1" },
      actor: { app_name: "NetFlow v9" },
      unmapped: { vlan: 7 },
      observables: [
        { name: "src_endpoint.ip", type_id: 2, value: "192.168.1.100" },
        { name: "src_endpoint.port", type_id: 11, value: "45678" },
        { name: "dst_endpoint.ip", type_id: 2, value: "2001:db8::1" },
        { name: "dst_endpoint.port", type_id: 11, value: "443" }
      ],
      protocol_num: 6,
      protocol_name: "TCP",
      direction: "Inbound",
      direction_id: 1,
      src_endpoint_ip: "192.168.1.100",
      dst_endpoint_ip: "2001:db8::1",
      src_endpoint_port: 45_678,
      dst_endpoint_port: 443,
      src_as_number: 64_512,
      dst_as_number: 4_200_000_000,
      tcp_flags: 18,
      tcp_flags_labels: ["ACK", "SYN"],
      bytes_total: 150_000,
      packets_total: 100,
      bytes_in: 100_000,
      bytes_out: 50_000,
      packets_in: 60,
      packets_out: 40,
      direction_label: "bidirectional",
      dst_service_label: "HTTPS",
      src_mac: "001122AABBCC",
      dst_mac: "001122AABBCD",
      sampler_address: "10.9.9.9",
      flow_source: "NetFlow v9",
      gateway_id: "gateway-1",
      agent_id: "agent-1",
      partition: "lab"
    })
  })

  it("is the same under names in camel case", () => {
    const renamed = Object.entries(everything).map(([name, value]) => [camelNames[name] ?? camelCased(name), value])
    expect(process(Object.fromEntries(renamed)).rows[0]).toEqual(row(everything))
    expect(row({ srcPort: 1, dstPort: 2, srcMac: "001122334455", dstMac: "001122334456" })).toMatchObject({
      src_endpoint: { port: 1, mac: "001122334455" },
      dst_endpoint: { port: 2, mac: "001122334456" },
      unmapped: {}
    })
    expect(process({ srcAddr: "10.0.0.3", dstAddr: "10.0.0.4" }).rows[0]).toMatchObject({
      src_endpoint_ip: "10.0.0.3",
      dst_endpoint_ip: "10.0.0.4",
      unmapped: {}
    })
  })

  it.each([
    [{ gatewayId: "a", poller_id: "b" }, { gateway_id: "a" }],
    [{ poller_id: "b", pollerId: "c" }, { gateway_id: "b" }],
    [{ pollerId: "c" }, { gateway_id: "c" }],
    [{ src_addr: "10.0.0.1:80" }, { src_endpoint_ip: "10.0.0.1", src_endpoint_port: null }],
    [{ src_addr: "host" }, { src_endpoint_ip: null, src_endpoint: {} }],
    [{ src_port: 0 }, { src_endpoint_port: 0, src_endpoint: { port: 0 } }],
    [
      { src_port: "53", dst_port: 65_536 },
      { src_endpoint_port: 53, dst_endpoint_port: null }
    ],
    [
      { src_as: 4_294_967_295, dst_as: 4_294_967_296 },
      { src_as_number: 4_294_967_295, dst_as_number: null }
    ],
    [
      { src_as: -1, dst_as: "AS1" },
      { src_as_number: null, dst_as_number: null }
    ],
    [
      { srcAs: "7", dstAs: 0 },
      { src_as_number: 7, dst_as_number: 0 }
    ],
    [{ octets: 5, bytes: 6 }, { bytes_total: 5 }],
    [{ octets: null, bytes: "6" }, { bytes_total: 6 }],
    [{ octets: "12x", bytes: 6 }, { bytes_total: 0 }],
    [
      { octets: -1, packets: -1, bytes_in: -1, packetsOut: -1 },
      { bytes_total: 0, packets_total: 0, bytes_in: 0 }
    ],
    [{ packets: 1.9 }, { packets_total: 1, traffic: { packets: 1 } }],
    [{ bytes_in: 0 }, { traffic: { bytes_in: 0 }, bytes_in: 0 }],
    [{ tcp_flags: 99_999_999_999 }, { tcp_flags: null, tcp_flags_labels: [] }],
    [{ sampler_address: "router" }, { sampler_address: null }],
    [{ src_mac: 73_596_058_572 }, { src_mac: "001122AABBCC" }],
    [{ metadata: { a: 1 } }, { unmapped: {} }],
    [{ proto: "TCP", vlan_id: null }, { unmapped: { proto: "TCP", vlan_id: null } }]
  ])("of %j", (fields, columns) => {
    expect(row(fields)).toMatchObject(columns)
  })

  it("counts exactly, up to the largest number of the column", () => {
    const payload = `{"src_addr":"10.0.0.1","octets":9007199254740993,"packets":18446744073709551615}`
    expect(process(payload).rows[0]).toMatchObject({
      bytes_total: 9_007_199_254_740_993n,
      packets_total: 9_223_372_036_854_775_807n,
      traffic: { bytes: 9_007_199_254_740_993n, packets: 9_223_372_036_854_775_807n }
    })
  })

  it.each([
    [1, 1, "ICMP"],
    ["6", 6, "TCP"],
    ["udp", 17, "UDP"],
    [" TCP ", 6, "TCP"],
    ["icmp", 1, "ICMP"],
    ["gre", 47, "GRE"],
    ["esp", 50, "ESP"],
    ["ah", 51, "AH"],
    ["icmpv6", 58, "ICMPv6"],
    ["ospf", 89, "OSPF"],
    ["sctp", 132, "SCTP"],
    [0, 0, "Unknown"],
    [999, 999, "Unknown"],
    ["carrier pigeon", null, "Unknown"],
    [null, null, "Unknown"]
  ])("protocol %j is %s, %s", (given, number, name) => {
    expect(row({ protocol: given })).toMatchObject({ protocol_num: number, protocol_name: name })
  })

  it("has the name that came with a protocol which has none here", () => {
    expect(row({ protocol: 103, protocol_name: "PIM" })).toMatchObject({ protocol_num: 103, protocol_name: "PIM" })
    expect(row({ protocol: 6, protocol_name: "tcp" })).toMatchObject({ protocol_num: 6, protocol_name: "TCP" })
  })

  it.each([
    ["ingress", "Inbound", 1],
    ["Inbound", "Inbound", 1],
    ["in", "Inbound", 1],
    ["EGRESS", "Outbound", 2],
    ["outbound", "Outbound", 2],
    [" out ", "Outbound", 2],
    ["lateral", "Lateral", 3],
    ["up", null, 0],
    [0, null, 0]
  ])("direction %j is %s, %i", (given, direction, id) => {
    expect(row({ flow_direction: given })).toMatchObject({ direction, direction_id: id })
  })

  it.each([
    [0, []],
    [1, ["FIN"]],
    [2, ["SYN"]],
    [4, ["RST"]],
    [8, ["PSH"]],
    [16, ["ACK"]],
    [32, ["URG"]],
    [64, ["ECE"]],
    [128, ["CWR"]],
    [18, ["ACK", "SYN"]],
    [255, ["CWR", "ECE", "URG", "ACK", "PSH", "RST", "SYN", "FIN"]],
    [258, ["SYN"]],
    ["24", ["ACK", "PSH"]],
    [-1, []]
  ])("TCP flags %s are %j", (flags, labels) => {
    expect(row({ tcpFlags: flags })).toMatchObject({ tcp_flags: Number(flags), tcp_flags_labels: labels })
  })

  it.each([
    [1, 1, "bidirectional"],
    [1, 0, "ingress"],
    [1, undefined, "ingress"],
    [0, 1, "egress"],
    [undefined, 1, "egress"],
    [0, 0, "unknown"],
    [-1, -1, "unknown"]
  ])("with %s bytes in and %s out is %s", (bytesIn, bytesOut, label) => {
    expect(row({ bytes_in: bytesIn, bytesOut })).toMatchObject({ direction_label: label })
  })

  it.each([
    [early, late, 1500],
    [early, early, 0],
    [late, early, null],
    [early, undefined, null],
    [undefined, late, null],
    ["2024-01-01T00:00:00.000900Z", "2024-01-01T00:00:00.002100Z", 1],
    [earlyNanos, lateNanos, 1500],
    ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.001Z", 1]
  ])("from %s to %s takes %s ms", (start, end, duration) => {
    const payload = `{"src_addr":"10.0.0.1","start_time":${typeof start === "string" ? `"${start}"` : (start ?? null)},
      "endTime":${typeof end === "string" ? `"${end}"` : (end ?? null)}}`
    expect(process(payload).rows[0]).toMatchObject({ duration })
  })

  it.each([
    [{ timestamp: early, end_time: late }, early, early],
    [{ timestamp: 0, end_time: late, start_time: early }, late, undefined],
    [{ startTime: early }, early, early],
    [{ endTime: 1_704_067_201_500 }, late, undefined]
  ])("time of %j is %s", (fields, time, original) => {
    const { metadata, ...columns } = row(fields)!
    expect(columns["time"]).toBe(at(time))
    expect((metadata as { original_time?: string }).original_time).toBe(original)
  })

  it.each([
    ["flows.raw.sflow", "sFlow"],
    ["netflow.metrics", "NetFlow"],
    ["acme.flows.raw.IPFIX", "IPFIX"],
    ["flows.raw.x", "Unknown"]
  ])("from subject %s is of %s", (subject, source) => {
    expect(row({}, subject)).toMatchObject({ flow_source: source, actor: { app_name: source } })
    expect(row({ flow_source: "probe" }, subject)).toMatchObject({ flow_source: "probe" })
  })

  it("needs one address", () => {
    expect(process({ dst_addr: "10.0.0.2" }).rows[0]).toMatchObject({ src_endpoint_ip: null, src_endpoint: {} })
    const reason = { _tag: "DeadLetter", reason: "missing_field:src_addr" }
    for (const payload of [
      { foo: 1 },
      { src_addr: "a", dst_addr: "b" },
      { src_endpoint: {} },
      { src_endpoint: null }
    ]) {
      expect(process(payload)).toMatchObject({ outcome: reason, rows: [] })
    }
  })
})
