import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { assert } from "vitest"
import { tempDirectory } from "../../testing/servers.ts"

const root = join(import.meta.dirname, "..", "..")
const quickstart = join(root, "examples", "quickstart")

interface Run {
  readonly process: ChildProcess
  readonly output: () => string
  readonly exitCode: Effect.Effect<number | null>
}

/** `eventstream local …`, killed with the scope if it still runs. */
const run = (args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync((): Run => {
      const env = { ...process.env, PGPASSWORD: "secret" }
      const child = spawn(join(root, "bin", "eventstream"), ["local", ...args], { cwd: root, env })
      let output = ""
      child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()))
      child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()))
      const exitCode = new Promise<number | null>((resolve) => child.once("close", resolve))
      return { process: child, output: () => output, exitCode: Effect.promise(() => exitCode) }
    }),
    ({ process }) => Effect.sync(() => process.kill("SIGKILL"))
  )

/** Starts something that is wrong in the folder, and gives the arguments that meet it. */
type Case = readonly [name: string, says: RegExp, args: (folder: string) => ReadonlyArray<string>]

const data = (folder: string) => ["--data", join(folder, "data"), "--port", "0"]

const file = (folder: string, text: string) => {
  const path = join(folder, "manifest.yaml")
  writeFileSync(path, text)
  return path
}

const cases: ReadonlyArray<Case> = [
  ["no manifest", /Missing required flag: --file/, () => []],
  ["an unknown flag", /Unrecognized flag: --bogus/, () => ["-f", quickstart, "--bogus"]],
  ["no duration", /a duration such as 60s or 5m, found "3x"/, () => ["-f", quickstart, "--for", "3x"]],
  ["a port out of range", /a port from 0 to 65535, found 70000/, () => ["-f", quickstart, "--port", "70000"]],
  [
    "a password among the arguments",
    /wanted --postgres without a password/,
    () => ["-f", quickstart, "--postgres", "postgresql://app:secret@db/app"]
  ],
  ["no URL of NATS", /a URL like nats:\/\/host:4222/, () => ["-f", quickstart, "--nats", "localhost"]],
  ["a missing file", /nowhere: wanted a file or folder/, (folder) => ["-f", join(folder, "nowhere"), ...data(folder)]],
  ["no YAML", /manifest\.yaml:1:\d+: not YAML/, (folder) => ["-f", file(folder, "a: [b"), ...data(folder)]],
  [
    "every mistake of an EventStream",
    /spec\.nats: required[^]*spec\.bogus: unknown field/,
    (folder) => {
      const text = `apiVersion: eventstream.dev/v1alpha1\nkind: EventStream\nmetadata: {name: x}\nspec: {bogus: 1}\n`
      return ["-f", file(folder, text), ...data(folder)]
    }
  ],
  [
    "data of a newer PostgreSQL",
    /holds data of PostgreSQL 99, this is PostgreSQL \d+/,
    (folder) => {
      mkdirSync(join(folder, "data", "postgres"), { recursive: true })
      writeFileSync(join(folder, "data", "postgres", "PG_VERSION"), "99\n")
      return ["-f", quickstart, ...data(folder)]
    }
  ],
  [
    "a data folder in which nothing can be made",
    /^eventstream: wanted to write in the data folder .*, found: Error: .*; give another folder with --data$/m,
    (folder) => {
      mkdirSync(join(folder, "data"))
      writeFileSync(join(folder, "data", "processes"), "")
      return ["-f", quickstart, ...data(folder)]
    }
  ]
]

describe("eventstream local", () => {
  it.live("says in a sentence what is wrong with what it was given", () =>
    Effect.forEach(
      cases,
      ([name, says, args]) =>
        Effect.gen(function* () {
          const { output, exitCode } = yield* run(args(yield* tempDirectory("eventstream-local-")))
          assert.equal(yield* exitCode, 1, name)
          assert.match(output(), says)
        }).pipe(Effect.scoped),
      { concurrency: 2 }
    )
  )

  it.live("says that the port is taken, and which flag helps", () =>
    Effect.gen(function* () {
      const folder = yield* tempDirectory("eventstream-local-")
      const server = createServer()
      yield* Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
      yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
      const { port } = server.address() as { readonly port: number }
      const args = ["-f", quickstart, "--data", join(folder, "data"), "--port", String(port)]
      const { output, exitCode } = yield* run(args)
      assert.equal(yield* exitCode, 1)
      assert.match(output(), new RegExp(`wanted port ${port} of 127.0.0.1 for NATS, found it taken.*--port`))
    })
  )

  it.live("shows a database that is not there as a condition, and ends with Ctrl-C and exit code 0", () =>
    Effect.gen(function* () {
      const folder = yield* tempDirectory("eventstream-local-")
      const url = "postgresql://app@127.0.0.1:1/app?sslmode=disable"
      const { process, output, exitCode } = yield* run(["-f", quickstart, ...data(folder), "--postgres", url])
      yield* Effect.sync(output).pipe(
        Effect.tap(Effect.sleep("50 millis")),
        Effect.repeat({ until: (text) => /telemetry +False +TargetUnreachable/.test(text) }),
        Effect.timeout("30 seconds")
      )
      process.kill("SIGINT")
      assert.equal(yield* exitCode, 0)
      assert.notInclude(output(), "secret")
      const left = readdirSync(join(folder, "data", "processes")).filter((name) => name.endsWith(".json"))
      assert.deepEqual(left, [])
    })
  )

  it.live("fails when its time is up before all is well", () =>
    Effect.gen(function* () {
      const folder = yield* tempDirectory("eventstream-local-")
      const url = "postgresql://app@127.0.0.1:1/app?sslmode=disable"
      const args = ["-f", join(quickstart, "telemetry.yaml"), ...data(folder), "--postgres", url, "--for", "8s"]
      const { output, exitCode } = yield* run(args)
      assert.equal(yield* exitCode, 1)
      assert.match(output(), /default\/telemetry is not ready: TargetUnreachable/)
    })
  )
})
