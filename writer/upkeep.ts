import type { NatsConnection } from "@nats-io/transport-node"
import { Effect, Semaphore } from "effect"
import type { WriterConfig } from "./config.ts"
import { describeConsumer } from "./consumer.ts"
import type { Progress } from "./progress.ts"
import type { Lane, Store } from "./store/store.ts"

export interface Upkeep {
  /**
   * Reads the ledger's totals and the lowest uncovered sequence into the progress, if something was committed since. A failure
   * leaves the values of before: the pipeline meets it too, and reports it.
   */
  readonly refresh: Effect.Effect<void>
  /** Compacts the ledger and logs what was written, once a minute. */
  readonly forever: Effect.Effect<never>
}

const period = "1 minute"

/** What is done beside the pipeline, on a database connection of its own. */
export const makeUpkeep = (context: {
  readonly connection: NatsConnection
  readonly config: WriterConfig
  readonly store: Store["Service"]
  readonly lane: Lane
  readonly progress: Progress
}): Upkeep => {
  const { connection, config, store, lane, progress } = context
  const { stream, consumer, nats } = config
  const turn = Semaphore.makeUnsafe(1)
  const describe = describeConsumer(connection, { stream, consumer, domain: nats.jetstreamDomain })

  const refresh = Effect.gen(function* () {
    if (!progress.takeNews()) return
    const { lastSequence } = yield* describe
    progress.set({ lowestUncovered: yield* store.lowestUncovered(lane, lastSequence) })
    progress.totals(yield* store.totals(lane))
  }).pipe(
    Effect.onError(() => Effect.sync(progress.keepNews)), // also when nobody waits for it any longer
    turn.withPermits(1),
    Effect.ignore
  )

  let summarized = progress.status().written
  const round = Effect.gen(function* () {
    const { ackFloor, firstSequence } = yield* describe
    yield* store.compact(lane, { ackFloor, firstSequence })
    yield* refresh
    const { written, deadLettered } = progress.status()
    if (written > summarized)
      yield* Effect.logInfo("rows flow", { messages: written - summarized, deadLettered, ackFloor })
    summarized = written
  })
  return {
    refresh,
    forever: Effect.ignore(round).pipe(Effect.delay(period), Effect.forever)
  }
}
