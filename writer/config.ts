import { Schema } from "effect"
import { int, optional, withDefault } from "./config-field.ts"
import { ProcessorConfig } from "./processor-config.ts"

/**
 * The writer's configuration: the contract between the operator, which encodes it into a ConfigMap, and the writer, which
 * decodes it. Units are in the names. Relative paths are relative to the folder of the configuration file, so that the same
 * file works in a Pod, under `eventstream local` and by hand.
 */

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
        "Auto: where the server offers TLS; required as soon as anything else is given here. HandshakeFirst: before the server's INFO line, for servers with handshake_first."
      ),
      caFile: optional(Schema.NonEmptyString, "CA bundle (PEM)."),
      certFile: optional(Schema.NonEmptyString, "Client certificate (PEM)."),
      keyFile: optional(Schema.NonEmptyString, "Client key (PEM)."),
      serverName: optional(Schema.NonEmptyString, "Name in the server's certificate. Unset: the host of its URL."),
      spiffeServerIDs: optional(
        Schema.Array(Schema.NonEmptyString),
        "SPIFFE IDs of servers; their certificates are checked for one of them instead of a host name."
      )
    }),
    "TLS of the connection. When a file changes, the writer connects anew."
  ),
  credsFile: optional(Schema.NonEmptyString, "NATS .creds file; one way to log in at most."),
  nkeyFile: optional(Schema.NonEmptyString, "File holding the seed of an NKey."),
  tokenFile: optional(Schema.NonEmptyString, "File holding a token."),
  user: optional(Schema.NonEmptyString, "User name."),
  userFile: optional(Schema.NonEmptyString, "File holding the user name."),
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
  tls: optional(
    Schema.Struct({
      mode: optional(
        Schema.Literals(["Disable", "Require", "VerifyCA", "VerifyFull"]),
        "As libpq's sslmode. Unset: sslmode of the URI, else VerifyFull with a CA, else Require."
      ),
      caFile: optional(Schema.NonEmptyString, "CA bundle (PEM)."),
      certFile: optional(Schema.NonEmptyString, "Client certificate (PEM)."),
      keyFile: optional(Schema.NonEmptyString, "Its key (PEM).")
    }),
    "TLS of the connection; files are read again at every connect."
  ),
  statementTimeoutMillis: withDefault(int(100, 3_600_000), 30_000, "statement_timeout of every transaction."),
  lockTimeoutMillis: withDefault(int(10, 3_600_000), 5_000, "lock_timeout of every transaction.")
})
export type PostgresConfig = typeof PostgresConfig.Type

const HaltThreshold = Schema.Struct({
  percent: withDefault(int(1, 100), 50, "Share of poison among the messages of the window from which on it halts."),
  windowMillis: withDefault(int(1000, 3_600_000), 60_000, "How far back messages are counted."),
  minMessages: withDefault(int(1, 1_000_000_000), 100, "Messages in the window below which nothing is halted.")
})
export type HaltThreshold = typeof HaltThreshold.Type

const DeadLetterConfig = Schema.Struct({
  maxAgeMillis: withDefault(int(1, Number.MAX_SAFE_INTEGER), 1_209_600_000, "How long a dead letter is kept."),
  redactHeaders: withDefault(
    Schema.Array(Schema.NonEmptyString),
    [],
    "Headers whose values are not kept; names are compared without case."
  ),
  payload: withDefault(
    Schema.Literals(["Keep", "Redact"]),
    "Keep",
    "Redact: only size and SHA-256 of a payload are kept; such a dead letter cannot be replayed from the table."
  ),
  publish: optional(
    Schema.Struct({
      subjectPrefix: Schema.NonEmptyString.annotate({
        description: "What the subjects begin with; a stream must capture them."
      })
    }),
    "Also publish every dead letter to JetStream."
  )
})
export type DeadLetterConfig = typeof DeadLetterConfig.Type

const Sequence = int(1, Number.MAX_SAFE_INTEGER)
/** RFC 3339 with a zone. */
const Time = Schema.NonEmptyString.check(
  Schema.isPattern(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/u, {
    expected: "an RFC 3339 time such as 2026-01-31T00:00:00Z"
  })
)

export const ReplayConfig = Schema.Struct({
  id: Schema.NonEmptyString.check(Schema.isMaxLength(253)).annotate({
    description:
      "Names the replay: the same id again goes on where it was interrupted, and does nothing when it had ended."
  }),
  from: withDefault(
    Schema.Literals(["DeadLetter", "Stream"]),
    "DeadLetter",
    "DeadLetter: messages kept in eventstream_dead_letter. Stream: a range of the stream, written again."
  ),
  range: withDefault(
    Schema.Struct({
      startSequence: optional(Sequence, "First stream sequence."),
      endSequence: optional(Sequence, "Last stream sequence."),
      startTime: optional(Time, "First publish time."),
      endTime: optional(Time, "Last publish time.")
    }),
    {},
    "Which messages, by stream sequence and publish time, both ends included. Unset ends are open; Stream ends at the last message delivered to the writers when the replay begins."
  ),
  filter: withDefault(
    Schema.Struct({
      subjects: withDefault(Schema.Array(Schema.NonEmptyString), [], "Subjects, exact or wildcard. Empty: all."),
      reasons: withDefault(
        Schema.Array(Schema.NonEmptyString),
        [],
        "Reasons of dead letters, whole or without what follows the colon. Empty: all. Only from DeadLetter."
      )
    }),
    {},
    "Which of them."
  ),
  dryRun: withDefault(Schema.Boolean, false, "Write nothing, and say what would happen."),
  maxPerSecond: optional(int(1, 1_000_000), "Most messages per second. Unset: as fast as it goes."),
  onSuccess: withDefault(
    Schema.Literals(["Remove", "Keep"]),
    "Remove",
    "Whether a dead letter is deleted with the transaction that wrote its rows."
  )
})
export type ReplayConfig = typeof ReplayConfig.Type

/** Ages are of a chunk's newest possible row. */
export const ChunkPolicies = Schema.Struct({
  compressAfterMillis: optional(int(1, Number.MAX_SAFE_INTEGER), "Age at which chunks are compressed."),
  segmentBy: optional(Schema.Array(Schema.NonEmptyString), "Columns by which compressed rows are grouped."),
  orderBy: optional(Schema.NonEmptyString, "SQL: order of compressed rows within a segment."),
  dropAfterMillis: optional(int(1, Number.MAX_SAFE_INTEGER), "Age at which chunks are deleted.")
})
export type ChunkPolicies = typeof ChunkPolicies.Type

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
    timeColumn: optional(Schema.NonEmptyString, "Time column of a Json table."),
    chunkPolicies: optional(ChunkPolicies, "What becomes of old chunks of hypertables.")
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
      backoffMaxMillis: withDefault(
        int(1, 3_600_000),
        30_000,
        "Longest wait between attempts; after five failures of the database in a row it is asked every 5 s."
      ),
      haltThreshold: withDefault(
        HaltThreshold,
        {},
        "Halt when most of the traffic is poison; with onPoison DeadLetter."
      ),
      deadLetter: withDefault(DeadLetterConfig, {}, "What is kept of a dead letter, how long, and where else it goes.")
    }),
    {},
    "Failure handling."
  ),
  replay: optional(ReplayConfig, "What `eventstream replay` writes again; the command `writer` does not look at it."),
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
  /** Product and version, e.g. `PostgreSQL 17.11, TimescaleDB 2.19.3 (apache)`. */
  server: Schema.NullOr(Schema.String),
  /** Version and edition of TimescaleDB, e.g. `2.19.3 (apache)`; null without it, absent from older writers. */
  timescale: Schema.optionalKey(Schema.NullOr(Schema.String)),
  lowestUncovered: Schema.NullOr(Schema.Number),
  /** Lowest message without an outcome that this durable will never deliver; null when none is known of. */
  missed: Schema.NullOr(Schema.Number),
  /** Totals of the lane, from the ledger: they survive restarts. */
  written: Schema.Number,
  deadLettered: Schema.Number,
  dropped: Schema.Number,
  /** Messages that were gone before they had an outcome, as far as that can be known. */
  lost: Schema.Number,
  lastWriteTime: Schema.NullOr(Schema.String),
  /** When the client certificate for NATS ends; null where there is none, absent from older writers. */
  certificateNotAfter: Schema.optionalKey(Schema.NullOr(Schema.String)),
  /** Dead letters that are there now, and when the oldest was written; absent until counted, and from older writers. */
  deadLetters: Schema.optionalKey(Schema.Struct({ count: Schema.Number, oldest: Schema.NullOr(Schema.String) })),
  /**
   * `Starting`; `Running`; `Retrying`: a failure that may pass; `Stalled`: a failure that needs a person;
   * `Halted`: errors.onPoison is Halt and a message was refused; `NeedsConsumer`: this lane is new (another database,
   * lost head row) but the durable was already read, so a new durable from the start policy is needed, or from `missed` where
   * that is told; `Draining`.
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
