import { Schema } from "effect"
import {
  atomicList,
  duration,
  freeText,
  int,
  mapList,
  optional,
  quantity,
  required,
  set,
  text,
  withDefault
} from "./field.ts"
import {
  ColumnSource,
  HostName,
  Identifier,
  ImageName,
  JetStreamDomain,
  JetStreamName,
  LabelValue,
  NatsUrl,
  SecretKey,
  SecretName,
  StreamSubject,
  SubjectFilter,
  TableName,
  Time
} from "./names.ts"

/**
 * The EventStream: spec and status. The only place where a field, its default, range and description are written; the CRD,
 * admission, the decoder and the documentation come from here. Rules between fields are in `rules.ts`.
 */

export const group = "eventstream.dev"
export const version = "v1alpha1"
export const kind = "EventStream"
export const apiVersion = `${group}/${version}`

const NatsSpec = Schema.Struct({
  servers: required(set(NatsUrl, 16, 1), "Seed URLs."),
  jetstreamDomain: optional(JetStreamDomain, "JetStream domain reached through a leaf node.")
})

const StreamSpec = Schema.Struct({
  name: optional(JetStreamName(255), "JetStream name. Unset: upper-cased <namespace>_<name>. Cannot be changed."),
  management: withDefault(
    Schema.Literals(["Managed", "Observed"]),
    "Managed",
    "Observed: the stream belongs to someone else and is never created, changed or deleted here."
  ),
  adopt: withDefault(
    Schema.Boolean,
    false,
    "Allow taking over an existing stream that carries no owner mark of another EventStream."
  ),
  subjects: optional(
    set(StreamSubject, 256),
    "Subjects the stream captures. Required when Managed; messages already stored stay when a subject is removed."
  ),
  retention: withDefault(
    Schema.Literals(["Limits", "Interest", "WorkQueue"]),
    "Limits",
    "When messages leave the stream. WorkQueue cannot be switched on or off later."
  ),
  storage: withDefault(Schema.Literals(["File", "Memory"]), "File", "Where messages are kept. Cannot be changed."),
  replicas: optional(Schema.Literals([1, 3, 5]), "Copies of the stream in the NATS cluster. Unset: 1."),
  maxAge: optional(duration("0s", "876000h"), "Longest a message is kept, 100ms or more. Unset or 0: unlimited."),
  maxBytes: optional(quantity("1", "4Pi"), "Most bytes the stream holds. Unset: unlimited."),
  maxMessages: optional(int(-1, Number.MAX_SAFE_INTEGER), "Most messages the stream holds. Unset, 0 or -1: unlimited."),
  maxMessageSize: optional(quantity("1", "64Mi"), "Largest message accepted. Unset: the server's max_payload."),
  maxMessagesPerSubject: optional(
    int(-1, Number.MAX_SAFE_INTEGER),
    "Most messages kept per subject. Unset, 0 or -1: unlimited."
  ),
  discard: withDefault(
    Schema.Literals(["Old", "New"]),
    "Old",
    "What a full stream does: remove the oldest messages or refuse new ones."
  ),
  duplicateWindow: withDefault(
    duration("100ms", "876000h"),
    "2m",
    "How long the stream remembers Nats-Msg-Id headers to refuse duplicates; at most maxAge."
  ),
  compression: withDefault(Schema.Literals(["None", "S2"]), "S2", "Compression of file storage."),
  deletionPolicy: withDefault(
    Schema.Literals(["Retain", "Delete"]),
    "Retain",
    "Whether the stream and its messages are deleted together with this object."
  )
})

const DeliverFromSpec = Schema.Struct({
  policy: withDefault(
    Schema.Literals(["All", "New", "StartSequence", "StartTime"]),
    "All",
    "New: only messages published after the first start."
  ),
  sequence: optional(int(1, Number.MAX_SAFE_INTEGER), "First stream sequence, with policy StartSequence."),
  time: optional(Time, "Publish time of the first message, with policy StartTime.")
})

const ConsumerSpec = Schema.Struct({
  name: optional(
    JetStreamName(200),
    "Managed: prefix of the durable's name (unset: metadata.name); status.consumer.name has the whole. Observed: the durable's exact name. Cannot be changed."
  ),
  management: withDefault(
    Schema.Literals(["Managed", "Observed"]),
    "Managed",
    "Observed: the durable belongs to someone else and is never created, changed or deleted here."
  ),
  filterSubjects: optional(set(SubjectFilter, 256), "Only messages of these subjects. Unset: all of the stream."),
  deliverFrom: withDefault(
    DeliverFromSpec,
    {},
    "First message, looked at only when this EventStream reads the stream for the first time."
  ),
  ackWait: withDefault(
    duration("1s", "24h"),
    "60s",
    "How long a message may be in flight before it is delivered again; at least batch.maxLatency + target.postgres.statementTimeout."
  ),
  maxAckPending: optional(
    int(1, 1_000_000),
    "Most unacknowledged messages over all writers, at least batch.maxMessages. Unset: 4 x batch.maxMessages x writer.replicas, at least 1000."
  ),
  deletionPolicy: withDefault(
    Schema.Literals(["Delete", "Retain"]),
    "Delete",
    "Whether the durable is deleted together with this object. An Observed one never is."
  )
})

/** PostgreSQL types a column of a Json table may have. */
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

const JsonColumnSpec = Schema.Struct({
  name: required(Identifier, "Name of the column."),
  from: optional(
    ColumnSource,
    "JSON pointer (/a/b), header:<name>, subject, subject:<token number>, seq, time or const:<text>. Unset: /<name>."
  ),
  type: required(Schema.Literals(ColumnTypes), "PostgreSQL type of the column."),
  timeUnit: optional(
    Schema.Literals(["RFC3339", "s", "ms", "us", "ns"]),
    "How a timestamptz is written in the payload. Unset: recognised by size and shape."
  ),
  required: optional(Schema.Boolean, "The message is a dead letter when the value is absent or null. Unset: false."),
  defaultValue: optional(freeText(1024), "Used when the value is absent or null.")
})

const JsonSpec = Schema.Struct({
  table: required(TableName, "table or schema.table. Without a schema: target.schema."),
  columns: required(mapList(JsonColumnSpec, "name", 200, 1), "How fields of the payload become columns."),
  onUnknownField: withDefault(
    Schema.Literals(["Ignore", "ExtraColumn", "Reject"]),
    "Ignore",
    "What happens to top-level fields no column takes: nothing, kept in extraColumn, or the message is a dead letter."
  ),
  extraColumn: optional(Identifier, "jsonb column that receives the unknown fields, with onUnknownField ExtraColumn."),
  mode: withDefault(
    Schema.Literals(["Append", "InsertIgnore", "Upsert"]),
    "Append",
    "Append: always a new row. InsertIgnore: the stored row stays when its key exists. Upsert: the new row replaces it."
  ),
  conflictKeys: optional(set(Identifier, 16), "Key columns, with mode InsertIgnore or Upsert."),
  updateColumns: optional(set(Identifier, 200), "Columns an Upsert replaces. Unset: all but the key."),
  newerWins: optional(
    Identifier,
    "Column compared by an Upsert: the stored row stays unless the new value is greater, so that a late message never overwrites newer data."
  )
})

const ProcessorSpec = Schema.Struct({
  type: withDefault(
    Schema.Literals(["Json", "Telemetry", "OtelMetrics"]),
    "Json",
    "Json: any table, mapped by json. Telemetry: timeseries_metrics. OtelMetrics: otel_metrics, from JSON or OTLP protobuf."
  ),
  skipSubjects: optional(set(SubjectFilter, 64), "Messages of these subjects are dropped and counted."),
  json: optional(JsonSpec, "Mapping of a JSON payload onto a table; only and always with type Json.")
})

const PostgresSpec = Schema.Struct({
  secretRef: optional(
    Schema.Struct({
      name: required(SecretName, "Name of the Secret."),
      uriKey: withDefault(
        SecretKey,
        "uri",
        "Key that holds the connection URI; host, port, dbname, username and password are used when it is absent."
      )
    }),
    "Secret in this namespace in the shape of a CloudNativePG app Secret. Excludes host."
  ),
  host: optional(HostName, "Host of the database. Excludes secretRef."),
  port: withDefault(int(1, 65_535), 5432, "Port, with host."),
  database: optional(freeText(63), "Database, with host."),
  user: optional(freeText(63), "Role, with host."),
  passwordSecretRef: optional(
    Schema.Struct({
      name: required(SecretName, "Name of the Secret."),
      key: withDefault(SecretKey, "password", "Key that holds the password.")
    }),
    "Password of user, in a Secret of this namespace."
  ),
  statementTimeout: withDefault(duration("100ms", "1h"), "30s", "Longest a statement may run before it is cancelled."),
  lockTimeout: withDefault(duration("10ms", "1h"), "5s", "Longest a statement may wait for a lock.")
})

const TargetSpec = Schema.Struct({
  postgres: required(PostgresSpec, "The database; either secretRef or host with database and user."),
  schema: withDefault(
    Identifier,
    "public",
    "Schema of built-in tables, Json tables without one, ledger and dead letters."
  ),
  ddl: withDefault(
    Schema.Literals(["None", "CreateIfMissing"]),
    "CreateIfMissing",
    "Whether missing tables are created, by an init container of the writers. Existing tables are never altered."
  ),
  timeseries: optional(
    Schema.Struct({
      timeColumn: optional(
        Identifier,
        "Time column of a Json table; it makes the table a hypertable. Built-in tables know theirs."
      ),
      chunkInterval: optional(duration("1m", "8760h"), "Time range of a chunk. Unset: 24h.")
    }),
    "Hypertables, where the TimescaleDB extension exists; plain tables elsewhere."
  )
})

const BatchSpec = Schema.Struct({
  maxMessages: withDefault(int(1, 100_000), 5000, "Most messages of one transaction."),
  maxBytes: withDefault(quantity("1Ki", "256Mi"), "16Mi", "Most payload bytes of one transaction."),
  maxLatency: withDefault(
    duration("0s", "1m"),
    "50ms",
    "The longest a message waits for its batch; a batch leaves at once when the connection is idle."
  )
})

const ErrorsSpec = Schema.Struct({
  onPoison: withDefault(
    Schema.Literals(["DeadLetter", "Halt", "Drop"]),
    "DeadLetter",
    "What happens to a message that can never be written: kept in eventstream_dead_letter, the writer halts, or it is dropped and counted."
  ),
  maxAttempts: withDefault(
    int(1, 1000),
    5,
    "Attempts before a refusal that may pass makes a message poison. Failures of the database itself never count."
  ),
  backoff: withDefault(
    Schema.Struct({
      initial: withDefault(duration("1ms", "1h"), "250ms", "First wait."),
      max: withDefault(duration("1ms", "1h"), "30s", "Longest wait.")
    }),
    {},
    "Waits between attempts; they double."
  )
})

const ResourceAmount = Schema.Union([
  int(0, Number.MAX_SAFE_INTEGER),
  text(/^[0-9]{1,15}(\.[0-9]{1,9})?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$/u, 32, "a quantity such as 500m, 2 or 256Mi")
])
const ResourceAmounts = Schema.Struct({
  cpu: optional(ResourceAmount, "CPU cores, e.g. 500m."),
  memory: optional(ResourceAmount, "Memory, e.g. 256Mi."),
  "ephemeral-storage": optional(ResourceAmount, "Local storage, e.g. 1Gi.")
})

const WriterSpec = Schema.Struct({
  replicas: withDefault(
    int(0, 100),
    1,
    "Writers; target of the scale subresource. Leave out of Git when an autoscaler owns it."
  ),
  image: optional(ImageName, "Image of the writers. Unset: the one of the operator's release."),
  imagePullPolicy: optional(Schema.Literals(["Always", "IfNotPresent", "Never"]), "When the image is pulled."),
  imagePullSecrets: optional(
    mapList(Schema.Struct({ name: required(SecretName, "Name of the Secret.") }), "name", 8),
    "Secrets for pulling the image."
  ),
  resources: optional(
    Schema.Struct({
      requests: optional(ResourceAmounts, "What is reserved for a writer."),
      limits: optional(ResourceAmounts, "The most a writer may use.")
    }),
    "CPU and memory of a writer."
  ),
  podLabels: optional(
    Schema.Record(Schema.String, LabelValue).check(Schema.isMaxProperties(32)),
    "Labels added to the writer Pods."
  ),
  podAnnotations: optional(
    Schema.Record(Schema.String, Schema.String.check(Schema.isMaxCodePoints(4096))).check(Schema.isMaxProperties(32)),
    "Annotations added to the writer Pods."
  ),
  nodeSelector: optional(
    Schema.Record(Schema.String, LabelValue).check(Schema.isMaxProperties(32)),
    "Labels a node must have."
  ),
  tolerations: optional(
    atomicList(
      Schema.Struct({
        key: optional(freeText(317), "Taint key. Unset: all."),
        operator: optional(Schema.Literals(["Exists", "Equal"]), "How value is compared. Unset: Equal."),
        value: optional(LabelValue, "Taint value, with Equal."),
        effect: optional(Schema.Literals(["NoSchedule", "PreferNoSchedule", "NoExecute"]), "Taint effect. Unset: all."),
        tolerationSeconds: optional(
          int(0, Number.MAX_SAFE_INTEGER),
          "How long a NoExecute taint is tolerated. Unset: for ever."
        )
      }),
      32
    ),
    "Taints the writer Pods tolerate."
  ),
  terminationGracePeriodSeconds: withDefault(
    int(5, 3600),
    60,
    "Seconds a stopping writer has to finish and acknowledge what is in flight."
  ),
  logLevel: withDefault(
    Schema.Literals(["error", "warn", "info", "debug", "trace"]),
    "info",
    "Log level of the writers."
  )
})

export const EventStreamSpec = Schema.Struct({
  suspend: withDefault(Schema.Boolean, false, "Writers go to zero; stream, consumer and backlog stay."),
  nats: required(NatsSpec, "How to reach NATS."),
  stream: required(StreamSpec, "The JetStream stream."),
  consumer: withDefault(
    ConsumerSpec,
    {},
    "The durable pull consumer. Acknowledgement is always explicit and max_deliver unlimited: the writer counts attempts."
  ),
  processor: required(ProcessorSpec, "How a message becomes rows."),
  target: required(TargetSpec, "Where the rows go."),
  batch: withDefault(BatchSpec, {}, "Batch limits; a batch is one transaction."),
  errors: withDefault(ErrorsSpec, {}, "Failure handling."),
  writer: withDefault(WriterSpec, {}, "The writer Deployment."),
  drainTimeout: withDefault(
    duration("1s", "1h"),
    "5m",
    "How long writers may take to finish when this object is deleted or its consumer replaced."
  )
})
/** A spec with every default filled in; durations are `Duration`, quantities are bytes. */
export type EventStreamSpec = typeof EventStreamSpec.Type
/** A spec as JSON: durations and quantities as written, defaults possibly left out. */
export type EncodedEventStreamSpec = typeof EventStreamSpec.Encoded

const count = (description: string) => optional(int(0, Number.MAX_SAFE_INTEGER), description)
const word = (maxLength: number, description: string) =>
  optional(Schema.String.check(Schema.isMaxCodePoints(maxLength)), description)

export const Condition = Schema.Struct({
  type: required(freeText(316), "What is said."),
  status: required(Schema.Literals(["True", "False", "Unknown"]), "Whether it holds."),
  observedGeneration: count("metadata.generation this was said about."),
  lastTransitionTime: required(Time, "When status last changed."),
  reason: required(freeText(1024), "One word for programs."),
  message: required(Schema.String.check(Schema.isMaxCodePoints(32_768)), "One sentence for people.")
})
/** Shape and meaning of `metav1.Condition`. */
export type Condition = typeof Condition.Type

export const EventStreamStatus = Schema.Struct({
  conditions: optional(mapList(Condition, "type", 32), "Ready, Reconciling, Stalled and what explains them."),
  observedGeneration: optional(
    int(-1, Number.MAX_SAFE_INTEGER),
    "metadata.generation this status is about; -1 until the operator has seen the object."
  ),
  stream: optional(
    Schema.Struct({
      name: word(255, "JetStream name."),
      owned: optional(Schema.Boolean, "Whether the stream carries this object's owner mark."),
      replicas: count("Copies in the NATS cluster."),
      messages: count("Messages held."),
      bytes: count("Bytes held."),
      firstSequence: count("First sequence held."),
      lastSequence: count("Last sequence given."),
      created: optional(Time, "When the stream was created, in nanoseconds of the server's clock."),
      configHash: word(64, "Hash of the configuration last applied."),
      drift: optional(
        atomicList(Schema.String.check(Schema.isMaxCodePoints(1024)), 64),
        "Fields somebody changed outside Kubernetes that are not put back by themselves."
      )
    }),
    "The stream as the server reports it."
  ),
  consumer: optional(
    Schema.Struct({
      name: word(255, "Name of the durable."),
      startSequence: count("Sequence at which the first durable of this EventStream started."),
      ackFloor: count("Stream sequence up to which everything is acknowledged."),
      delivered: count("Stream sequence last delivered."),
      pending: count("Messages not delivered yet."),
      ackPending: count("Messages delivered and not acknowledged yet."),
      redelivered: count("Messages delivered more than once and not acknowledged yet."),
      lag: word(32, "pending + ackPending for people, e.g. 1.2k; rounded.")
    }),
    "The durable as its leader reports it."
  ),
  writer: optional(
    Schema.Struct({
      replicas: count("Writer Pods."),
      readyReplicas: count("Writer Pods that are ready."),
      updatedReplicas: count("Writer Pods of the newest configuration."),
      desiredReplicas: count("Writer Pods wanted."),
      selector: word(1024, "Label selector of the writer Pods, for autoscalers."),
      image: word(512, "Image of the writers."),
      configHash: word(64, "Hash of the writers' configuration.")
    }),
    "The writer Deployment."
  ),
  target: optional(
    Schema.Struct({ server: word(256, "Product and version of the database.") }),
    "The database as the writers see it."
  ),
  delivery: optional(
    Schema.Struct({
      written: count("Messages written, of the whole life of this EventStream with this target."),
      deadLettered: count("Dead letters."),
      dropped: count("Messages dropped on purpose."),
      lastWriteTime: optional(Time, "When rows were last committed.")
    }),
    "Totals from the ledger."
  ),
  lastHandledReconcileAt: word(256, "Value of annotation eventstream.dev/reconcile-at last acted upon."),
  operatorVersion: word(64, "Version of the operator that wrote this status.")
})
export type EventStreamStatus = typeof EventStreamStatus.Type

/** What the operator reads of `metadata`. */
export interface EventStreamMetadata {
  readonly name: string
  readonly namespace: string
  readonly uid: string
  readonly generation: number
  readonly resourceVersion?: string
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly finalizers?: ReadonlyArray<string>
}

/** An EventStream after admission and decoding. */
export interface EventStream {
  readonly apiVersion: typeof apiVersion
  readonly kind: typeof kind
  readonly metadata: EventStreamMetadata
  readonly spec: EventStreamSpec
  readonly status?: EventStreamStatus
}
