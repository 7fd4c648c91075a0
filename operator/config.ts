import { Effect, Schema, SchemaGetter, SchemaIssue } from "effect"
import { hostname } from "node:os"
import { durationPattern, formatDurationNanos, parseDuration } from "../crds/duration.ts"
import type { Election } from "./leadership.ts"

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

/** Source: k8s.io/apimachinery/pkg/util/validation, IsDNS1123Label and IsDNS1123Subdomain. */
const label = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
const subdomain = String.raw`${label}(\.${label})*`

const Namespaces = Schema.String.check(
  Schema.isPattern(new RegExp(`^ *${label} *(, *${label} *)*$`, "u"), {
    expected: "names of namespaces separated by commas: lower-case letters, digits and -, at most 63 characters each"
  })
).pipe(
  Schema.decodeTo(Schema.Array(Schema.String), {
    decode: SchemaGetter.transform((text) => [...new Set(text.split(",").map((name) => name.trim()))]),
    encode: SchemaGetter.transform((names) => names.join(","))
  })
)

const LeaseKey = Schema.String.check(
  Schema.isPattern(new RegExp(`^${label}/${subdomain}$`, "u"), {
    expected: "a Lease as <namespace>/<name>, such as eventstream-system/eventstream-operator"
  })
)

/** The operator's configuration: variables of its environment. */
export const OperatorEnvironment = Schema.Struct({
  EVENTSTREAM_WRITER_IMAGE: Schema.NonEmptyString.annotate({
    description: "Image of the writers of EventStreams that name none."
  }),
  EVENTSTREAM_NAMESPACES: Schema.optionalKey(
    Namespaces.pipe(
      Schema.annotateEncoded({ description: "The only namespaces to look after, separated by commas. Unset: all." })
    )
  ),
  EVENTSTREAM_LEASE: Schema.optionalKey(
    LeaseKey.pipe(
      Schema.annotateEncoded({
        description:
          "Lease, as <namespace>/<name>, by which one of several operators is elected to reconcile. Unset: no election."
      })
    )
  ),
  EVENTSTREAM_IDENTITY: optional(
    "Name of this operator in the Lease, its own. Unset: the host name, which is the Pod's."
  ),
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
  EVENTSTREAM_CERTIFICATES: optional(
    "Folder with a client certificate of the operator's own, for the NATS of EventStreams whose writers have theirs from a CSI driver. Unset: there is none."
  ),
  EVENTSTREAM_LOG_LEVEL: withDefault(
    Schema.Literals(["error", "warn", "info", "debug", "trace"]),
    "info",
    "Log level of the operator."
  )
})

/** Variables by their names, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

export interface OperatorConfig {
  readonly writerImage: string
  /** Empty: all. */
  readonly namespaces: ReadonlyArray<string>
  /** Undefined: no other operator runs. */
  readonly election: Election | undefined
  readonly pollIntervalMillis: number
  readonly statusIntervalMillis: number
  readonly workers: number
  readonly http: { readonly host: string; readonly port: number }
  readonly hosts: string | undefined
  /** Folder of its own client certificate for NATS. */
  readonly identity?: string | undefined
  readonly logLevel: (typeof OperatorEnvironment.Type)["EVENTSTREAM_LOG_LEVEL"]
}

const electionOf = (lease: string | undefined, identity = hostname()): Election | undefined => {
  if (lease === undefined) return undefined
  const [namespace = "", name = ""] = lease.split("/")
  return { lease: { namespace, name }, identity }
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
const sentence = (issue: SchemaIssue.Issue, environment: Environment) => {
  const mistakes = new Map<string, string>()
  for (const { path, message } of SchemaIssue.makeFormatterStandardSchemaV1()(issue).issues) {
    const variable = path?.[0] as string
    const value = environment[variable]
    const found = value === undefined ? "" : `, found ${JSON.stringify(value)}`
    mistakes.set(variable, message.charAt(0).toLowerCase() + message.slice(1) + found)
  }
  return Array.from(mistakes, ([variable, mistake]) => `${variable}: ${mistake}`).join("; ")
}

/** The configuration in `environment`; every mistake is reported at once. */
export const readOperatorConfig = (environment: Environment): Effect.Effect<OperatorConfig, InvalidEnvironment> =>
  Schema.decodeUnknownEffect(OperatorEnvironment, { errors: "all" })(
    // A variable that is set to nothing is one that is not set: how a manifest leaves one out.
    Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== undefined && value !== ""))
  ).pipe(
    Effect.mapError(({ issue }) => new InvalidEnvironment({ detail: sentence(issue, environment) })),
    Effect.map((env) => ({
      writerImage: env.EVENTSTREAM_WRITER_IMAGE,
      namespaces: env.EVENTSTREAM_NAMESPACES ?? [],
      election: electionOf(env.EVENTSTREAM_LEASE, env.EVENTSTREAM_IDENTITY),
      pollIntervalMillis: env.EVENTSTREAM_POLL_INTERVAL,
      statusIntervalMillis: env.EVENTSTREAM_STATUS_INTERVAL,
      workers: env.EVENTSTREAM_WORKERS,
      http: { host: env.EVENTSTREAM_HTTP_HOST, port: env.EVENTSTREAM_HTTP_PORT },
      hosts: env.EVENTSTREAM_HOSTS,
      identity: env.EVENTSTREAM_CERTIFICATES,
      logLevel: env.EVENTSTREAM_LOG_LEVEL
    }))
  )
