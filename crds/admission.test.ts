import { Schema } from "effect"
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { mutatedEventStream, validEventStream } from "../testing/arbitrary-eventstream.ts"
import { admit, decodeSpec } from "./admission.ts"
import { EventStreamSpec } from "./eventstream.ts"

const json = { table: "orders", columns: [{ name: "id", type: "int8" }] }
const postgres = { secretRef: { name: "pg-app" } }

/** The smallest EventStream, with parts of its spec replaced. */
const eventStream = (spec: object, metadata: object = { name: "orders", namespace: "demo" }) => ({
  apiVersion: "eventstream.dev/v1alpha1",
  kind: "EventStream",
  metadata,
  spec: {
    nats: { servers: ["nats://nats.nats.svc:4222"] },
    stream: { subjects: ["orders.>"] },
    processor: { json },
    target: { postgres },
    ...spec
  }
})

/** `path: message` of every mistake. */
const mistakes = (object: unknown, old?: unknown) => {
  const admission = admit(object, old)
  return "errors" in admission ? admission.errors.map(({ path, message }) => `${path}: ${message}`) : []
}
/** The paths of the mistakes. */
const wrong = (spec: object, oldSpec?: object) =>
  mistakes(eventStream(spec), oldSpec && eventStream(oldSpec)).map((line) => line.slice(0, line.indexOf(": ")))

describe("admit", () => {
  it("fills in every default", () => {
    assert.deepEqual<unknown>(admit(eventStream({})), {
      object: {
        apiVersion: "eventstream.dev/v1alpha1",
        kind: "EventStream",
        metadata: { name: "orders", namespace: "demo" },
        spec: {
          suspend: false,
          nats: { servers: ["nats://nats.nats.svc:4222"] },
          stream: {
            subjects: ["orders.>"],
            management: "Managed",
            adopt: false,
            retention: "Limits",
            storage: "File",
            discard: "Old",
            duplicateWindow: "2m",
            compression: "None",
            deletionPolicy: "Retain"
          },
          consumer: {
            management: "Managed",
            deliverFrom: { policy: "All" },
            ackWait: "60s",
            deletionPolicy: "Delete"
          },
          processor: {
            type: "Json",
            storeRaw: false,
            json: { ...json, format: "Json", onUnknownField: "Ignore", mode: "Append", onNoRoute: "DeadLetter" }
          },
          target: {
            postgres: {
              secretRef: { name: "pg-app", uriKey: "uri" },
              port: 5432,
              statementTimeout: "30s",
              lockTimeout: "5s"
            },
            schema: "public",
            ddl: "CreateIfMissing"
          },
          batch: { maxMessages: 5000, maxBytes: "16Mi", maxLatency: "50ms" },
          errors: {
            onPoison: "DeadLetter",
            maxAttempts: 5,
            backoff: { initial: "250ms", max: "30s" },
            haltThreshold: { percent: 50, window: "1m", minMessages: 100 },
            deadLetter: { maxAge: "336h", payload: "Keep" }
          },
          writer: { replicas: 1, terminationGracePeriodSeconds: 60, logLevel: "info" },
          drainTimeout: "5m"
        },
        status: { observedGeneration: -1 }
      }
    })
  })

  it("takes null for left out", () => {
    assert.deepEqual(
      admit(eventStream({ batch: null, stream: { subjects: ["orders.>"], maxAge: null } })),
      admit(eventStream({}))
    )
  })

  it("reports every mistake at once: where, what was found, what is allowed", () => {
    const object = eventStream(
      {
        batch: { maxMesages: 10, maxBytes: "300Mi", maxMessages: "many" },
        stream: { subjects: ["$JS.>", "orders.>"], retention: "workqueue", maxAge: "1d" },
        processor: { json: { table: "a;drop table x", columns: [{ name: "id" }, { name: "id", type: "text" }] } },
        target: {},
        writer: { replicas: 101, podLabels: { team: 1 } },
        consumer: { ackWait: "1s", deliverFrom: { policy: "StartTime" } }
      },
      { name: "a.b", label: {} }
    )
    assert.sameMembers(mistakes({ ...object, sepc: {} }), [
      "sepc: unknown field; did you mean spec?",
      "metadata.label: unknown field; did you mean labels?",
      'metadata.name: must not contain dots, which JetStream names cannot hold; found "a.b"',
      "spec.batch.maxMesages: unknown field; did you mean maxMessages?",
      'spec.batch.maxBytes: expected 1Ki to 256Mi, found "300Mi"',
      'spec.batch.maxMessages: expected a whole number, found "many"',
      'spec.stream.subjects[0]: expected a subject such as logs.> or orders.*.created (first token a name without leading $, * a whole token, > the last token), found "$JS.>"',
      'spec.stream.retention: expected one of Limits, Interest, WorkQueue, found "workqueue"',
      'spec.stream.maxAge: expected a duration such as 250ms, 30s or 1h30m (units ns us ms s m h), found "1d"',
      'spec.processor.json.table: expected table or schema.table: letters, digits and _, each not starting with a digit and at most 63 characters, found "a;drop table x"',
      "spec.processor.json.columns[0].type: required, but missing: PostgreSQL type of the column.",
      'spec.processor.json.columns[1].name: "id" occurs twice',
      "spec.target.postgres: required, but missing: The database; either secretRef or host with database and user.",
      "spec.writer.replicas: expected 0 to 100, found 101",
      "spec.writer.podLabels.team: expected a label value: letters, digits, -, _ and ., starting and ending with a letter or digit, found 1",
      "spec.consumer.deliverFrom.time: must be given with policy StartTime, and only then"
    ])
  })

  it("passes a rule over while a field it looks at is wrong in itself", () => {
    assert.deepEqual(wrong({ consumer: { ackWait: "soon" } }), ["spec.consumer.ackWait"])
    assert.deepEqual(wrong({ processor: { type: "json" } }), ["spec.processor.type"])
  })

  it("names the known fields when none is near", () => {
    assert.deepEqual(mistakes(eventStream({ nats: { servers: ["nats://a"], password: "x" } })), [
      "spec.nats.password: unknown field; known are servers, jetstreamDomain, tls, auth"
    ])
  })

  it.each([null, 1, "text", [], {}, { spec: null }, { metadata: { name: 1 }, spec: [] }])("refuses %j", (value) => {
    assert.isNotEmpty(mistakes(value))
    assert.property(decodeSpec(value), "errors")
  })

  it("is not misled by names that every JavaScript object has", () => {
    const object = JSON.parse(
      JSON.stringify(eventStream({})).replace('"spec":{', '"spec":{"__proto__":{},"constructor":1,')
    )
    assert.deepEqual(
      mistakes(object).map((line) => line.split(":")[0]),
      ["spec[__proto__]", "spec.constructor"]
    )
  })
})

describe("fields", () => {
  it.each(["orders.>", "a", "a.b-c_d", "a.*.c", "a.*.>", "tür.ä", "a$b", "a_INBOX.x", "Aa0"])(
    "subject %s is right",
    (subject) => assert.deepEqual(wrong({ stream: { subjects: [subject] } }), [])
  )
  it.each([
    "",
    ".",
    "a.",
    ".a",
    "a..b",
    "a b",
    "a\tb",
    "a\n",
    "a.>.b",
    "a.b>",
    "a*",
    "*",
    ">",
    "*.a",
    "$JS.>",
    "$SYS.a",
    "\u0000"
  ])("subject %j is wrong", (subject) =>
    assert.deepEqual(wrong({ stream: { subjects: [subject] } }), ["spec.stream.subjects[0]"])
  )
  it.each(["_INBOX", "_INBOX.>", "_INBOX.a"])("subject %s is wrong", (subject) =>
    assert.deepEqual(wrong({ stream: { subjects: [subject] } }), ["spec.stream.subjects"])
  )
  it.each(["*", ">", "*.created", "*.>"])("filter %s is right", (filter) =>
    assert.deepEqual(wrong({ consumer: { filterSubjects: [filter] } }), [])
  )

  it.each(["orders", "app.orders", "_x", "A1", "information_schema", "pg_x", "a".repeat(63)])(
    "table %s is right",
    (table) => assert.deepEqual(wrong({ processor: { json: { ...json, table } } }), [])
  )
  it.each(
    [
      "",
      "a b",
      "a;drop table x",
      'a"b',
      "a'b",
      "1a",
      "a.b.c",
      ".a",
      "a.",
      "tаble",
      "ä",
      "a\u0000",
      "a-b",
      "a".repeat(64)
    ].concat("pg_catalog.pg_class", "information_schema.tables", "pg_toast.x")
  )("table %j is wrong", (table) =>
    assert.deepEqual(wrong({ processor: { json: { ...json, table } } }), ["spec.processor.json.table"])
  )

  it.each(["nats://a", "nats://nats.nats.svc:4222", "tls://10.0.0.1:1", "nats://[::1]:4222"])(
    "server %s is right",
    (url) => assert.deepEqual(wrong({ nats: { servers: [url] } }), [])
  )
  it.each(["", "a:4222", "http://a", "nats://", "nats://u:p@a", "nats://a/b", "nats://a:123456", "nats://a,nats://b"])(
    "server %j is wrong",
    (url) => assert.deepEqual(wrong({ nats: { servers: [url] } }), ["spec.nats.servers[0]"])
  )

  it.each([
    "/a",
    "/a/b~1c/~0",
    "/",
    "header:Nats-Msg-Id",
    "subject",
    "subject:12",
    "seq",
    "time",
    "const:",
    "const:a b"
  ])("column source %s is right", (from) =>
    assert.deepEqual(wrong({ processor: { json: { ...json, columns: [{ name: "id", type: "text", from }] } } }), [])
  )
  it.each(["", "a", "a/b", "/a~2", "header:", "header:a:b", "subject:0", "subject:x", "sequence", "const"])(
    "column source %j is wrong",
    (from) =>
      assert.deepEqual(wrong({ processor: { json: { ...json, columns: [{ name: "id", type: "text", from }] } } }), [
        "spec.processor.json.columns[0].from"
      ])
  )

  it.each(["/var/run/postgresql", "a b", "", "-a", "a,b"])("database host %j is wrong", (host) =>
    assert.deepEqual(wrong({ target: { postgres: { host, database: "d", user: "u" } } }), ["spec.target.postgres.host"])
  )

  it.each([
    ["orders", 0],
    ["a".repeat(50), 0],
    ["a".repeat(51), 1],
    ["Orders", 1],
    ["a_b", 1],
    ["-a", 1],
    ["a.b", 1],
    ["", 1]
  ])("the name %j has %d mistakes", (name, count) => assert.lengthOf(mistakes(eventStream({}, { name })), count))

  it("counts characters, not UTF-16 units", () => {
    const note = (text: string) => wrong({ writer: { podAnnotations: { note: text } } })
    assert.deepEqual(note("😀".repeat(4096)), [])
    assert.deepEqual(note("😀".repeat(4097)), ["spec.writer.podAnnotations.note"])
  })
})

describe("properties", () => {
  it("valid EventStreams are admitted, and admitting them again changes nothing", () => {
    fc.assert(
      fc.property(validEventStream, (object) => {
        const first = admit(object)
        assert.property(first, "object", JSON.stringify(first))
        if ("object" in first) assert.deepEqual(admit(first.object), first)
      })
    )
  })

  it("whatever is admitted is decoded, and keeps its meaning when encoded again", () => {
    const encode = Schema.encodeSync(EventStreamSpec)
    fc.assert(
      fc.property(fc.oneof(validEventStream, mutatedEventStream), (object) => {
        const admission = admit(object)
        const decoded = decodeSpec(object)
        assert.strictEqual("spec" in decoded, "object" in admission)
        if ("spec" in decoded) {
          assert.deepEqual(decodeSpec({ spec: encode(decoded.spec) }), decoded)
        }
      }),
      { numRuns: 500 }
    )
  })

  it("no JSON makes it throw", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (object, old) => void [admit(object, old), decodeSpec(object)])
    )
    fc.assert(fc.property(fc.jsonValue(), (spec) => void admit({ ...eventStream({}), spec })))
    fc.assert(
      fc.property(mutatedEventStream, mutatedEventStream, (object, old) => {
        const admission = admit(object, old)
        if ("errors" in admission) assert.isNotEmpty(admission.errors)
      })
    )
  })
})
