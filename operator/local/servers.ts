import { Effect, Schedule, Scope } from "effect"
import { join } from "node:path"
import { type RunOptions, type Server, type ServerFailed, startNats, startPostgres } from "../../testing/servers.ts"
import type { Processes } from "./processes.ts"

/** The platform's own servers. */
export interface ServerOptions {
  readonly data: string
  readonly logs: string
  readonly processes: Processes
  readonly notice: (text: string) => void
}

const awaitExit = ({ process }: Server): Effect.Effect<string> =>
  Effect.callback<string>((resume) => {
    const describe = () => resume(Effect.succeed(process.signalCode ?? `exit code ${process.exitCode}`))
    if (process.exitCode !== null || process.signalCode !== null) return describe()
    process.once("exit", describe)
    return Effect.sync(() => process.off("exit", describe))
  })

/** Starts a server, and again whenever it ends by itself; it is stopped with the scope. */
const keepRunning = Effect.fnUntraced(function* <A extends Server>(
  name: string,
  start: Effect.Effect<A, ServerFailed, Scope.Scope>,
  notice: ServerOptions["notice"]
) {
  // Of its own, so that a server that was started again still stops in its place of the order.
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope, exit) => Scope.close(scope, exit))
  const startInScope = Scope.provide(start, scope)
  const first = yield* startInScope
  const watch = Effect.fnUntraced(function* (server: A): Effect.fn.Return<never> {
    notice(`${name} ended (${yield* awaitExit(server)}); it is started again, see ${name}.log`)
    const again = yield* startInScope.pipe(Effect.retry(Schedule.spaced("2 seconds")), Effect.orDie)
    return yield* watch(again)
  })
  yield* Effect.forkScoped(watch(first))
  return first
})

const runOptions = (name: string, signal: NodeJS.Signals, { logs, processes }: ServerOptions): RunOptions => ({
  logFile: join(logs, `${name}.log`),
  onSpawn: (pid) => processes.add({ pid, stage: "server", signal, graceMillis: 10_000 }),
  onExit: processes.remove
})

export const keepNats = (port: number, options: ServerOptions) => {
  const run = runOptions("nats-server", "SIGTERM", options)
  return keepRunning(
    "nats-server",
    startNats({ ...run, port, storeDirectory: join(options.data, "nats") }),
    options.notice
  )
}

export const keepPostgres = (port: number, password: string, options: ServerOptions) => {
  const run = runOptions("postgres", "SIGINT", options)
  const dataDirectory = join(options.data, "postgres")
  // What a platform keeps must survive a power cut, other than what a test keeps.
  const start = startPostgres({ ...run, port, password, dataDirectory, settings: { fsync: "on" } })
  return keepRunning("postgres", start, options.notice)
}
