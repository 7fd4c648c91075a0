import { Effect, Exit, Scope, Semaphore } from "effect"
import type { Server } from "../servers.ts"

/** A program that a fault may end, and that comes back with the data it had. */
export interface Restartable {
  readonly port: number
  readonly pid: () => number
  /** Starts it, if it does not run, and waits until it is ready. */
  readonly start: Effect.Effect<void>
  /** Ends it with the signal and waits for its end. */
  readonly end: (signal: NodeJS.Signals) => Effect.Effect<void>
  readonly signal: (signal: NodeJS.Signals) => void
}

/** Makes a server restartable; it is killed with the scope. */
export const restartable = Effect.fnUntraced(function* <A extends Server, E>(
  port: number,
  launch: Effect.Effect<A, E, Scope.Scope>
): Effect.fn.Return<Restartable, never, Scope.Scope> {
  /** Faults that overlap may both want to start it. */
  const turn = Semaphore.makeUnsafe(1)
  let life: { readonly scope: Scope.Closeable; readonly server: A } | undefined
  const end = (signal: NodeJS.Signals) =>
    Effect.gen(function* () {
      if (life === undefined) return
      const { scope, server } = life
      life = undefined
      yield* Effect.callback<void>((resume) => {
        if (server.process.exitCode !== null || server.process.signalCode !== null) return resume(Effect.void)
        server.process.ref()
        server.process.once("exit", () => resume(Effect.void))
        server.process.kill(signal)
        server.process.kill("SIGCONT") // one that is frozen can't end otherwise
      })
      yield* Scope.close(scope, Exit.void)
    }).pipe(turn.withPermits(1))
  yield* Effect.addFinalizer(() => end("SIGKILL"))
  return {
    port,
    pid: () => life!.server.pid,
    start: Effect.gen(function* () {
      if (life !== undefined) return
      const scope = yield* Scope.make()
      life = { scope, server: yield* launch.pipe(Scope.provide(scope), Effect.orDie) }
    }).pipe(turn.withPermits(1)),
    end,
    signal: (signal) => void life?.server.process.kill(signal)
  }
})
