import { Effect } from "effect"
import { spawn, type SpawnOptions } from "node:child_process"

/** Runs a program with this terminal; its exit code. It ends when this is interrupted. */
export const runCommand = (
  [program, ...args]: readonly [string, ...ReadonlyArray<string>],
  options: Pick<SpawnOptions, "env" | "cwd"> = {}
): Effect.Effect<number> =>
  Effect.callback((resume) => {
    const child = spawn(program, args, { ...options, stdio: "inherit" })
    child.once("error", (error) => {
      console.error(`wanted to run ${program}, found: ${error.message}`)
      resume(Effect.succeed(127))
    })
    child.once("exit", (code) => resume(Effect.succeed(code ?? 1)))
    return Effect.sync(() => void child.kill())
  })
