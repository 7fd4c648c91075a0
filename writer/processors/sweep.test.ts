import { describe, expect, it } from "vitest"
import { processMessage, receivedAt } from "../../testing/process-message.ts"
import { uuidV5 } from "../fields/identity.ts"
import { parseTimestamp } from "../fields/time.ts"
import { makeProcessor } from "./index.ts"

const sweep = makeProcessor({ type: "Sweep", skipSubjects: ["sweep.skip.>"] })
const states = makeProcessor({ type: "Sweep", output: "SweepHostStates", skipSubjects: [] })
const process = (payload: unknown, subject = "sweep.results") => processMessage(sweep, subject, payload)
const row = (fields: object) => process({ host_ip: "10.0.0.1", ...fields }).rows[0]
const state = (fields: object) => processMessage(states, "sweep.results", { host_ip: "10.0.0.1", ...fields }).rows[0]
const at = (text: string) => parseTimestamp(text)

const [early, late] = ["2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z"]

const everything = {
  host_ip: "192.168.1.100",
  gateway_id: "gateway-1",
  agent_id: "agent-1",
  partition: "lab",
  network_cidr: "192.168.1.0/24",
  hostname: "server1",
  mac: "00:11:22:33:44:55",
  icmp_available: true,
  icmp_response_time_ns: 1_999_999,
  icmp_packet_loss: 0.5,
  tcp_ports_scanned: [22, 80, 443],
  tcp_ports_open: [443, 22],
  port_scan_results: [{ port: 80, available: true }],
  last_sweep_time: early,
  first_seen: late,
  metadata: { rack: 7 },
  execution_id: "e-1",
  config_hash: null
}

const snakeToCamel = (name: string) => name.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase())
const camelCased = (object: object) =>
  Object.fromEntries(Object.entries(object).map(([name, value]) => [snakeToCamel(name), value]))

describe("a scan as a network activity", () => {
  it("says little of a host that did not answer", () => {
    expect(process({ host_ip: "10.0.0.1" })).toEqual({
      outcome: { _tag: "Rows" },
      rows: [
        {
          id: uuidV5("ocsf_network_activity:seq:TEST:42:0"),
          time: receivedAt,
          class_uid: 4001,
          category_uid: 4,
          activity_id: 99,
          type_uid: 400_199,
          severity_id: 1,
          activity_name: "Scan",
          severity: "Informational",
          message: "Network scan: 10.0.0.1 is unreachable",
          action_id: null,
          action: null,
          status_id: 2,
          status: "Failure",
          status_code: null,
          status_detail: null,
          start_time: null,
          end_time: null,
          duration: null,
          metadata: {
            version: "1.7.0",
            product: { vendor_name: "EventStream", name: "eventstream" },
            logged_time: 1_768_435_200_000,
            correlation_uid: "sweep.results"
          },
          src_endpoint: { ip: "10.0.0.1" },
          dst_endpoint: {},
          connection_info: {},
          traffic: {},
          device: {},
          actor: {},
          unmapped: {},
          observables: [{ name: "src_endpoint.ip", type: "IP Address", type_id: 2, value: "10.0.0.1" }],
          protocol_num: null,
          protocol_name: null,
          direction: null,
          direction_id: null,
          src_endpoint_ip: "10.0.0.1",
          dst_endpoint_ip: null,
          src_endpoint_port: null,
          dst_endpoint_port: null,
          src_as_number: null,
          dst_as_number: null,
          tcp_flags: null,
          tcp_flags_labels: [],
          bytes_total: null,
          packets_total: null,
          bytes_in: null,
          bytes_out: null,
          packets_in: null,
          packets_out: null,
          direction_label: null,
          dst_service_label: null,
          src_mac: null,
          dst_mac: null,
          sampler_address: null,
          flow_source: null,
          scan_type: "network_discovery",
          ports_scanned: [],
          ports_open: [],
          icmp_available: false,
          response_time_ns: null,
          gateway_id: null,
          agent_id: null,
          raw_data: null,
          partition: "default"
        }
      ]
    })
  })

  it("says what is known of a host", () => {
    expect(row(everything)).toMatchObject({
      time: at(early),
      message: "Network scan: server1 (192.168.1.100) is reachable",
      status_id: 1,
      status: "Success",
      duration: 1,
      metadata: { original_time: early },
      src_endpoint: { ip: "192.168.1.100", hostname: "server1", mac: "00:11:22:33:44:55" },
      connection_info: { network_cidr: "192.168.1.0/24" },
      device: { name: "gateway-1" },
      actor: { app_name: "agent-1" },
      unmapped: { execution_id: "e-1", config_hash: null },
      observables: [
        { name: "src_endpoint.ip", type_id: 2, value: "192.168.1.100" },
        { name: "src_endpoint.hostname", type_id: 1, value: "server1" },
        { name: "src_endpoint.mac", type_id: 3, value: "00:11:22:33:44:55" }
      ],
      protocol_num: 1,
      protocol_name: "ICMP",
      ports_scanned: [22, 80, 443],
      ports_open: [443, 22],
      icmp_available: true,
      response_time_ns: 1_999_999,
      gateway_id: "gateway-1",
      agent_id: "agent-1",
      partition: "lab"
    })
  })

  it("is the same under the names in camel case", () => {
    const { executionId, configHash, ...renamed } = camelCased(everything) as Record<string, unknown>
    expect([executionId, configHash]).toEqual(["e-1", null])
    expect(process(renamed).rows[0]).toEqual({ ...row(everything), unmapped: {} })
  })

  it.each([
    [{ host_ip: "2001:DB8::0:1" }, "2001:db8::1"],
    [{ hostIp: "10.0.0.2:443" }, "10.0.0.2"],
    [{ host_ip: " ", ip: "10.0.0.3" }, "10.0.0.3"]
  ])("of the host %j", (payload, ip) => {
    expect(process(payload).rows[0]).toMatchObject({ src_endpoint_ip: ip, src_endpoint: { ip }, unmapped: {} })
  })

  it.each([
    [{}, false, 2, null],
    [{ icmp_available: "yes" }, true, 1, "ICMP"],
    [{ icmp_available: "perhaps" }, false, 2, null],
    [{ icmp_available: false, icmpAvailable: true }, false, 2, null],
    [{ icmp_available: null, icmpAvailable: 1 }, true, 1, "ICMP"],
    [{ icmp_available: false, tcp_ports_open: [22] }, false, 1, "TCP"],
    [{ icmp_available: true, tcp_ports_open: [22] }, true, 1, "ICMP"],
    [{ tcp_ports_open: ["none"] }, false, 2, null],
    [{ tcp_ports_scanned: [22] }, false, 2, null]
  ])("%j answers accordingly", (fields, icmp, statusId, protocol) => {
    expect(row(fields)).toMatchObject({ icmp_available: icmp, status_id: statusId, protocol_name: protocol })
  })

  it.each([
    [{ tcp_ports_open: ["22", 80, 70_000, "x", null, -1, 443.5, 22] }, [22, 80, 443, 22]],
    [{ tcpPortsOpen: "[80, 22]" }, [80, 22]],
    [{ tcp_ports_open: "80, 22" }, []],
    [{ tcp_ports_open: 22 }, []],
    [{ tcp_ports_open: [], port_results: [{ port: 1, open: true }] }, []],
    [{ port_scan_results: [{ port: 1, available: true }, { port: "2", open: "true" }, { port: 3 }, 4] }, [1, 2]],
    [{ portScanResults: [{ port: 1, available: false, open: true }] }, []],
    [{ port_results: '[{"port":5,"open":1}]' }, [5]],
    [{ portResults: [{ open: true }, { port: 99_999, open: true }, { port: 6, open: true }] }, [6]],
    [{ tcp_ports_open: null, portResults: [{ port: 7, open: true }] }, [7]]
  ])("ports of %j", (fields, ports) => {
    expect(row(fields)).toMatchObject({ ports_open: ports, ports_scanned: [], unmapped: {} })
  })

  it("takes the ports that were tried as it takes the open ones", () => {
    expect(row({ tcp_ports_scanned: ["443", 22, "y"] })).toMatchObject({ ports_scanned: [443, 22] })
    expect(row({ tcpPortsScanned: "[1]" })).toMatchObject({ ports_scanned: [1] })
  })

  it("is of low severity from the sixth open port on", () => {
    const ports = [1, 2, 3, 4, 5]
    expect(row({ tcp_ports_open: ports })).toMatchObject({ severity_id: 1, severity: "Informational" })
    expect(row({ tcp_ports_open: [...ports, 6] })).toMatchObject({ severity_id: 2, severity: "Low" })
  })

  it.each([
    ["1500000", 1_500_000, 1],
    [999_999, 999_999, 0],
    [0, 0, 0],
    [-1, null, null],
    ["fast", null, null],
    [1_500_000.9, 1_500_000, 1]
  ])("response time %s", (given, nanos, millis) => {
    expect(row({ icmp_response_time_ns: given })).toMatchObject({ response_time_ns: nanos, duration: millis })
  })

  it("keeps every digit of a response time", () => {
    const payload = '{"host_ip":"10.0.0.1","icmpResponseTimeNs":9223372036854775807}'
    expect(process(payload).rows[0]).toMatchObject({
      response_time_ns: 9_223_372_036_854_775_807n,
      duration: 9_223_372_036_854
    })
  })

  it.each([
    [{ last_sweep_time: early, timestamp: late }, at(early), early],
    [{ lastSweepTime: 1_704_067_200 }, at(early), undefined],
    [{ last_sweep_time: "never", timestamp: late }, at(late), "never"],
    [{ timestamp: late }, at(late), late],
    [{ last_sweep_time: 0 }, receivedAt, undefined]
  ])("time of %j", (fields, time, original) => {
    const { metadata, ...columns } = row(fields)!
    expect(columns["time"]).toBe(time)
    expect((metadata as { original_time?: string }).original_time).toBe(original)
  })

  it("keeps its payload when that is wanted, and names the product", () => {
    const configured = makeProcessor({
      type: "Sweep",
      storeRaw: true,
      ocsf: { product: { vendorName: "ACME", name: "scanner", version: "2" } },
      skipSubjects: []
    })
    const raw = (payload: unknown) => processMessage(configured, "sweep.x", payload).rows.map((r) => r["raw_data"])
    expect(raw('{ "ip": "10.0.0.1" }')).toEqual(['{ "ip": "10.0.0.1" }'])
    expect(raw([{ ip: "10.0.0.1" }, { ip: "10.0.0.2" }])).toEqual(['{"ip":"10.0.0.1"}', '{"ip":"10.0.0.2"}'])
    expect(processMessage(configured, "sweep.x", { ip: "10.0.0.1" }).rows[0]!["metadata"]).toMatchObject({
      product: { vendor_name: "ACME", name: "scanner", version: "2" }
    })
  })
})

describe("a scan as the state of a host", () => {
  it("has defaults for what is not given", () => {
    expect(state({})).toEqual({
      host_ip: "10.0.0.1",
      gateway_id: "unknown",
      agent_id: "unknown",
      partition: "default",
      network_cidr: null,
      hostname: null,
      mac: null,
      icmp_available: null,
      icmp_response_time_ns: null,
      icmp_packet_loss: null,
      tcp_ports_scanned: null,
      tcp_ports_open: null,
      port_scan_results: null,
      last_sweep_time: receivedAt,
      first_seen: null,
      metadata: null
    })
  })

  it("has what is given, as it is given, under names of both kinds", () => {
    const { host_ip, execution_id: _, config_hash: __, ...given } = everything
    const expected = { ...given, host_ip, last_sweep_time: at(early), first_seen: at(late) }
    expect(state(everything)).toEqual(expected)
    expect(processMessage(states, "sweep.x", camelCased(everything)).rows[0]).toEqual(expected)
  })

  it.each([
    [{ gatewayId: "a", poller_id: "b" }, { gateway_id: "a" }],
    [{ poller_id: "b", pollerId: "c" }, { gateway_id: "b" }],
    [{ pollerId: 7 }, { gateway_id: "7" }],
    [{ icmp_available: "0" }, { icmp_available: false }],
    [{ icmp_available: "perhaps" }, { icmp_available: null }],
    [{ icmp_packet_loss: "0.25" }, { icmp_packet_loss: 0.25 }],
    [{ icmp_response_time_ns: -5 }, { icmp_response_time_ns: null }],
    [{ tcp_ports_open: "[22,80]" }, { tcp_ports_open: [22, 80] }],
    [{ tcp_ports_scanned: "22,80" }, { tcp_ports_scanned: { raw: "22,80" } }],
    [{ port_results: [{ port: 1 }] }, { port_scan_results: [{ port: 1 }] }],
    [{ metadata: "site=lab" }, { metadata: { site: "lab" } }],
    [{ first_seen: "0001-01-01T00:00:00Z" }, { first_seen: null }],
    [{ timestamp: early }, { last_sweep_time: at(early) }]
  ])("of %j", (fields, columns) => {
    expect(state(fields)).toMatchObject(columns)
  })
})

describe("what cannot be a scan", () => {
  it.each([
    [{ hostname: "h" }, "missing_field:host_ip"],
    [{ host_ip: null, ip: "" }, "missing_field:host_ip"],
    [{ host_ip: "server1" }, "invalid_field:host_ip"],
    [{ host_ip: 167_772_161 }, "invalid_field:host_ip"],
    [{ host_ip: "10.0.0.0/8" }, "invalid_field:host_ip"],
    ["{", "malformed_json"],
    ["42", "unsupported_type"],
    [["10.0.0.1"], "unsupported_type"]
  ])("%j is a dead letter", (payload, reason) => {
    for (const processor of [sweep, states]) {
      expect(processMessage(processor, "sweep.x", payload)).toMatchObject({
        outcome: { _tag: "DeadLetter", reason },
        rows: []
      })
    }
  })

  it("does not keep the others of its message back", () => {
    const { outcome, rows } = process([{ ip: "10.0.0.1" }, { ip: "x" }, { ip: "10.0.0.2" }])
    expect(outcome).toEqual({ _tag: "Rows", elements: [{ index: 1, reason: "invalid_field:host_ip" }] })
    expect(rows.map(({ id, src_endpoint_ip }) => [id, src_endpoint_ip])).toEqual([
      [uuidV5("ocsf_network_activity:seq:TEST:42:0"), "10.0.0.1"],
      [uuidV5("ocsf_network_activity:seq:TEST:42:1"), "10.0.0.2"]
    ])
  })

  it("may be of another subject", () => {
    const outcome = (subject: string) => process({ ip: "10.0.0.1" }, subject).outcome
    expect(outcome("sweep")).toEqual({ _tag: "DeadLetter", reason: "unroutable_subject" })
    expect(outcome("acme.sweep.results")).toEqual({ _tag: "Rows" })
    expect(outcome("sweep.skip.x")).toEqual({ _tag: "Dropped", reason: "skipped_subject" })
  })
})

describe("a CloudEvent with a scan", () => {
  it("has its time where the scan has none", () => {
    const envelope = { specversion: "1.0", id: "1", source: "s", type: "t", time: late }
    const time = (data: unknown) => process({ ...envelope, data }).rows.map((r) => r["time"])
    expect(time({ ip: "10.0.0.1" })).toEqual([at(late)])
    expect(time([{ ip: "10.0.0.1", timestamp: early }, { ip: "10.0.0.2" }])).toEqual([at(early), at(late)])
  })
})
