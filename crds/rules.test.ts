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
const postgres = (fields: Fields) => ({ target: { postgres: fields } })
const writer = (fields: Fields) => ({ writer: fields })

/** Path of the broken rule, a spec that breaks it and no other rule, the nearest spec that fulfils it. */
const examples: ReadonlyArray<readonly [path: string, breaks: Fields, holds: Fields]> = [
  [
    "spec.consumer.deliverFrom.policy",
    { stream: stream({ retention: "WorkQueue" }), consumer: { deliverFrom: { policy: "New" } } },
    { stream: stream({ retention: "WorkQueue" }), consumer: { deliverFrom: { policy: "All" } } }
  ],
  ["spec.consumer.maxAckPending", { consumer: { maxAckPending: 4999 } }, { consumer: { maxAckPending: 5000 } }],
  ["spec.consumer.ackWait", { consumer: { ackWait: "30.049s" } }, { consumer: { ackWait: "30.05s" } }],
  [
    "spec.target.timeseries.timeColumn",
    { target: { postgres: { secretRef: { name: "pg" } }, timeseries: { timeColumn: "id" } } },
    { target: { postgres: { secretRef: { name: "pg" } }, timeseries: { timeColumn: "at" } } }
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
