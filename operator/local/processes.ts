import { Effect, Schema } from "effect"
import { spawn } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { list, type Listed, startOf, stopListed, tryLock, unlist } from "./process-list.ts"

/** Another platform runs on the same data folder. */
export class DataFolderInUse extends Schema.TaggedError<DataFolderInUse>()("DataFolderInUse", {
  folder: Schema.String,
  pid: Schema.Number
}) {
  override get message() {
    return `wanted the data folder ${this.folder}, found it in use by process ${this.pid}; stop that one, or give another folder with --data`
  }
}

/** Nothing can be made in the data folder. */
export class DataFolderUnusable extends Schema.TaggedError<DataFolderUnusable>()("DataFolderUnusable", {
  folder: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `wanted to write in the data folder ${this.folder}, found: ${this.detail}; give another folder with --data`
  }
}

export interface Processes {
  /** To be called in the moment a process was spawned, as the leader of its own group. */
  readonly add: (process: Omit<Listed, "started">) => void
  /** To be called when it has ended. */
  readonly remove: (pid: number) => void
}

/** Waits while the watchdog of a killed platform still stops what that one left. */
const takeLock = Effect.fnUntraced(function* (dataFolder: string, folder: string) {
  const holderFile = join(folder, "holder")
  for (;;) {
    const lock = tryLock(folder)
    if (lock) {
      writeFileSync(holderFile, String(process.pid))
      return lock
    }
    const holder = existsSync(holderFile) ? Number(readFileSync(holderFile, "utf8")) : 0
    if (startOf(holder) !== undefined) return yield* new DataFolderInUse({ folder: dataFolder, pid: holder })
    yield* Effect.sleep("100 millis")
  }
})

/**
 * Takes the data folder for this process until the scope closes, so that no child outlives the platform: a watchdog process
 * stops what is listed when the pipe from here breaks (the kernel's parent-death signal is not portable), and what even the
 * watchdog could not stop is stopped now.
 *
 * @param onLeftovers told how many processes of an earlier platform were found running
 */
export const openProcesses = Effect.fnUntraced(function* (dataFolder: string, onLeftovers: (count: number) => void) {
  const folder = join(dataFolder, "processes")
  yield* Effect.try({
    try: () => mkdirSync(folder, { recursive: true, mode: 0o700 }),
    catch: (error) => new DataFolderUnusable({ folder: dataFolder, detail: String(error) })
  })
  yield* Effect.acquireRelease(takeLock(dataFolder, folder), (lock) => Effect.sync(lock.release))
  const leftovers = yield* Effect.promise(() => stopListed(folder))
  if (leftovers > 0) onLeftovers(leftovers)
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, [join(import.meta.dirname, "watchdog.ts"), folder], {
        stdio: ["pipe", "ignore", "ignore"],
        detached: true
      })
      child.unref()
      writeFileSync(join(folder, "watchdog"), String(child.pid))
      return child
    }),
    (child) => Effect.sync(() => child.stdin.end())
  )
  return {
    add: (process) => list(folder, process),
    remove: (pid) => unlist(folder, pid)
  } satisfies Processes
})
