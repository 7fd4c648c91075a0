import { Effect, Fiber, type Scope, Semaphore } from "effect"
import { type AuditContext, makeAudit } from "./audit.ts"
import type { WriterConfig } from "./config.ts"
import { describeConsumer } from "./consumer.ts"

export interface Upkeep {
  /**
   * Reads the ledger's totals and the lowest uncovered sequence into the progress, if something was committed since. A failure
   * leaves the values of before. Goes on when nobody waits for it any longer, but not beyond the session: what is read then is
   * of a lane that may be no longer the writer's.
   */
  readonly refresh: Effect.Effect<void>
  /** Audits the ledger at once; once a minute, and when the database was connected to again, audits and compacts it and logs what was written, whatever fails. */
  readonly forever: Effect.Effect<never>
}

const period = "1 minute"

/** Logs a failure behind `sentence`, once until its message changes or the work succeeds. */
const makeReport = (sentence: string) => {
  let last: string | undefined
  const failed = ({ message }: { readonly message: string }) => {
    if (message === last) return Effect.void
    last = message
    return Effect.logWarning(`${sentence}: ${message}`)
  }
  return <E extends { readonly message: string }>(work: Effect.Effect<void, E>): Effect.Effect<void, E> =>
    work.pipe(
      Effect.tap(() => Effect.sync(() => (last = undefined))),
      Effect.tapError(failed),
      // Nobody waits for the fiber that keeps the ledger small: a bug there must not end it without a word.
      Effect.tapDefect((defect) => failed(defect instanceof Error ? defect : { message: String(defect) }))
    )
}

/** What is done beside the pipeline while the scope is open, on a database connection of its own. */
export const makeUpkeep = Effect.fnUntraced(function* (
  context: AuditContext & { readonly config: WriterConfig }
): Effect.fn.Return<Upkeep, never, Scope.Scope> {
  const scope = yield* Effect.scope
  const { connection, config, store, lane, progress } = context
  const { stream, consumer, nats } = config
  const turn = Semaphore.makeUnsafe(1)
  /** Not logged when it fails: the pipeline meets that too, and reports it. */
  const describe = describeConsumer(connection, { stream, consumer, domain: nats.jetstreamDomain })

  const reportUnread = makeReport("the ledger's totals were not read")
  const refresh = Effect.gen(function* () {
    if (!progress.takeNews()) return
    const { lastSequence } = yield* describe
    const read = Effect.gen(function* () {
      progress.set({ lowestUncovered: yield* store.lowestUncovered(lane, lastSequence) })
      progress.totals(yield* store.totals(lane))
    })
    yield* reportUnread(read)
  }).pipe(
    Effect.onError(() => Effect.sync(progress.keepNews)),
    turn.withPermits(1),
    Effect.ignoreCause,
    Effect.forkIn(scope),
    Effect.flatMap(Fiber.await),
    Effect.asVoid
  )

  const audit = makeAudit(context)
  const reportUnaudited = makeReport("the ledger was not audited")
  let settledTo = 0
  const audited = audit.pass.pipe(
    Effect.tap((to) => Effect.sync(() => (settledTo = to))),
    Effect.asVoid,
    reportUnaudited,
    Effect.ignoreCause
  )

  const reportUncompacted = makeReport("the ledger was not compacted")
  let summarized = progress.status().written
  const round = Effect.gen(function* () {
    // While the database fails, the pipeline alone asks it.
    if (progress.status().state !== "Running") return
    yield* audited
    const { ackFloor, firstSequence } = yield* describe
    // What the audit has not seen is not folded away: it could no longer be told from what was never written.
    const pruneTo = Math.min(firstSequence, settledTo + 1)
    yield* Effect.ignoreCause(reportUncompacted(store.compact(lane, { ackFloor, firstSequence: pruneTo })))
    yield* refresh
    const { written, deadLettered } = progress.status()
    if (written > summarized)
      yield* Effect.logInfo("rows flow", { messages: written - summarized, deadLettered, ackFloor })
    summarized = written
  })
  // Another server may have taken over, without the last commits of the one before.
  const pause = store.reconnected.pipe(Effect.timeoutOption(period))
  return {
    refresh,
    forever: Effect.andThen(audited, Effect.forever(Effect.andThen(pause, Effect.ignoreCause(round))))
  }
})
