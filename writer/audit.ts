import type { NatsConnection } from "@nats-io/transport-node"
import { Effect } from "effect"
import type { WriterConfig } from "./config.ts"
import { type ConsumerUnavailable, describeConsumer, describeStream } from "./consumer.ts"
import { type Terms, termsOf } from "./filter.ts"
import type { WriterMetrics } from "./metrics.ts"
import type { Progress } from "./progress.ts"
import { type ScanRange, scanStream, type StoredIdentity } from "./scan.ts"
import type { Settled } from "./store/audit.ts"
import type { DatabaseError } from "./store/errors.ts"
import { coverageWindow } from "./store/ledger.ts"
import type { Lane, Store } from "./store/store.ts"

/**
 * The audit looks for messages that nobody will deliver again although they have no outcome: at or below the durable's ack
 * floor, in the stream, taken by the filter, and not covered. There are some after a failover that lost commits whose messages
 * were acked, after the durable was moved, or after the writers came back to an earlier database. The operator then makes a
 * durable that starts at the lowest. What is no longer in the stream and has no outcome is counted as lost.
 */

export interface AuditContext {
  readonly connection: NatsConnection
  readonly config: Pick<WriterConfig, "stream" | "consumer" | "nats">
  readonly store: Store["Service"]
  readonly lane: Lane
  readonly progress: Progress
  readonly metrics: Pick<WriterMetrics, "lost">
  /**
   * Last sequence that was delivered before the session. Up to there the stream's store may have been rolled back, so that each
   * message is looked at with its time; above it only sequences that the ledger lacks.
   */
  readonly deliveredBefore: number
  /** The database that answers is another one than the lane was opened in, or was promoted since. */
  readonly databaseChanged: (detail: string) => void
}

export interface Audit {
  /**
   * One pass; answers up to which sequence the lane is settled. Its findings are in the progress. Sequences that are missing in
   * the stream count as lost when two passes in a row found them so: a writer may still hold such a message.
   */
  readonly pass: Effect.Effect<number, ConsumerUnavailable | DatabaseError>
}

export const makeAudit = (context: AuditContext): Audit => {
  const { connection, config, store, lane, progress, metrics, deliveredBefore } = context
  const { stream, consumer } = config
  const domain = config.nats.jetstreamDomain
  /** Ack floor of the pass before. */
  let floorBefore = 0
  /** How far a filter came that is narrower than the one the lane is settled for. */
  let narrowTo = 0

  const requireSameDatabase = Effect.gen(function* () {
    const { database, timeline } = yield* store.server
    if (database === lane.database && timeline === lane.timeline) return true
    context.databaseChanged("the database is another one, or was promoted, since the writer began to use it")
    return false
  })

  const settle = Effect.fnUntraced(function* (before: Settled, to: number, terms: Terms, lossFrom: number | undefined) {
    const loss = yield* store.audit.settle(lane, before, to, terms.settles, lossFrom)
    if (loss.messages === 0) return
    metrics.lost.inc(loss.messages)
    yield* Effect.logWarning(
      "messages were gone before they had an outcome: the stream removed them unread, or the database lost what was acked",
      { messages: loss.messages, sequences: loss.sequences }
    )
  })

  /** The lowest message of a range that is in the stream, can be missed and has no outcome. */
  const lowestMissed = Effect.fnUntraced(function* (range: ScanRange, { wanted }: Terms) {
    let lowest: number | undefined
    const take = Effect.fnUntraced(function* (messages: ReadonlyArray<StoredIdentity>) {
      const candidates = messages.filter(({ subject }) => wanted(subject))
      lowest = (yield* store.audit.uncovered(lane, candidates))[0]?.seq
      return lowest === undefined
    })
    yield* scanStream(connection, range, take)
    return lowest
  })

  const pass = Effect.gen(function* () {
    const { ackFloor, filterSubjects: filter } = yield* describeConsumer(connection, { stream, consumer, domain })
    if (!(yield* requireSameDatabase)) return 0
    const { config: streamConfig, state } = yield* describeStream(connection, { stream, domain })
    let settled = yield* store.audit.settled(lane)
    const terms = termsOf(filter, settled.filter)
    const narrower = terms.filter === "Narrower"
    let missed: number | undefined
    let held = false
    let from = narrower ? Math.max(settled.next, narrowTo + 1) : settled.next
    while (from <= ackFloor && missed === undefined) {
      const whole = from <= deliveredBefore
      const to = Math.min(from + coverageWindow - 1, ackFloor, whole ? deliveredBefore : Infinity)
      const gap = yield* store.audit.gap(lane, from, to)
      const looked = whole ? { lowest: from, highest: to } : gap
      if (looked !== null) {
        const range = {
          stream,
          domain,
          retention: streamConfig.retention,
          filter,
          from: looked.lowest,
          to: looked.highest
        }
        missed = yield* lowestMissed(range, terms)
      }
      const clean = missed === undefined ? to : missed - 1
      const losing = terms.complete && gap !== null
      // What a wider filter would take stays open, unless nobody can read it any more.
      const able = Math.min(clean, narrower ? state.first_seq - 1 : losing ? floorBefore : clean)
      if (!held && able >= from) {
        yield* settle(settled, able, terms, losing ? from : undefined)
        settled = { ...settled, to: able }
      }
      held ||= able < clean
      if (narrower) narrowTo = clean
      from = to + 1
    }
    floorBefore = ackFloor
    if (missed !== undefined && missed !== progress.status().missed) {
      yield* Effect.logWarning(
        "a message without an outcome lies behind the durable's ack floor, where nobody would deliver it: a new durable is needed",
        { sequence: missed, ackFloor }
      )
    }
    progress.set({ missed: missed ?? null, lost: yield* store.audit.lost(lane) })
    return (yield* store.audit.settled(lane)).to
  })
  return { pass }
}
