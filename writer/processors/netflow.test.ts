import { describe, expect, it } from "vitest"
import { processMessage, receivedAt } from "../../testing/process-message.ts"
import { field, protobuf } from "../../testing/protobuf.ts"
import { uuidV5 } from "../fields/identity.ts"
import { parseTimestamp } from "../fields/time.ts"
import { makeProcessor } from "./index.ts"

const netflow = makeProcessor({ type: "NetFlow", skipSubjects: ["netflow.skip"] })
const metrics = makeProcessor({ type: "NetFlow", output: "NetflowMetrics", skipSubjects: [] })
const process = (payload: unknown, subject = "flows.raw.x") => processMessage(netflow, subject, payload)
const ends = { src_addr: "10.0.0.1", dst_addr: "10.0.0.2" }
const metric = (fields: object) => processMessage(metrics, "flows.raw.x", { ...ends, ...fields }).rows[0]
const at = (text: string) => parseTimestamp(text)

const [early, late] = ["2024-01-01T00:00:00Z", "2024-01-01T00:00:01.5Z"]

describe("a flow as a metric", () => {
  it("has defaults for what it does not say", () => {
    expect(metric({})).toEqual({
      timestamp: receivedAt,
      id: uuidV5("netflow_metrics:seq:TEST:42:0"),
      gateway_id: null,
      agent_id: null,
      device_id: null,
      flow_direction: null,
      src_addr: "10.0.0.1",
      dst_addr: "10.0.0.2",
      src_port: null,
      dst_port: null,
      protocol: null,
      packets: 0,
      octets: 0,
      sampler_address: null,
      input_snmp: null,
      output_snmp: null,
      metadata: null
    })
  })

  it("has what it says", () => {
    const given = {
      timestamp: late,
      gatewayId: "gateway-1",
      agentId: "agent-1",
      deviceId: "router-1",
      flowDirection: "ingress",
      srcAddr: "192.168.1.100",
      dstAddr: "2001:DB8::1",
      srcPort: 45_678,
      dstPort: "443",
      protocol: "tcp",
      packets: 100,
      bytes: 150_000,
      samplerAddress: "10.9.9.9",
      inputSnmp: 3,
      outputSnmp: 4_294_967_295,
      metadata: "site=a",
      other: 1
    }
    expect(processMessage(metrics, "netflow.x", given).rows[0]).toEqual({
      timestamp: at(late),
      id: uuidV5("netflow_metrics:seq:TEST:42:0"),
      gateway_id: "gateway-1",
      agent_id: "agent-1",
      device_id: "router-1",
      flow_direction: "ingress",
      src_addr: "192.168.1.100",
      dst_addr: "2001:db8::1",
      src_port: 45_678,
      dst_port: 443,
      protocol: 6,
      packets: 100,
      octets: 150_000,
      sampler_address: "10.9.9.9",
      input_snmp: 3,
      output_snmp: null,
      metadata: { site: "a" }
    })
  })

  it("may be made of an OCSF network activity", () => {
    const activity = {
      time: early,
      src_endpoint: { ip: "10.0.0.1", port: 1 },
      traffic: { bytes: 5, packets: 2 },
      metadata: { version: "1.7.0" }
    }
    expect(processMessage(metrics, "netflow.x", activity).rows[0]).toMatchObject({
      timestamp: at(early),
      src_addr: "10.0.0.1",
      src_port: 1,
      octets: 5,
      packets: 2,
      metadata: { version: "1.7.0" }
    })
  })
})

describe("a message with flows", () => {
  it("writes the good ones, each with an id of its own that a redelivery gives again", () => {
    const payload = [ends, { foo: 1 }, 5, { src_endpoint: { ip: "10.0.0.3" } }]
    const headers = { "Nats-Msg-Id": "abc-1" }
    const { outcome, rows } = processMessage(netflow, "netflow.x", payload, headers)
    expect(outcome).toEqual({
      _tag: "Rows",
      elements: [
        { index: 1, reason: "missing_field:src_addr" },
        { index: 2, reason: "unsupported_type" }
      ]
    })
    expect(rows.map(({ id }) => id)).toEqual([0, 1].map((i) => uuidV5(`ocsf_network_activity:msg:abc-1:${i}`)))
    expect(processMessage(netflow, "netflow.x", payload, headers)).toEqual({ outcome, rows })
  })

  it("is kept where that is wanted: JSON as text, protobuf as base64", () => {
    const storing = makeProcessor({ type: "NetFlow", storeRaw: true, skipSubjects: [] })
    const raw = (payload: unknown) => processMessage(storing, "netflow.x", payload).rows.map((r) => r["raw_data"])
    const flow = protobuf(field(6, Uint8Array.of(10, 0, 0, 1)))
    const base64 = Buffer.from(flow).toString("base64")
    expect(raw('{ "src_addr": "10.0.0.1" }')).toEqual(['{ "src_addr": "10.0.0.1" }'])
    expect(raw([ends, { dst_addr: "::1" }])).toEqual([JSON.stringify(ends), '{"dst_addr":"::1"}'])
    expect(raw(flow)).toEqual([base64])
    expect(raw({ specversion: "1.0", data_base64: base64 })).toEqual([base64])
  })

  it.each([
    ["netflow.x", { _tag: "Rows" }],
    ["flows.raw.sflow", { _tag: "Rows" }],
    ["acme.flows.raw.sflow", { _tag: "Rows" }],
    ["netflow", { _tag: "DeadLetter", reason: "unroutable_subject" }],
    ["flows.x", { _tag: "DeadLetter", reason: "unroutable_subject" }],
    ["netflow.skip", { _tag: "Dropped", reason: "skipped_subject" }]
  ])("of subject %s", (subject, outcome) => {
    expect(process(ends, subject).outcome).toEqual(outcome)
  })

  it.each([["{}"], ["[]"], [" \n"], [""]])("may be empty: %j", (payload) => {
    expect(process(payload).outcome).toEqual({ _tag: "Dropped", reason: "empty_payload" })
  })
})
