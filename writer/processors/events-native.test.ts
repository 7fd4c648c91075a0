import { describe, expect, it } from "vitest"
import { processMessage, receivedAt } from "../../testing/process-message.ts"
import { uuidV5 } from "../fields/identity.ts"
import { parseTimestamp } from "../fields/time.ts"
import { makeProcessor } from "./index.ts"

const events = makeProcessor({ type: "Events", skipSubjects: [] })
const toOcsf = makeProcessor({ type: "Events", output: "OcsfEvents", skipSubjects: [] })
const process = (payload: unknown, subject: string, headers = {}) => processMessage(events, subject, payload, headers)
const convert = (payload: unknown, subject = "events.syslog") => processMessage(toOcsf, subject, payload)
const converted = (payload: object, subject?: string) => convert(payload, subject).rows[0]
const envelope = (fields: object) => ({ specversion: "1.0", ...fields })
const at = (text: string) => parseTimestamp(text)
const deadLetter = (reason: string) => expect.objectContaining({ _tag: "DeadLetter", reason })

const [early, late] = ["2024-01-01T00:00:00Z", "2024-02-01T00:00:00Z"]
const native = (fields: object) => ({ class_uid: 3002, activity_id: 1, ...fields })
const uuid = "7f000001-0000-4000-8000-000000000001"

describe("an event that is OCSF already", () => {
  it("is written as it is", () => {
    const event = {
      id: uuid.toUpperCase(),
      time: 1_705_315_800_123,
      class_uid: 1008,
      category_uid: 9,
      type_uid: "9007199254740993",
      activity_id: 3,
      activity_name: "Update",
      severity_id: "4",
      severity: "Bad",
      message: "m",
      status_id: 2,
      status: "Failure",
      status_code: 500,
      status_detail: "d",
      metadata: { version: "1.1.0" },
      observables: [{ name: "x" }],
      trace_id: "t",
      spanId: "s",
      actor: { user: { name: "u" } },
      device: '{"hostname":"h"}',
      src_endpoint: { ip: "10.0.0.1" },
      dst_endpoint: { port: 1 },
      log_name: "n",
      log_provider: "p",
      log_level: "l",
      log_version: 2,
      unmapped: { a: 1 },
      raw_data: "r"
    }
    expect(process(event, "events.ocsf.processed").rows).toEqual([
      {
        ...event,
        id: uuid,
        time: 1_705_315_800_123_000,
        type_uid: 9_007_199_254_740_993n,
        severity_id: 4,
        status_code: "500",
        span_id: "s",
        spanId: undefined,
        device: { hostname: "h" },
        log_version: "2"
      }
    ])
  })

  it("has defaults for what is not given", () => {
    expect(process(native({ activity_id: 0 }), "events.ocsf").rows).toEqual([
      {
        id: uuidV5("ocsf_events:seq:TEST:42:0"),
        time: receivedAt,
        class_uid: 3002,
        category_uid: 3,
        type_uid: 300_200,
        activity_id: 0,
        activity_name: null,
        severity_id: 1,
        severity: "Informational",
        message: null,
        status_id: null,
        status: null,
        status_code: null,
        status_detail: null,
        metadata: {},
        observables: [],
        trace_id: null,
        span_id: null,
        actor: {},
        device: {},
        src_endpoint: {},
        dst_endpoint: {},
        log_name: "events.ocsf",
        log_provider: null,
        log_level: null,
        log_version: null,
        unmapped: {},
        raw_data: null
      }
    ])
  })

  it.each<[column: string, fields: object, expected: unknown]>([
    ["id", { id: "Alert-7" }, uuidV5("ocsf_events:id:alert-7")],
    ["id", { id: 17 }, uuidV5("ocsf_events:id:17")],
    ["id", { id: " ", metadata: { uid: uuid } }, uuid],
    ["id", { id: { a: 1 }, metadata: { uid: "u" } }, uuidV5("ocsf_events:id:u")],
    ["id", { metadata: `{"uid":"${uuid}"}` }, uuid],
    ["id", { metadata: { uid: "" } }, uuidV5("ocsf_events:seq:TEST:42:0")],
    ["id", { metadata: ["uid"] }, uuidV5("ocsf_events:seq:TEST:42:0")],
    ["metadata", { id: "Alert-7" }, { uid: "Alert-7" }],
    ["metadata", { id: "Alert-7", metadata: { uid: "other" } }, { uid: "other" }],
    ["metadata", { id: "Alert-7", metadata: { a: 1 } }, { a: 1, uid: "Alert-7" }],
    ["metadata", { id: "Alert-7", metadata: { uid: null } }, { uid: "Alert-7" }],
    ["metadata", { id: uuid }, {}],
    ["metadata", { id: "Alert-7", metadata: [1] }, [1]],
    ["metadata", { metadata: 5 }, {}],
    ["metadata", { metadata: "a=1, b=2" }, { a: "1", b: "2" }],
    ["time", { time: early }, at(early)],
    ["time", { time: "soon" }, receivedAt],
    ["class_uid", { class_uid: "3002" }, 3002],
    ["category_uid", { category_uid: "x" }, 3],
    ["category_uid", { class_uid: 99 }, 0],
    ["type_uid", { type_uid: 7 }, 7],
    ["type_uid", { type_uid: "x" }, 300_201],
    ["type_uid", { activity_id: 99 }, 300_299],
    ["severity_id", { severity_id: 0 }, 0],
    ["severity_id", { severity_id: null }, 1],
    ["severity", { severity_id: 0 }, "Unknown"],
    ["severity", { severity_id: 99 }, "Other"],
    ["severity", { severity_id: 42 }, "Unknown"],
    ["severity", { severity: " ", severity_id: 6 }, "Fatal"],
    ["observables", { observables: "x" }, { raw: "x" }],
    ["observables", { observables: '[{"a":1}]' }, [{ a: 1 }]],
    ["status_id", { status_id: "99" }, 99],
    ["message", { message: { a: 1 } }, '{"a":1}'],
    ["trace_id", { traceId: "t" }, "t"]
  ])("%s of %j", (column, fields, expected) => {
    expect(process(native(fields), "events.ocsf.x").rows[0]?.[column]).toEqual(expected)
  })

  it.each<[fields: object, reason: string]>([
    [{ class_uid: undefined }, "missing_field:class_uid"],
    [{ class_uid: 0 }, "missing_field:class_uid"],
    [{ class_uid: "x" }, "missing_field:class_uid"],
    [{ class_uid: 1008.5 }, "missing_field:class_uid"],
    [{ class_uid: 3_000_000_000 }, "missing_field:class_uid"],
    [{ class_uid: undefined, activity_id: undefined, message: "m" }, "missing_field:class_uid"],
    [{ activity_id: undefined }, "missing_field:activity_id"],
    [{ activity_id: null }, "missing_field:activity_id"],
    [{ activity_id: -1 }, "missing_field:activity_id"],
    [{ activity_id: 1.5 }, "missing_field:activity_id"],
    [{ activity_id: {} }, "missing_field:activity_id"]
  ])("cannot be written with %j", (fields, reason) => {
    expect(process(native(fields), "events.ocsf.x").outcome).toEqual({ _tag: "DeadLetter", reason })
    expect(convert(native(fields), "events.ocsf.x").outcome).toEqual({ _tag: "DeadLetter", reason })
  })

  it("is written beside others of an array that cannot be", () => {
    const { outcome, rows } = process([native({}), native({ class_uid: 0 }), native({})], "events.ocsf")
    expect(rows.map(({ id }) => id)).toEqual([uuidV5("ocsf_events:seq:TEST:42:0"), uuidV5("ocsf_events:seq:TEST:42:1")])
    expect(outcome).toEqual({ _tag: "Rows", elements: [{ index: 1, reason: "missing_field:class_uid" }] })
  })

  it.each([
    ["events.ocsf", true],
    ["events.ocsf.a.b", true],
    ["acme.events.ocsf.a", true],
    ["events.ocsfx", false],
    ["events.x.events.ocsf", false],
    ["events.x", false]
  ])("is told by the subject %s: %j", (subject, isNative) => {
    expect(process(native({}), subject).rows[0]?.["class_uid"]).toBe(isNative ? 3002 : undefined)
  })

  it("is told by the subject it was published to", () => {
    const { rows } = process(native({}), "mirror.x", { "Nats-Subject": "events.ocsf.x" })
    expect(rows[0]).toMatchObject({ class_uid: 3002, log_name: "mirror.x" })
  })

  it("is told by itself where every event becomes OCSF", () => {
    expect(converted(native({}))).toMatchObject({ class_uid: 3002, type_uid: 300_201, unmapped: {} })
    expect(converted(native({}), "snmp.traps")).toMatchObject({ class_uid: 3002 })
    expect(converted(native({ activity_id: undefined }))).toMatchObject({ class_uid: 1008 })
    expect(converted(native({ class_uid: 0 }))).toMatchObject({ class_uid: 1008 })
    expect(convert(native({ activity_id: null })).outcome).toEqual(deadLetter("missing_field:activity_id"))
  })

  it("may be in an envelope", () => {
    expect(converted(envelope({ time: early, data: native({}) }))).toMatchObject({ class_uid: 3002, time: at(early) })
    expect(process(envelope({ time: early, data: native({ time: late }) }), "events.ocsf").rows[0]).toMatchObject({
      class_uid: 3002,
      time: at(late)
    })
  })
})
