import { describe, expect, it } from "vitest"
import { processMessage, receivedAt } from "../../testing/process-message.ts"
import { uuidV5 } from "../fields/identity.ts"
import { parseTimestamp } from "../fields/time.ts"
import { makeProcessor } from "./index.ts"

const netflow = makeProcessor({ type: "NetFlow", skipSubjects: [] })
const process = (payload: unknown) => processMessage(netflow, "flows.raw.x", payload)
const at = (text: string) => parseTimestamp(text)

const [early, late] = ["2024-01-01T00:00:00Z", "2024-01-01T00:00:01.5Z"]

describe("an OCSF network activity", () => {
  const ocsf = {
    time: 1_704_067_200_000,
    start_time: early,
    end_time: late,
    src_endpoint: {
      ip: "10.0.0.1",
      port: 45_678,
      mac: "00:11:22:aa:bb:cc",
      autonomous_system: { number: 64_512 },
      x: 1
    },
    dst_endpoint: { ip: "[2001:DB8::1]:443", port: "443", autonomous_system: { number: 4_200_000_000 } },
    connection_info: { protocol_num: 6, protocol_name: "tcp", tcp_flags: 17, direction_id: 2 },
    traffic: { bytes: 1000, packets: 10, bytes_in: 600, bytes_out: 400, packets_in: 6, packets_out: 4 },
    observables: [{ name: "sampler", type_id: 2, value: "10.9.9.9" }],
    device: { uid: "router-1" },
    metadata: { version: "1.6.0" },
    unmapped: { a: null },
    gateway_id: "gateway-1",
    agentId: "agent-1",
    partition: "lab"
  }

  it("is stored as it is given", () => {
    expect(process(ocsf).rows[0]).toMatchObject({
      id: uuidV5("ocsf_network_activity:seq:TEST:42:0"),
      time: at(early),
      class_uid: 4001,
      category_uid: 4,
      activity_id: 6,
      type_uid: 400_106,
      severity_id: 1,
      start_time: at(early),
      end_time: at(late),
      duration: 1500,
      metadata: ocsf.metadata,
      src_endpoint: ocsf.src_endpoint,
      dst_endpoint: ocsf.dst_endpoint,
      connection_info: ocsf.connection_info,
      traffic: ocsf.traffic,
      device: ocsf.device,
      actor: {},
      unmapped: ocsf.unmapped,
      observables: ocsf.observables,
      protocol_num: 6,
      protocol_name: "tcp",
      direction: "Outbound",
      direction_id: 2,
      src_endpoint_ip: "10.0.0.1",
      dst_endpoint_ip: "2001:db8::1",
      src_endpoint_port: 45_678,
      dst_endpoint_port: 443,
      src_as_number: 64_512,
      dst_as_number: 4_200_000_000,
      tcp_flags: 17,
      tcp_flags_labels: ["ACK", "FIN"],
      bytes_total: 1000,
      packets_total: 10,
      bytes_in: 600,
      bytes_out: 400,
      packets_in: 6,
      packets_out: 4,
      direction_label: "bidirectional",
      dst_service_label: "HTTPS",
      src_mac: "001122AABBCC",
      sampler_address: "10.9.9.9",
      gateway_id: "gateway-1",
      agent_id: "agent-1",
      partition: "lab",
      raw_data: null
    })
  })

  const source = { src_endpoint: { ip: "10.0.0.1" } }

  it("has defaults for what it does not say, and no invented objects", () => {
    expect(process(source).rows[0]).toMatchObject({
      time: receivedAt,
      type_uid: 400_106,
      activity_name: "Traffic",
      severity: "Informational",
      action: "Allowed",
      status: "Success",
      duration: null,
      metadata: {},
      dst_endpoint: {},
      connection_info: {},
      traffic: {},
      device: {},
      actor: {},
      unmapped: {},
      observables: [],
      protocol_name: "Unknown",
      direction: null,
      direction_id: 0,
      bytes_total: 0,
      sampler_address: null,
      partition: "default"
    })
  })

  it.each([
    [
      { class_uid: 4003, activity_id: 1 },
      { class_uid: 4003, type_uid: 400_301, activity_name: "Open" }
    ],
    [{ activity_id: 0 }, { activity_id: 0, type_uid: 400_100, activity_name: "Unknown" }],
    [
      { type_uid: 5, activity_name: "x" },
      { type_uid: 5, activity_name: "x" }
    ],
    [{ severity_id: 0 }, { severity_id: 0, severity: "Unknown" }],
    [{ severity_id: 4 }, { severity_id: 4, severity: "High" }],
    [
      { status_id: 2, status_code: 7 },
      { status_id: 2, status: "Failure", status_code: "7" }
    ],
    [
      { action_id: 2, status_detail: "d" },
      { action: "Denied", status_detail: "d" }
    ],
    [{ duration: 7 }, { duration: 7 }],
    [{ duration: -7 }, { duration: null }],
    [
      { message: "m", raw_data: "r" },
      { message: "m", raw_data: "r" }
    ],
    [{ connection_info: { direction: "Inbound" } }, { direction: "Inbound", direction_id: 1 }],
    [{ connection_info: { direction_id: 99 } }, { direction: null, direction_id: 99 }],
    [{ connection_info: { protocol_num: 17 } }, { protocol_num: 17, protocol_name: "UDP" }],
    [{ observables: [{ value: "host" }] }, { sampler_address: null }],
    [{ observables: ["10.0.0.1"] }, { sampler_address: null, observables: ["10.0.0.1"] }],
    [{ observables: '[{"value":"::1"}]' }, { observables: [{ value: "::1" }] }],
    [{ traffic: { bytes: -1 } }, { bytes_total: 0, traffic: { bytes: -1 } }],
    [{ dst_endpoint: "x" }, { dst_endpoint: { raw: "x" }, dst_endpoint_ip: null }]
  ])("of %j", (fields, columns) => {
    expect(process({ ...source, ...fields }).rows[0]).toMatchObject(columns)
  })
})
