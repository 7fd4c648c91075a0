import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert } from "vitest"
import { tempDirectory } from "../../testing/servers.ts"
import { startOf } from "./process-list.ts"
import { DataFolderInUse, openProcesses } from "./processes.ts"

/** A platform in small: takes the folder, starts a server and a container that writes down when it is asked to end. */
const program = `
import { Effect } from ${JSON.stringify(import.meta.resolve("effect"))}
import { spawn } from "node:child_process"
import { openProcesses } from ${JSON.stringify(join(import.meta.dirname, "processes.ts"))}
const folder = process.argv[2]
const main = Effect.scoped(Effect.gen(function* () {
  const processes = yield* openProcesses(folder, () => {})
  const start = (stage) => {
    const script = "trap 'echo " + stage + " >> " + folder + "/ended; exit' TERM; echo ready; while :; do sleep 0.05; done"
    const child = spawn("sh", ["-c", script], { detached: true, stdio: ["ignore", "pipe", "ignore"] })
    processes.add({ pid: child.pid, stage, signal: "SIGTERM", graceMillis: 5000 })
    return new Promise((ready) => child.stdout.once("data", () => ready(child.pid)))
  }
  const pids = [yield* Effect.promise(() => start("server")), yield* Effect.promise(() => start("container"))]
  console.log(JSON.stringify(pids))
  return yield* Effect.never
}))
await Effect.runPromise(main)
`

/** Its process ids, when they have all started. */
const startPlatform = Effect.fnUntraced(function* (folder: string) {
  const path = join(folder, "platform.mjs")
  writeFileSync(path, program)
  const platform = yield* Effect.acquireRelease(
    Effect.sync((): ChildProcess => spawn(process.execPath, [path, folder], { stdio: ["ignore", "pipe", "inherit"] })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const [line] = yield* Effect.promise(() => once(platform.stdout!, "data"))
  return { platform, pids: JSON.parse(String(line)) as ReadonlyArray<number> }
})

const until = (is: () => boolean) =>
  Effect.sync(is).pipe(
    Effect.tap(Effect.sleep("20 millis")),
    Effect.repeat({ until: (so) => so }),
    Effect.timeout("10 seconds")
  )

const areGone = (pids: ReadonlyArray<number>) => () => pids.every((pid) => startOf(pid) === undefined)
const ended = (folder: string) => readFileSync(join(folder, "ended"), "utf8")

describe("openProcesses", () => {
  it.live("stops the children of a platform that was killed, containers before servers", () =>
    Effect.gen(function* () {
      const folder = yield* tempDirectory("eventstream-processes-")
      const { platform, pids } = yield* startPlatform(folder)
      platform.kill("SIGKILL")
      yield* until(areGone(pids))
      assert.equal(ended(folder), "container\nserver\n")
    })
  )

  it.live("gives a folder to one platform only, and to the next one when it has ended", () =>
    Effect.gen(function* () {
      const folder = yield* tempDirectory("eventstream-processes-")
      const { platform, pids } = yield* startPlatform(folder)
      const error = yield* Effect.flip(Effect.scoped(openProcesses(folder, () => {})))
      assert.instanceOf(error, DataFolderInUse)
      assert.include(error.message, `in use by process ${platform.pid}`)
      const exit = once(platform, "exit")
      platform.kill("SIGKILL")
      yield* Effect.promise(() => exit)
      yield* Effect.scoped(openProcesses(folder, () => {}))
      assert.isTrue(areGone(pids)())
    })
  )

  it.live("stops at the next start what even the watchdog could not", () =>
    Effect.gen(function* () {
      const folder = yield* tempDirectory("eventstream-processes-")
      const { platform, pids } = yield* startPlatform(folder)
      const watchdog = Number(readFileSync(join(folder, "processes", "watchdog"), "utf8"))
      process.kill(watchdog, "SIGKILL")
      platform.kill("SIGKILL")
      yield* until(areGone([watchdog, platform.pid!]))
      assert.isFalse(areGone(pids)())
      let found = 0
      yield* Effect.scoped(openProcesses(folder, (count) => (found = count)))
      assert.equal(found, 2)
      assert.isTrue(areGone(pids)())
    })
  )
})
