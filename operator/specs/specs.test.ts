import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { join } from "node:path"
import { expect } from "vitest"
import { stringify } from "yaml"
import { eventStreamOf } from "../../testing/operator-world.ts"
import { WriterConfig } from "../../writer/config.ts"
import { configHash, configMap, writerConfig } from "./configmap.ts"
import { newConsumer } from "./consumer.ts"
import { deployment } from "./deployment.ts"
import { serviceAccount } from "./serviceaccount.ts"
import { newStream } from "./stream.ts"

/** What is rendered, as a person reads it. Update with `vitest -u` and read the difference. */

const yaml = { lineWidth: 0, aliasDuplicateObjects: false }
const golden = (name: string) => join(import.meta.dirname, "golden", name)

const cases = {
  minimal: {},
  full: {
    suspend: false,
    nats: {
      servers: ["tls://a.example.com", "tls://b.example.com:4223"],
      jetstreamDomain: "hub",
      tls: { mode: "Required", caSecretRef: { name: "nats-ca" }, spiffeServerIDs: ["spiffe://example.com/nats"] },
      auth: { userPasswordSecretRef: { name: "nats-user" } }
    },
    identity: { spiffe: { provider: "CertManagerCSI" } },
    stream: {
      name: "ORDERS",
      subjects: ["orders.>", "returns.*"],
      retention: "Interest",
      storage: "Memory",
      replicas: 3,
      maxAge: "1h",
      maxBytes: "1Gi",
      maxMessages: 1000,
      maxMessageSize: "1Mi",
      maxMessagesPerSubject: 10,
      discard: "New",
      duplicateWindow: "30m",
      compression: "None"
    },
    consumer: { name: "billing", filterSubjects: ["orders.>"], ackWait: "90s", maxAckPending: 12_000 },
    processor: {
      type: "Json",
      skipSubjects: ["orders.test.>"],
      json: {
        table: "sales.orders",
        columns: [
          { name: "id", type: "uuid", required: true },
          { name: "at", from: "time", type: "timestamptz" }
        ],
        mode: "Upsert",
        conflictKeys: ["id"],
        newerWins: "at"
      }
    },
    target: {
      postgres: {
        host: "pg.example.com",
        database: "sales",
        user: "writer",
        passwordSecretRef: { name: "pg-writer", key: "pass" },
        tls: { caSecretRef: { name: "pg-ca" }, clientSecretRef: { name: "pg-client", certKey: "writer.crt" } },
        statementTimeout: "20s"
      },
      schema: "sales",
      ddl: "None",
      timeseries: {
        timeColumn: "at",
        chunkInterval: "12h",
        compressAfter: "48h",
        segmentBy: ["region"],
        orderBy: "at DESC",
        dropAfter: "720h"
      }
    },
    batch: { maxMessages: 2000, maxBytes: "4Mi", maxLatency: "200ms" },
    errors: {
      onPoison: "Halt",
      maxAttempts: 3,
      backoff: { initial: "1s", max: "1m" },
      haltThreshold: { percent: 20, window: "5m", minMessages: 1000 },
      deadLetter: {
        maxAge: "24h",
        redactHeaders: ["Authorization"],
        payload: "Redact",
        publish: { streamName: "BAD_ORDERS", maxBytes: "10Mi" }
      }
    },
    writer: {
      replicas: 3,
      image: "registry.example.com/writer:1",
      imagePullPolicy: "Always",
      imagePullSecrets: [{ name: "registry" }],
      resources: { requests: { cpu: "500m", memory: "256Mi" } },
      podLabels: { team: "sales" },
      podAnnotations: { note: "x" },
      nodeSelector: { pool: "events" },
      tolerations: [{ key: "dedicated", operator: "Exists" }],
      terminationGracePeriodSeconds: 90,
      logLevel: "debug"
    }
  }
} as const

describe("what is rendered", () => {
  it.each(Object.keys(cases) as Array<keyof typeof cases>)("%s", async (name) => {
    const { metadata, spec } = eventStreamOf(cases[name])
    const config = writerConfig(metadata, spec, newStream(metadata, spec).name, "logs-00c0ffee-abc123")
    const hash = configHash(config, spec)
    const defaults = { image: "eventstream:1.2.3", hosts: undefined }
    const objects = [
      serviceAccount(metadata),
      configMap(metadata, config, hash),
      deployment(metadata, spec, hash, spec.writer.replicas, defaults)
    ]
    await expect(objects.map((object) => stringify(object, yaml)).join("---\n")).toMatchFileSnapshot(
      golden(`${name}.yaml`)
    )
    const jetStream = {
      stream: newStream(metadata, spec),
      consumer: newConsumer(metadata, spec, "logs-00c0ffee-abc123", { at: 7, first: 3 }, 2)
    }
    await expect(stringify(jetStream, yaml)).toMatchFileSnapshot(golden(`${name}.jetstream.yaml`))
  })

  it("the writer reads the configuration it is given", () => {
    for (const spec of Object.values(cases)) {
      const eventStream = eventStreamOf(spec)
      const encoded = writerConfig(eventStream.metadata, eventStream.spec, "S", "d")
      const decoded = Schema.decodeUnknownSync(WriterConfig)(JSON.parse(JSON.stringify(encoded)))
      assert.deepStrictEqual(Schema.encodeSync(WriterConfig)(decoded), encoded)
    }
  })

  it("settings of a built-in processor reach the writers, as far as they are given", () => {
    const told = (processor: Readonly<Record<string, unknown>>) => {
      const { metadata, spec } = eventStreamOf({ processor })
      return writerConfig(metadata, spec, "S", "d").processor
    }
    const settings = {
      output: "OcsfEvents",
      storeRaw: true,
      ocsf: { eventLogActivityId: 99, product: { vendorName: "Acme", version: "2" } }
    } as const
    assert.deepInclude(told({ type: "Events", ...settings }), settings)
    assert.doesNotHaveAnyKeys(told({ type: "Events" }), ["output", "storeRaw", "ocsf"])
  })

  it("routes are told with what a spec leaves out", () => {
    const columns = [{ name: "id", type: "int8" }]
    const { metadata, spec } = eventStreamOf({
      processor: {
        json: {
          format: "NDJson",
          routes: [
            { name: "a", subjects: ["a"], table: "a", columns },
            { name: "b", subjects: ["b"], table: "b", mode: "InsertIgnore", conflictKeys: ["id"] },
            { name: "c", subjects: ["c"], drop: true }
          ],
          onNoRoute: "Drop"
        }
      }
    })
    const told = { onUnknownField: "Ignore", mode: "Append", conflictKeys: [] }
    assert.deepEqual<unknown>(writerConfig(metadata, spec, "S", "d").processor.json, {
      ...told,
      format: "NDJson",
      routes: [
        { ...told, name: "a", subjects: ["a"], table: "a", columns },
        { ...told, name: "b", subjects: ["b"], table: "b", mode: "InsertIgnore", conflictKeys: ["id"] },
        { ...told, name: "c", subjects: ["c"], drop: true }
      ],
      onNoRoute: "Drop"
    })
  })

  it("operator settings reach the writers", () => {
    const { metadata, spec } = eventStreamOf()
    const text = JSON.stringify(deployment(metadata, spec, "h", 1, { image: "i", hosts: "nats=127.0.0.1:1" }))
    assert.include(text, '{"name":"EVENTSTREAM_HOSTS","value":"nats=127.0.0.1:1"}]')
  })

  it("another Secret is another configuration, another number of writers is not", () => {
    const hashOf = (spec: Readonly<Record<string, unknown>>) => {
      const { metadata, spec: decoded } = eventStreamOf(spec)
      return configHash(writerConfig(metadata, decoded, "S", "d"), decoded)
    }
    assert.notStrictEqual(hashOf({}), hashOf({ target: { postgres: { secretRef: { name: "other" } } } }))
    assert.strictEqual(hashOf({}), hashOf({ writer: { replicas: 7, image: "other" } }))
  })
})
