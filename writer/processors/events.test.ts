import { describe, expect, it } from "vitest"
import { processMessage, receivedAt } from "../../testing/process-message.ts"
import { uuidV5 } from "../fields/identity.ts"
import { parseTimestamp } from "../fields/time.ts"
import { makeProcessor } from "./index.ts"

const events = makeProcessor({ type: "Events", skipSubjects: ["events.skip.>"] })
const storingRaw = makeProcessor({ type: "Events", storeRaw: true, skipSubjects: [] })
const process = (payload: unknown, subject = "events.x", headers = {}) =>
  processMessage(events, subject, payload, headers)
const row = (payload: object, subject?: string) => process(payload, subject).rows[0]
const at = (text: string) => parseTimestamp(text)
const base64 = (text: string) => Buffer.from(text).toString("base64")
const deadLetter = (reason: string) => expect.objectContaining({ _tag: "DeadLetter", reason })

const [early, late] = ["2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z"]

describe("an event", () => {
  it("has nothing but its place in the stream where it says nothing", () => {
    expect(process({ x: 1 })).toEqual({
      outcome: { _tag: "Rows" },
      rows: [
        {
          event_timestamp: receivedAt,
          id: uuidV5("events:seq:TEST:42:0"),
          specversion: null,
          source: null,
          type: null,
          datacontenttype: null,
          subject: "events.x",
          remote_addr: null,
          host: null,
          level: null,
          severity: null,
          short_message: null,
          version: null,
          raw_data: null
        }
      ]
    })
  })

  it("may be a CloudEvent", () => {
    expect(
      row({
        specversion: "1.0",
        id: "e-1",
        source: "/s",
        type: "t",
        datacontenttype: "application/json",
        subject: "sub",
        time: early,
        data: { message: "m", host: "h", level: 3, version: "1.1", _remote_addr: "10.0.0.1", timestamp: late }
      })
    ).toEqual({
      event_timestamp: at(early),
      id: "e-1",
      specversion: "1.0",
      source: "/s",
      type: "t",
      datacontenttype: "application/json",
      subject: "sub",
      remote_addr: "10.0.0.1",
      host: "h",
      level: 3,
      severity: "error",
      short_message: "m",
      version: "1.1",
      raw_data: null
    })
  })

  it.each<[column: string, payload: object, expected: unknown]>([
    ["event_timestamp", { time: early, timestamp: late }, at(early)],
    ["event_timestamp", { time: "soon", timestamp: late }, at(late)],
    ["event_timestamp", { time: 0, data: { timestamp: early, time: late } }, at(early)],
    ["event_timestamp", { data: { time: late } }, at(late)],
    ["event_timestamp", { data: `{"time":"${late}"}` }, at(late)],
    ["event_timestamp", { timestamp: 1_705_315_800.123_456 }, 1_705_315_800_123_456],
    ["event_timestamp", { timestamp: "1705315800.5" }, 1_705_315_800_500_000],
    ["event_timestamp", { time: "0001-01-01T00:00:00Z" }, receivedAt],
    ["id", { id: 7 }, "7"],
    ["id", { id: false }, "false"],
    ["id", { id: " " }, uuidV5("events:seq:TEST:42:0")],
    ["id", { data: { id: "x" } }, uuidV5("events:seq:TEST:42:0")],
    ["specversion", { specversion: 1 }, "1"],
    ["source", { source: "s", data: { source: "d" } }, "s"],
    ["source", { data: { source: "d" } }, null],
    ["type", { type: { a: 1 } }, '{"a":1}'],
    ["datacontenttype", { datacontenttype: "" }, null],
    ["subject", { subject: "s" }, "s"],
    ["subject", { subject: "", data: { subject: "d" } }, "events.x"],
    ["remote_addr", { remote_addr: "a", remoteAddr: "b", _remote_addr: "c" }, "a"],
    ["remote_addr", { remoteAddr: "b", _remote_addr: "c" }, "b"],
    ["remote_addr", { _remote_addr: "c:5", data: { remote_addr: "d" } }, "c:5"],
    ["remote_addr", { data: { remoteAddr: "d" } }, "d"],
    ["host", { host: "a", hostname: "b" }, "a"],
    ["host", { hostname: "b", data: { host: "c" } }, "b"],
    ["host", { host: null, data: { host: " ", hostname: "d" } }, "d"],
    ["level", { level: 9 }, 9],
    ["level", { level: -1 }, -1],
    ["level", { level: "4" }, 4],
    ["level", { level: 4.9 }, 4],
    ["level", { level: "Warn" }, 4],
    ["level", { level: " PANIC " }, 0],
    ["level", { level: "odd", severity: "error" }, 3],
    ["level", { severity: "notice" }, 5],
    ["level", { severity: "odd" }, null],
    ["level", { severity: 3 }, null],
    ["level", { level: 99_999_999_999 }, null],
    ["level", { level: 0, severity: "debug" }, 0],
    ["level", { data: { level: 6 } }, 6],
    ["level", { level: 1, data: { level: 6 } }, 1],
    ["level", { data: { severity: "low" } }, 5],
    ["severity", { severity: "Sev-1", level: 3 }, "Sev-1"],
    ["severity", { severity: 3 }, "3"],
    ["severity", { level: "crit" }, "critical"],
    ["severity", { level: 8 }, null],
    ["severity", { data: { severity: "HIGH" } }, "HIGH"],
    ["short_message", { short_message: "a", message: "b", msg: "c" }, "a"],
    ["short_message", { message: "b", msg: "c" }, "b"],
    ["short_message", { msg: "c", data: { short_message: "d" } }, "c"],
    ["short_message", { data: { message: "d" } }, "d"],
    ["short_message", { message: 0 }, "0"],
    ["short_message", { message: { a: [1] } }, '{"a":[1]}'],
    ["short_message", { data: "plain text" }, "plain text"],
    ["short_message", { data: "{not json" }, "{not json"],
    ["short_message", { data: '{"msg":"inner"}' }, "inner"],
    ["short_message", { data: "42" }, null],
    ["short_message", { data: '["a"]' }, null],
    ["short_message", { data: ["a"] }, null],
    ["short_message", { data: 42 }, null],
    ["short_message", { data: " " }, null],
    ["short_message", { data_base64: base64('{"msg":"inner"}') }, "inner"],
    ["short_message", { data_base64: base64("plain text") }, "plain text"],
    ["short_message", { data_base64: base64('\uFEFF{"msg":"inner"}') }, "inner"],
    ["short_message", { data_base64: Buffer.from('{"msg":"caf\xE9"}', "latin1").toString("base64") }, "caf\uFFFD"],
    ["short_message", { data_base64: "/9j/4AAQ" }, null],
    ["short_message", { data_base64: "not base64!" }, null],
    ["short_message", { data_base64: 5 }, null],
    ["short_message", { data: null, data_base64: base64('{"msg":"inner"}') }, "inner"],
    ["short_message", { data: { msg: "d" }, data_base64: base64('{"msg":"b"}') }, "d"],
    ["short_message", { message: "m", data: "text" }, "m"],
    ["short_message", { varbinds: [{ value: "x" }] }, null],
    ["short_message", { message: "nul \u0000" }, "nul \uFFFD"],
    ["version", { version: 1.1 }, "1.1"],
    ["version", { data: { version: "2" } }, "2"]
  ])("%s of %j", (column, payload, expected) => {
    expect(row(payload)?.[column]).toEqual(expected)
  })

  it("may come in an array, each with an id of its own", () => {
    const { outcome, rows } = process([{ msg: "a" }, 5, { id: "given" }, { msg: "b" }], "events.x", {
      "Nats-Msg-Id": "m-1"
    })
    expect(rows.map(({ id }) => id)).toEqual([uuidV5("events:msg:m-1:0"), "given", uuidV5("events:msg:m-1:1")])
    expect(outcome).toEqual({ _tag: "Rows", elements: [{ index: 1, reason: "unsupported_type" }] })
  })

  it("keeps the payload on request", () => {
    const text = ' { "msg" : "a",\n"n": 12345678901234567890 }'
    expect(processMessage(storingRaw, "events.x", text).rows[0]?.["raw_data"]).toBe(text)
    expect(processMessage(storingRaw, "events.x", [{ a: 1 }, { specversion: "1", data: { b: 2 } }]).rows).toEqual([
      expect.objectContaining({ raw_data: '{"a":1}' }),
      expect.objectContaining({ raw_data: '{"specversion":"1","data":{"b":2}}' })
    ])
    const unclean = Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff]), Buffer.from('"}')])
    expect(processMessage(storingRaw, "events.x", unclean).rows[0]?.["raw_data"]).toBe('{"a":"\uFFFD"}')
  })
})

describe("what becomes of a message", () => {
  it.each<[subject: string, payload: unknown, outcome: object]>([
    ["events.x", "", { _tag: "Dropped", reason: "empty_payload" }],
    ["events.x", " \n", { _tag: "Dropped", reason: "empty_payload" }],
    ["events.x", {}, { _tag: "Dropped", reason: "empty_payload" }],
    ["events.x", [], { _tag: "Dropped", reason: "empty_payload" }],
    ["events.x", "{", deadLetter("malformed_json")],
    ["events.x", "text", deadLetter("malformed_json")],
    ["events.x", '"text"', deadLetter("unsupported_type")],
    ["events.x", "null", deadLetter("unsupported_type")],
    ["events.x", [1, "a"], deadLetter("unsupported_type")],
    ["events.skip.x", { a: 1 }, { _tag: "Dropped", reason: "skipped_subject" }],
    ["event.x", { a: 1 }, deadLetter("unroutable_subject")],
    ["events", { a: 1 }, deadLetter("unroutable_subject")],
    ["snmp.traps.x", { a: 1 }, deadLetter("unroutable_subject")],
    ["snmp.traps", { a: 1 }, { _tag: "Rows" }],
    ["acme.snmp.traps", { a: 1 }, { _tag: "Rows" }],
    ["acme.events.syslog", { a: 1 }, { _tag: "Rows" }]
  ])("%s %j", (subject, payload, outcome) => {
    expect(process(payload, subject).outcome).toEqual(outcome)
  })
})
