import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { readConfigFile } from "./config-file.ts"

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "eventstream-config-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const least = {
  eventStream: { namespace: "demo", name: "orders", uid: "u-1" },
  nats: { servers: ["nats://nats:4222"] },
  stream: "ORDERS",
  consumer: "orders-1a2b3c4d-x",
  processor: { type: "Telemetry" },
  target: { postgres: { secretDirectory: "../postgres" } }
}

describe("readConfigFile", () => {
  it.effect("fills in defaults and resolves paths against the file's folder", () =>
    Effect.gen(function* () {
      const root = yield* folder
      const file = join(root, "config.json")
      writeFileSync(file, JSON.stringify({ ...least, nats: { ...least.nats, credsFile: "/etc/nats/user.creds" } }))
      const config = yield* readConfigFile(file)
      assert.strictEqual(config.target.postgres.secretDirectory, join(root, "..", "postgres"))
      assert.strictEqual(config.nats.credsFile, "/etc/nats/user.creds")
      assert.strictEqual(config.batch.maxMessages, 5000)
    }).pipe(Effect.scoped)
  )

  it.effect("names every mistake at once, and no value", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, "config.json")
      const { stream: _, ...rest } = least
      const batch = { maxMessages: 0, maxMesages: 5 }
      writeFileSync(file, JSON.stringify({ ...rest, batch, nats: { servers: [], password: 12345 } }))
      const { problems, message } = yield* Effect.flip(readConfigFile(file))
      const paths = problems.map((problem) => problem.slice(0, problem.indexOf(":")))
      assert.sameMembers(paths, ["nats.servers", "nats.password", "stream", "batch.maxMessages", "batch.maxMesages"])
      assert.notInclude(message, "12345")
    }).pipe(Effect.scoped)
  )

  it.effect("wants user and password of NATS apart from its URL", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, "config.json")
      writeFileSync(file, JSON.stringify({ ...least, nats: { servers: ["nats://writer:s3cr3t@nats:4222"] } }))
      const { message } = yield* Effect.flip(readConfigFile(file))
      assert.include(message, "nats.servers.0: Expected a NATS URL without user and password")
      assert.notInclude(message, "s3cr3t")
    }).pipe(Effect.scoped)
  )

  it.effect("says that a file is missing, or no JSON", () =>
    Effect.gen(function* () {
      const root = yield* folder
      assert.include((yield* Effect.flip(readConfigFile(join(root, "none.json")))).message, "ENOENT")
      const file = join(root, "config.json")
      writeFileSync(file, `{"password": "s3cr3t" oops}`)
      const { message } = yield* Effect.flip(readConfigFile(file))
      assert.include(message, "wanted JSON")
      assert.notInclude(message, "s3cr3t")
    }).pipe(Effect.scoped)
  )
})
