import { Console, Duration, Effect } from "effect"

/** Runs a part of the whole and says on standard error how long it took. */
export const phase = <A, E, R>(name: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const [took, value] = yield* Effect.timed(effect)
    yield* Console.error(`e2e: ${name}: ${Duration.toSeconds(took).toFixed(1)} s`)
    return value
  })
