import { Schema } from "effect"
import { ProcessorConfig } from "../../writer/processor-config.ts"
import { binaryEvent, eventHeaders, structuredEvent } from "../../writer/decode/cloudevent.ts"
import { openEnvelope } from "../../writer/decode/cloudevents.ts"
import { decodeFlow } from "../../writer/decode/flow.ts"
import { decodeJson, jsonText, maxDepth, numbersAsText, parseJson } from "../../writer/decode/json.ts"
import { decodeLogsRequest, logsRequestFromJson } from "../../writer/decode/otlp-logs.ts"
import { decodeMetricsRequest, metricsRequestFromJson } from "../../writer/decode/otlp-metrics.ts"
import { decodeTraceRequest, traceRequestFromJson } from "../../writer/decode/otlp-traces.ts"
import { decodeUtf8Document } from "../../writer/decode/text.ts"
import { parseTimestamp } from "../../writer/fields/time.ts"
import { isContainer, isObject } from "../../writer/fields/values.ts"
import { makeProcessor } from "../../writer/processors/index.ts"
import type { Message, Outcome } from "../../writer/processors/processor.ts"
import { makeBatchEncoder } from "../../writer/store/copy.ts"
import { Ascii } from "../../writer/tables/ascii.ts"
import type { JsonObject, JsonValue, Micros, Row, Value } from "../../writer/tables/table.ts"
import type { Random } from "./random.ts"

/** What is fuzzed: every decoder and every processor, each with what must hold for any input. */
export interface Target {
  readonly name: string
  /** Whether it makes something of an input; those that it does are damaged more often. */
  readonly accepts?: (input: Uint8Array) => boolean
  /** Throws when something does not hold. */
  readonly check: (input: Uint8Array, random: Random) => void
}

const require = (holds: boolean, what: string) => {
  if (!holds) throw new Error(what)
}

const isStorableText = (text: string) => text.isWellFormed() && !text.includes("\0")

/** Whether PostgreSQL takes all texts of a value. */
const isStorable = (value: Value | Ascii): boolean => {
  if (typeof value === "string") return isStorableText(value)
  if (value instanceof Uint8Array || value instanceof Ascii || !isContainer(value)) return true
  return Array.isArray(value)
    ? value.every(isStorable)
    : Object.entries(value as JsonObject).every(([key, member]) => isStorableText(key) && isStorable(member))
}

const depthOf = (value: unknown): number =>
  typeof value !== "object" || value === null || value instanceof Uint8Array
    ? 0
    : 1 + Object.values(value).reduce((deepest: number, member) => Math.max(deepest, depthOf(member)), 0)

const checkJson = (input: Uint8Array) => {
  const decoded = decodeJson(input)
  if (decoded._tag !== "Json") return
  require(depthOf(decoded.value) <= maxDepth, `JSON is nested deeper than ${maxDepth} levels`)
  require(isStorable(decoded.value), "JSON has text that PostgreSQL refuses")
  const text = jsonText(decoded.value)
  const again = parseJson(text)
  require(again._tag === "Json" && jsonText(again.value) === text, "JSON is not the same when it is read again")
  const exact = numbersAsText(decodeUtf8Document(input))
  require(exact === undefined || isStorable(exact), "JSON with exact numbers has text that PostgreSQL refuses")
}

/** Messages within messages, each in the array or the object that a field is. */
const maxProtobufDepth = 400

const protobuf = (name: string, decode: (bytes: Uint8Array) => object | undefined): Target => ({
  name: `protobuf ${name}`,
  accepts: (input) => decode(input) !== undefined,
  check: (input) => require(depthOf(decode(input)) <= maxProtobufDepth, "a message is nested too deep")
})

const protojson = (name: string, read: (object: JsonObject) => object): Target => ({
  name: `protojson ${name}`,
  check: (input) => {
    const decoded = decodeJson(input)
    if (decoded._tag === "Json" && isObject(decoded.value)) read(decoded.value)
  }
})

const eventParse = (text: string): JsonValue | undefined => {
  const parsed = parseJson(text)
  return parsed._tag === "Json" ? parsed.value : undefined
}

const contentTypes = ["application/json", "text/plain", "application/x-protobuf", "%", "APPLICATION/A+JSON;x"]

const eventHeadersOf = (random: Random): Readonly<Record<string, ReadonlyArray<string>>> => ({
  "ce-specversion": ["1.0"],
  "ce-id": [random.of(["a", "%C3%A9", "%", "%00", ""])],
  ...(random.below(2) === 0 ? {} : { "Ce-DataContentType": [random.of(contentTypes)] }),
  ...(random.below(8) > 0 ? {} : { "ce-__proto__": ["x"], "ce-data": ["y"] }),
  ...(random.below(8) > 0 ? {} : { "content-type": ["application/cloudevents+json"] })
})

const checkEvents = (input: Uint8Array, random: Random) => {
  const binary = binaryEvent(eventHeaders(eventHeadersOf(random)), input, eventParse)
  require(typeof binary === "string" || isStorable(binary), "an event has text that PostgreSQL refuses")
  const decoded = decodeJson(input)
  if (decoded._tag !== "Json" || !isObject(decoded.value)) return
  const event = structuredEvent(decoded.value, eventParse)
  require(typeof event === "string" || isStorable(event), "an event has text that PostgreSQL refuses")
  openEnvelope(decoded.value, decodeLogsRequest)
}

const receivedAt = parseTimestamp("2026-01-15T00:00:00Z") as Micros
const plain = (value: Value | Ascii): Value => (value instanceof Ascii ? String(value) : value)
const decodeConfig = Schema.decodeUnknownSync(ProcessorConfig, { onExcessProperty: "error" })

/** Bytes of rows that are kept before they are forgotten. */
const maxKept = 8 * 1024 * 1024

const checkOutcome = (outcome: Outcome, rows: number) => {
  require((outcome._tag === "Rows") === rows > 0 || outcome._tag === "DeadLetter", `${outcome._tag} with ${rows} rows`)
  if (outcome._tag !== "Rows") require(outcome.reason !== "", "an outcome has no reason")
  if (outcome._tag === "Dropped") return
  const indices = outcome.elements?.map(({ index }) => index) ?? []
  require(indices.every((index, i) => i === 0 || index > indices[i - 1]!), "dead elements are not in order")
}

const processor = (name: string, subjects: ReadonlyArray<string>, config: object): Target => {
  const { process, tables } = makeProcessor(decodeConfig(config))
  const encoder = makeBatchEncoder(tables)
  const run = (message: Message) => {
    const rows: Array<Row> = []
    let count = 0
    encoder.beginMessage()
    const outcome = process(message, {
      row: (table, values) => {
        const { columns } = tables[table]!
        count++
        require(values.length === columns.length, `${values.length} values for ${columns.length} columns`)
        for (const [i, value] of values.entries()) {
          require(value !== undefined && isStorable(value), `${columns[i]!.name} is nothing that PostgreSQL stores`)
          require(value !== null || !columns[i]!.notNull, `${columns[i]!.name} is null`)
        }
        if (rows.length < 100) rows.push(values.map(plain))
        encoder.sink.row(table, values)
      }
    })
    const misfit = encoder.endMessage()
    require(misfit === undefined, `a value does not fit its column ${misfit}`)
    if (encoder.byteLength() > maxKept) encoder.reuse(encoder.take())
    checkOutcome(outcome, count)
    return { outcome, rows }
  }
  const messageOf = (
    subject: string,
    data: Uint8Array,
    headers: Readonly<Record<string, ReadonlyArray<string>>>
  ): Message => ({
    subject,
    stream: "FUZZ",
    seq: 42,
    receivedAt,
    data,
    header: (name) => headers[name]?.[0],
    headers: () => headers
  })
  return {
    name,
    accepts: (data) => run(messageOf(subjects[0]!, data, {})).outcome._tag === "Rows",
    check: (data, random) => {
      const headers = random.below(8) === 0 ? eventHeadersOf(random) : { "Nats-Msg-Id": [random.of(["", "id", "\0"])] }
      const message = messageOf(random.of(subjects), data, headers)
      const first = run(message)
      if (random.below(16) > 0) return
      const again = run(message)
      const same = jsonText(first as unknown as JsonValue) === jsonText(again as unknown as JsonValue)
      require(same, "the same message gives other rows the second time")
    }
  }
}

const columns = [
  { name: "a", type: "int8", from: "/value" },
  { name: "b", type: "numeric", from: "/scale" },
  { name: "c", type: "timestamptz", from: "/timestamp" },
  { name: "d", type: "text[]", from: "/tags" },
  { name: "e", type: "inet", from: "/target_device_ip" },
  { name: "f", type: "bytea", from: "/data_base64" },
  { name: "g", type: "float8", from: "/data/value" },
  { name: "h", type: "jsonb", from: "/data" },
  { name: "i", type: "text", from: "/metadata/__proto__" },
  { name: "j", type: "text", from: "header:Nats-Msg-Id" },
  { name: "k", type: "int8[]", from: "/ports" },
  { name: "l", type: "macaddr", from: "/mac" }
]
const mapping = { table: "t", columns, onUnknownField: "ExtraColumn", extraColumn: "rest" }

export const targets: ReadonlyArray<Target> = [
  { name: "json", check: checkJson },
  protobuf("metrics", decodeMetricsRequest),
  protobuf("traces", decodeTraceRequest),
  protobuf("logs", decodeLogsRequest),
  protobuf("flow", decodeFlow),
  protojson("metrics", metricsRequestFromJson),
  protojson("traces", traceRequestFromJson),
  protojson("logs", logsRequestFromJson),
  { name: "cloudevents", check: checkEvents },
  processor("Telemetry", ["telemetry.x"], { type: "Telemetry" }),
  ...["Events", "OcsfEvents"].map((output) =>
    processor(`Events ${output}`, ["events.x", "snmp.traps", "events.ocsf.x"], {
      type: "Events",
      output,
      storeRaw: true
    })
  ),
  ...["OcsfEvents", "Logs", "Both"].map((output) =>
    processor(`Logs ${output}`, ["logs.otel", "logs.syslog", "ns.logs.x"], {
      type: "Logs",
      output,
      storeRaw: output !== "Logs"
    })
  ),
  processor("OtelMetrics", ["otel.metrics.raw"], { type: "OtelMetrics" }),
  processor("OtelTraces", ["otel.traces"], { type: "OtelTraces" }),
  ...["OcsfNetworkActivity", "SweepHostStates"].map((output) =>
    processor(`Sweep ${output}`, ["sweep.x"], { type: "Sweep", output })
  ),
  ...["OcsfNetworkActivity", "NetflowMetrics"].map((output) =>
    processor(`NetFlow ${output}`, ["flows.raw.netflow", "netflow.x"], { type: "NetFlow", output })
  ),
  ...["Json", "NDJson", "CloudEvents"].map((format) =>
    processor(`Json ${format}`, ["x"], { type: "Json", json: { format, ...mapping } })
  ),
  processor("Json routes", ["a.x", "b.x", "c.x", "d.x"], {
    type: "Json",
    json: {
      routes: [
        { name: "a", subjects: ["a.*"], ...mapping, mode: "Upsert", conflictKeys: ["a"] },
        { name: "b", subjects: ["b.>"], table: "u", columns, onUnknownField: "Reject" },
        { name: "c", subjects: ["c.x"], drop: true }
      ],
      onNoRoute: "Halt"
    }
  })
]
