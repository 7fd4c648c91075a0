import { describe, expect, it } from "vitest"
import { processMessage, receivedAt } from "../../testing/process-message.ts"
import type { ProcessorConfig } from "../processor-config.ts"
import { uuidV5 } from "../fields/identity.ts"
import type { Value } from "../tables/table.ts"
import { makeProcessor } from "./index.ts"

type Fields = Readonly<Record<string, unknown>>

const make = (config: Partial<ProcessorConfig> = {}) => makeProcessor({ type: "Logs", skipSubjects: [], ...config })
const processor = make()
const process = (payload: unknown, subject = "logs.app") => processMessage(processor, subject, payload)
const row = (payload: unknown, subject?: string) => process(payload, subject).rows[0]
const otlp = (record: object, attributes: ReadonlyArray<object> = [], scope = {}) =>
  row({ resourceLogs: [{ resource: { attributes }, scopeLogs: [{ scope, logRecords: [record] }] }] })

const product = { vendor_name: "EventStream", name: "eventstream" }
const metadata = { version: "1.7.0", product, logged_time: (receivedAt as number) / 1000, correlation_uid: "logs.app" }

describe("a log as an OCSF event", () => {
  it("has the fixed values of its class when it says nothing", () => {
    expect(row({ blank: "" })).toEqual({
      id: uuidV5("ocsf_events:seq:TEST:42:0"),
      time: receivedAt,
      class_uid: 1008,
      category_uid: 1,
      type_uid: 100_801,
      activity_id: 1,
      activity_name: "Create",
      severity_id: 0,
      severity: "Unknown",
      message: "Event received",
      status_id: 1,
      status: "Success",
      status_code: null,
      status_detail: null,
      metadata,
      observables: [],
      trace_id: null,
      span_id: null,
      actor: {},
      device: {},
      src_endpoint: {},
      dst_endpoint: {},
      log_name: "logs.app",
      log_provider: "unknown",
      log_level: null,
      log_version: null,
      unmapped: {},
      raw_data: null
    })
  })

  it.each<[column: string, fields: Fields, expected: unknown]>([
    ["time", { timestamp: "2024-01-15T10:50:00.123456Z" }, 1_705_315_800_123_456],
    ["severity_id", { severity_id: 99, level: 3 }, 99],
    ["severity", { severity_id: 99 }, "Other"],
    ["severity_id", { level: 5 }, 2],
    ["severity", { severity_text: "CRITICAL" }, "Critical"],
    ["message", { short_message: "m" }, "m"],
    ["message", { varbinds: [{ value: "STRING: up" }] }, "up"],
    ["trace_id", { traceId: "t" }, "t"],
    ["span_id", { span_id: "s" }, "s"],
    ["log_name", { logger: "l", scope_name: "s" }, "l"],
    ["log_name", { logger: " ", scope: { name: "s" } }, "s"],
    ["log_provider", { serviceName: "p", host: "h" }, "p"],
    ["log_provider", { host: "h" }, "h"],
    ["log_level", { severityText: "Odd", severity: "x", level: 3 }, "Odd"],
    ["log_level", { severity: "x", level: 3 }, "x"],
    ["log_level", { severity: "", level: 3 }, "3"],
    ["log_level", { severity_number: 17 }, null],
    ["log_version", { scope_version: 2 }, "2"],
    ["actor", { service: "a", service_version: "1" }, { app_name: "a", app_ver: "1" }],
    ["actor", { service_version: "1" }, { app_ver: "1" }],
    ["device", { hostname: "a", host: "b", resource: { "host.name": "c" } }, { hostname: "a" }],
    ["device", { host: "b", resource: { "host.name": "c" } }, { hostname: "b" }],
    ["device", { resource: { "host.name": "c", "host.ip": "192.0.2.7" } }, { hostname: "c", ip: "192.0.2.7" }],
    ["device", { resource: { "host.ip": ["?", "2001:DB8::7", "192.0.2.7"] } }, { ip: "2001:db8::7" }],
    ["device", { host_ip: "192.0.2.1", ip: "192.0.2.2" }, { ip: "192.0.2.1" }],
    ["device", { ip: "192.0.2.2:514", ip_address: "192.0.2.3" }, { ip: "192.0.2.2" }],
    ["device", { ip_address: "[2001:DB8::1]:514" }, { ip: "2001:db8::1" }],
    ["device", { ip: "not an address", resource: { "host.ip": "192.0.2.7" } }, { ip: "192.0.2.7" }],
    ["src_endpoint", { _remote_addr: "192.0.2.8:514", remote_addr: "192.0.2.9" }, { ip: "192.0.2.8" }],
    ["src_endpoint", { remote_addr: "192.0.2.9", host: "h", ip: "192.0.2.2" }, { ip: "192.0.2.9", hostname: "h" }],
    ["src_endpoint", { remote_addr: "?", ip: "192.0.2.2" }, { ip: "192.0.2.2" }],
    ["unmapped", { a: 0, resource: { r: null } }, { attributes: { a: 0 }, resource_attributes: { r: null } }],
    ["unmapped", { attributes: { a: null }, host: "h" }, { resource_attributes: { host: "h" } }],
    ["unmapped", { attributes: "x", resource_attributes: {} }, { attributes: { raw: "x" } }],
    ["unmapped", { resource: [] }, {}]
  ])("%s of %j", (column, fields, expected) => {
    expect(row(fields)?.[column]).toEqual(expected)
  })

  it.each<[fields: Fields, original: string | undefined]>([
    [{ timestamp: "2024-01-15 10:50:00" }, "2024-01-15 10:50:00"],
    [{ timestamp: 1_705_315_800, time: "2024-01-15T10:50:00Z" }, undefined],
    [{ timestamp: "soon", time: "2024-01-15T10:50:00Z" }, "2024-01-15T10:50:00Z"],
    [{ timestamp: 0, "@timestamp": "1705315800" }, "1705315800"],
    [{ timestamp: "soon" }, "soon"],
    [{ ts: "soon" }, "soon"]
  ])("metadata of %j", (fields, original_time) => {
    expect(row(fields)?.["metadata"]).toEqual({
      ...metadata,
      ...(original_time === undefined ? {} : { original_time })
    })
  })

  it("names what is observed once", () => {
    const observed = (fields: Fields) =>
      (row(fields)!["observables"] as ReadonlyArray<Fields>).map(({ name, type, type_id, value }) =>
        [name, type, type_id, value].join(" ")
      )
    expect(observed({ host: "h", ip: "192.0.2.2", remote_addr: "192.0.2.9" })).toEqual([
      "device.hostname Hostname 1 h",
      "device.ip IP Address 2 192.0.2.2",
      "src_endpoint.ip IP Address 2 192.0.2.9"
    ])
    expect(observed({ ip: "192.0.2.2" })).toEqual(["device.ip IP Address 2 192.0.2.2"])
    expect(observed({ _remote_addr: "192.0.2.9" })).toEqual(["src_endpoint.ip IP Address 2 192.0.2.9"])
  })

  it("of OTLP has the text of its severity, or else that of its number", () => {
    expect(otlp({ severityNumber: 22, severityText: "Alert!" })).toMatchObject({ severity_id: 6, log_level: "Alert!" })
    expect(otlp({ severityNumber: 14, severityText: " " })).toMatchObject({ severity_id: 3, log_level: "WARN" })
    expect(otlp({ severityText: "high" })).toMatchObject({ severity_id: 4, severity: "High", log_level: "high" })
    expect(otlp({ severityNumber: 25 })).toMatchObject({ severity_id: 0, log_level: null })
  })

  it("of OTLP has what its resource and its scope say", () => {
    const attributes = [
      { key: "service.name", value: { stringValue: "s" } },
      { key: "service.version", value: { stringValue: "1" } },
      { key: "host.name", value: { stringValue: "h" } },
      { key: "host.ip", value: { arrayValue: { values: [{ stringValue: "192.0.2.1" }, { stringValue: "::1" }] } } }
    ]
    const record = { attributes: [{ key: "logger", value: { stringValue: "l" } }] }
    expect(otlp(record, attributes, { name: "n", version: "2" })).toMatchObject({
      message: "Event received",
      log_name: "n",
      log_provider: "s",
      log_version: "2",
      actor: { app_name: "s", app_ver: "1" },
      device: { hostname: "h", ip: "192.0.2.1" },
      src_endpoint: { hostname: "h", ip: "192.0.2.1" },
      metadata,
      unmapped: {
        attributes: { logger: "l" },
        resource_attributes: {
          "service.name": "s",
          "service.version": "1",
          "host.name": "h",
          "host.ip": ["192.0.2.1", "::1"]
        }
      }
    })
    expect(otlp({})).toMatchObject({ log_name: "logs.app", log_provider: "unknown", unmapped: {} })
  })

  it("has the time of its envelope as its original time only when it has none", () => {
    const envelope = { specversion: "1.0", time: "2024-01-15T10:50:00Z" }
    const metadataOf = (data: object) => row({ ...envelope, data })?.["metadata"]
    const request = (record: object) => ({ resourceLogs: [{ scopeLogs: [{ logRecords: [record] }] }] })
    for (const data of [{ msg: "m" }, request({})]) {
      expect(metadataOf(data)).toEqual({ ...metadata, original_time: envelope.time })
    }
    for (const data of [{ ts: 1_705_315_800 }, request({ timeUnixNano: "1705315800000000000" })]) {
      expect(metadataOf(data)).toEqual(metadata)
    }
  })

  it("has the activity and the product that are configured", () => {
    const configured = make({ ocsf: { eventLogActivityId: 99, product: { vendorName: "v", name: "n", version: "3" } } })
    expect(processMessage(configured, "logs.app", { msg: "m" }).rows).toMatchObject([
      {
        activity_id: 99,
        activity_name: "Other",
        type_uid: 100_899,
        metadata: { ...metadata, product: { vendor_name: "v", name: "n", version: "3" } }
      }
    ])
  })

  it("keeps what it was made of when that is wanted, but not a request of many records", () => {
    const raw = (payload: unknown) =>
      processMessage(make({ storeRaw: true }), "logs.app", payload).rows.map(({ raw_data }) => raw_data)
    expect(raw(' {"msg": "a\\u0000"}')).toEqual([' {"msg": "a\\u0000"}'])
    expect(raw('[ {"msg": 1}, {"specversion": "1.0", "data": "b"} ]')).toEqual([
      '{"msg":1}',
      '{"specversion":"1.0","data":"b"}'
    ])
    expect(raw({ resourceLogs: [{ scopeLogs: [{ logRecords: [{}, {}] }] }] })).toEqual([null, null])
    expect(raw(Buffer.from("0a0412021200", "hex"))).toEqual([null])
  })
})

describe("the output", () => {
  const rowsByTable = (output: "OcsfEvents" | "Logs" | "Both", payload: unknown) => {
    const { tables, process } = make({ output })
    const rows: Array<readonly [table: string, ReadonlyArray<Value>]> = []
    const outcome = process(
      {
        subject: "logs.app",
        stream: "TEST",
        seq: 42,
        receivedAt,
        data: Buffer.from(JSON.stringify(payload)),
        header: () => undefined,
        headers: () => undefined
      },
      { row: (table, values) => rows.push([tables[table]!.name, [...values]]) }
    )
    return { outcome, rows }
  }
  const payload = [
    { msg: "a", level: 3, host: "h" },
    7,
    { resourceLogs: [{ scopeLogs: [{ logRecords: [{ flags: 1 }, {}] }] }] }
  ]

  it("Both is a row in each table, as each output alone gives it", () => {
    const events = rowsByTable("OcsfEvents", payload)
    const logs = rowsByTable("Logs", payload)
    const both = rowsByTable("Both", payload)
    expect(events.rows.map(([table]) => table)).toEqual(["ocsf_events", "ocsf_events", "ocsf_events"])
    expect(logs.rows.map(([table]) => table)).toEqual(["logs", "logs", "logs"])
    expect(both.outcome).toEqual({ _tag: "Rows", elements: [{ index: 1, reason: "unsupported_type" }] })
    expect(both.rows.filter(([table]) => table === "ocsf_events")).toEqual(events.rows)
    expect(both.rows.filter(([table]) => table === "logs")).toEqual(logs.rows)
    expect(both.rows).toHaveLength(6)
  })

  it("is OCSF events unless it is said", () => {
    expect(make().tables.map(({ name }) => name)).toEqual(["ocsf_events"])
    expect(make({ output: "Both" }).tables.map(({ name }) => name)).toEqual(["ocsf_events", "logs"])
  })

  it("has the chunk interval of the EventStream in every table", () => {
    const { tables } = makeProcessor(
      { type: "Logs", output: "Both", skipSubjects: [] },
      { chunkIntervalMillis: 60_000 }
    )
    expect(tables.map(({ chunkIntervalMillis }) => chunkIntervalMillis)).toEqual([60_000, 60_000])
  })
})
