import { stopListed, tryLock } from "./process-list.ts"

// Started by processes.ts with a pipe from it as standard input, which ends when the platform does, in whatever way.
const folder = process.argv[2]!
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {})
process.stdin.resume().on("end", async () => {
  if (tryLock(folder)) await stopListed(folder) // else a new platform was faster, and does the same
  process.exit(0)
})
