import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Environment, isDisabled, readEnvironment } from "./environment.ts"

const least: Environment = {
  EVENT_WRITER_STREAM: "events",
  EVENT_WRITER_CONSUMER: "writer",
  EVENT_WRITER_PROCESSOR: "Telemetry",
  EVENT_WRITER_DATABASE_URL: "postgres://app:s3cr3t@db/app"
}

const problems = (env: Environment) =>
  readEnvironment(env).pipe(
    Effect.flip,
    Effect.map((error) => error.problems)
  )

describe("readEnvironment", () => {
  it.effect("takes the variables", () =>
    Effect.gen(function* () {
      const config = yield* readEnvironment({
        ...least,
        EVENT_WRITER_NATS_URL: "nats://a:4222,nats://b:4222",
        EVENT_WRITER_NATS_USER: "writer",
        EVENT_WRITER_NATS_PASSWORD: "s3cr3t",
        EVENT_WRITER_BATCH_SIZE: "200",
        EVENT_WRITER_BATCH_TIMEOUT: "10",
        EVENT_WRITER_SCHEMA: "platform",
        HOME: "/root"
      })
      assert.deepStrictEqual(config.nats.servers, ["nats://a:4222", "nats://b:4222"])
      assert.strictEqual(Redacted.value(config.nats.password!), "s3cr3t")
      assert.strictEqual(Redacted.value(config.target.postgres.uri!), "postgres://app:s3cr3t@db/app")
      assert.strictEqual(config.target.schema, "platform")
      assert.deepInclude(config.batch, { maxMessages: 200, maxLatencyMillis: 10, maxBytes: 16_777_216 })
      assert.notInclude(JSON.stringify(config), "s3cr3t")
    })
  )

  it.effect("has defaults for what is unset or empty", () =>
    Effect.gen(function* () {
      const config = yield* readEnvironment({ ...least, EVENT_WRITER_NATS_URL: "", EVENT_WRITER_BATCH_SIZE: "" })
      assert.deepStrictEqual(config.nats.servers, ["nats://localhost:4222"])
      assert.strictEqual(config.batch.maxMessages, 5000)
      assert.strictEqual(config.target.schema, "public")
      assert.isUndefined(config.nats.tls)
    })
  )

  it.effect("takes the older names for stream and consumer", () =>
    Effect.gen(function* () {
      const { EVENT_WRITER_STREAM: _, EVENT_WRITER_CONSUMER: __, ...rest } = least
      const config = yield* readEnvironment({
        ...rest,
        EVENT_WRITER_NATS_STREAM: "events",
        EVENT_WRITER_CONSUMER_NAME: "older-writer"
      })
      assert.strictEqual(config.stream, "events")
      assert.strictEqual(config.consumer, "older-writer")
    })
  )

  it.effect("finds the certificates of SPIFFE_CERT_DIR", () =>
    Effect.gen(function* () {
      const folder = mkdtempSync(join(tmpdir(), "eventstream-spiffe-"))
      for (const file of ["root.pem", "core.pem", "core-key.pem"]) writeFileSync(join(folder, file), "")
      const config = yield* readEnvironment({ ...least, SPIFFE_CERT_DIR: folder })
      assert.deepStrictEqual(config.nats.tls, {
        mode: "Required",
        caFile: join(folder, "root.pem"),
        certFile: join(folder, "core.pem"),
        keyFile: join(folder, "core-key.pem")
      })
      const plain = yield* readEnvironment({ ...least, SPIFFE_CERT_DIR: folder, EVENT_WRITER_NATS_TLS: "false" })
      assert.deepStrictEqual(plain.nats.tls, { mode: "Disabled" })
      rmSync(folder, { recursive: true })
      assert.lengthOf(yield* problems({ ...least, SPIFFE_CERT_DIR: folder }), 3)
    })
  )

  it.effect("names every mistake at once, and no secret", () =>
    Effect.gen(function* () {
      const found = yield* problems({
        EVENT_WRITER_ENABLED: "perhaps",
        EVENT_WRITER_NATS_URL: "nats://writer:s3cr3t@nats:4222",
        EVENT_WRITER_BATCH_SIZE: "lots",
        EVENT_WRITER_BATCH_TIMEOUT: "-1",
        EVENT_WRITER_PROCESSOR: "Json",
        EVENT_WRITER_DATABASE_URL: "mysql://app:s3cr3t@db",
        EVENT_WRITER_CONSUMER: "a.b",
        EVENT_WRITER_NATS_CONSUMER: "c",
        EVENT_WRITER_NATS_PASSWORD: "s3cr3t",
        EVENT_WRITER_NATS_CREDS_FILE: "/nowhere/user.creds",
        EVENT_WRITER_BACTH_SIZE: "1"
      })
      assert.includeMembers(
        [...found],
        [
          `EVENT_WRITER_ENABLED: wanted true or false, found "perhaps"`,
          `EVENT_WRITER_NATS_URL: wanted NATS addresses like nats://host:4222, separated by commas, with user and password in EVENT_WRITER_NATS_USER and EVENT_WRITER_NATS_PASSWORD, found something else`,
          `EVENT_WRITER_BATCH_SIZE: wanted a whole number of messages from 1 to 100000, found "lots"`,
          `EVENT_WRITER_BATCH_TIMEOUT: wanted whole milliseconds from 0 to 60000, found "-1"`,
          `EVENT_WRITER_PROCESSOR: wanted one of Telemetry, Events, Logs, OtelMetrics, OtelTraces, Sweep, NetFlow; a Json table needs its columns and so --config, found "Json"`,
          `EVENT_WRITER_DATABASE_URL: wanted a URI like postgresql://user:password@host:5432/database, found something else`,
          `EVENT_WRITER_CONSUMER: wanted a JetStream name, without spaces, dots, slashes and wildcards, found "a.b"`,
          `EVENT_WRITER_CONSUMER and EVENT_WRITER_NATS_CONSUMER: wanted one name, found "a.b" and "c"`,
          `EVENT_WRITER_STREAM: wanted a JetStream name, found nothing`,
          `EVENT_WRITER_NATS_USER: wanted the user of EVENT_WRITER_NATS_PASSWORD, found nothing`,
          `EVENT_WRITER_BACTH_SIZE: no such variable; check the spelling`,
          `wanted the file /nowhere/user.creds, found none`
        ]
      )
      assert.lengthOf(found, 12)
      assert.notInclude(found.join(), "s3cr3t")
    })
  )

  it.effect("takes an output that the processor has", () =>
    Effect.gen(function* () {
      const { processor } = yield* readEnvironment({ ...least, EVENT_WRITER_OUTPUT: "timeseries_metrics" })
      assert.deepInclude(processor, { type: "Telemetry" })
      assert.notProperty(processor, "output")
      assert.deepStrictEqual(yield* problems({ ...least, EVENT_WRITER_OUTPUT: "logs" }), [
        `EVENT_WRITER_OUTPUT: wanted timeseries_metrics with this processor, found "logs"`
      ])
      const events = { ...least, EVENT_WRITER_PROCESSOR: "Events" }
      assert.deepInclude((yield* readEnvironment({ ...events, EVENT_WRITER_OUTPUT: "ocsf_events" })).processor, {
        type: "Events",
        output: "OcsfEvents"
      })
      assert.deepStrictEqual(yield* problems({ ...events, EVENT_WRITER_OUTPUT: "Logs" }), [
        `EVENT_WRITER_OUTPUT: wanted Events or OcsfEvents with this processor, found "Logs"`
      ])
    })
  )
})

describe("isDisabled", () => {
  it.each([
    [{ EVENT_WRITER_ENABLED: "false" }, true],
    [{ EVENT_WRITER_ENABLED: "0" }, true],
    [{ EVENT_WRITER_ENABLED: "true" }, false],
    [{ EVENT_WRITER_ENABLED: "" }, false],
    [{}, false]
  ])("%o: %s", (env, expected) => assert.strictEqual(isDisabled(env), expected))
})
