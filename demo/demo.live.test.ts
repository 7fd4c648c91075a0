import { it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { join } from "node:path"
import { assert } from "vitest"
import { tempDirectory } from "../testing/servers.ts"

it.live("the demo brings rows of this machine into every table, and ends by itself", () =>
  Effect.gen(function* () {
    const data = yield* tempDirectory("eventstream-demo-")
    const args = [join(import.meta.dirname, "main.ts"), "--data", data, "--port", "0", "--for", "25s"]
    const output = yield* Effect.callback<string>((resume) => {
      const child = execFile(process.execPath, args, (error, stdout, stderr) =>
        resume(error ? Effect.die(new Error(stdout + stderr)) : Effect.succeed(stdout))
      )
      return Effect.sync(() => child.kill())
    })
    for (const table of ["timeseries_metrics", "otel_metrics", "system_logs"]) {
      assert.match(output, new RegExp(`${table} +[1-9]`))
    }
    assert.match(output, /eventstream_dead_letter +0/)
  })
)
