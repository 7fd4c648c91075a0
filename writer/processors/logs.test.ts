import { describe, expect, it } from "vitest"
import { processMessage, receivedAt } from "../../testing/process-message.ts"
import { uuidV5 } from "../fields/identity.ts"
import { parseTimestamp } from "../fields/time.ts"
import { makeProcessor } from "./index.ts"

type Fields = Readonly<Record<string, unknown>>

const logs = makeProcessor({ type: "Logs", output: "Logs", skipSubjects: [], subjects: [">"] })
const process = (payload: unknown, subject = "logs.app") => processMessage(logs, subject, payload)
const row = (payload: unknown, subject?: string) => process(payload, subject).rows[0]

describe("a record in JSON", () => {
  it("has nothing but a time and an id when it says nothing", () => {
    expect(process({ facility: " " }, "audit")).toEqual({
      outcome: { _tag: "Rows" },
      rows: [
        {
          timestamp: receivedAt,
          observed_timestamp: null,
          id: expect.stringMatching(/^[\da-f]{8}-[\da-f]{4}-5[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/),
          trace_id: null,
          span_id: null,
          trace_flags: null,
          severity_text: null,
          severity_number: null,
          body: null,
          event_name: null,
          source: null,
          service_name: null,
          service_version: null,
          service_instance: null,
          scope_name: null,
          scope_version: null,
          scope_attributes: {},
          attributes: {},
          resource_attributes: {}
        }
      ]
    })
  })

  it("takes the first time that is one", () => {
    const times = [
      "timestamp",
      "time",
      "ts",
      "@timestamp",
      "time_unix_nano",
      "observed_timestamp",
      "observedTimestamp",
      "observed_time_unix_nano",
      "observedTimeUnixNano"
    ]
    for (const [i, name] of times.entries()) {
      const fields = Object.fromEntries(times.slice(i).map((field, j) => [field, 1_705_315_800 + i + j]))
      const unknown = Object.fromEntries(times.slice(0, i).map((field) => [field, "soon"]))
      expect(row({ ...unknown, ...fields })?.["timestamp"], name).toBe((1_705_315_800 + i) * 1_000_000)
    }
  })

  it.each<[column: string, fields: Fields, expected: unknown]>([
    ["timestamp", { timeUnixNano: "1705315800123456789" }, 1_705_315_800_123_456],
    ["timestamp", { timestamp: "0001-01-01T00:00:00Z", time: "2024-01-15 10:50:00,5" }, 1_705_315_800_500_000],
    ["timestamp", { timestamp: 1_705_315_800.123456 }, 1_705_315_800_123_456],
    ["observed_timestamp", { timestamp: 1_705_315_800 }, null],
    ["observed_timestamp", { observed_timestamp: "soon", observedTimestamp: 1_705_315_800 }, 1_705_315_800_000_000],
    ["observed_timestamp", { observed_time_unix_nano: 1_705_315_800 }, 1_705_315_800_000_000],
    ["observed_timestamp", { observedTimeUnixNano: "1705315800000000000" }, 1_705_315_800_000_000],
    ["trace_id", { trace_id: "", traceId: "AB" }, "AB"],
    ["span_id", { span_id: 5, spanId: "x" }, "5"],
    ["trace_flags", { trace_flags: 0, flags: 3 }, 0],
    ["trace_flags", { traceFlags: "257" }, 257],
    ["trace_flags", { flags: 1.9 }, 1],
    ["trace_flags", { flags: 2_147_483_648 }, null],
    ["severity_number", { severity_number: "SEVERITY_NUMBER_ERROR3", severity: "debug" }, 19],
    ["severity_number", { severityNumber: "13" }, 13],
    ["severity_number", { severity_number: 25, level: 3 }, 17],
    ["severity_text", { severity_number: 19, severity: "debug" }, "DEBUG"],
    ["severity_text", { severityText: "Notice" }, "INFO"],
    ["severity_text", { severity: "CUSTOM" }, "CUSTOM"],
    ["severity_text", { level: "crit" }, "FATAL"],
    ["body", { body: "  text " }, "  text "],
    ["body", { body: " ", message: "m" }, "m"],
    ["body", { body: 0, message: "m" }, "0"],
    ["body", { body: false, message: "m" }, "false"],
    ["body", { body: 1.5e21 }, "1500000000000000000000"],
    ["body", { body: { a: [1, null] } }, '{"a":[1,null]}'],
    ["body", { body: [104, 105, 0x1f600] }, "hi\u{1f600}"],
    ["body", { body: [0x68, 0, 0xd800] }, "h\ufffd\ufffd"],
    ["body", { body: [0xd83d, 0xde00] }, "\u{1f600}"],
    ["body", { body: [0x10ffff] }, "\u{10ffff}"],
    ["body", { body: [104, 0x110000] }, "[104,1114112]"],
    ["body", { body: [104, -1] }, "[104,-1]"],
    ["body", { body: [104, 1.5] }, "[104,1.5]"],
    ["body", { body: [104, "i"] }, '[104,"i"]'],
    ["body", { body: [] }, "[]"],
    ["body", { body: null, msg: "2", message: "1" }, "1"],
    ["body", { summary: "3", msg: "2" }, "2"],
    ["body", { short_message: "4", summary: 3 }, "3"],
    ["body", { event: "5", short_message: "4" }, "4"],
    ["body", { log: "6", event: { a: 1 } }, '{"a":1}'],
    ["body", { log: "6", varbinds: [{ value: "7" }] }, "6"],
    ["body", { full_message: "long", varbinds: [{ value: "OCTET STRING: link down" }] }, "link down"],
    ["event_name", { eventName: "e" }, "e"],
    ["event_name", { event_name: "a", eventName: "b" }, "a"],
    ["service_name", { "service.name": "c", service: "d" }, "c"],
    ["service_name", { service_name: "a", serviceName: "b", resource: { "service.name": "r" } }, "a"],
    ["service_name", { service: "d", resource: { "service.name": "r" }, app_name: "x" }, "d"],
    ["service_name", { resource: { "service.name": "r", service_name: "s" }, application_name: "x" }, "r"],
    ["service_name", { resource: { service_name: "s" }, application_name: "x" }, "s"],
    ["service_name", { application_name: "1", applicationName: "2", app_name: "3", appName: "4", host: "h" }, "1"],
    ["service_name", { appName: "4", host: "h" }, "4"],
    ["service_name", { host: "h", hostname: "n", resource: { "host.name": "r" } }, "h"],
    ["service_name", { hostname: "n", resource: { "host.name": "r" } }, "n"],
    ["service_name", { resource: { "host.name": "r" } }, "r"],
    ["service_version", { serviceVersion: 2, resource: { "service.version": "1" } }, "2"],
    ["service_version", { "service.version": "3", serviceVersion: "" }, "3"],
    ["service_version", { resource_attributes: { "service.version": "1" } }, "1"],
    ["service_instance", { service_instance_id: "c", "service.instance.id": "d" }, "c"],
    ["service_instance", { service_instance: "a", serviceInstance: "b" }, "a"],
    ["service_instance", { resource: { attributes: { "service.instance.id": "r" } } }, "r"],
    ["scope_name", { scope_name: "a", scopeName: "b", scope: "d" }, "a"],
    ["scope_name", { "scope.name": "c", scope: { name: "d" } }, "c"],
    ["scope_name", { scope: { name: "d" } }, "d"],
    ["scope_name", { scope: "d" }, "d"],
    ["scope_name", { scope: ["d"] }, null],
    ["scope_version", { scopeVersion: 1, scope: { version: 2 } }, "1"],
    ["scope_version", { scope: { version: 2 } }, "2"],
    ["scope_version", { scope: "d" }, null],
    ["scope_attributes", { scopeAttributes: '{"a":1}', scope: { attributes: { b: 2 } } }, { a: 1 }],
    ["scope_attributes", { scope: { attributes: { b: 2 } } }, { b: 2 }],
    ["scope_attributes", { scope_attributes: 5 }, {}],
    ["resource_attributes", { resource_attributes: "a=1, b=2", host: "h" }, { a: "1", b: "2" }],
    ["resource_attributes", { resourceAttributes: { a: 1 }, resource: { b: 2 } }, { a: 1 }],
    ["resource_attributes", { resource: { attributes: { c: null } } }, { c: null }],
    ["resource_attributes", { resource: { attributes: "c" } }, { attributes: "c" }],
    ["resource_attributes", { resource: {}, host: "h" }, {}],
    [
      "resource_attributes",
      { host: "h", hostname: 0, remote_addr: "r", source: "", ip: null, ip_address: "i", service: "s" },
      { host: "h", hostname: 0, remote_addr: "r", ip_address: "i" }
    ]
  ])("%s of %j", (column, fields, expected) => {
    expect(row(fields)?.[column]).toEqual(expected)
  })

  it.each<[subject: string, source: string | null]>([
    ["logs.syslog", "syslog"],
    ["logs.otel.processed", "otel"],
    ["acme.logs.snmp.processed", "snmp"],
    ["logs.logs", "logs"],
    ["a.b.logs.c", "field"],
    ["audit", "field"],
    ["acme.logs", "field"]
  ])("on %s is from %s", (subject, source) => {
    expect(row({ source: "field" }, subject)?.["source"]).toBe(source)
  })

  describe("keeps as attributes", () => {
    const attributes = (fields: Fields) => row(fields)?.["attributes"]

    it("what has no other place", () => {
      const reserved =
        "timestamp time ts @timestamp time_unix_nano timeUnixNano observed_timestamp observedTimestamp " +
        "observed_time_unix_nano observedTimeUnixNano trace_id traceId span_id spanId trace_flags traceFlags flags " +
        "severity_number severityNumber severity_text severityText severity severity_id level body message msg summary " +
        "short_message full_message event log event_name eventName source service_name serviceName service.name service " +
        "application_name applicationName app_name appName host hostname service_version serviceVersion service.version " +
        "service_instance serviceInstance service_instance_id service.instance.id scope_name scopeName scope.name scope " +
        "scope_version scopeVersion scope.version scope_attributes scopeAttributes attributes resource_attributes " +
        "resourceAttributes resource ip ip_address remote_addr community specversion data"
      const names = reserved.split(" ").filter((name) => name !== "specversion" && name !== "attributes")
      const fields = Object.fromEntries(names.map((name) => [name, 1]))
      const others = {
        logger: "l",
        host_ip: "i",
        _remote_addr: "r",
        version: "1.1",
        zero: 0,
        no: false,
        list: [],
        o: {}
      }
      expect(attributes({ ...fields, ...others, blank: " ", nothing: null })).toEqual(others)
    })

    it.each<[fields: Fields, expected: Fields]>([
      [
        { attributes: { a: 1 }, a: 2, b: 3 },
        { a: 1, b: 3 }
      ],
      [{ attributes: { a: null, b: {}, c: [] } }, {}],
      [{ attributes: { a: { b: { c: null } }, d: [null, {}, [[]], 0], e: "", f: false } }, { d: [0], e: "", f: false }],
      [{ attributes: { a: null }, a: 2 }, { a: 2 }],
      [{ attributes: [1, { a: null }] }, { raw: [1] }],
      [{ attributes: [] }, {}],
      [{ attributes: "k=v,l=" }, { k: "v", l: "" }],
      [{ attributes: "text" }, { raw: "text" }],
      [
        { attributes: '{"a":[1]}', x: 1 },
        { a: [1], x: 1 }
      ],
      [{ attributes: 5, x: 1 }, { x: 1 }]
    ])("of %j", (fields, expected) => {
      expect(attributes(fields)).toEqual(expected)
    })

    it("numbers without loss, but none that is no number", () => {
      const payload =
        '{"big":9007199254740993,"over":1e400,"under":-1e400,"attributes":{"o":1e400,"u":[-1e400],"max":18446744073709551615}}'
      expect(row(payload)?.["attributes"]).toEqual({ big: 9_007_199_254_740_993n, max: 18_446_744_073_709_551_615n })
    })

    it("keys of every name", () => {
      const payload = '{"__proto__":1,"constructor":2,"attributes":{"__proto__":{"a":null,"b":1},"toString":3}}'
      expect(Object.entries(row(payload)!["attributes"]!)).toEqual([
        ["__proto__", { b: 1 }],
        ["constructor", 2],
        ["toString", 3]
      ])
    })
  })

  it("has what PostgreSQL can store", () => {
    expect(row('{"body":"a\\u0000b\\ud800","k\\u0000":"\\udc00","attributes":"x\\u0000=1"}')).toMatchObject({
      body: "a\ufffdb\ufffd",
      attributes: { "k\ufffd": "\ufffd", "x\ufffd": "1" }
    })
    expect(row(Buffer.from('{"body":"caf\xe9"}', "latin1"))?.["body"]).toBe("caf\ufffd")
  })
})

describe("a message", () => {
  it("of many records has an id for each row, the same at every delivery", () => {
    const payload = [{ body: "a" }, 5, { body: "b" }, { resourceLogs: [{ scopeLogs: [{ logRecords: [{}, {}] }] }] }]
    const { outcome, rows } = process(payload)
    expect(outcome).toEqual({ _tag: "Rows", elements: [{ index: 1, reason: "unsupported_type" }] })
    expect(rows.map(({ body }) => body)).toEqual(["a", "b", null, null])
    expect(new Set(rows.map(({ id }) => id)).size).toBe(4)
    process({ body: "between" })
    expect(process(payload).rows).toEqual(rows)
    expect(processMessage(logs, "logs.app", payload, { "Nats-Msg-Id": "m" }).rows[0]?.["id"]).not.toBe(rows[0]?.["id"])
  })

  it("of OpenTelemetry in JSON loses only the records that cannot be read", () => {
    const record = (body: string) => ({ body: { stringValue: body } })
    const { outcome, rows } = process({
      resourceLogs: [
        { scopeLogs: [{ logRecords: [record("a"), 5] }, { logRecords: [{ attributes: "x" }] }] },
        { scopeLogs: [{ logRecords: [{ attributes: [{ key: "k", value: "v" }] }, null, record("b")] }] }
      ]
    })
    expect(outcome).toEqual({
      _tag: "Rows",
      elements: [
        { index: 1, reason: "unsupported_type" },
        { index: 2, reason: "invalid_field:attributes" },
        { index: 3, reason: "invalid_field:value" },
        { index: 4, reason: "unsupported_type" }
      ]
    })
    expect(rows.map(({ body }) => body)).toEqual(["a", "b"])
  })

  it("has ids of version 5 by its place in the stream or its id", () => {
    const [byPlace] = processMessage(logs, "logs.app", { body: "a" }).rows
    expect(byPlace?.["id"]).toBe(uuidV5("logs:seq:TEST:42:0"))
    const byId = processMessage(logs, "logs.app", [{ body: "a" }, { body: "b" }], { "Nats-Msg-Id": "abc-1" }).rows
    expect(byId.map(({ id }) => id)).toEqual([
      "6899e768-47dd-5d0a-8e1f-c72aeae060fb",
      "a1e51b51-5a65-558d-a501-dd4fe3a02fd8"
    ])
  })

  const base64 = (text: string) => Buffer.from(text).toString("base64")
  const envelope = { specversion: "1.0", source: "s", subject: "x", time: "2024-01-15T10:50:00Z" }

  it.each([
    { data: { msg: "a" } },
    { data: '{"msg":"a"}' },
    { data: "a" },
    { data_base64: base64('{"msg":"a"}') },
    { data: { resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: "a" } }] }] }] } },
    // resource_logs { scope_logs { log_records { body { string_value: "a" } } } }
    { data_base64: Buffer.from("0a09120712052a030a0161", "hex").toString("base64") }
  ])("may be an envelope with %j, or many of them", (data) => {
    const expected = {
      body: "a",
      timestamp: parseTimestamp(envelope.time),
      source: "app",
      attributes: {},
      resource_attributes: {}
    }
    expect(process({ ...envelope, ...data }).rows).toMatchObject([expected])
    expect(
      process([
        { ...envelope, ...data },
        { ...data, specversion: "1.0", time: "soon" }
      ]).rows
    ).toMatchObject([expected, { ...expected, timestamp: receivedAt }])
  })

  it("may be an envelope with many records, whose own times count first", () => {
    const data = [{ msg: "a" }, "b", { log: "c", ts: 1_705_315_801 }]
    for (const content of [{ data }, { data_base64: base64(JSON.stringify(data)) }]) {
      const { outcome, rows } = process({ ...envelope, ...content })
      expect(outcome).toEqual({ _tag: "Rows", elements: [{ index: 1, reason: "unsupported_type" }] })
      expect(rows).toMatchObject([
        { body: "a", timestamp: 1_705_315_800_000_000 },
        { body: "c", timestamp: 1_705_315_801_000_000 }
      ])
    }
    expect(row({ ...envelope, data: "{not JSON" })?.["body"]).toBe("{not JSON")
  })

  it.each([
    ["", "empty_payload"],
    [" \n ", "empty_payload"],
    ["{}", "empty_payload"],
    ["[]", "empty_payload"],
    [{ specversion: "1.0", data: " " }, "empty_payload"],
    [{ specversion: "1.0", data: {} }, "empty_payload"],
    [[{ specversion: "1.0", data: [] }], "no_rows"],
    [{ resourceLogs: [{ scopeLogs: [{}] }, {}] }, "no_rows"],
    [Buffer.from("0a00", "hex"), "no_rows"]
  ])("of %j is dropped", (payload, reason) => {
    expect(process(payload).outcome).toEqual({ _tag: "Dropped", reason })
  })

  it.each([
    ['"text"', "unsupported_type"],
    ["17", "unsupported_type"],
    ["[1,[]]", "unsupported_type"],
    ["{not JSON", "malformed_json"],
    ["[{}", "malformed_json"],
    ["plain text", "malformed_protobuf"],
    ["\n{not protobuf", "malformed_json"],
    [Buffer.from("1200", "hex"), "malformed_protobuf"],
    [{ specversion: "1.0", source: "s" }, "missing_field:data"],
    [[{ specversion: "1.0", data: null }], "missing_field:data"],
    [{ specversion: "1.0", data: "5" }, "unsupported_type"],
    [{ specversion: "1.0", data_base64: "?" }, "malformed_json"],
    [{ resourceLogs: 5 }, "invalid_field:resourceLogs"],
    [{ resource_logs: [{ scope_logs: [{ log_records: [5] }] }] }, "unsupported_type"],
    [{ resource_logs: [{ scope_logs: [{ log_records: {} }] }] }, "invalid_field:logRecords"],
    [`{"a":${"[".repeat(200)}${"]".repeat(200)}}`, "malformed_json"]
  ])("of %j is a dead letter", (payload, reason) => {
    expect(process(payload).outcome).toMatchObject({ _tag: "DeadLetter", reason })
  })

  it.each([
    ["logs.otel", {}, { _tag: "Rows" }],
    ["acme.logs.otel", {}, { _tag: "Rows" }],
    ["app.out", {}, { _tag: "Rows" }],
    ["logs", {}, { _tag: "DeadLetter", reason: "unroutable_subject" }],
    ["mirror.x.y", { "Nats-Subject": "logs.app" }, { _tag: "Rows" }],
    ["logs.syslog", {}, { _tag: "Dropped", reason: "skipped_subject" }],
    ["logs.snmp.processed", {}, { _tag: "Dropped", reason: "skipped_subject" }]
  ])("on %s with headers %j", (subject, headers, outcome) => {
    const config = { skipSubjects: ["logs.syslog", "logs.snmp.>"], subjects: ["app.out"] }
    const processor = makeProcessor({ type: "Logs", ...config })
    expect(processMessage(processor, subject, { body: "b" }, headers).outcome).toEqual(outcome)
  })
})
