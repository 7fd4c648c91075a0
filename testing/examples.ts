import { readFileSync } from "node:fs"
import { parseJson } from "../writer/decode/json.ts"
import { parseTimestampIn } from "../writer/fields/time.ts"

/** The examples that tests run through `preview` and through real servers. */

export type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [key: string]: Json }
export type Columns = Readonly<Record<string, Json>>

const processors = {
  TELEMETRY: "Telemetry",
  EVENTS: "Events",
  LOGS: "Logs",
  OTEL_METRICS: "OtelMetrics",
  OTEL_TRACES: "OtelTraces",
  SWEEP: "Sweep",
  NETFLOW: "NetFlow"
} as const

const outputs = {
  ocsf_events: "OcsfEvents",
  logs: "Logs",
  both: "Both",
  sweep_host_states: "SweepHostStates",
  netflow_metrics: "NetflowMetrics"
} as const

/** A message and what is to become of it. */
export interface Example {
  readonly id: string
  readonly stream: keyof typeof processors
  /** Table that the stream is configured for; unset, the default. */
  readonly target?: keyof typeof outputs
  readonly subject: string
  readonly encoding: "json" | "base64"
  readonly payload: Json
  readonly meta: {
    readonly received_at: string
    readonly stream: string
    readonly seq: number
    readonly msg_id?: string
  }
  readonly options?: Columns
  readonly expect: {
    readonly table?: string
    readonly rows?: ReadonlyArray<Columns>
    /** Rows of further tables. */
    readonly also?: ReadonlyArray<{ readonly table: string; readonly rows: ReadonlyArray<Columns> }>
    readonly dead_letter_elements?: ReadonlyArray<number>
    readonly dead_letter?: true
    readonly dropped?: true
    readonly reason?: string
  }
  readonly why: string
}

/** The worked examples of every stream. */
export const examples: ReadonlyArray<Example> = readFileSync(
  new URL("../writer/processors/golden/examples.jsonl", import.meta.url),
  "utf8"
)
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Example)

/** Type of the processor that an example is for. */
export const processorOf = ({ stream }: Example) => processors[stream]

/** The processor's output, where the example says one. */
export const outputOf = ({ target }: Example) => (target === undefined ? {} : { output: outputs[target] })

const uuid = /^[\da-f]{8}-[\da-f]{4}-([\da-f])[\da-f]{3}-[\da-f]{4}-[\da-f]{12}$/

const isRecord = (value: unknown): value is Readonly<Record<string, Json>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Whether `actual` has every member of `subset`, at every level. */
const contains = (actual: unknown, subset: Json): boolean =>
  isRecord(subset)
    ? isRecord(actual) && Object.entries(subset).every(([key, value]) => contains(actual[key], value))
    : matches(actual, subset)

const instant = (text: string) => parseTimestampIn(text, "RFC3339")

const matchesText = (actual: unknown, expected: string): boolean => {
  if (typeof actual === "bigint" || Number.isSafeInteger(actual)) return String(actual) === expected
  if (actual === expected || typeof actual !== "string") return actual === expected
  const time = instant(expected)
  return time !== undefined && time === instant(actual)
}

/** The content of a text column that holds JSON. */
const parsed = (actual: unknown, expected: Json): unknown => {
  if (typeof actual !== "string" || typeof expected !== "object" || expected === null || "$uuid" in expected)
    return actual
  const decoded = parseJson(actual)
  return decoded._tag === "Json" ? decoded.value : actual
}

/**
 * The rules of comparison of the examples: matchers, instants, numbers with a tolerance, bigints as text, text that holds JSON
 * as JSON.
 */
export const matches = (found: unknown, expected: Json): boolean => {
  const actual = parsed(found, expected)
  if (isRecord(expected) && Object.keys(expected).some((key) => key.startsWith("$"))) {
    return Object.entries(expected).every(([matcher, argument]) => {
      switch (matcher) {
        case "$any":
          return actual !== null && actual !== undefined
        case "$uuid":
          return typeof actual === "string" && [true, uuid.exec(actual)?.[1]].includes(argument as string | true)
        case "$contains":
          return contains(actual, argument)
        case "$items":
          return (argument as ReadonlyArray<Json>).every((item) =>
            (actual as ReadonlyArray<Json>).some((element) => contains(element, item))
          )
        case "$absent":
          return (argument as ReadonlyArray<string>).every((key) => !Object.hasOwn(actual as object, key))
        default:
          throw new Error(`unknown matcher ${matcher}`)
      }
    })
  }
  if (typeof expected === "number") {
    const number = typeof actual === "string" && /^-?\d+$/.test(actual) ? Number(actual) : actual
    return typeof number === "number" && Math.abs(number - expected) <= 1e-9 * Math.abs(expected)
  }
  if (Array.isArray(expected)) {
    return (
      Array.isArray(actual) &&
      actual.length === expected.length &&
      expected.every((item, i) => matches(actual[i], item as Json))
    )
  }
  if (isRecord(expected)) {
    return (
      isRecord(actual) &&
      Object.keys(actual).length === Object.keys(expected).length &&
      Object.entries(expected).every(([key, value]) => matches(actual[key], value))
    )
  }
  return typeof expected === "string" ? matchesText(actual, expected) : actual === expected
}
