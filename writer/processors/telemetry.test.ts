import { describe, expect, it } from "vitest"
import { processMessage, receivedAt } from "../../testing/process-message.ts"
import { parseTimestamp } from "../fields/time.ts"
import { makeProcessor } from "./index.ts"
import { maxRows } from "./records.ts"

const telemetry = makeProcessor({ type: "Telemetry", skipSubjects: ["telemetry.skip.>"] })
const process = (payload: unknown, subject = "telemetry.x", headers = {}) =>
  processMessage(telemetry, subject, payload, headers)
const row = (fields: object) => process({ value: 1, ...fields }).rows[0]
const deadLetter = (reason: string) => expect.objectContaining({ _tag: "DeadLetter", reason })

describe("a sample", () => {
  it("has defaults for what is not given", () => {
    expect(process({ value: 0 })).toEqual({
      outcome: { _tag: "Rows" },
      rows: [
        {
          timestamp: receivedAt,
          gateway_id: "unknown",
          agent_id: null,
          metric_name: "unknown",
          metric_type: "gauge",
          series_key: expect.stringMatching(/^[\da-f]{32}$/),
          device_id: null,
          value: 0,
          unit: null,
          partition: null,
          tags: null,
          metadata: null,
          scale: null,
          is_delta: false,
          target_device_ip: null,
          if_index: null
        }
      ]
    })
  })

  it("has the vector's series key", () => {
    expect(row({ name: "cpu_usage" })).toMatchObject({ series_key: "be9f65e71971f2cb4f26df65b40c3866" })
  })

  it.each([
    ["gateway_id", { gateway_id: "a", gatewayId: "b", poller_id: "c", pollerId: "d" }, "a"],
    ["gateway_id", { gateway_id: "", gatewayId: null, poller_id: " ", pollerId: "d" }, "d"],
    ["gateway_id", { poller_id: 7 }, "7"],
    ["agent_id", { agentId: false }, "false"],
    ["metric_name", { name: "n", metricName: "m" }, "m"],
    ["metric_type", { type: "counter" }, "counter"],
    ["metric_type", { metric_type: " " }, "gauge"],
    ["device_id", { device_id: 12_345_678.0 }, "12345678"],
    ["unit", { unit: " " }, null],
    ["partition", { partition: { a: 1 } }, '{"a":1}'],
    ["tags", { tags: 'a=1,"b"' }, { raw: 'a=1,"b"' }],
    ["tags", { tags: [1] }, [1]],
    ["tags", { tags: 5 }, null],
    ["metadata", { metadata: "[1]" }, [1]],
    ["scale", { scale: " 2e3 " }, 2000],
    ["scale", { scale: "2x" }, null],
    ["is_delta", { is_delta: null, isDelta: 1 }, true],
    ["is_delta", { is_delta: false, isDelta: true }, false],
    ["is_delta", { is_delta: "maybe" }, false],
    ["target_device_ip", { targetDeviceIp: "not checked" }, "not checked"],
    ["if_index", { if_index: 0, ifIndex: 1 }, 0],
    ["if_index", { if_index: 3.9 }, 3],
    ["if_index", { ifIndex: "12abc" }, null],
    ["if_index", { if_index: 2 ** 31 }, null],
    ["value", { value: " 1e3 " }, 1000],
    ["value", { value: -0.5 }, -0.5]
  ])("%s of %j", (column, fields, expected) => {
    expect(row(fields)?.[column]).toEqual(expected)
  })

  it.each([
    [{ timestamp: "bad", time: 0, ts: 1_705_315_800 }, "2024-01-15T10:50:00Z"],
    [{ timestamp: "0001-01-01T00:00:00Z", time: "2024-01-15 10:50:00.1234567" }, "2024-01-15T10:50:00.123456Z"],
    [{ timestamp: true }, "2026-01-15T00:00:00Z"]
  ])("time of %j", (fields, expected) => {
    expect(row(fields)?.["timestamp"]).toBe(parseTimestamp(expected))
  })

  it.each([
    [{}, "missing_field:value"],
    [{ value: null }, "missing_field:value"],
    [{ value: " " }, "missing_field:value"],
    [{ value: "x" }, "invalid_field:value"],
    [{ value: true }, "invalid_field:value"],
    [{ value: [1] }, "invalid_field:value"],
    ['{"name":"a","value":1e400}', "invalid_field:value"]
  ])("needs a value: %j", (fields, reason) => {
    expect(process(typeof fields === "string" ? fields : { name: "a", ...fields }).outcome).toEqual(deadLetter(reason))
  })

  it("keeps integers of nanoseconds and counters exact", () => {
    expect(
      process('{"value":1,"timestamp":1705315800123456789,"device_id":12345678901234567890}').rows[0]
    ).toMatchObject({
      timestamp: 1_705_315_800_123_456,
      device_id: "12345678901234567890"
    })
  })
})

describe("an array", () => {
  it("is written in order, its bad elements apart", () => {
    const { outcome, rows } = process([
      { name: "a", value: 1 },
      5,
      { name: "b" },
      [{ value: 1 }],
      null,
      { name: "c", value: 3 }
    ])
    expect(rows.map(({ metric_name }) => metric_name)).toEqual(["a", "c"])
    expect(outcome).toEqual({
      _tag: "Rows",
      elements: [
        { index: 1, reason: "unsupported_type" },
        { index: 2, reason: "missing_field:value" },
        { index: 3, reason: "unsupported_type" },
        { index: 4, reason: "unsupported_type" }
      ]
    })
  })

  it.each([
    [[1, "x"], "unsupported_type"],
    [[{ value: "x" }, 5], "invalid_field:value"]
  ])("is a dead letter when nothing of it can be written: %j", (payload, reason) => {
    expect(process(payload)).toMatchObject({
      outcome: { _tag: "DeadLetter", reason, elements: [{ index: 0 }, { index: 1 }] },
      rows: []
    })
  })

  it("has a bound", () => {
    const many = (count: number) => `[${Array.from({ length: count }, () => '{"value":1}').join(",")}]`
    expect(process(many(maxRows)).rows).toHaveLength(maxRows)
    expect(process(many(maxRows + 1)).outcome).toEqual(deadLetter("payload_too_large"))
  })
})

describe("an envelope", () => {
  const envelope = { specversion: "1.0", id: "1", source: "s", type: "t", time: "2024-01-01T00:00:00Z" }
  const envelopeTime = parseTimestamp(envelope.time)

  it("gives its time where the sample has none", () => {
    const samples = [{ value: 1 }, { value: 2, ts: 1_705_315_800 }]
    for (const fields of [
      { data: samples },
      { data: JSON.stringify(samples) },
      { data_base64: btoa(JSON.stringify(samples)) }
    ]) {
      expect(process({ ...envelope, ...fields }).rows.map(({ timestamp }) => timestamp)).toEqual([
        envelopeTime,
        1_705_315_800_000_000
      ])
    }
  })

  it("is opened in an array too", () => {
    const { outcome, rows } = process([
      { ...envelope, data: { value: 1 } },
      { ...envelope, data: {} },
      { ...envelope, data: [{ value: 2 }] },
      { ...envelope },
      { ...envelope, data: "x" },
      { value: 3 }
    ])
    expect(rows).toMatchObject([
      { value: 1, timestamp: envelopeTime },
      { value: 3, timestamp: receivedAt }
    ])
    expect(outcome).toEqual({
      _tag: "Rows",
      elements: [
        { index: 2, reason: "unsupported_type" },
        { index: 3, reason: "missing_field:data" },
        { index: 4, reason: "malformed_json" }
      ]
    })
  })

  it.each([
    [{}, { _tag: "DeadLetter", reason: "missing_field:data" }],
    [{ data: { name: "a" } }, { _tag: "DeadLetter", reason: "missing_field:value" }],
    [{ data: {} }, { _tag: "Dropped", reason: "empty_payload" }]
  ])("%j", (fields, expected) => {
    expect(process({ ...envelope, ...fields }).outcome).toEqual(expected)
  })
})

describe("a message", () => {
  it.each([
    ["", "telemetry.x", {}, { _tag: "Dropped", reason: "empty_payload" }],
    ["[]", "telemetry.x", {}, { _tag: "Dropped", reason: "empty_payload" }],
    ["", "telemetry", {}, { _tag: "DeadLetter", reason: "unroutable_subject" }],
    ["{", "telemetry.skip.x", {}, { _tag: "Dropped", reason: "skipped_subject" }],
    ["1", "x", { "Nats-Subject": "telemetry.a" }, { _tag: "DeadLetter", reason: "unsupported_type" }]
  ])("%j on %s %j", (payload, subject, headers, expected) => {
    expect(process(payload, subject, headers).outcome).toEqual(expected)
  })
})

describe("subjects", () => {
  it("are those the EventStream captures, besides the ones it knows", () => {
    const sensors = makeProcessor({ type: "Telemetry", skipSubjects: [], subjects: ["plant.sensors.>"] })
    const outcome = (subject: string) => processMessage(sensors, subject, { value: 1 }).outcome
    expect(outcome("plant.sensors.7")).toEqual({ _tag: "Rows" })
    expect(outcome("telemetry.x")).toEqual({ _tag: "Rows" })
    expect(outcome("plant.other")).toEqual(deadLetter("unroutable_subject"))
    expect(process({ value: 1 }, "plant.sensors.7").outcome).toEqual(deadLetter("unroutable_subject"))
  })
})
