import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { TestConsole } from "effect/testing"
import { layer, redact } from "./log.ts"

describe("redact", () => {
  it.each([
    ["postgres://app:s3cr3t@db:5432/app", "postgres://app:***@db:5432/app"],
    ["postgres://app:p@ss:w0rd@db/app", "postgres://app:***@db/app"],
    ["postgres://app:p/ss@db/app", "postgres://app:***@db/app"],
    ["nats://u:p%40ss@a:4222,nats://u2:x@b:4222", "nats://u:***@a:4222,nats://u2:***@b:4222"],
    ["host=db password=s3cr3t user=app", "host=db password=*** user=app"],
    ["host=db password='s3 cr3t' user=app", "host=db password=*** user=app"],
    ["nats://nats.nats.svc:4222", "nats://nats.nats.svc:4222"],
    ["mail me@example.org at 10:30", "mail me@example.org at 10:30"]
  ])("%s", (text, expected) => assert.strictEqual(redact(text), expected))
})

describe("layer", () => {
  const lines = Effect.map(TestConsole.logLines, (all) => all.map((text) => JSON.parse(String(text)) as object))

  it.effect("writes one JSON object per line, fields at the top level", () =>
    Effect.gen(function* () {
      yield* Effect.logInfo("batch written", { rows: 42, seq: 9n }).pipe(Effect.annotateLogs({ stream: "ORDERS" }))
      const [first] = yield* lines
      assert.deepInclude(first, { level: "info", message: "batch written", rows: 42, seq: "9", stream: "ORDERS" })
    }).pipe(Effect.provide(layer("info")))
  )

  it.effect("leaves out what is below the level, and secrets", () =>
    Effect.gen(function* () {
      yield* Effect.logDebug("hidden")
      yield* Effect.logWarning(new Error("no connection to postgres://a:s3cr3t@h/d"), {
        password: Redacted.make("s3cr3t")
      })
      const all = yield* lines
      assert.lengthOf(all, 1)
      assert.notInclude(JSON.stringify(all), "s3cr3t")
    }).pipe(Effect.provide(layer("info")))
  )
})
