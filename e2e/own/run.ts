import { Effect } from "effect"
import { spawn } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { startOf, tryLock } from "../../operator/local/process-list.ts"
import { removeCgroup } from "./cgroups.ts"
import { childOf, ended, isolate } from "./process.ts"

/**
 * A run is a folder, a subtree of cgroups, and one set of namespaces that holds the whole cluster. A janitor process outside of
 * it removes all three when the run ends, in whatever way; what even the janitor could not is removed by the next run.
 */

/** Folder of all runs, and of the logs of those that failed. */
export const runsFolder = join(import.meta.dirname, "..", "..", ".local", "e2e")

/** Those who see to it that the run goes away, while they live. */
type Owner = "main" | "janitor"
const ownersFolder = (run: string) => join(run, "owners")
/** Makes this process an owner; it stays one until its end, or `release`. A process of another namespace can tell, too. */
export const own = (run: string, owner: Owner) => tryLock(join(ownersFolder(run), owner))

const isOwned = (run: string): boolean =>
  (["main", "janitor"] as const).some((owner) => {
    const lock = own(run, owner)
    lock?.release()
    return lock === undefined
  })

const failedFile = (run: string) => join(run, "failed")
/** Process 1 of the run's namespaces, as the machine sees it. */
const processFile = (run: string) => join(run, "process.json")
interface Process {
  readonly pid: number
  readonly started: string | undefined
}
export const logsOf = (run: string) => join(run, "logs")
export const cgroupOf = (run: string) => `eventstream-e2e-${basename(run)}`

/** Keeps the logs of the run when it goes. */
export const keepLogs = (run: string): void => writeFileSync(failedFile(run), "")

/** Ends what still runs, and removes everything but the logs of a failed run. */
export const cleanUp = Effect.fnUntraced(function* (run: string) {
  if (existsSync(processFile(run))) {
    const { pid, started } = JSON.parse(readFileSync(processFile(run), "utf8")) as Process
    if (started !== undefined && startOf(pid) === started) {
      process.kill(pid, "SIGKILL")
      yield* ended(pid)
    }
  }
  yield* removeCgroup(cgroupOf(run))
  const kept = [ownersFolder(run), ...(existsSync(failedFile(run)) ? [logsOf(run)] : [])]
  for (const path of readdirSync(run).map((entry) => join(run, entry))) {
    if (!kept.includes(path)) rmSync(path, { recursive: true, force: true })
  }
  // Last: without it a folder is no run any more.
  rmSync(ownersFolder(run), { recursive: true, force: true })
  if (readdirSync(run).length === 0) rmSync(run, { recursive: true })
})

/** Removes what runs left that were killed together with their janitors. */
const cleanUpLeftovers = Effect.gen(function* () {
  if (!existsSync(runsFolder)) return
  for (const run of readdirSync(runsFolder).map((name) => join(runsFolder, name))) {
    if (existsSync(ownersFolder(run)) && !isOwned(run)) yield* cleanUp(run)
  }
})

const startJanitor = (run: string) => {
  const janitor = spawn(process.execPath, [join(import.meta.dirname, "janitor.ts"), run], {
    stdio: ["pipe", "ignore", "inherit"],
    detached: true
  })
  janitor.unref()
  return janitor
}

/** The folder of a new run; all of the run is gone with the scope. */
export const openRun = Effect.gen(function* () {
  yield* cleanUpLeftovers
  const time = new Date().toISOString().replace(/\..*/, "").replaceAll(/[-:]/g, "").replace("T", "-")
  const run = join(runsFolder, `${time}-${process.pid}`)
  for (const owner of ["main", "janitor"]) mkdirSync(join(ownersFolder(run), owner), { recursive: true, mode: 0o700 })
  yield* Effect.acquireRelease(
    Effect.sync(() => own(run, "main")),
    (lock) => Effect.sync(() => lock?.release())
  )
  mkdirSync(logsOf(run))
  yield* Effect.acquireRelease(
    Effect.sync(() => startJanitor(run)),
    (janitor) =>
      Effect.callback<void>((resume) => {
        janitor.ref()
        janitor.once("exit", () => resume(Effect.void))
        janitor.stdin.end()
      })
  )
  return run
})

/** Reaps what is orphaned, which the program would not. */
const processOne = ["sh", "-c", '"$@"; exit $?', "sh"]

/**
 * Runs a program with this terminal in namespaces that nothing of a cluster is seen out of, and that end with it; its exit code.
 */
export const runIsolated = (run: string, program: ReadonlyArray<string>): Effect.Effect<number> =>
  Effect.callback((resume) => {
    // Linux ends it with us, and it its process 1, and that one all others.
    const child = spawn("setpriv", ["--pdeathsig", "KILL", "unshare", ...isolate, "--", ...processOne, ...program], {
      stdio: "inherit"
    })
    const look = setInterval(() => {
      const pid = childOf(child.pid!)
      if (pid === undefined) return
      clearInterval(look)
      writeFileSync(processFile(run), JSON.stringify({ pid, started: startOf(pid) }))
    }, 10)
    child.once("exit", (code) => {
      clearInterval(look)
      resume(Effect.succeed(code ?? 1))
    })
    return Effect.sync(() => {
      clearInterval(look)
      child.kill("SIGKILL")
    })
  })
