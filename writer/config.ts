import { Effect, Schema } from "effect"

/**
 * The writer's configuration: the contract between the operator, which encodes it into a ConfigMap, and the writer, which
 * decodes it. Units are in the names. Relative paths are relative to the folder of the configuration file, so that the same
 * file works in a Pod, under `eventstream local` and by hand.
 */

const withDefault = <T, E>(schema: Schema.Codec<T, E>, value: E, description: string) =>
  schema.pipe(
    Schema.annotateEncoded({ default: value, description }),
    Schema.withDecodingDefaultKey(Effect.succeed(value))
  )

const optional = <T, E>(schema: Schema.Codec<T, E>, description: string) =>
  Schema.optionalKey(schema.pipe(Schema.annotateEncoded({ description })))

const int = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

export const ColumnTypes = [
  "text",
  "int4",
  "int8",
  "float8",
  "numeric",
  "bool",
  "timestamptz",
  "date",
  "uuid",
  "inet",
  "cidr",
  "macaddr",
  "jsonb",
  "bytea",
  "text[]",
  "int8[]"
] as const

export const JsonColumn = Schema.Struct({
  name: Schema.NonEmptyString,
  from: optional(
    Schema.NonEmptyString,
    "JSON pointer, header:<name>, subject, subject:<n>, seq, time or const:<text>. Unset: /<name>."
  ),
  type: Schema.Literals(ColumnTypes),
  timeUnit: optional(
    Schema.Literals(["RFC3339", "s", "ms", "us", "ns"]),
    "How a timestamptz is written in the payload. Unset: recognised by size and shape."
  ),
  required: optional(Schema.Boolean, "Absent or null makes the message a dead letter."),
  defaultValue: optional(Schema.String, "Used when absent or null.")
})

export const JsonMapping = Schema.Struct({
  table: Schema.NonEmptyString,
  columns: Schema.Array(JsonColumn),
  onUnknownField: withDefault(
    Schema.Literals(["Ignore", "ExtraColumn", "Reject"]),
    "Ignore",
    "What to do with top-level fields no column takes."
  ),
  extraColumn: optional(Schema.NonEmptyString, "jsonb column that receives unmapped fields."),
  mode: withDefault(
    Schema.Literals(["Append", "InsertIgnore", "Upsert"]),
    "Append",
    "What happens when a row's key exists."
  ),
  conflictKeys: withDefault(Schema.Array(Schema.NonEmptyString), [], "Key columns of InsertIgnore and Upsert."),
  updateColumns: optional(Schema.Array(Schema.NonEmptyString), "Columns an Upsert replaces. Unset: all but the keys."),
  newerWins: optional(
    Schema.NonEmptyString,
    "Column compared on conflict, so that late messages never overwrite newer rows."
  )
})

export const ProcessorConfig = Schema.Struct({
  type: Schema.Literals(["Json", "Telemetry", "OtelMetrics"]),
  skipSubjects: withDefault(
    Schema.Array(Schema.NonEmptyString),
    [],
    "Subjects (exact or wildcard) that are dropped and counted."
  ),
  subjects: optional(
    Schema.Array(Schema.NonEmptyString),
    "Subjects the EventStream captures: routed to the processor besides those it knows by itself."
  ),
  json: optional(JsonMapping, "Mapping of type Json.")
})
export type ProcessorConfig = typeof ProcessorConfig.Type

/** The client ignores a user and password in it, and messages show it. */
const ServerUrl = Schema.NonEmptyString.check(
  Schema.isPattern(/^[^@]+$/u, { expected: "a NATS URL without user and password, which have fields of their own" })
)

export const NatsConfig = Schema.Struct({
  servers: Schema.Array(ServerUrl).check(Schema.isMinLength(1)),
  jetstreamDomain: optional(Schema.NonEmptyString, "JetStream domain reached through a leaf node."),
  tls: optional(
    Schema.Struct({
      mode: withDefault(
        Schema.Literals(["Disabled", "Auto", "Required", "HandshakeFirst"]),
        "Auto",
        "Transport security."
      ),
      caFile: optional(Schema.NonEmptyString, "CA bundle (PEM)."),
      certFile: optional(Schema.NonEmptyString, "Client certificate (PEM)."),
      keyFile: optional(Schema.NonEmptyString, "Client key (PEM)."),
      serverName: optional(Schema.NonEmptyString, "Expected server identity.")
    }),
    "TLS of the connection; file paths, read again at every connect."
  ),
  credsFile: optional(Schema.NonEmptyString, "NATS .creds file."),
  user: optional(Schema.NonEmptyString, "User name."),
  passwordFile: optional(Schema.NonEmptyString, "File holding the password."),
  password: optional(
    Schema.RedactedFromValue(Schema.NonEmptyString),
    "The password itself; for standalone use, the operator gives files."
  )
})
export type NatsConfig = typeof NatsConfig.Type

export const PostgresConfig = Schema.Struct({
  /** A folder with one file per key, the shape of a mounted CloudNativePG app Secret. */
  secretDirectory: optional(Schema.NonEmptyString, "Folder with uri, or host, port, dbname, username, password."),
  secretName: optional(Schema.NonEmptyString, "Name of the Secret mounted as secretDirectory, for messages."),
  uriKey: withDefault(Schema.NonEmptyString, "uri", "File of secretDirectory that holds the connection URI."),
  uri: optional(
    Schema.RedactedFromValue(Schema.NonEmptyString),
    "Connection URI; excludes secretDirectory and host. For standalone use, the operator gives files."
  ),
  host: optional(Schema.NonEmptyString, "Host; excludes secretDirectory."),
  port: withDefault(int(1, 65535), 5432, "Port."),
  database: optional(Schema.NonEmptyString, "Database."),
  user: optional(Schema.NonEmptyString, "Role."),
  passwordFile: optional(Schema.NonEmptyString, "File holding the password."),
  statementTimeoutMillis: withDefault(int(100, 3_600_000), 30_000, "statement_timeout of every transaction."),
  lockTimeoutMillis: withDefault(int(10, 3_600_000), 5_000, "lock_timeout of every transaction.")
})
export type PostgresConfig = typeof PostgresConfig.Type

export const WriterConfig = Schema.Struct({
  eventStream: Schema.Struct({
    namespace: Schema.NonEmptyString,
    name: Schema.NonEmptyString,
    uid: Schema.NonEmptyString
  }),
  nats: NatsConfig,
  stream: Schema.NonEmptyString.annotate({ description: "JetStream name of the stream." }),
  consumer: Schema.NonEmptyString.annotate({
    description: "Durable name, incarnation and nonce included; it must exist."
  }),
  processor: ProcessorConfig,
  target: Schema.Struct({
    postgres: PostgresConfig,
    schema: withDefault(Schema.NonEmptyString, "public", "Schema of built-in tables, ledger and dead letters."),
    ddl: withDefault(
      Schema.Literals(["None", "CreateIfMissing"]),
      "CreateIfMissing",
      "Whether `migrate` creates tables."
    ),
    chunkIntervalMillis: optional(
      int(60_000, 31_536_000_000),
      "Chunk interval of hypertables; unset: the table's own."
    ),
    timeColumn: optional(Schema.NonEmptyString, "Time column of a Json table.")
  }),
  batch: withDefault(
    Schema.Struct({
      maxMessages: withDefault(int(1, 100_000), 5000, "Most messages of one transaction."),
      maxBytes: withDefault(int(1024, 268_435_456), 16_777_216, "Most payload bytes of one transaction."),
      maxLatencyMillis: withDefault(
        int(0, 60_000),
        50,
        "The longest a row waits; a batch leaves at once when the connection is idle."
      )
    }),
    {},
    "Batch limits."
  ),
  errors: withDefault(
    Schema.Struct({
      onPoison: withDefault(
        Schema.Literals(["DeadLetter", "Halt", "Drop"]),
        "DeadLetter",
        "A message that can never be written."
      ),
      maxAttempts: withDefault(int(1, 1000), 5, "Attempts per message before a retryable refusal counts as poison."),
      backoffInitialMillis: withDefault(int(1, 3_600_000), 250, "First wait after a database failure."),
      backoffMaxMillis: withDefault(int(1, 3_600_000), 30_000, "Longest wait after a database failure.")
    }),
    {},
    "Failure handling."
  ),
  http: withDefault(
    Schema.Struct({
      host: withDefault(Schema.NonEmptyString, "0.0.0.0", "Address of /metrics, /healthz and /readyz."),
      port: withDefault(int(0, 65535), 9464, "Port of /metrics, /healthz and /readyz; 0 takes a free one.")
    }),
    {},
    "Health and metrics server."
  ),
  drainTimeoutMillis: withDefault(int(1000, 3_600_000), 50_000, "Longest time to finish what is in flight on SIGTERM."),
  logLevel: withDefault(Schema.Literals(["error", "warn", "info", "debug", "trace"]), "info", "Log level.")
})
export type WriterConfig = typeof WriterConfig.Type
export type EncodedWriterConfig = typeof WriterConfig.Encoded

/**
 * Answer of a writer's NATS service (service `eventstream-writer`, endpoint `status.<namespace>.<name>`): what the operator
 * needs to know that only the writer can see. Sequences are stream sequences.
 */
export const WriterStatus = Schema.Struct({
  incarnation: Schema.String,
  durable: Schema.String,
  /** Id of the lane in `eventstream_lane`; null until the database was reached. */
  lane: Schema.NullOr(Schema.Number),
  /** System identifier of the database; null until it was reached. */
  database: Schema.NullOr(Schema.String),
  /** Product and version, e.g. `PostgreSQL 17.11, TimescaleDB 2.19.3`. */
  server: Schema.NullOr(Schema.String),
  lowestUncovered: Schema.NullOr(Schema.Number),
  /** Totals of the lane, from the ledger: they survive restarts. */
  written: Schema.Number,
  deadLettered: Schema.Number,
  dropped: Schema.Number,
  lastWriteTime: Schema.NullOr(Schema.String),
  /**
   * `Starting`; `Running`; `Retrying`: a failure that may pass; `Stalled`: a failure that needs a person;
   * `Halted`: errors.onPoison is Halt and a message was refused; `NeedsConsumer`: this lane is new (another database,
   * lost head row) but the durable was already read, so a new durable from the start policy is needed; `Draining`.
   */
  state: Schema.Literals(["Starting", "Running", "Retrying", "Stalled", "Halted", "NeedsConsumer", "Draining"]),
  /** Condition reason, e.g. TargetUnreachable, SchemaMismatch, PermissionDenied, NatsUnreachable; null when Running. */
  reason: Schema.NullOr(Schema.String),
  /** One sentence for the user; null when Running. */
  message: Schema.NullOr(Schema.String)
})
export type WriterStatus = typeof WriterStatus.Type

/** JetStream metadata of a durable: the sequence that the EventStream's first durable started at. */
export const StartMark = "eventstream.dev/start-sequence"

export const WriterServiceName = "eventstream-writer"
/** Subject of a writer's status endpoint. */
export const writerStatusSubject = (namespace: string, name: string) => `status.${namespace}.${name}`
