import { Effect, Layer, Logger, References } from "effect"
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync
} from "node:fs"
import { join } from "node:path"
import { line } from "../../platform/log.ts"

/** A log file is cut when it is larger; one older part of the same size is kept. */
const maxLogBytes = 8 * 1024 * 1024

/** Whoever writes the file goes on writing it: all open theirs in append mode. */
const cutLargeOnes = (folder: string) => {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    if (!name.endsWith(".log") || statSync(path).size <= maxLogBytes) continue
    copyFileSync(path, `${path}.1`)
    truncateSync(path)
  }
}

/** Keeps the logs of a folder within bounds until the scope closes. */
export const boundLogs = (folder: string) =>
  Effect.forkScoped(
    Effect.forever(
      Effect.delay(
        Effect.sync(() => cutLargeOnes(folder)),
        "10 seconds"
      )
    )
  )

/** Puts the logs of the last run aside, so that those of this run start empty. */
export const setAsideLogs = (folder: string) => {
  rmSync(`${folder}.previous`, { recursive: true, force: true })
  if (existsSync(folder)) renameSync(folder, `${folder}.previous`)
}

/** JSON lines of every level into a file, in place of standard output, which belongs to the table. */
export const fileLogger = (path: string) =>
  Layer.mergeAll(
    Layer.succeed(References.MinimumLogLevel, "Debug"),
    Logger.layer([Logger.map(line, (text) => appendFileSync(path, `${text}\n`, { mode: 0o600 }))])
  )
