import { Effect, Redacted, Schema, SchemaIssue } from "effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { WriterConfig } from "./config.ts"
import { type ProcessorConfig, ProcessorTypes } from "./processor-config.ts"
import { outputNamed, outputsOf } from "./processors/outputs.ts"

/**
 * Configuration by environment, for a writer that runs by itself: the variables of its predecessors, and those that a stream
 * without an EventStream object needs. Everything else is said in a file (`--config`).
 */

/** Every mistake of the environment at once; secrets are not shown. */
export class EnvironmentInvalid extends Schema.TaggedError<EnvironmentInvalid>()("EnvironmentInvalid", {
  problems: Schema.Array(Schema.String)
}) {
  override get message() {
    return this.problems.join("; ")
  }
}

export type Environment = Readonly<Record<string, string | undefined>>

const text = (pattern: RegExp, expected: string) => Schema.String.check(Schema.isPattern(pattern, { expected }))

const on = /^(true|1|yes|on)$/iu
const off = /^(false|0|no|off)$/iu
const Switch = text(/^(true|1|yes|on|false|0|no|off)$/iu, "true or false")
const Path = text(/\S/u, "a path")
const Name = text(/^[^\s.*>/\\]+$/u, "a JetStream name, without spaces, dots, slashes and wildcards")

/** Processors that need no more than a type. */
const processors = ProcessorTypes.filter((type) => type !== "Json")

/** The one table of processors that have no choice. */
const onlyTable: Readonly<Partial<Record<ProcessorConfig["type"], string>>> = {
  Telemetry: "timeseries_metrics",
  OtelMetrics: "otel_metrics",
  OtelTraces: "otel_traces"
}

const Variables = Schema.Struct({
  EVENT_WRITER_ENABLED: Schema.optionalKey(Switch),
  EVENT_WRITER_NATS_URL: Schema.optionalKey(
    text(
      /^((nats|tls):\/\/)?[^\s,/@]+(,((nats|tls):\/\/)?[^\s,/@]+)*$/u,
      "NATS addresses like nats://host:4222, separated by commas, with user and password in EVENT_WRITER_NATS_USER and EVENT_WRITER_NATS_PASSWORD"
    )
  ),
  EVENT_WRITER_NATS_TLS: Schema.optionalKey(Switch),
  EVENT_WRITER_NATS_CREDS_FILE: Schema.optionalKey(Path),
  EVENT_WRITER_NATS_USER: Schema.optionalKey(Schema.NonEmptyString),
  EVENT_WRITER_NATS_PASSWORD: Schema.optionalKey(Schema.RedactedFromValue(Schema.NonEmptyString)),
  EVENT_WRITER_STREAM: Schema.optionalKey(Name),
  EVENT_WRITER_NATS_STREAM: Schema.optionalKey(Name),
  EVENT_WRITER_CONSUMER: Schema.optionalKey(Name),
  EVENT_WRITER_NATS_CONSUMER: Schema.optionalKey(Name),
  EVENT_WRITER_CONSUMER_NAME: Schema.optionalKey(Name),
  EVENT_WRITER_PROCESSOR: text(
    new RegExp(`^(${processors.join("|")})$`, "u"),
    `one of ${processors.join(", ")}; a Json table needs its columns and so --config`
  ),
  EVENT_WRITER_OUTPUT: Schema.optionalKey(Schema.NonEmptyString),
  EVENT_WRITER_BATCH_SIZE: Schema.optionalKey(
    text(/^([1-9][0-9]{0,4}|100000)$/u, "a whole number of messages from 1 to 100000")
  ),
  EVENT_WRITER_BATCH_TIMEOUT: Schema.optionalKey(
    text(/^(0|[1-9][0-9]{0,3}|[1-5][0-9]{4}|60000)$/u, "whole milliseconds from 0 to 60000")
  ),
  EVENT_WRITER_DATABASE_URL: Schema.RedactedFromValue(
    text(/^postgres(ql)?:\/\/\S+$/u, "a URI like postgresql://user:password@host:5432/database")
  ),
  EVENT_WRITER_SCHEMA: Schema.optionalKey(Schema.NonEmptyString),
  SPIFFE_CERT_DIR: Schema.optionalKey(Path)
})
type Variables = typeof Variables.Type
type Name = keyof Variables

const secrets: ReadonlySet<string> = new Set(["EVENT_WRITER_NATS_PASSWORD", "EVENT_WRITER_DATABASE_URL"])
const known: ReadonlySet<string> = new Set(Object.keys(Variables.fields))

const shown = (env: Environment, name: string) => {
  const value = env[name]
  if (value === undefined) return "nothing"
  // Before an @ of an address there may be a password.
  return secrets.has(name) || value.includes("@") ? "something else" : JSON.stringify(value)
}

/** Whether EVENT_WRITER_ENABLED says that no writer is wanted. */
export const isDisabled = (env: Environment): boolean => off.test(env["EVENT_WRITER_ENABLED"] ?? "")

const decodeVariables = Schema.decodeUnknownResult(Variables, { errors: "all" })
const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

/** What the schema of single variables can't say: names nobody reads, names for the same thing, files. */
const problemsBetween = (env: Environment): Array<string> => {
  const problems: Array<string> = []
  for (const name of Object.keys(env)) {
    if (name.startsWith("EVENT_WRITER_") && !known.has(name))
      problems.push(`${name}: no such variable; check the spelling`)
  }
  const one = (names: ReadonlyArray<Name>) => {
    const given = names.filter((name) => env[name] !== undefined)
    if (given.length === 0) problems.push(`${names[0]}: wanted a JetStream name, found nothing`)
    if (new Set(given.map((name) => env[name])).size > 1) {
      problems.push(
        `${given.join(" and ")}: wanted one name, found ${given.map((name) => shown(env, name)).join(" and ")}`
      )
    }
  }
  one(streamNames)
  one(consumerNames)
  const output = env["EVENT_WRITER_OUTPUT"]
  const type = processors.find((type) => type === env["EVENT_WRITER_PROCESSOR"])
  if (
    output !== undefined &&
    type !== undefined &&
    outputNamed(type, output) === undefined &&
    output !== onlyTable[type]
  ) {
    const possible = onlyTable[type] ?? outputsOf(type).join(" or ")
    problems.push(`EVENT_WRITER_OUTPUT: wanted ${possible} with this processor, found ${JSON.stringify(output)}`)
  }
  if (env["EVENT_WRITER_NATS_PASSWORD"] !== undefined && env["EVENT_WRITER_NATS_USER"] === undefined) {
    problems.push("EVENT_WRITER_NATS_USER: wanted the user of EVENT_WRITER_NATS_PASSWORD, found nothing")
  }
  const files = [env["EVENT_WRITER_NATS_CREDS_FILE"], ...Object.values(certificatesOf(env) ?? {})]
  for (const file of files)
    if (file !== undefined && !existsSync(file)) problems.push(`wanted the file ${file}, found none`)
  return problems
}

const streamNames = ["EVENT_WRITER_STREAM", "EVENT_WRITER_NATS_STREAM"] as const
const consumerNames = ["EVENT_WRITER_CONSUMER", "EVENT_WRITER_NATS_CONSUMER", "EVENT_WRITER_CONSUMER_NAME"] as const

const certificatesOf = (env: Environment) => {
  const folder = env["SPIFFE_CERT_DIR"]
  if (folder === undefined || off.test(env["EVENT_WRITER_NATS_TLS"] ?? "")) return undefined
  const file = (name: string) => join(folder, name)
  return { caFile: file("root.pem"), certFile: file("core.pem"), keyFile: file("core-key.pem") }
}

const tlsOf = (env: Environment) => {
  const certificates = certificatesOf(env)
  if (certificates) return { mode: "Required" as const, ...certificates }
  const wanted = env["EVENT_WRITER_NATS_TLS"]
  return wanted === undefined ? undefined : { mode: on.test(wanted) ? ("Required" as const) : ("Disabled" as const) }
}

const first = (variables: Variables, names: ReadonlyArray<Name>) =>
  names.map((name) => variables[name] as string | undefined).find((value) => value !== undefined)!

const configOf = (variables: Variables, env: Environment): typeof WriterConfig.Encoded => {
  const stream = first(variables, streamNames)
  const consumer = first(variables, consumerNames)
  const type = variables.EVENT_WRITER_PROCESSOR as ProcessorConfig["type"]
  const output = outputNamed(type, variables.EVENT_WRITER_OUTPUT ?? "")
  const tls = tlsOf(env)
  const {
    EVENT_WRITER_BATCH_SIZE: size,
    EVENT_WRITER_BATCH_TIMEOUT: timeout,
    EVENT_WRITER_NATS_PASSWORD: password
  } = variables
  return {
    // The ledger needs a name for who writes: the consumer stands for the EventStream that is not there.
    eventStream: { namespace: "standalone", name: consumer, uid: `${stream}/${consumer}` },
    nats: {
      servers: (variables.EVENT_WRITER_NATS_URL ?? "nats://localhost:4222").split(","),
      ...(tls ? { tls } : {}),
      ...(variables.EVENT_WRITER_NATS_CREDS_FILE ? { credsFile: variables.EVENT_WRITER_NATS_CREDS_FILE } : {}),
      ...(variables.EVENT_WRITER_NATS_USER ? { user: variables.EVENT_WRITER_NATS_USER } : {}),
      ...(password ? { password: Redacted.value(password) } : {})
    },
    stream,
    consumer,
    processor: { type, ...(output === undefined ? {} : { output }) },
    target: {
      postgres: { uri: Redacted.value(variables.EVENT_WRITER_DATABASE_URL) },
      ...(variables.EVENT_WRITER_SCHEMA ? { schema: variables.EVENT_WRITER_SCHEMA } : {})
    },
    batch: {
      ...(size ? { maxMessages: Number(size) } : {}),
      ...(timeout ? { maxLatencyMillis: Number(timeout) } : {})
    }
  }
}

/** Reads the variables; an empty one counts as unset. Fails with every mistake at once. */
export const readEnvironment = (environment: Environment): Effect.Effect<WriterConfig, EnvironmentInvalid> =>
  Effect.gen(function* () {
    const env: Environment = Object.fromEntries(
      Object.entries(environment).filter(
        ([name, value]) => value !== "" && (known.has(name) || name.startsWith("EVENT_WRITER_"))
      )
    )
    const decoded = decodeVariables(env)
    const problems: Array<string> = []
    if (decoded._tag === "Failure") {
      for (const { path, message } of issuesOf(decoded.failure.issue).issues) {
        const name = path?.[0] as string
        const expected = message === "Missing key" ? "a value" : message.replace(/^Expected /, "")
        problems.push(`${name}: wanted ${expected}, found ${shown(env, name)}`)
      }
    }
    problems.push(...problemsBetween(env))
    if (decoded._tag === "Failure" || problems.length > 0) return yield* new EnvironmentInvalid({ problems })
    return yield* Schema.decodeUnknownEffect(WriterConfig)(configOf(decoded.success, env)).pipe(Effect.orDie)
  })
