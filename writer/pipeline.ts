import { Deferred, Effect } from "effect"
import type { Collector } from "./collector.ts"
import type { Committer, Halted } from "./commit.ts"
import type { Source, SourceEnded } from "./source.ts"

/**
 * The stages put together. Messages are decoded and encoded as they arrive ({@link Collector}); the loop takes what has gathered
 * while the last batch was in the database, gives each message its outcome, acks it, and asks for more. One transaction is under
 * way at a time.
 *
 * Ends when `stop` is done: the batch in the database is finished, what was not written is given back.
 */
export const runPipeline = Effect.fnUntraced(function* (stages: {
  readonly source: Source
  readonly collector: Collector
  readonly committer: Committer
  readonly stop: Deferred.Deferred<void>
}): Effect.fn.Return<void, SourceEnded | Halted> {
  const { source, collector, committer, stop } = stages
  const next = collector.next.pipe(
    Effect.raceFirst(source.ended),
    Effect.raceFirst(Deferred.await(stop).pipe(Effect.as(undefined)))
  )
  source.pull()
  while (!Deferred.isDoneUnsafe(stop)) {
    const batch = yield* next
    if (batch === undefined) break
    yield* source.verified(batch.requests)
    if (!(yield* committer.commit(batch))) break
    collector.release(batch)
    source.pull()
  }
  yield* source.stop
  for (const { deliveries } of collector.held()) source.nak(deliveries)
  yield* Effect.ignore(source.flush)
})
