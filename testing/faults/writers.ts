import { Effect, Exit, Scope } from "effect"
import type { EncodedWriterConfig } from "../../writer/config.ts"
import type { Failpoint } from "../../writer/failpoints.ts"
import { type Proxy, startProxy } from "../proxy.ts"
import { startWriter, type WriterProcess } from "../writer-process.ts"

/** A place for a writer process, with proxies on its edges; the process may come and go. */
export interface WriterSlot {
  readonly name: string
  /** One per NATS node, in their order. */
  readonly nats: ReadonlyArray<Proxy>
  readonly postgres: Proxy
  readonly process: () => WriterProcess | undefined
  /** Starts it, if it does not run. */
  readonly start: (failpoint?: `${Failpoint}:${number}`) => Effect.Effect<WriterProcess>
  /** Ends it by the signal and waits for its end. */
  readonly end: (signal: "SIGKILL" | "SIGTERM") => Effect.Effect<void>
  readonly signal: (signal: NodeJS.Signals) => void
  /** Exits that nobody asked for. */
  readonly crashes: () => ReadonlyArray<string>
  /** What the processes of this slot said, oldest first. */
  readonly log: () => string
}

export interface SlotOptions {
  readonly name: string
  readonly natsPorts: ReadonlyArray<number>
  readonly postgresPort: number
  readonly program: readonly [string, ...ReadonlyArray<string>]
  /** Further arguments of Node. */
  readonly nodeOptions?: string
  /** The configuration with these servers. */
  readonly config: (edges: {
    readonly servers: ReadonlyArray<string>
    readonly postgresPort: number
  }) => EncodedWriterConfig
  readonly random: () => number
}

export const makeSlot = Effect.fnUntraced(function* (
  options: SlotOptions
): Effect.fn.Return<WriterSlot, never, Scope.Scope> {
  const nats = yield* Effect.forEach(options.natsPorts, (port) => startProxy(port, options.random))
  const postgres = yield* startProxy(options.postgresPort, options.random)
  const config = options.config({
    servers: nats.map(({ port }) => `nats://127.0.0.1:${port}`),
    postgresPort: postgres.port
  })
  const scope = yield* Effect.scope
  const crashes: Array<string> = []
  const said: Array<() => string> = []
  let running: { readonly process: WriterProcess; readonly scope: Scope.Closeable } | undefined
  let asked = false

  const lines = ({ lines }: WriterProcess) =>
    lines()
      .map((line) => JSON.stringify(line))
      .join("\n")

  const start: WriterSlot["start"] = (failpoint) =>
    Effect.gen(function* () {
      if (running !== undefined) return running.process
      asked = failpoint !== undefined
      const life = yield* Scope.fork(scope)
      const process = yield* startWriter({
        config,
        program: options.program,
        ...(options.nodeOptions === undefined ? {} : { nodeOptions: options.nodeOptions }),
        ...(failpoint === undefined ? {} : { failpoint })
      }).pipe(Scope.provide(life))
      let ended = false
      yield* Scope.addFinalizer(
        life,
        Effect.sync(() => void (ended = true))
      )
      const mine = { process, scope: life }
      running = mine
      said.push(() => lines(process))
      process.child.once("exit", (code, signal) => {
        if (ended) return // with the run, its log gone
        const text = lines(process)
        said[said.length - 1] = () => text
        if (running === mine) running = undefined
        if (!asked) crashes.push(`writer ${options.name} ended with ${signal ?? `exit code ${code}`}`)
        Effect.runFork(Scope.close(life, Exit.void))
      })
      return process
    })

  const end: WriterSlot["end"] = (signal) =>
    Effect.gen(function* () {
      if (running === undefined) return
      const { process } = running
      asked = true
      process.signal(signal)
      if (signal === "SIGKILL") process.signal("SIGCONT")
      yield* Effect.orDie(process.exit)
    })

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      asked = true
    })
  )
  return {
    name: options.name,
    nats,
    postgres,
    process: () => running?.process,
    start,
    end,
    signal: (signal) => running?.process.signal(signal),
    crashes: () => crashes,
    log: () => said.map((text) => text()).join("\n")
  }
})
