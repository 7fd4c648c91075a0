import { Effect } from "effect"
import { cleanUp, own } from "./run.ts"

// Started by run.ts with a pipe from it as standard input, which ends when the run does, in whatever way.
const run = process.argv[2]!
own(run, "janitor")
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {})
process.stdin.resume().on("end", async () => {
  await Effect.runPromise(cleanUp(run))
  process.exit(0)
})
