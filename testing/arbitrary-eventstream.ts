import * as fc from "fast-check"
import {
  oneOf,
  some,
  all,
  withSome,
  listOf,
  filters,
  identifiers,
  type Json,
  type JsonObject
} from "./arbitrary-fields.ts"
import { processor } from "./arbitrary-processor.ts"

/**
 * Random EventStreams as JSON: valid ones, and valid ones with a few changes that may or may not make them invalid. Whoever
 * judges EventStreams (this program, an API server with the CRD) has to judge these alike.
 */

export interface EventStreamJson {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace: string }
  readonly spec: JsonObject
}

const observedStream = withSome(
  { management: fc.constant("Observed"), name: oneOf("LOGS", "KV_a-b", "x".repeat(255)) },
  {
    adopt: fc.boolean(),
    deletionPolicy: fc.constant("Retain")
  }
)
const managedStream = withSome(
  { subjects: listOf(["logs.>", "a.b", "x.*.y", "tür.ä"], 1) },
  {
    name: oneOf("LOGS", "a-b_9"),
    retention: oneOf("Limits", "Interest"),
    storage: oneOf("File", "Memory"),
    replicas: oneOf(1, 3, 5),
    maxAge: oneOf("0", "0s", "2m", "1h30m", "24h", "876000h"),
    maxBytes: oneOf<Json>(1, "1", "512Mi", "1.5Gi", "2G", 1_073_741_824, "4Pi"),
    maxMessages: oneOf(-1, 0, 1, Number.MAX_SAFE_INTEGER),
    maxMessageSize: oneOf<Json>("64Mi", 1),
    maxMessagesPerSubject: oneOf(-1, 1000),
    discard: oneOf("Old", "New"),
    duplicateWindow: oneOf("100ms", "1s", "2m", "1m0.5s"),
    compression: oneOf("None", "S2"),
    deletionPolicy: oneOf("Retain", "Delete")
  }
)

const deliverFrom = fc.oneof(
  some({ policy: oneOf("All", "New") }),
  all({ policy: fc.constant("StartSequence"), sequence: oneOf(1, 42, Number.MAX_SAFE_INTEGER) }),
  all({ policy: fc.constant("StartTime"), time: oneOf("1970-01-01T00:00:00Z", "2024-02-29T23:59:59.123456789+14:00") })
)
const consumer = fc.oneof(
  withSome({ management: fc.constant("Observed"), name: oneOf("worker", "a_b-C") }, { deliverFrom }),
  some({
    name: oneOf("worker", "w".repeat(200)),
    filterSubjects: listOf(filters),
    deliverFrom,
    ackWait: oneOf("40s", "2m", "24h"),
    maxAckPending: oneOf(100_000, 1_000_000),
    deletionPolicy: oneOf("Delete", "Retain")
  })
)

const secretRef = withSome({ name: oneOf("pg-app", "a.b-c") }, { uriKey: oneOf("uri", "DATABASE_URL") })
const verifiedTls = some({
  mode: oneOf("VerifyCA", "VerifyFull"),
  caSecretRef: withSome({ name: fc.constant("pg-ca") }, { key: fc.constant("root.crt") }),
  clientSecretRef: withSome({ name: fc.constant("pg-client") }, { certKey: fc.constant("c"), keyKey: fc.constant("k") })
})
const postgres = fc
  .tuple(
    fc.oneof(
      all({ secretRef }),
      withSome(
        { host: oneOf("pg-rw.demo.svc", "10.0.0.1", "::1"), database: fc.constant("app"), user: oneOf("app", "ü") },
        {
          port: oneOf(1, 5432, 65_535),
          passwordSecretRef: withSome({ name: fc.constant("pw") }, { key: fc.constant("password") })
        }
      )
    ),
    some({ statementTimeout: oneOf("100ms", "30s"), lockTimeout: oneOf("10ms", "1h") }),
    some({ tls: fc.oneof(some({ mode: oneOf("Disable", "Require") }), verifiedTls) })
  )
  .map(([connection, timeouts, tls]) => ({ ...connection, ...timeouts, ...tls }))
const target = withSome(
  { postgres },
  {
    schema: oneOf("public", "app_1", "information", "PG_x"),
    ddl: oneOf("None", "CreateIfMissing"),
    timeseries: some({ chunkInterval: oneOf("1m", "24h", "8760h") })
  }
)

const labels = fc.dictionary(oneOf("team", "example.com/team", "a.b-c_d"), oneOf("", "a", "v1.2_x"))
const amounts = some({ cpu: oneOf<Json>("500m", 2, "0.5"), memory: oneOf<Json>("256Mi", 1_000_000) })
const writer = some({
  replicas: oneOf(0, 1, 100),
  image: oneOf("registry.example.com:5000/writer:0.1.0", "writer"),
  imagePullPolicy: oneOf("Always", "IfNotPresent", "Never"),
  imagePullSecrets: listOf([{ name: "a" }, { name: "b" }]),
  resources: some({ requests: amounts, limits: amounts }),
  podLabels: labels,
  podAnnotations: fc.dictionary(oneOf("note", "example.com/note"), oneOf("", "any text ✓")),
  nodeSelector: labels,
  tolerations: fc.array(
    oneOf<JsonObject>(
      { operator: "Exists" },
      { key: "a", value: "b" },
      { key: "a", effect: "NoExecute", tolerationSeconds: 1 }
    ),
    { maxLength: 3 }
  ),
  terminationGracePeriodSeconds: oneOf(5, 3600),
  logLevel: oneOf("error", "trace")
})

/** What only a table that is a hypertable may have; those of the built-in processors know their time columns. */
const chunkPolicies = withSome(
  { compressAfter: oneOf("1h", "168h") },
  {
    segmentBy: listOf(identifiers),
    orderBy: oneOf("at", "at DESC NULLS LAST, id ASC"),
    dropAfter: oneOf("169h", "876000h")
  }
)
const withPolicies = (spec: JsonObject, policies: JsonObject): JsonObject => {
  const { processor, target } = spec as { readonly processor: JsonObject; readonly target: JsonObject }
  return processor["json"] === undefined
    ? { ...spec, target: { ...target, timeseries: { ...(target["timeseries"] as JsonObject), ...policies } } }
    : spec
}

const keyRef = withSome({ name: oneOf("nats", "a.b-c") }, { key: oneOf("k", "nats.creds") })
const natsTls = fc.oneof(
  some({ mode: oneOf("Auto", "Required", "HandshakeFirst"), serverName: oneOf("nats.example.com", "10.0.0.1") }),
  some({
    caSecretRef: keyRef,
    clientSecretRef: withSome(
      { name: fc.constant("client") },
      { certKey: oneOf("core.pem"), keyKey: oneOf("core-key.pem") }
    ),
    spiffeServerIDs: listOf(["spiffe://example.org/nats", "spiffe://a_b.c/ns/x/sa/y"], 1)
  })
)
const natsAuth = fc.oneof(
  all({ credsSecretRef: keyRef }),
  all({ nkeySecretRef: keyRef }),
  all({ userPasswordSecretRef: all({ name: fc.constant("nats-user") }) }),
  all({ tokenSecretRef: keyRef })
)

/** EventStreams that every judge has to admit. */
export const validEventStream: fc.Arbitrary<EventStreamJson> = fc.record({
  apiVersion: fc.constant("eventstream.dev/v1alpha1"),
  kind: fc.constant("EventStream"),
  metadata: fc.record({ name: oneOf("orders", "a", "a-1", "x".repeat(50)), namespace: fc.constant("default") }),
  spec: withSome(
    {
      nats: withSome(
        { servers: listOf(["nats://nats.nats.svc:4222", "tls://a", "nats://[::1]:4222"], 1) },
        {
          jetstreamDomain: oneOf("hub", "leaf-1"),
          tls: natsTls,
          auth: natsAuth
        }
      ),
      stream: fc.oneof(managedStream, observedStream),
      processor,
      target
    },
    {
      suspend: fc.boolean(),
      consumer,
      batch: some({
        maxMessages: oneOf(1, 100_000),
        maxBytes: oneOf<Json>("1Ki", "256Mi", 4096),
        maxLatency: oneOf("0", "50ms", "5s")
      }),
      errors: some({
        onPoison: oneOf("DeadLetter", "Halt", "Drop"),
        maxAttempts: oneOf(1, 1000),
        backoff: some({ initial: oneOf("1ms", "1s"), max: oneOf("1s", "1h") }),
        haltThreshold: some({
          percent: oneOf(1, 100),
          window: oneOf("1s", "1h"),
          minMessages: oneOf(1, 1_000_000_000)
        }),
        deadLetter: some({
          maxAge: oneOf("1m", "336h"),
          redactHeaders: fc.constant(["Authorization", "x-token"]),
          payload: oneOf("Keep", "Redact"),
          publish: some({
            subjectPrefix: oneOf("dlq", "dlq.orders"),
            streamName: oneOf("DLQ", "dead-letters_1"),
            maxAge: oneOf("0", "1h"),
            maxBytes: oneOf<Json>("1Mi", 4096),
            replicas: oneOf(1, 3, 5),
            deletionPolicy: oneOf("Retain", "Delete")
          })
        })
      }),
      writer,
      drainTimeout: oneOf("1s", "1h")
    }
  ).chain((spec) => chunkPolicies.map((policies) => withPolicies(spec as JsonObject, policies as JsonObject)))
})

/** Values that are wrong in most places, and right in some. */
const disturbing: ReadonlyArray<Json> = Object.values({
  scalars: [null, true, false, -1, 0, 1, 2, 101, 2.5, 2 ** 31, 2 ** 53, 1e21],
  texts: ["", " ", "a", "A", "a b", "a.b", "a..b", ".a", "a.", "a\nb", "a\n", "ä", "😀", "\u0000", "1", "true", "null"],
  long: ["x".repeat(64), "x".repeat(256), "😀".repeat(600)],
  subjects: ["*", ">", "*.>", "a.>.b", "a*", "$JS.>", "$SYS.x", "_INBOX", "_INBOX.>"],
  durations: [
    "0",
    "0s",
    "1d",
    "-1s",
    "1.5h",
    "+1s",
    ".5s",
    "1h ",
    "99ms",
    "1us",
    "9999999h",
    "999999999999h9h",
    "1.9ns"
  ],
  quantities: [
    "0.5",
    "1Ki",
    "1e3",
    "1E",
    "100m",
    "1.0001",
    "999999999999999Pi",
    "-1",
    "1 Gi",
    "64Mi",
    "1023.9",
    "0.9Ki"
  ],
  tables: [
    "a;drop table x",
    "pg_catalog.t",
    "information_schema.t",
    "pg_x",
    "pg_x.t",
    "information_schema",
    "a.b.c",
    '"'
  ],
  places: ["nats://u:p@h", "http://h", "nats://", "/var/run", "..", "subject:0", "header:", "/a~2", "const", "x/y/z"],
  times: ["1969-12-31T23:59:59Z", "2026-02-30T00:00:00Z", "2026-01-01", "2026-01-01T24:00:00Z", "0000-01-01T00:00:00Z"],
  words: [
    "All",
    "New",
    "StartSequence",
    "StartTime",
    "WorkQueue",
    "Interest",
    "Memory",
    "Observed",
    "Managed",
    "Delete"
  ],
  outputs: ["Events", "Logs", "Sweep", "OcsfEvents", "Both", "OcsfNetworkActivity", "NetflowMetrics"],
  more: ["Json", "Telemetry", "Append", "InsertIgnore", "Upsert", "ExtraColumn", "Exists", "NoExecute", "timestamptz"],
  containers: [
    [],
    {},
    [[]],
    [{}],
    [null],
    ["a", "a"],
    ["a.b", 1],
    { a: "b" },
    { name: "a" },
    { "eventstream.dev/x": "y" }
  ]
}).flat(1)

/** Fields that exist somewhere, and some that exist nowhere. */
const fieldNames = Object.values({
  names: [
    "name",
    "management",
    "subjects",
    "maxAge",
    "sequence",
    "time",
    "policy",
    "json",
    "secretRef",
    "host",
    "user"
  ],
  more: ["timeColumn", "timeseries", "extraColumn", "newerWins", "updateColumns", "conflictKeys", "defaultValue"],
  others: ["timeUnit", "required", "tolerationSeconds", "maxAckPending", "ackWait", "labels", "status", "database"],
  processor: ["type", "output", "storeRaw", "ocsf", "eventLogActivityId", "product"],
  none: ["maxMesages", "foo", "__proto__", "constructor", "eventstream.dev/x", "a b", "Team/", "x".repeat(254)]
}).flat()

type Mutation =
  | { readonly _tag: "Replace"; readonly at: number; readonly value: Json }
  | { readonly _tag: "Remove"; readonly at: number }
  | { readonly _tag: "Add"; readonly at: number; readonly name: string; readonly value: Json }

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ _tag: fc.constant("Replace" as const), at: fc.nat(), value: oneOf(...disturbing) }),
  fc.record({ _tag: fc.constant("Remove" as const), at: fc.nat() }),
  fc.record({
    _tag: fc.constant("Add" as const),
    at: fc.nat(),
    name: oneOf(...fieldNames),
    value: oneOf(...disturbing)
  })
)

type Container = Record<string, Json> | Array<Json>
interface Slot {
  readonly container: Container
  readonly key: string
}

const isContainer = (value: Json): value is Container => typeof value === "object" && value !== null

const slotsBelow = (container: Container): ReadonlyArray<Slot> =>
  Object.entries(container).flatMap(([key, value]) => [
    { container, key },
    ...(isContainer(value) ? slotsBelow(value) : [])
  ])

const setField = (container: Container, key: string, value: Json) =>
  // Not by assignment: that would set the prototype when the key is __proto__.
  Object.defineProperty(container, key, { value, enumerable: true, configurable: true, writable: true })

const mutate = (object: EventStreamJson, mutations: ReadonlyArray<Mutation>): EventStreamJson => {
  const copy = structuredClone(object)
  for (const change of mutations) {
    const slots = slotsBelow(copy.spec)
    const slot = slots[change.at % slots.length]
    if (slot === undefined) return copy
    const { container, key } = slot
    if (change._tag === "Replace") setField(container, key, structuredClone(change.value))
    else if (change._tag === "Add" && !Array.isArray(container)) {
      setField(container, change.name, structuredClone(change.value))
    } else if (Array.isArray(container)) container.splice(Number(key), 1)
    else delete container[key]
  }
  return copy
}

/** EventStreams one to three changes away from a valid one. */
export const mutatedEventStream: fc.Arbitrary<EventStreamJson> = fc
  .tuple(validEventStream, fc.array(mutation, { minLength: 1, maxLength: 3 }))
  .map(([object, mutations]) => mutate(object, mutations))

/** Valid and mutated EventStreams. */
export const arbitraryEventStream: fc.Arbitrary<EventStreamJson> = fc.oneof(
  { weight: 1, arbitrary: validEventStream },
  { weight: 3, arbitrary: mutatedEventStream }
)
