import { describe, expect, it } from "vitest"
import { processMessage, receivedAt } from "../../testing/process-message.ts"
import { uuidV5 } from "../fields/identity.ts"
import { parseTimestamp } from "../fields/time.ts"
import { makeProcessor } from "./index.ts"

const at = (text: string) => parseTimestamp(text)
const base64 = (text: string) => Buffer.from(text).toString("base64")

const [early, late] = ["2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z"]

const toOcsf = makeProcessor({ type: "Events", output: "OcsfEvents", skipSubjects: [] })
const convert = (payload: unknown, subject = "events.syslog", headers = {}) =>
  processMessage(toOcsf, subject, payload, headers)
const converted = (payload: object, subject?: string) => convert(payload, subject).rows[0]
const envelope = (fields: object) => ({ specversion: "1.0", ...fields })

describe("an event as Event Log Activity", () => {
  it("has every column", () => {
    const payload = {
      host: "h",
      short_message: "m",
      level: 3,
      timestamp: 1_705_315_800.5,
      version: "1.1",
      _remote_addr: "10.0.0.1:514",
      traceId: "t",
      span_id: "s"
    }
    expect(convert(payload)).toEqual({
      outcome: { _tag: "Rows" },
      rows: [
        {
          id: uuidV5("ocsf_events:seq:TEST:42:0"),
          time: 1_705_315_800_500_000,
          class_uid: 1008,
          category_uid: 1,
          type_uid: 100_801,
          activity_id: 1,
          activity_name: "Create",
          severity_id: 4,
          severity: "High",
          message: "m",
          status_id: 1,
          status: "Success",
          status_code: null,
          status_detail: null,
          metadata: {
            version: "1.7.0",
            product: { vendor_name: "EventStream", name: "eventstream" },
            logged_time: Number(receivedAt) / 1000,
            correlation_uid: "events.syslog"
          },
          observables: [
            { name: "src_endpoint.hostname", type: "Hostname", type_id: 1, value: "h" },
            { name: "src_endpoint.ip", type: "IP Address", type_id: 2, value: "10.0.0.1" }
          ],
          trace_id: "t",
          span_id: "s",
          actor: { app_name: "syslog" },
          device: { hostname: "h", ip: "10.0.0.1" },
          src_endpoint: { ip: "10.0.0.1", hostname: "h" },
          dst_endpoint: {},
          log_name: "events.syslog",
          log_provider: "h",
          log_level: "3",
          log_version: "1.1",
          unmapped: payload,
          raw_data: null
        }
      ]
    })
  })

  it.each<[column: string, payload: object, expected: unknown]>([
    ["id", { id: "given" }, uuidV5("ocsf_events:seq:TEST:42:0")],
    ["time", envelope({ time: early, data: { timestamp: late } }), at(early)],
    ["time", envelope({ data: { timestamp: late, time: early } }), at(late)],
    ["time", envelope({ time: "soon", data: { time: early } }), at(early)],
    ["time", { timestamp: early, time: late }, at(early)],
    ["time", { a: 1 }, receivedAt],
    ["severity_id", { severity_id: 99, level: 3 }, 99],
    ["severity_id", { severity_id: 7, level: 3 }, 4],
    ["severity_id", { severity_number: 13, level: 3 }, 3],
    ["severity_id", { level: 3, severity: "info" }, 4],
    ["severity_id", { level: "alert" }, 5],
    ["severity_id", { severity: "very high" }, 5],
    ["severity_id", { a: 1 }, 0],
    ["severity_id", { varbinds: [] }, 1],
    ["severity_id", { varbinds: [], severity: "high" }, 4],
    ["severity", { severity_id: 99 }, "Other"],
    ["severity", { varbinds: [] }, "Informational"],
    ["severity_id", envelope({ level: 3, data: { message: "m" } }), 0],
    ["message", { short_message: "a", message: "b", msg: "c", body: "d", event: "e" }, "a"],
    ["message", { message: "b", msg: "c", body: "d", event: "e" }, "b"],
    ["message", { msg: "c", body: "d", event: "e" }, "c"],
    ["message", { body: "d", event: "e" }, "d"],
    ["message", { event: "e" }, "e"],
    ["message", { event: { kind: "k" } }, '{"kind":"k"}'],
    ["message", { varbinds: [{ value: "OCTET STRING: link down" }] }, "link down"],
    ["message", { message: "m", varbinds: [{ value: "v" }] }, "m"],
    ["message", { varbinds: [{ value: 5 }] }, "SNMP trap received"],
    ["message", { a: 1 }, "Event received"],
    ["message", envelope({ data: "plain text" }), "plain text"],
    ["message", envelope({ data_base64: base64("plain text") }), "plain text"],
    ["message", envelope({ data: '{"msg":"inner"}' }), "inner"],
    ["message", envelope({ data_base64: base64('{"msg":"inner"}') }), "inner"],
    ["message", envelope({ data: {} }), "Event received"],
    ["message", { data: { message: "no envelope" } }, "Event received"],
    ["unmapped", envelope({ data: "plain text" }), { message: "plain text" }],
    ["unmapped", envelope({ id: "1", data: { a: { b: 1 } } }), { a: { b: 1 } }],
    ["unmapped", envelope({ id: "1", data: [1] }), envelope({ id: "1", data: [1] })],
    ["unmapped", envelope({ id: "1", data_base64: "/9j/4AAQ" }), envelope({ id: "1", data_base64: "/9j/4AAQ" })],
    ["unmapped", { data: { a: 1 } }, { data: { a: 1 } }],
    ["src_endpoint", { _remote_addr: "x", remote_addr: "10.0.0.2", source: "10.0.0.3" }, { ip: "10.0.0.2" }],
    ["src_endpoint", { source_ip: "[2001:DB8::1]:514", source: "10.0.0.3" }, { ip: "2001:db8::1" }],
    ["src_endpoint", { source: "192.0.2.1:161" }, { ip: "192.0.2.1" }],
    ["src_endpoint", { source: "switch", hostname: "h" }, { hostname: "h" }],
    ["src_endpoint", envelope({ source: "10.0.0.1", data: { host: "h" } }), { hostname: "h" }],
    ["src_endpoint", { host: "" }, {}],
    ["device", { hostname: "h", source: "10.0.0.1" }, { hostname: "h", ip: "10.0.0.1" }],
    ["device", { a: 1 }, {}],
    ["observables", { a: 1 }, []],
    [
      "observables",
      { remote_addr: "10.0.0.1" },
      [{ name: "src_endpoint.ip", type: "IP Address", type_id: 2, value: "10.0.0.1" }]
    ],
    ["actor", envelope({ source: "flowgger", data: { source: "inner" } }), { app_name: "flowgger" }],
    ["actor", envelope({ data: { source: "inner" } }), { app_name: "syslog" }],
    ["actor", { source: "plain" }, { app_name: "syslog" }],
    ["trace_id", { trace_id: "a", traceId: "b" }, "a"],
    ["span_id", { spanId: "b" }, "b"],
    ["log_name", envelope({ subject: "s", data: { subject: "d" } }), "s"],
    ["log_name", { subject: "plain" }, "events.syslog"],
    ["log_provider", { host: "h", hostname: "n", source: "s" }, "h"],
    ["log_provider", { source: "s" }, "s"],
    ["log_provider", envelope({ source: "flowgger", data: { a: 1 } }), "flowgger"],
    ["log_provider", { a: 1 }, "unknown"],
    ["log_level", { severity: "Notice", level: 3 }, "Notice"],
    ["log_level", { level: 0 }, "0"],
    ["log_level", { severity_text: "x" }, null],
    ["log_version", { version: 1.1 }, "1.1"],
    ["log_version", envelope({ version: "top", data: { a: 1 } }), null]
  ])("%s of %j", (column, payload, expected) => {
    expect(converted(payload)?.[column]).toEqual(expected)
  })

  it.each([
    ["events.syslog.a.b", "syslog"],
    ["acme.events.syslog", "syslog"],
    ["events.snmp.traps", "snmp"],
    ["snmp.traps", "snmp"],
    ["acme.snmp.traps", "snmp"]
  ])("the source of %s is %s", (subject, expected) => {
    expect(converted({ a: 1 }, subject)?.["actor"]).toEqual({ app_name: expected })
  })

  it("has no source on a subject of another kind", () => {
    const captured = makeProcessor({ type: "Events", output: "OcsfEvents", skipSubjects: [], subjects: ["audit"] })
    expect(processMessage(captured, "audit", { a: 1 }).rows[0]?.["actor"]).toEqual({ app_name: "unknown" })
  })

  it.each<[payload: object, expected: string | undefined]>([
    [envelope({ time: early, data: { timestamp: late } }), early],
    [envelope({ time: "soon", data: { a: 1 } }), "soon"],
    [{ timestamp: late }, late],
    [{ time: early }, early],
    [{ timestamp: 1_705_315_800 }, undefined],
    [{ a: 1 }, undefined]
  ])("the original time of %j is %s", (payload, expected) => {
    const metadata = converted(payload)?.["metadata"] as Readonly<Record<string, unknown>>
    expect(metadata["original_time"]).toBe(expected)
  })

  it("has the activity and the product that are configured", () => {
    const processor = makeProcessor({
      type: "Events",
      output: "OcsfEvents",
      skipSubjects: [],
      ocsf: { eventLogActivityId: 99, product: { vendorName: "Acme", name: "Sensor", version: "2" } }
    })
    expect(processMessage(processor, "events.x", { a: 1 }).rows[0]).toMatchObject({
      activity_id: 99,
      activity_name: "Other",
      type_uid: 100_899,
      metadata: { product: { vendor_name: "Acme", name: "Sensor", version: "2" } }
    })
  })

  it("keeps the payload on request", () => {
    const processor = makeProcessor({ type: "Events", output: "OcsfEvents", storeRaw: true, skipSubjects: [] })
    expect(processMessage(processor, "events.x", '{"a": 1}').rows[0]).toMatchObject({ raw_data: '{"a": 1}' })
    expect(
      processMessage(processor, "events.x", '{"class_uid": 1, "activity_id": 1, "raw_data": "own"}').rows[0]
    ).toMatchObject({ raw_data: "own" })
  })
})
