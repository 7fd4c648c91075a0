import { Result, Schema } from "effect"
import { ProcessorConfig } from "../writer/processor-config.ts"
import { jsonText, parseVerbatim } from "../writer/decode/json.ts"
import { decodeBase64 } from "../writer/decode/text.ts"
import { formatTimestamp, parseTimestampIn } from "../writer/fields/time.ts"
import { columnFaults, makeProcessor, processorFaults } from "../writer/processors/index.ts"
import { outputNamed, outputsOf } from "../writer/processors/outputs.ts"
import type { Message, Outcome } from "../writer/processors/processor.ts"
import { Ascii } from "../writer/tables/ascii.ts"
import type { Column, JsonObject, JsonValue, Micros, Table, Value } from "../writer/tables/table.ts"

/** A line of input that says not what to preview; `problem` names the field, what was found and what is wanted. */
export class UnreadableLine extends Schema.TaggedError<UnreadableLine>()("UnreadableLine", {
  problem: Schema.String
}) {
  override get message() {
    return this.problem
  }
}

const Line = Schema.Struct({
  processor: Schema.String,
  output: Schema.optionalKey(Schema.NullOr(Schema.String)),
  subject: Schema.NonEmptyString,
  payload: Schema.optionalKey(Schema.Unknown),
  payloadBase64: Schema.optionalKey(Schema.NullOr(Schema.String)),
  headers: Schema.optionalKey(
    Schema.NullOr(Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Array(Schema.String)])))
  ),
  stream: Schema.optionalKey(Schema.NullOr(Schema.NonEmptyString)),
  seq: Schema.optionalKey(Schema.NullOr(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)))),
  receivedAt: Schema.optionalKey(Schema.NullOr(Schema.String)),
  options: Schema.optionalKey(Schema.NullOr(Schema.Record(Schema.String, Schema.Unknown)))
})
type Line = typeof Line.Type

const decodeLine = Schema.decodeUnknownResult(Line, { errors: "all" })
const decodeConfig = Schema.decodeUnknownResult(ProcessorConfig, { errors: "all", onExcessProperty: "error" })
const processorTypes: ReadonlyArray<string> = ProcessorConfig.fields.type.literals

const unreadable = (problem: string) => Result.fail(new UnreadableLine({ problem }))

const oneLine = (text: string): string => text.replaceAll(/\n\s*/g, " ")

const configOf = ({ processor, output, options }: Line): Result.Result<ProcessorConfig, UnreadableLine> => {
  if (!processorTypes.includes(processor)) {
    return unreadable(`processor: ${JSON.stringify(processor)} is unknown; there are ${processorTypes.join(", ")}`)
  }
  const type = processor as ProcessorConfig["type"]
  const named = output == null ? undefined : outputNamed(type, output)
  if (output != null && named === undefined) {
    const outputs = outputsOf(type)
    return unreadable(`output: ${processor} has ${outputs.length === 0 ? "only one" : outputs.join(", ")}`)
  }
  const config = decodeConfig({ ...options, type, ...(named === undefined ? {} : { output: named }) })
  if (Result.isFailure(config)) return unreadable(`options: ${oneLine(config.failure.message)}`)
  const faults = [...processorFaults(config.success), ...columnFaults(config.success)]
  return faults.length === 0 ? Result.succeed(config.success) : unreadable(`options: ${faults.join("; ")}`)
}

/** The message's bytes: those given, or the payload as JSON with every number as it was written. */
const payloadOf = (text: string, line: Line): Result.Result<Uint8Array, UnreadableLine> => {
  const { payloadBase64 } = line
  if (typeof payloadBase64 === "string") {
    if (line.payload !== undefined && line.payload !== null)
      return unreadable("payload and payloadBase64: only one may be given")
    const bytes = decodeBase64(payloadBase64)
    return bytes === undefined ? unreadable("payloadBase64: not base64") : Result.succeed(bytes)
  }
  if (!("payload" in line)) return unreadable("payload or payloadBase64: one must be given")
  return Result.try({
    try: () => Buffer.from(JSON.stringify((parseVerbatim(text) as { readonly payload: unknown }).payload)),
    catch: (cause) =>
      new UnreadableLine({ problem: `payload: ${(cause as Error).message}; payloadBase64 takes any bytes` })
  })
}

const headerReader = (given: Line["headers"]): Pick<Message, "header" | "headers"> => {
  const headers = Object.fromEntries(
    Object.entries(given ?? {}).map(([name, value]) => [name, typeof value === "string" ? [value] : value])
  )
  return { header: (name) => headers[name]?.[0], headers: () => headers }
}

/** A value as the preview prints it: `bigint` columns as decimal text, times as RFC 3339, bytes as base64. */
const printed = (column: Column, value: Value): JsonValue => {
  if (value === null) return null
  if (column.type === "timestamptz") return formatTimestamp(value as Micros)
  if (column.type === "int8" && (typeof value === "number" || typeof value === "bigint")) return String(value)
  if (column.type === "int8[]") {
    return (value as ReadonlyArray<number | bigint | null>).map((n) => (n === null ? null : String(n)))
  }
  if (value instanceof Ascii) return String(value)
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64")
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value
}

const printedRow = (table: Table, values: ReadonlyArray<Value>): JsonObject => {
  const columns: Record<string, JsonValue> = Object.create(null)
  for (const [i, column] of table.columns.entries()) columns[column.name] = printed(column, values[i] ?? null)
  return { table: table.schema === undefined ? table.name : `${table.schema}.${table.name}`, columns }
}

const printedOutcome = (outcome: Outcome, rows: ReadonlyArray<JsonObject>): JsonObject => {
  if (outcome._tag === "Dropped") return { dropped: { reason: outcome.reason } }
  const elements = (outcome.elements ?? []).map(({ index, reason }) => ({ index, reason }))
  if (outcome._tag === "DeadLetter") {
    const { reason, detail } = outcome
    return {
      deadLetter: {
        reason,
        ...(detail === undefined ? {} : { detail }),
        ...(elements.length === 0 ? {} : { elements })
      }
    }
  }
  const [first] = elements
  return first === undefined ? { rows } : { rows, deadLetter: { reason: first.reason, elements } }
}

/**
 * What would become of the message that a line describes, as one line of JSON.
 *
 * @param number of the line, the message's default sequence
 * @param now the message's default time
 */
export const previewLine = (text: string, number: number, now: Micros): Result.Result<string, UnreadableLine> =>
  Result.gen(function* () {
    const json = yield* Result.try({
      try: () => JSON.parse(text) as unknown,
      catch: (cause) => new UnreadableLine({ problem: `not JSON: ${(cause as SyntaxError).message}` })
    })
    const line = yield* Result.mapError(
      decodeLine(json),
      ({ message }) => new UnreadableLine({ problem: oneLine(message) })
    )
    const config = yield* configOf(line)
    const data = yield* payloadOf(text, line)
    const receivedAt = line.receivedAt == null ? now : parseTimestampIn(line.receivedAt, "RFC3339")
    if (receivedAt === undefined) {
      return yield* unreadable(`receivedAt: ${JSON.stringify(line.receivedAt)} is no RFC 3339 time`)
    }

    const processor = makeProcessor(config)
    const rows: Array<JsonObject> = []
    const outcome = processor.process(
      {
        subject: line.subject,
        stream: line.stream ?? "preview",
        seq: line.seq ?? number,
        receivedAt,
        data,
        ...headerReader(line.headers)
      },
      { row: (table, values) => rows.push(printedRow(processor.tables[table]!, values)) }
    )
    return jsonText(printedOutcome(outcome, rows))
  })
