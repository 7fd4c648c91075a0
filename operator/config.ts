import { Effect, Schema, SchemaGetter, SchemaIssue } from "effect"
import { durationPattern, formatDurationNanos, parseDuration } from "../crds/duration.ts"

const Millis = Schema.String.check(
  Schema.isPattern(durationPattern, { expected: "a duration such as 500ms, 30s or 1m" })
).pipe(
  Schema.decodeTo(Schema.Number, {
    decode: SchemaGetter.transform((text) => parseDuration(text) ?? 0),
    encode: SchemaGetter.transform((millis) => formatDurationNanos(millis * 1e6))
  })
)

const int = (minimum: number, maximum: number) =>
  Schema.FiniteFromString.check(Schema.isInt(), Schema.isBetween({ minimum, maximum }))

const withDefault = <T>(schema: Schema.Codec<T, string>, value: string, description: string) =>
  schema.pipe(
    Schema.annotateEncoded({ default: value, description }),
    Schema.withDecodingDefaultKey(Effect.succeed(value))
  )

const optional = (description: string) =>
  Schema.optionalKey(Schema.NonEmptyString.pipe(Schema.annotateEncoded({ description })))

/** The operator's configuration: variables of its environment. */
export const OperatorEnvironment = Schema.Struct({
  EVENTSTREAM_WRITER_IMAGE: Schema.NonEmptyString.annotate({
    description: "Image of the writers of EventStreams that name none."
  }),
  EVENTSTREAM_NAMESPACE: optional("The only namespace to look after. Unset: all."),
  EVENTSTREAM_POLL_INTERVAL: withDefault(
    Millis,
    "60s",
    "How often an EventStream is looked at when nothing happens; it is how old a lag figure may be."
  ),
  EVENTSTREAM_STATUS_INTERVAL: withDefault(
    Millis,
    "30s",
    "Shortest time between two status writes of an EventStream that only change numbers."
  ),
  EVENTSTREAM_WORKERS: withDefault(int(1, 64), "4", "EventStreams that are worked on at once."),
  EVENTSTREAM_HTTP_HOST: withDefault(Schema.NonEmptyString, "0.0.0.0", "Address of /metrics, /healthz and /readyz."),
  EVENTSTREAM_HTTP_PORT: withDefault(int(0, 65_535), "8080", "Port of them; 0 takes a free one."),
  EVENTSTREAM_HOSTS: optional(
    "Other addresses for in-cluster host names, as name=host:port separated by commas; handed on to writers. Unset in a cluster."
  ),
  EVENTSTREAM_LOG_LEVEL: withDefault(
    Schema.Literals(["error", "warn", "info", "debug", "trace"]),
    "info",
    "Log level of the operator."
  )
})
type Environment = typeof OperatorEnvironment.Type

export interface OperatorConfig {
  readonly writerImage: string
  readonly namespace: string | undefined
  readonly pollIntervalMillis: number
  readonly statusIntervalMillis: number
  readonly workers: number
  readonly http: { readonly host: string; readonly port: number }
  readonly hosts: string | undefined
  readonly logLevel: Environment["EVENTSTREAM_LOG_LEVEL"]
}

/** The environment does not make a configuration; the message names every variable that is wrong. */
export class InvalidEnvironment extends Schema.TaggedError<InvalidEnvironment>()("InvalidEnvironment", {
  detail: Schema.String
}) {
  override get message() {
    return `the operator's environment: ${this.detail}`
  }
}

/** Each variable with the last thing that is wrong with it: text that is no number fails every bound too. */
const sentence = (issue: SchemaIssue.Issue) => {
  const mistakes = new Map<string, string>()
  for (const { path, message } of SchemaIssue.makeFormatterStandardSchemaV1()(issue).issues) {
    const variable = path?.[0]
    mistakes.set(
      typeof variable === "string" ? variable : "environment",
      message.charAt(0).toLowerCase() + message.slice(1)
    )
  }
  return Array.from(mistakes, ([variable, mistake]) => `${variable}: ${mistake}`).join("; ")
}

/** The configuration in `environment`; every mistake is reported at once. */
export const readOperatorConfig = (
  environment: Readonly<Record<string, string | undefined>>
): Effect.Effect<OperatorConfig, InvalidEnvironment> =>
  Schema.decodeUnknownEffect(OperatorEnvironment, { errors: "all" })(
    // A variable that is set to nothing is one that is not set: how a manifest leaves one out.
    Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== undefined && value !== ""))
  ).pipe(
    Effect.mapError(({ issue }) => new InvalidEnvironment({ detail: sentence(issue) })),
    Effect.map((env) => ({
      writerImage: env.EVENTSTREAM_WRITER_IMAGE,
      namespace: env.EVENTSTREAM_NAMESPACE,
      pollIntervalMillis: env.EVENTSTREAM_POLL_INTERVAL,
      statusIntervalMillis: env.EVENTSTREAM_STATUS_INTERVAL,
      workers: env.EVENTSTREAM_WORKERS,
      http: { host: env.EVENTSTREAM_HTTP_HOST, port: env.EVENTSTREAM_HTTP_PORT },
      hosts: env.EVENTSTREAM_HOSTS,
      logLevel: env.EVENTSTREAM_LOG_LEVEL
    }))
  )
