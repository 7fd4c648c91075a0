import { Effect } from "effect"
import type { Collector } from "./collector.ts"
import type { Source } from "./source.ts"

/**
 * Keeps held messages from being delivered again while they wait for the database: each is reported as in progress three times
 * per ack wait. A batch that is written in time costs nothing.
 */
export const keepAlive = (source: Source, collector: Collector, ackWaitMillis: number): Effect.Effect<never> => {
  const period = ackWaitMillis / 3
  return Effect.sync(() => {
    const old = performance.now() - period
    for (const { deliveries, since } of collector.held()) {
      if (since <= old) source.working(deliveries)
    }
  }).pipe(Effect.delay(period), Effect.forever)
}
