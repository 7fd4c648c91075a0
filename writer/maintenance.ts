import type { NatsConnection } from "@nats-io/transport-node"
import { Effect } from "effect"
import type { WriterConfig } from "./config.ts"
import { describeConsumer } from "./consumer.ts"
import type { Progress } from "./progress.ts"
import type { Lane, Store } from "./store/store.ts"

/** How often the ledger's totals and the lowest uncovered sequence are read, when something was written meanwhile. */
const refreshPeriod = "10 seconds"
/** Every so many refreshes the ledger is compacted and a summary is logged. */
const refreshesPerCompaction = 6

/**
 * Keeps the status true and the ledger small beside the pipeline. A failure is no news here: the pipeline meets it too, and
 * reports it.
 */
export const maintain = (context: {
  readonly connection: NatsConnection
  readonly config: WriterConfig
  readonly store: Store["Service"]
  readonly lane: Lane
  readonly progress: Progress
}): Effect.Effect<never> => {
  const { connection, config, store, lane, progress } = context
  const { stream, consumer, nats } = config
  let seen = ""
  let summarized = 0
  let refreshes = 0

  const refresh = Effect.gen(function* () {
    const due = refreshes++ % refreshesPerCompaction === 0
    const { lastWriteTime, written } = progress.status()
    if (!due && lastWriteTime === seen) return
    const state = yield* describeConsumer(connection, { stream, consumer, domain: nats.jetstreamDomain })
    progress.totals(yield* store.totals(lane))
    progress.set({
      lowestUncovered: yield* store.lowestUncovered(lane, { lastSequence: state.lastSequence, filter: state.filter })
    })
    seen = lastWriteTime ?? ""
    if (!due) return
    yield* store.compact(lane, { ackFloor: state.ackFloor, firstSequence: state.firstSequence })
    if (written > summarized && summarized > 0) {
      yield* Effect.logInfo("rows flow", { messages: written - summarized, ackFloor: state.ackFloor })
    }
    summarized = written
  })
  return Effect.ignore(refresh).pipe(Effect.andThen(Effect.sleep(refreshPeriod)), Effect.forever)
}
