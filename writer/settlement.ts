import { Deferred, Effect, Fiber, Result, Schema } from "effect"
import type { Batch, Delivery } from "./batch.ts"
import type { CollectedBatch } from "./collector.ts"
import { die, due, hit } from "./failpoints.ts"
import { reasonLabel, type WriterMetrics } from "./metrics.ts"
import type { Outcome } from "./processors/processor.ts"
import type { Progress } from "./progress.ts"
import { decide, retry, type SettleRules, split } from "./settle.ts"
import type { Source, SourceEnded } from "./source.ts"
import type { DatabaseError } from "./store/errors.ts"
import type { Lane, Store, Written } from "./store/store.ts"

/** A message can't be written and `errors.onPoison` is Halt: nothing is pulled any more, the message stays in the stream. */
export class Halted extends Schema.TaggedError<Halted>()("Halted", {
  stream: Schema.String,
  sequence: Schema.Number,
  reason: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return (
      `message ${this.sequence} of stream ${this.stream} can't be written (${this.reason}${this.detail === "" ? "" : `: ${this.detail}`}) ` +
      `and errors.onPoison is Halt; fix its cause and restart, or choose DeadLetter or Drop`
    )
  }
}

export interface SettlementContext {
  readonly stream: string
  readonly source: Source
  readonly store: Store["Service"]
  readonly lane: Lane
  readonly rules: SettleRules
  readonly progress: Progress
  readonly metrics: WriterMetrics
  /** Done when the writer is to stop: then nothing new is tried. */
  readonly stop: Deferred.Deferred<void>
}

/** Messages of a batch that are written together. */
interface Group {
  readonly batch: CollectedBatch
  readonly selected: ReadonlyArray<number>
  /** Read coverage first. */
  readonly check: boolean
  readonly refusals: number
  readonly conflicts: number
  /** The outcome was decided here, after the database had refused the rows. */
  readonly replaced: boolean
}

const indices = (count: number) => Array.from({ length: count }, (_, index) => index)

const pick = <D extends Delivery>(deliveries: ReadonlyArray<D>, selected: ReadonlyArray<number>) =>
  selected.length === deliveries.length ? deliveries : selected.map((index) => deliveries[index]!)

/** The first of the messages that `errors.onPoison: Halt` doesn't let pass. */
const poisonOf = (batch: Batch, selected: ReadonlyArray<number>): number | undefined =>
  selected.find((index) => {
    const outcome = batch.outcomes[index]!
    return outcome._tag === "DeadLetter" || (outcome._tag === "Rows" && (outcome.elements?.length ?? 0) > 0)
  })

/** The outcome under `errors.onPoison: Drop`: what would be a dead letter is left out. */
const withoutDeadLetters = (outcome: Outcome): Outcome => {
  if (outcome._tag === "DeadLetter") return { _tag: "Dropped", reason: outcome.reason }
  return outcome._tag === "Rows" && outcome.elements ? { _tag: "Rows" } : outcome
}

export interface Settlement {
  /**
   * Gives each message of the batch its outcome and acks it, however often that takes. False when `stop` was done before: then
   * some messages are neither written nor acked.
   */
  readonly settle: (batch: CollectedBatch) => Effect.Effect<boolean, SourceEnded | Halted>
}

/** Carries out what {@link decide} says, one transaction at a time. */
export const makeSettlement = (context: SettlementContext): Settlement => {
  const { source, store, lane, rules, progress, metrics } = context
  /** Failures of the database in a row. */
  let failures = 0
  /** What was pulled may have been written by an earlier life of this writer: until a whole batch is new, ask first. */
  let suspicious = true
  let confirmation: Fiber.Fiber<void> | undefined

  const stopping = () => Deferred.isDoneUnsafe(context.stop)

  const pause = (millis: number) =>
    Effect.sleep(millis).pipe(Effect.raceFirst(source.ended), Effect.raceFirst(Deferred.await(context.stop)))

  const acknowledge = Effect.fnUntraced(function* (deliveries: ReadonlyArray<Delivery>) {
    if (!source.alive()) return yield* source.ended
    if (confirmation !== undefined) yield* Fiber.await(confirmation) // else acks pile up in memory behind a slow link
    const startedAt = performance.now()
    if (due("ack-flush")) {
      source.ack(deliveries, 0, deliveries.length >> 1)
      yield* Effect.ignore(source.flush)
      die()
    }
    source.ack(deliveries, 0, deliveries.length)
    metrics.acks.inc({ kind: "ack" }, deliveries.length)
    confirmation = yield* Effect.forkChild(
      source.flush.pipe(
        Effect.andThen(
          Effect.sync(() => metrics.batchSeconds.observe({ stage: "ack" }, (performance.now() - startedAt) / 1000))
        ),
        Effect.ignore
      )
    )
  })

  const databaseFailed = Effect.fnUntraced(function* (
    decision: { readonly _tag: "Retry" | "Stall"; readonly reason: string; readonly afterMillis: number },
    failure: { readonly message: string; readonly sqlstate?: string | null }
  ) {
    const stalled = decision._tag === "Stall"
    metrics.databaseErrors.inc({ class: failure.sqlstate?.slice(0, 2) ?? "none", retryable: String(!stalled) })
    metrics.paused.set({ reason: decision.reason }, 1)
    if (progress.enter(stalled ? "Stalled" : "Retrying", decision.reason, failure.message)) {
      yield* Effect.logWarning(failure.message, { reason: decision.reason, retryMillis: Math.round(decision.afterMillis) })
    }
    yield* pause(decision.afterMillis)
  })

  const databaseAnswers = Effect.suspend(() => {
    if (failures === 0) return Effect.void
    failures = 0
    metrics.paused.reset()
    progress.enter("Running")
    return Effect.logInfo("the database answers again")
  })

  const countOutcomes = (batch: Batch, selected: ReadonlyArray<number>) => {
    for (const index of selected) {
      const outcome = batch.outcomes[index]!
      if (outcome._tag === "Dropped") metrics.dropped.inc({ reason: reasonLabel(outcome.reason) })
      if (outcome._tag === "DeadLetter" && !outcome.elements) metrics.deadLettered.inc({ reason: reasonLabel(outcome.reason) })
      if (outcome._tag === "Dropped") continue
      for (const fault of outcome.elements ?? []) metrics.deadLettered.inc({ reason: reasonLabel(fault.reason) })
    }
  }

  const committed = Effect.fnUntraced(function* (group: Group, written: Written, startedAt: number) {
    const { batch, selected } = group
    hit("commit-before-ack")
    const now = Date.now()
    yield* databaseAnswers
    progress.committed(now)
    metrics.written.inc(written.messages)
    metrics.rows.inc(written.rows)
    metrics.duplicate.inc(written.conflicts)
    metrics.batchMessages.observe(selected.length)
    metrics.batchSeconds.observe({ stage: "write" }, (performance.now() - startedAt) / 1000)
    metrics.lastCommit.set(now / 1000)
    if (written.deadLettered > 0 || written.dropped > 0) countOutcomes(batch, selected)
    const deliveries = pick(batch.deliveries, selected)
    // Of a large batch a hundred messages tell as much as all of them.
    const step = Math.ceil(deliveries.length / 100)
    for (let i = 0; i < deliveries.length; i += step) {
      metrics.latencySeconds.observe(now / 1e3 - deliveries[i]!.receivedAt / 1e6)
    }
    yield* acknowledge(deliveries)
    const log = written.deadLettered > 0 || written.conflicts > 0 ? Effect.logInfo : Effect.logDebug
    yield* log("batch written", {
      messages: selected.length,
      rows: written.rows,
      ...(written.conflicts > 0 ? { conflicts: written.conflicts } : {}),
      ...(written.deadLettered > 0 ? { deadLettered: written.deadLettered } : {}),
      ...(written.dropped > 0 ? { dropped: written.dropped } : {}),
      millis: Math.round(performance.now() - startedAt)
    })
  })

  /** Acks what has its outcome already; the rest, or a failure of the database. */
  const subtract = Effect.fnUntraced(function* (batch: Batch, selected: ReadonlyArray<number>) {
    const coverage = yield* store.covered(lane, pick(batch.deliveries, selected))
    const open: Array<number> = []
    const covered: Array<number> = []
    const reused: Array<number> = []
    let stale = 0
    selected.forEach((index, at) => {
      const answer = coverage[at]!
      if (answer === "Covered") covered.push(index)
      else if (answer === "Stale") stale++
      else {
        open.push(index)
        if (answer === "Reused") reused.push(batch.deliveries[index]!.seq)
      }
    })
    if (reused.length > 0) {
      yield* Effect.logWarning("the stream's store was rolled back: sequences came again with newer messages, which are written", {
        messages: reused.length,
        firstSequence: reused[0],
        lastSequence: reused.at(-1)
      })
    }
    if (covered.length + stale > 0) {
      metrics.covered.inc(covered.length)
      yield* Effect.logInfo("messages had their outcome already", { covered: covered.length, stale, open: open.length })
    }
    if (covered.length > 0) yield* acknowledge(pick(batch.deliveries, covered))
    return open
  })

  /** One transaction for the group; what is left to do afterwards, in order. */
  const attempt = Effect.fnUntraced(function* (
    group: Group
  ): Effect.fn.Return<{ readonly first?: ReadonlyArray<Group>; readonly last?: Group }, SourceEnded | Halted> {
    const { batch, selected } = group
    const stopped = rules.onPoison === "Halt" ? poisonOf(batch, selected) : undefined
    const writable = stopped === undefined ? selected : selected.filter((index) => index < stopped)
    const startedAt = performance.now()
    const result = yield* Effect.result(
      writable.length === 0 ? Effect.succeed(undefined) : store.write(lane, batch, writable)
    )
    const failure = Result.isFailure(result) ? result.failure : undefined
    const { refusals, conflicts } = group
    const decision = decide({ failure, failures, refusals, conflicts, size: writable.length }, rules)
    switch (decision._tag) {
      case "Ack": {
        if (Result.isSuccess(result) && result.success) {
          yield* committed({ ...group, selected: writable }, result.success, startedAt)
        }
        if (stopped === undefined) return {}
        const outcome = batch.outcomes[stopped]!
        const [reason, detail] =
          outcome._tag === "DeadLetter"
            ? [outcome.reason, outcome.detail ?? ""]
            : ["element", outcome._tag === "Rows" ? (outcome.elements?.[0]?.reason ?? "") : ""]
        return yield* new Halted({ stream: context.stream, sequence: batch.deliveries[stopped]!.seq, reason, detail })
      }
      case "Retry":
      case "Stall": {
        if (failure?._tag === "RowRefused") {
          yield* pause(decision.afterMillis)
          return { last: { ...group, refusals: refusals + 1 } } // the others first: perhaps one of them brings what it needs
        }
        failures++
        yield* databaseFailed(decision, failure as DatabaseError)
        return { first: [group] }
      }
      case "Split":
        return {
          first: split(writable, decision.suspect).map((part) => ({ ...group, selected: part, refusals: 0, conflicts: 0 }))
        }
      case "Subtract":
        return { first: [{ ...group, check: true, conflicts: conflicts + 1 }] }
      case "Reopen":
        source.end("LaneChanged", failure?.message ?? "the lane changed")
        return yield* source.ended
      case "Halt": {
        const { seq } = batch.deliveries[writable[0]!]!
        return yield* new Halted({ stream: context.stream, sequence: seq, reason: decision.reason, detail: decision.detail })
      }
      case "DeadLetter":
      case "Drop": {
        if (group.replaced) {
          // A dead letter that is refused too is no fault of the message.
          failures++
          yield* databaseFailed({ _tag: "Stall", reason: "SchemaMismatch", afterMillis: 30_000 }, failure!)
          return { first: [group] }
        }
        const outcome: Outcome =
          decision._tag === "Drop"
            ? { _tag: "Dropped", reason: decision.reason }
            : { _tag: "DeadLetter", reason: decision.reason, detail: decision.detail }
        const replacement = { ...batch, outcomes: batch.outcomes.with(writable[0]!, outcome) }
        return { first: [{ ...group, batch: replacement, refusals: 0, conflicts: 0, replaced: true }] }
      }
    }
  })

  const settle = Effect.fnUntraced(function* (collected: CollectedBatch) {
    const drop = rules.onPoison === "Drop"
    const batch = drop ? { ...collected, outcomes: collected.outcomes.map(withoutDeadLetters) } : collected
    metrics.received.inc(batch.deliveries.length)
    metrics.redelivered.inc(batch.redelivered)
    metrics.batchBytes.observe(batch.bytes)
    metrics.batchSeconds.observe({ stage: "collect" }, (performance.now() - batch.since) / 1000)
    const groups: Array<Group> = [
      {
        batch,
        selected: indices(batch.deliveries.length),
        check: suspicious || batch.redelivered > 0,
        refusals: 0,
        conflicts: 0,
        replaced: false
      }
    ]
    while (groups.length > 0 && !stopping()) {
      if (!source.alive()) return yield* source.ended
      const group = groups.shift()!
      if (!group.check) {
        const { first, last } = yield* attempt(group)
        groups.unshift(...(first ?? []))
        if (last) groups.push(last)
        continue
      }
      const open = yield* Effect.result(subtract(group.batch, group.selected))
      if (Result.isFailure(open)) {
        if (open.failure._tag === "SourceEnded") return yield* open.failure
        yield* databaseFailed(retry(open.failure, failures++, rules), open.failure)
        groups.unshift(group)
        continue
      }
      const nothingCovered = open.success.length === group.selected.length
      suspicious = !nothingCovered
      const conflicts = nothingCovered ? group.conflicts : 0
      yield* databaseAnswers
      if (open.success.length > 0) groups.unshift({ ...group, selected: open.success, check: false, conflicts })
    }
    return groups.length === 0
  })

  return { settle }
}
