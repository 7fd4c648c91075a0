import { Effect, Schedule } from "effect"
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { startOf } from "../../operator/local/process-list.ts"

/** Runs commands of ip(8), each a line without its leading `ip`. Throws with what ip says. */
export const ip = (...commands: ReadonlyArray<string>): void => {
  execFileSync("ip", ["-batch", "-"], { input: commands.join("\n"), stdio: ["pipe", "ignore", "pipe"] })
}

/** Options of unshare(1): namespaces of its own for a process 1, which ends with unshare, and all others with it. */
export const isolate = "--mount --net --pid --ipc --fork --mount-proc --propagation private --kill-child".split(" ")

/** The only child of a process, `undefined` while it has none and after its end. Source: proc_pid_task(5). */
export const childOf = (pid: number): number | undefined => {
  const file = `/proc/${pid}/task/${pid}/children`
  if (!existsSync(file)) return undefined
  const [child] = readFileSync(file, "utf8").split(" ")
  return child ? Number(child) : undefined
}

/** Waits until the process has ended, which process 1 of a namespace does after all others in it. */
export const ended = (pid: number): Effect.Effect<void> =>
  Effect.sync(() => startOf(pid) === undefined).pipe(
    Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: (gone) => gone }),
    Effect.asVoid
  )
