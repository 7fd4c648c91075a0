import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { processMessage, receivedAt } from "../../testing/process-message.ts"
import { field, packed, protobuf } from "../../testing/protobuf.ts"
import { jsonText } from "../decode/json.ts"
import { parseTimestamp } from "../fields/time.ts"
import { makeProcessor } from "./index.ts"

const netflow = makeProcessor({ type: "NetFlow", skipSubjects: [] })
const metrics = makeProcessor({ type: "NetFlow", output: "NetflowMetrics", skipSubjects: [] })
const process = (payload: unknown, subject = "flows.raw.x") => processMessage(netflow, subject, payload)

const [earlyNanos, lateNanos] = [1_704_067_200_000_000_000n, 1_704_067_201_500_000_000n]

const address = Uint8Array.of(192, 168, 1, 100)
const both = [field(6, address), field(7, Uint8Array.of(10, 0, 0, 2))]
const flow = (...fields: ReadonlyArray<ReadonlyArray<number>>) => protobuf(...both, ...fields)

describe("a flow in protobuf", () => {
  it("has its fields in the columns of a flow in JSON", () => {
    const payload = protobuf(
      field(1, 3),
      field(6, address),
      field(7, Buffer.from("20010db8000000000000000000000001", "hex")),
      field(9, 150_000),
      field(10, 100),
      field(11, Uint8Array.of(10, 9, 9, 9)),
      field(14, 64_512),
      field(15, 4_200_000_000),
      field(18, 3),
      field(19, 4),
      field(20, 6),
      field(21, 45_678),
      field(22, 443),
      field(26, 18),
      field(27, 0x0011_22aa_bbccn),
      field(28, 0x0011_22aa_bbcdn),
      field(111, earlyNanos),
      field(112, lateNanos),
      field(113, 100_000),
      field(114, 50_000),
      field(115, 60),
      field(116, 40)
    )
    const json = {
      timestamp: lateNanos,
      start_time: earlyNanos,
      end_time: lateNanos,
      src_addr: "192.168.1.100",
      dst_addr: "2001:db8::1",
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
      dst_mac: "00:11:22:aa:bb:cd",
      sampler_address: "10.9.9.9",
      input_snmp: 3,
      output_snmp: 4,
      flow_source: "NetFlow v9"
    }
    expect(process(payload)).toEqual(process(jsonText(json)))
  })

  it.each([
    ["the end", [110, 111, 112], 112],
    ["the receipt", [110, 111], 110],
    ["the begin", [111], 111]
  ])("is of the time of %s", (_, numbers, expected) => {
    const nanos = (number: number) => earlyNanos + BigInt(number) * 1_000_000_999n
    expect(process(flow(...numbers.map((number) => field(number, nanos(number))))).rows[0]!["time"]).toBe(
      Number(nanos(expected) / 1000n)
    )
    expect(process(flow(...[110, 111, 112].map((number) => field(number, 0)))).rows[0]).toMatchObject({
      time: receivedAt,
      start_time: null,
      end_time: null
    })
  })

  it("has no value where zero stands, but counts", () => {
    const zeros = [9, 10, 14, 15, 18, 19, 20, 21, 22, 26, 27, 28, 110, 111, 112, 113, 114, 115, 116]
    expect(process(flow(...zeros.map((number) => field(number, 0)))).rows).toEqual(process(flow()).rows)
    expect(process(flow()).rows[0]).toMatchObject({
      src_endpoint: { ip: "192.168.1.100" },
      connection_info: { protocol_name: "Unknown", direction_id: 0 },
      traffic: { bytes: 0, packets: 0 },
      protocol_num: null,
      src_endpoint_port: null,
      src_as_number: null,
      tcp_flags: null,
      bytes_total: 0,
      packets_total: 0,
      src_mac: null,
      unmapped: {}
    })
  })

  it("keeps the fields without a column by their name", () => {
    const payload = flow(
      field(3, 1000),
      field(4, 0),
      field(12, Uint8Array.of(10, 0, 0, 254)),
      field(13, 65_001),
      field(23, 184),
      field(29, 12),
      field(30, 0x0800),
      field(70, 5),
      field(80, 64),
      field(82, Uint8Array.of(10, 1, 1, 1)),
      field(100, Uint8Array.of(1, 2, 3)),
      packed(101, [4_259_840_100]),
      packed(102, [64_512, 0, 65_002]),
      field(106, 0),
      field(110, earlyNanos)
    )
    const unmapped = {
      sampling_rate: 1000,
      next_hop: "10.0.0.254",
      next_hop_as: 65_001,
      ip_tos: 184,
      vlan_id: 12,
      etype: 2048,
      observation_domain_id: 5,
      mpls_ttl: [64],
      mpls_ip: ["10.1.1.1"],
      bgp_next_hop: "010203",
      bgp_communities: [4_259_840_100],
      as_path: [64_512, 0, 65_002]
    }
    expect(process(payload).rows[0]!["unmapped"]).toEqual(unmapped)
    expect(processMessage(metrics, "flows.raw.x", payload).rows[0]!["metadata"]).toEqual(unmapped)
  })

  it("does not multiply its counts by the sampling rate", () => {
    expect(process(flow(field(3, 1000), field(9, 5), field(10, 1))).rows[0]).toMatchObject({
      bytes_total: 5,
      packets_total: 1
    })
  })

  it("counts up to the largest number of the column", () => {
    expect(process(flow(field(9, 18_446_744_073_709_551_615n), field(3, 2n ** 60n))).rows[0]).toMatchObject({
      bytes_total: 9_223_372_036_854_775_807n,
      unmapped: { sampling_rate: 2n ** 60n }
    })
  })

  it.each([
    [0, "flows.raw.netflow", "NetFlow"],
    [1, "flows.raw.netflow", "sFlow v5"],
    [2, "flows.raw.x", "NetFlow v5"],
    [3, "flows.raw.x", "NetFlow v9"],
    [4, "flows.raw.x", "IPFIX"],
    [9, "flows.raw.sflow", "sFlow"]
  ])("of type %i from %s is of %s", (type, subject, source) => {
    expect(process(flow(field(1, type)), subject).rows[0]).toMatchObject({ flow_source: source })
  })

  it.each([4, 16])("has an address of %i bytes, and none of another length", (length) => {
    const payload = protobuf(field(6, new Uint8Array(length)), field(7, new Uint8Array(5)))
    expect(process(payload).rows[0]).toMatchObject({
      src_endpoint_ip: length === 4 ? "0.0.0.0" : "::",
      dst_endpoint_ip: null
    })
  })

  it.each([
    ["white space", field(4, 0x20)],
    ["white space and a bracket", field(4, 0x7b)]
  ])("may begin like %s", (_, first) => {
    expect(process(protobuf(first, ...both)).rows).toHaveLength(1)
  })

  it("may come in a CloudEvent", () => {
    const envelope = {
      specversion: "1.0",
      time: "2024-02-01T00:00:00Z",
      data_base64: Buffer.from(flow()).toString("base64")
    }
    expect(process(envelope).rows[0]).toMatchObject({
      src_endpoint_ip: "192.168.1.100",
      time: parseTimestamp("2024-02-01T00:00:00Z")
    })
  })

  it.each([
    ["flows", "malformed_protobuf"],
    ["{flows", "malformed_json"],
    ["42", "unsupported_type"],
    [protobuf(field(2, 1)), "malformed_protobuf"],
    [protobuf(field(6, address)).subarray(0, 3), "malformed_protobuf"],
    [protobuf(field(20, 6)), "missing_field:src_addr"]
  ])("%s is a dead letter", (payload, reason) => {
    expect(process(payload)).toMatchObject({ outcome: { _tag: "DeadLetter", reason }, rows: [] })
  })
})

describe("flows in protobuf and in JSON", () => {
  const zeroAbsent = fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined })
  const counts = fc.option(fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }), { nil: undefined })
  const nanos = fc.option(fc.bigInt({ min: 10n ** 17n, max: 2n ** 63n }), { nil: undefined })
  const flows = fc.record({
    src: fc.uint8Array({ minLength: 4, maxLength: 4 }),
    ports: fc.tuple(zeroAbsent, zeroAbsent),
    numbers: fc.tuple(zeroAbsent, zeroAbsent, zeroAbsent, zeroAbsent, zeroAbsent),
    counts: fc.tuple(counts, counts, counts, counts, counts, counts),
    times: fc.tuple(nanos, nanos),
    path: fc.array(fc.integer({ min: 0, max: 4_294_967_295 }), { minLength: 1, maxLength: 3 })
  })

  it("become the same row", () => {
    fc.assert(
      fc.property(flows, ({ src, ports, numbers, counts, times, path }) => {
        const [tcpFlags, sourceAs, input, output, protocol] = numbers
        const fields: ReadonlyArray<readonly [number, string, number | bigint | undefined]> = [
          [21, "src_port", ports[0]],
          [22, "dst_port", ports[1]],
          [26, "tcp_flags", tcpFlags],
          [14, "src_as", sourceAs],
          [18, "input_snmp", input],
          [19, "output_snmp", output],
          [20, "protocol", protocol],
          [9, "octets", counts[0]],
          [10, "packets", counts[1]],
          [113, "bytes_in", counts[2]],
          [114, "bytes_out", counts[3]],
          [115, "packets_in", counts[4]],
          [116, "packets_out", counts[5]],
          [111, "start_time", times[0]],
          [112, "end_time", times[1]]
        ]
        const encoded = protobuf(
          field(6, src),
          ...fields.flatMap(([number, , value]) => (value === undefined ? [] : [field(number, value)])),
          packed(102, path)
        )
        const given = fields.flatMap(([, name, value]) => (value === undefined ? [] : [[name, value] as const]))
        const written = jsonText({ src_addr: src.join("."), as_path: path, ...Object.fromEntries(given) })
        expect(process(encoded)).toEqual(process(written))
        const { metadata, ...columns } = processMessage(metrics, "flows.raw.x", encoded).rows[0]!
        expect(metadata).toEqual({ as_path: path })
        expect(processMessage(metrics, "flows.raw.x", written).rows[0]).toEqual({ ...columns, metadata: null })
      })
    )
  })
})
