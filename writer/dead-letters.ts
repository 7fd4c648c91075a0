import type { NatsConnection } from "@nats-io/transport-node"
import { Effect, Queue } from "effect"
import { backoffMillis } from "../platform/backoff.ts"
import type { DeadLetterConfig } from "./config.ts"
import type { WriterMetrics } from "./metrics.ts"
import type { Progress } from "./progress.ts"
import { relayDeadLetters } from "./relay.ts"
import { expiredAtOnce } from "./store/dead-letter-store.ts"
import type { Store } from "./store/store.ts"

/** Looks after the table of dead letters beside the pipeline: counts them, publishes them, and deletes the old ones. */
export interface DeadLetterKeeper {
  /** Some were written: to be counted and published soon. */
  readonly written: () => void
  /** To be run while the session lasts; whatever fails is logged and tried again. */
  readonly forever: Effect.Effect<never>
}

const period = "1 minute"
/** At least this long between two rounds, however many dead letters come: what they do never competes with the pipeline. */
const rest = "1 second"
const retry = { initialMillis: 1_000, maxMillis: 60_000 }

export const makeDeadLetterKeeper = Effect.fnUntraced(function* (context: {
  readonly connection: NatsConnection
  readonly config: DeadLetterConfig
  readonly store: Store["Service"]
  readonly progress: Progress
  readonly metrics: Pick<WriterMetrics, "deadLetters" | "deadLettersPublished">
}): Effect.fn.Return<DeadLetterKeeper> {
  const { connection, config, store, progress, metrics } = context
  const { maxAgeMillis, publish } = config
  const wake = yield* Queue.sliding<void>(1)

  const published =
    publish === undefined
      ? Effect.void
      : Effect.gen(function* () {
          for (;;) {
            const count = yield* relayDeadLetters(connection, store, publish.subjectPrefix)
            if (count === 0) return
            metrics.deadLettersPublished.inc(count)
          }
        })

  const expired = Effect.gen(function* () {
    let deleted = 0
    for (let count = expiredAtOnce; count === expiredAtOnce;) {
      count = yield* store.deadLetters.expire(maxAgeMillis, publish !== undefined)
      deleted += count
    }
    if (deleted > 0) yield* Effect.logInfo("dead letters older than errors.deadLetter.maxAge were deleted", { deleted })
  })

  const counted = Effect.gen(function* () {
    const { count, oldest } = yield* store.deadLetters.count
    metrics.deadLetters.set(count)
    progress.set({ deadLetters: { count, oldest: oldest?.toISOString() ?? null } })
  })

  let said: string | undefined
  let failures = 0
  const round = Effect.all([counted, expired, published], { discard: true }).pipe(
    Effect.tap(() =>
      Effect.sync(() => {
        failures = 0
        said = undefined
      })
    ),
    Effect.catch(({ message }) => {
      failures++
      if (message === said) return Effect.void
      said = message
      return Effect.logWarning(`dead letters wait in their table: ${message}`)
    })
  )
  const pause = Effect.suspend(() => {
    if (failures === 0) return Effect.andThen(Effect.sleep(rest), Queue.take(wake).pipe(Effect.timeoutOption(period)))
    return Effect.sleep(backoffMillis(failures - 1, retry.initialMillis, retry.maxMillis))
  })
  return {
    written: () => Queue.offerUnsafe(wake, undefined),
    // While the database fails, the pipeline alone asks it.
    forever: Effect.forever(
      Effect.andThen(
        Effect.suspend(() => (progress.status().reason === "TargetUnreachable" ? Effect.void : round)),
        pause
      )
    )
  }
})
