import { assert, describe, it } from "vitest"
import { admit } from "./admission.ts"
import { rules } from "./rules.ts"

type Fields = Readonly<Record<string, unknown>>

const columns = [
  { name: "id", type: "int8" },
  { name: "at", type: "timestamptz" }
]
const eventStream = (spec: Fields, name = "orders") => ({
  apiVersion: "eventstream.dev/v1alpha1",
  kind: "EventStream",
  metadata: { name },
  spec: {
    nats: { servers: ["nats://a"] },
    stream: stream({}),
    processor: json({}),
    target: { postgres: { secretRef: { name: "pg" } } },
    ...spec
  }
})
const stream = (fields: Fields): Fields => ({ subjects: ["a.>"], ...fields })
const json = (fields: Fields) => ({ json: { table: "t", columns, ...fields } })
const route = (fields: Fields): Fields => ({ name: "a", subjects: ["a.>"], table: "t", columns, ...fields })
const drop = (fields: Fields): Fields => ({ name: "b", subjects: ["b.>"], drop: true, ...fields })
const routes = (...list: ReadonlyArray<Fields>) => ({ processor: { json: { routes: list } } })
const postgres = (fields: Fields) => ({ target: { postgres: fields } })
const tls = (fields: Fields) => postgres({ secretRef: { name: "pg" }, tls: fields })
const timeseries = (fields: Fields): Fields => ({
  processor: { type: "Telemetry" },
  target: { postgres: { secretRef: { name: "pg" } }, timeseries: fields }
})
const publish = (fields: object): Fields => ({ errors: { deadLetter: { publish: fields } } })
const writer = (fields: Fields) => ({ writer: fields })
const nats = (fields: Fields) => ({ nats: { servers: ["nats://a"], ...fields } })
const named = { name: "a" }

/** Path of the broken rule, a spec that breaks it and no other rule, the nearest spec that fulfils it. */
const examples: ReadonlyArray<readonly [path: string, breaks: Fields, holds: Fields]> = [
  [
    "spec.consumer.deliverFrom.policy",
    { stream: stream({ retention: "WorkQueue" }), consumer: { deliverFrom: { policy: "New" } } },
    { stream: stream({ retention: "WorkQueue" }), consumer: { deliverFrom: { policy: "All" } } }
  ],
  [
    "spec.nats.tls.mode",
    nats({ servers: ["nats://a", "tls://b"], tls: { mode: "Disabled" } }),
    nats({ servers: ["nats://a", "tls://b"], tls: { mode: "Auto" } })
  ],
  [
    "spec.nats.tls.mode",
    nats({ tls: { mode: "Disabled", caSecretRef: named } }),
    nats({ tls: { caSecretRef: named } })
  ],
  [
    "spec.nats.tls.spiffeServerIDs",
    nats({ tls: { serverName: "a.b", spiffeServerIDs: ["spiffe://a/b"] } }),
    nats({ tls: { spiffeServerIDs: ["spiffe://a/b"] } })
  ],
  [
    "spec.nats.auth",
    nats({ auth: { credsSecretRef: named, tokenSecretRef: named } }),
    nats({ auth: { userPasswordSecretRef: named } })
  ],
  [
    "spec.identity.spiffe",
    { ...nats({ tls: { clientSecretRef: named } }), identity: { spiffe: { provider: "CertManagerCSI" } } },
    { ...nats({ tls: { caSecretRef: named } }), identity: { spiffe: { provider: "CertManagerCSI" } } }
  ],
  [
    "spec.identity.spiffe.secretName",
    { identity: { spiffe: { provider: "Secret" } } },
    { identity: { spiffe: { provider: "Secret", secretName: "a" } } }
  ],
  ["spec.consumer.maxAckPending", { consumer: { maxAckPending: 4999 } }, { consumer: { maxAckPending: 5000 } }],
  ["spec.consumer.ackWait", { consumer: { ackWait: "30.049s" } }, { consumer: { ackWait: "30.05s" } }],
  [
    "spec.target.timeseries.timeColumn",
    {
      ...routes(route({})),
      target: { postgres: { secretRef: { name: "pg" } }, timeseries: { timeColumn: "id" } }
    },
    {
      ...routes(route({})),
      target: { postgres: { secretRef: { name: "pg" } }, timeseries: { timeColumn: "at" } }
    }
  ],
  [
    "spec.target.timeseries.timeColumn",
    { target: { postgres: { secretRef: { name: "pg" } }, timeseries: { timeColumn: "id" } } },
    { target: { postgres: { secretRef: { name: "pg" } }, timeseries: { timeColumn: "at" } } }
  ],
  [
    "spec.target.timeseries.compressAfter",
    { target: { postgres: { secretRef: { name: "pg" } }, timeseries: { compressAfter: "1h" } } },
    { target: { postgres: { secretRef: { name: "pg" } }, timeseries: { timeColumn: "at", compressAfter: "1h" } } }
  ],
  [
    "spec.target.timeseries.dropAfter",
    { target: { postgres: { secretRef: { name: "pg" } }, timeseries: { dropAfter: "1h" } } },
    timeseries({ dropAfter: "1h" })
  ],
  [
    "spec.target.timeseries.dropAfter",
    timeseries({ compressAfter: "1h", dropAfter: "1h" }),
    timeseries({ compressAfter: "1h", dropAfter: "1h1m" })
  ],
  [
    "spec.target.timeseries.segmentBy",
    timeseries({ segmentBy: ["a"] }),
    timeseries({ segmentBy: ["a"], compressAfter: "1h" })
  ],
  [
    "spec.target.timeseries.orderBy",
    timeseries({ orderBy: "a DESC, b" }),
    timeseries({ orderBy: "a DESC, b", compressAfter: "1h" })
  ],
  [
    "spec.target.postgres.tls.caSecretRef",
    tls({ mode: "Require", caSecretRef: { name: "ca" } }),
    tls({ caSecretRef: { name: "ca" } })
  ],
  [
    "spec.target.postgres.tls.clientSecretRef",
    tls({ mode: "Disable", clientSecretRef: { name: "client" } }),
    tls({ mode: "Require", clientSecretRef: { name: "client" } })
  ],
  ["spec.stream.subjects", { stream: { subjects: [] } }, { stream: { management: "Observed", name: "A" } }],
  [
    "spec.stream.subjects",
    { stream: stream({ subjects: ["_INBOX.>"] }) },
    { stream: stream({ subjects: ["INBOX.>"] }) }
  ],
  ["spec.stream.name", { stream: { management: "Observed" } }, { stream: { management: "Observed", name: "A" } }],
  [
    "spec.stream.deletionPolicy",
    { stream: { management: "Observed", name: "A", deletionPolicy: "Delete" } },
    { stream: stream({ deletionPolicy: "Delete" }) }
  ],
  ["spec.stream.duplicateWindow", { stream: stream({ maxAge: "1m" }) }, { stream: stream({ maxAge: "2m" }) }],
  ["spec.consumer.name", { consumer: { management: "Observed" } }, { consumer: { management: "Observed", name: "c" } }],
  [
    "spec.consumer.deliverFrom.sequence",
    { consumer: { deliverFrom: { sequence: 1 } } },
    { consumer: { deliverFrom: { policy: "StartSequence", sequence: 1 } } }
  ],
  [
    "spec.consumer.deliverFrom.time",
    { consumer: { deliverFrom: { policy: "StartTime" } } },
    { consumer: { deliverFrom: { policy: "StartTime", time: "2026-02-28T00:00:00Z" } } }
  ],
  [
    "spec.consumer.deliverFrom.time",
    { consumer: { deliverFrom: { policy: "StartTime", time: "2026-02-29T00:00:00Z" } } },
    { consumer: { deliverFrom: { policy: "StartTime", time: "2024-02-29T00:00:00Z" } } }
  ],
  ["spec.processor.json", { processor: { type: "Telemetry", ...json({}) } }, { processor: { type: "Telemetry" } }],
  [
    "spec.processor.output",
    { processor: { type: "Events", output: "Logs" } },
    { processor: { type: "Events", output: "Events" } }
  ],
  ["spec.processor.output", { processor: { ...json({}), output: "Both" } }, { processor: json({}) }],
  [
    "spec.processor.storeRaw",
    { processor: { type: "Logs", output: "Logs", storeRaw: true } },
    { processor: { type: "Logs", output: "Both", storeRaw: true } }
  ],
  [
    "spec.processor.storeRaw",
    { processor: { type: "Telemetry", storeRaw: true } },
    { processor: { type: "Events", storeRaw: true } }
  ],
  [
    "spec.processor.ocsf",
    { processor: { type: "Events", ocsf: {} } },
    { processor: { type: "Events", output: "OcsfEvents", ocsf: {} } }
  ],
  [
    "spec.processor.ocsf.eventLogActivityId",
    { processor: { type: "Sweep", ocsf: { eventLogActivityId: 99 } } },
    { processor: { type: "Logs", ocsf: { eventLogActivityId: 99 } } }
  ],
  ["spec.processor.json.table", { processor: json({ table: "pg_x.t" }) }, { processor: json({ table: "pgx.t" }) }],
  [
    "spec.processor.json.extraColumn",
    { processor: json({ onUnknownField: "ExtraColumn" }) },
    { processor: json({ onUnknownField: "ExtraColumn", extraColumn: "extra" }) }
  ],
  [
    "spec.processor.json.extraColumn",
    { processor: json({ onUnknownField: "ExtraColumn", extraColumn: "id" }) },
    { processor: json({ onUnknownField: "ExtraColumn", extraColumn: "Id" }) }
  ],
  [
    "spec.processor.json.conflictKeys",
    { processor: json({ mode: "InsertIgnore" }) },
    { processor: json({ mode: "InsertIgnore", conflictKeys: ["id"] }) }
  ],
  [
    "spec.processor.json.conflictKeys",
    { processor: json({ mode: "InsertIgnore", conflictKeys: ["ID"] }) },
    { processor: json({ mode: "InsertIgnore", conflictKeys: ["id", "at"] }) }
  ],
  [
    "spec.processor.json.updateColumns",
    { processor: json({ mode: "InsertIgnore", conflictKeys: ["id"], updateColumns: ["at"] }) },
    { processor: json({ mode: "Upsert", conflictKeys: ["id"], updateColumns: ["at"] }) }
  ],
  [
    "spec.processor.json.updateColumns",
    { processor: json({ mode: "Upsert", conflictKeys: ["id"], updateColumns: ["extra"] }) },
    {
      processor: json({
        mode: "Upsert",
        conflictKeys: ["id"],
        updateColumns: ["extra"],
        onUnknownField: "ExtraColumn",
        extraColumn: "extra"
      })
    }
  ],
  [
    "spec.processor.json.newerWins",
    { processor: json({ newerWins: "at" }) },
    { processor: json({ mode: "Upsert", conflictKeys: ["id"], newerWins: "at" }) }
  ],
  [
    "spec.processor.json.newerWins",
    { processor: json({ mode: "Upsert", conflictKeys: ["id"], newerWins: "when" }) },
    { processor: json({ mode: "Upsert", conflictKeys: ["id"], newerWins: "at" }) }
  ],
  ["spec.processor.json", { processor: { json: { table: "t", routes: [route({})] } } }, routes(route({}))],
  ["spec.processor.json", { processor: { json: { columns } } }, { processor: { json: { table: "t" } } }],
  [
    "spec.processor.json.routes",
    { processor: { json: { routes: [route({})], columns } } },
    { processor: { json: { routes: [route({})] } } }
  ],
  [
    "spec.processor.json.routes",
    { processor: { json: { routes: [route({})], onUnknownField: "Reject" } } },
    { processor: { json: { routes: [route({ onUnknownField: "Reject" })] } } }
  ],
  ["spec.processor.json.routes", routes(drop({})), routes(drop({}), route({}))],
  [
    "spec.processor.json.routes",
    routes(route({}), route({ name: "b" })),
    routes(route({}), route({ name: "b", table: "u" }))
  ],
  [
    "spec.processor.json.onNoRoute",
    { processor: json({ onNoRoute: "Halt" }) },
    { processor: { json: { routes: [route({})], onNoRoute: "Halt" } } }
  ],
  [
    "spec.processor.json.routes[0].table",
    routes(route({ table: "information_schema.t" })),
    routes(route({ table: "i.t" }))
  ],
  ["spec.processor.json.routes[1].table", routes(route({}), drop({ table: "u" })), routes(route({}), drop({}))],
  ["spec.processor.json.routes[1].drop", routes(route({}), drop({ mode: "Append" })), routes(route({}), drop({}))],
  [
    "spec.processor.json.routes[0].extraColumn",
    routes(route({ extraColumn: "extra" })),
    routes(route({ extraColumn: "extra", onUnknownField: "ExtraColumn" }))
  ],
  [
    "spec.processor.json.routes[0].extraColumn",
    routes(route({ extraColumn: "at", onUnknownField: "ExtraColumn" })),
    routes(route({ extraColumn: "at", onUnknownField: "ExtraColumn", columns: [{ name: "id", type: "int8" }] }))
  ],
  [
    "spec.processor.json.routes[0].conflictKeys",
    routes(route({ conflictKeys: ["id"] })),
    routes(route({ conflictKeys: ["id"], mode: "InsertIgnore" }))
  ],
  [
    "spec.processor.json.routes[0].conflictKeys",
    routes(route({ conflictKeys: ["no"], mode: "Upsert" })),
    routes(route({ conflictKeys: ["id"], mode: "Upsert" }))
  ],
  [
    "spec.processor.json.routes[0].updateColumns",
    routes(route({ updateColumns: ["at"] })),
    routes(route({ updateColumns: ["at"], conflictKeys: ["id"], mode: "Upsert" }))
  ],
  [
    "spec.processor.json.routes[0].updateColumns",
    routes(route({ updateColumns: ["no"], conflictKeys: ["id"], mode: "Upsert" })),
    routes({ name: "a", subjects: ["a"], table: "t", updateColumns: ["no"], conflictKeys: ["id"], mode: "Upsert" })
  ],
  [
    "spec.processor.json.routes[0].newerWins",
    routes(route({ newerWins: "at" })),
    routes(route({ newerWins: "at", conflictKeys: ["id"], mode: "Upsert" }))
  ],
  [
    "spec.processor.json.routes[0].newerWins",
    routes(route({ newerWins: "no", conflictKeys: ["id"], mode: "Upsert" })),
    routes(route({ newerWins: "at", conflictKeys: ["id"], mode: "Upsert" }))
  ],
  [
    "spec.processor.json.routes[0].columns[0].timeUnit",
    routes(route({ columns: [{ name: "id", type: "int8", timeUnit: "ms" }] })),
    routes(route({ columns: [{ name: "id", type: "timestamptz", timeUnit: "ms" }] }))
  ],
  [
    "spec.processor.json.routes[0].columns[0].defaultValue",
    routes(route({ columns: [{ name: "id", type: "int8", required: true, defaultValue: "1" }] })),
    routes(route({ columns: [{ name: "id", type: "int8", defaultValue: "1" }] }))
  ],
  [
    "spec.processor.json.columns[0].timeUnit",
    { processor: json({ columns: [{ name: "id", type: "int8", timeUnit: "ms" }] }) },
    { processor: json({ columns: [{ name: "id", type: "timestamptz", timeUnit: "ms" }] }) }
  ],
  [
    "spec.processor.json.columns[0].defaultValue",
    { processor: json({ columns: [{ name: "id", type: "int8", required: true, defaultValue: "1" }] }) },
    { processor: json({ columns: [{ name: "id", type: "int8", required: false, defaultValue: "1" }] }) }
  ],
  [
    "spec.target.schema",
    { target: { postgres: { secretRef: { name: "pg" } }, schema: "information_schema" } },
    { target: { postgres: { secretRef: { name: "pg" } }, schema: "information" } }
  ],
  ["spec.target.postgres", postgres({}), postgres({ secretRef: { name: "pg" } })],
  ["spec.target.postgres", postgres({ host: "h", user: "u" }), postgres({ host: "h", user: "u", database: "d" })],
  [
    "spec.target.postgres",
    postgres({ secretRef: { name: "pg" }, user: "u" }),
    postgres({ secretRef: { name: "pg" }, port: 1 })
  ],
  [
    "spec.errors.backoff.max",
    { errors: { backoff: { initial: "31s" } } },
    { errors: { backoff: { initial: "31s", max: "31s" } } }
  ],
  [
    "spec.errors.deadLetter.publish.subjectPrefix",
    publish({ subjectPrefix: "_INBOX.a" }),
    publish({ subjectPrefix: "_INBOXES.a" })
  ],
  [
    "spec.errors.deadLetter.publish.streamName",
    { stream: stream({ name: "A" }), ...publish({ streamName: "A" }) },
    { stream: stream({ name: "A" }), ...publish({ streamName: "B" }) }
  ],
  ["spec.writer.podLabels", writer({ podLabels: { "Team/": "a" } }), writer({ podLabels: { "a.b/Team": "a" } })],
  [
    "spec.writer.podLabels",
    writer({ podLabels: { "eventstream.dev/name": "a" } }),
    writer({ podLabels: { name: "a" } })
  ],
  ["spec.writer.podAnnotations", writer({ podAnnotations: { "a b": "" } }), writer({ podAnnotations: { a_b: "" } })],
  [
    "spec.writer.podAnnotations",
    writer({ podAnnotations: { "app.kubernetes.io/name": "" } }),
    writer({ podAnnotations: { "kubernetes.io/name": "" } })
  ],
  [
    "spec.writer.nodeSelector",
    writer({ nodeSelector: { "-": "" } }),
    writer({ nodeSelector: { "kubernetes.io/os": "linux" } })
  ],
  [
    "spec.writer.tolerations[0].operator",
    writer({ tolerations: [{ value: "a" }] }),
    writer({ tolerations: [{ operator: "Exists" }] })
  ],
  [
    "spec.writer.tolerations[0].value",
    writer({ tolerations: [{ operator: "Exists", value: "a" }] }),
    writer({ tolerations: [{ key: "k", value: "a" }] })
  ],
  [
    "spec.writer.tolerations[0].tolerationSeconds",
    writer({ tolerations: [{ key: "k", effect: "NoSchedule", tolerationSeconds: 1 }] }),
    writer({ tolerations: [{ key: "k", effect: "NoExecute", tolerationSeconds: 1 }] })
  ]
]

/** Path of the broken rule, spec before, spec after. */
const changes: ReadonlyArray<readonly [path: string, before: Fields, after: Fields]> = [
  ["spec.stream.name", {}, { stream: stream({ name: "A" }) }],
  ["spec.stream.name", { stream: stream({ name: "A" }) }, { stream: stream({ name: "B" }) }],
  ["spec.stream.storage", {}, { stream: stream({ storage: "Memory" }) }],
  ["spec.stream.retention", { stream: stream({ retention: "WorkQueue" }) }, {}],
  ["spec.consumer.name", { consumer: { name: "a" } }, {}]
]

const paths = (object: unknown, old?: unknown) => {
  const admission = admit(object, old)
  return "errors" in admission ? admission.errors.map(({ path }) => path) : []
}
const messages = (object: unknown, old?: unknown) => {
  const admission = admit(object, old)
  return "errors" in admission ? admission.errors.map(({ message }) => message.split("; found")[0]!) : []
}

describe("rules", () => {
  it.each(examples)("%s", (path, breaks, holds) => {
    assert.deepEqual(paths(eventStream(breaks)), [path])
    assert.deepEqual(paths(eventStream(holds)), [])
  })

  it.each(changes)("%s cannot be changed", (path, before, after) => {
    assert.deepEqual(paths(eventStream(after), eventStream(before)), [path])
    assert.deepEqual(paths(eventStream(after), eventStream(after)), [])
    assert.deepEqual(paths(eventStream(after)), [])
  })

  it("every rule is broken by one of these examples", () => {
    const broken = new Set([
      ...examples.flatMap(([, breaks]) => messages(eventStream(breaks))),
      ...changes.flatMap(([, before, after]) => messages(eventStream(after), eventStream(before))),
      ...messages(eventStream({}, "a.b")),
      ...messages(eventStream({}, "a".repeat(51)))
    ])
    assert.deepEqual(
      rules.filter(({ message }) => !broken.has(message)),
      []
    )
  })
})
