import { Deferred, Effect, Fiber, Result, Schema } from "effect"
import type { Delivery } from "./batch.ts"
import type { CollectedBatch } from "./collector.ts"
import { die, due, hit } from "./failpoints.ts"
import type { Guard } from "./guard.ts"
import {
  recordCommit,
  recordDatabaseError,
  recordFailure,
  recordFaults,
  recordPause,
  type WriterMetrics
} from "./metrics.ts"
import type { Outcome } from "./processors/processor.ts"
import type { Progress } from "./progress.ts"
import {
  type Decision,
  decide,
  isOpen,
  retry,
  type SettleRules,
  split,
  stallMillis,
  type WriteFailure
} from "./settle.ts"
import type { Source, SourceEnded } from "./source.ts"
import { deadLettersOf } from "./store/deadletter.ts"
import type { Coverage, Lane, Store, Written } from "./store/store.ts"
import { addTo, emptyTally, logTally } from "./tally.ts"

/** A message can't be written and is to halt the writer: nothing is pulled any more, the message stays in the stream. */
export class Halted extends Schema.TaggedError<Halted>()("Halted", {
  stream: Schema.String,
  sequence: Schema.Number,
  reason: Schema.String,
  detail: Schema.String,
  /** Field of the EventStream's spec whose value is Halt. */
  field: Schema.String
}) {
  override get message() {
    return (
      `message ${this.sequence} of stream ${this.stream} can't be written (${this.reason}${this.detail === "" ? "" : `: ${this.detail}`}) ` +
      `and ${this.field} is Halt; fix its cause and restart, or choose DeadLetter or Drop`
    )
  }
}

export interface CommitterContext {
  readonly stream: string
  readonly source: Source
  readonly store: Store["Service"]
  readonly lane: Lane
  readonly rules: SettleRules
  readonly guard: Guard
  readonly deadLettersWritten: () => void
  readonly progress: Progress
  readonly metrics: WriterMetrics
  /** Done when the writer is to stop: then nothing new is tried. */
  readonly stop: Deferred.Deferred<void>
}

interface Poison {
  readonly reason: string
  readonly detail: string
  /** Field of the EventStream's spec that says so. */
  readonly field: string
}

/** Messages of a batch that are written together. */
interface Group {
  readonly batch: CollectedBatch
  readonly selected: ReadonlyArray<number>
  /** Not to be tried before this time, on the monotonic clock in milliseconds. */
  readonly notBefore: number
  /** Read coverage first. */
  readonly check: boolean
  /** Why its one message halts the writer, unless coverage says that it has its outcome already. */
  readonly poison?: Poison
  readonly refusals: number
  readonly conflicts: number
  /** Counted by the guard against a flood of dead letters. */
  readonly admitted: boolean
  /** The outcome was decided here, after the database had refused the rows. */
  readonly replaced: boolean
}

const indices = (count: number) => Array.from({ length: count }, (_, index) => index)

const pick = (deliveries: ReadonlyArray<Delivery>, selected: ReadonlyArray<number>) =>
  selected.length === deliveries.length ? deliveries : selected.map((index) => deliveries[index]!)

/** Why a message halts the writer; undefined when it does not. */
const poisonOf = (outcome: Outcome, onPoison: SettleRules["onPoison"]): Poison | undefined => {
  if (outcome._tag === "Dropped") return undefined
  if (outcome._tag === "DeadLetter" && outcome.halt !== undefined) {
    return { reason: outcome.reason, detail: outcome.detail ?? "", field: outcome.halt }
  }
  if (onPoison !== "Halt") return undefined
  const field = "errors.onPoison"
  const fault = outcome.elements?.[0]
  if (fault !== undefined) return { reason: fault.reason, detail: `element ${fault.index}`, field }
  return outcome._tag === "DeadLetter" ? { reason: outcome.reason, detail: outcome.detail ?? "", field } : undefined
}

/** The group cut so that each message that halts the writer is alone, and everything before it is written first. */
const apartFromPoison = (group: Group, onPoison: SettleRules["onPoison"]): Array<Group> => {
  const groups: Array<Group> = []
  let from = 0
  for (const index of group.selected) {
    const poison = poisonOf(group.batch.outcomes[index]!, onPoison)
    if (poison === undefined) continue
    groups.push(
      { ...group, selected: group.selected.slice(from, index) },
      { ...group, selected: [index], check: true, poison }
    )
    from = index + 1
  }
  return [...groups, { ...group, selected: group.selected.slice(from) }]
}

/** The outcome under `errors.onPoison: Drop`: what would be a dead letter is left out. */
const withoutDeadLetters = (outcome: Outcome): Outcome => {
  if (outcome._tag === "Dropped" || deadLettersOf(outcome).length === 0) return outcome
  if (outcome._tag === "DeadLetter" && outcome.halt !== undefined) return outcome
  const dropped = outcome.elements ? { dropped: outcome.elements } : {}
  return outcome._tag === "Rows"
    ? { _tag: "Rows", ...dropped }
    : { _tag: "Dropped", reason: outcome.reason, ...dropped }
}

/** `selected` by what the ledger says of each. */
const sortOut = (selected: ReadonlyArray<number>, coverage: ReadonlyArray<Coverage>) => {
  const by: Readonly<Record<Coverage, Array<number>>> = { Open: [], Covered: [], Reused: [], Stale: [] }
  selected.forEach((index, at) => by[coverage[at]!].push(index))
  const open = selected.filter((_, at) => coverage[at] === "Open" || coverage[at] === "Reused")
  return { open, covered: by.Covered, reused: by.Reused, stale: by.Stale }
}

export interface Committer {
  /**
   * Gives each message of the batch its outcome and acks it, however often that takes. False when `stop` was done before: then
   * some messages are neither written nor acked.
   */
  readonly commit: (batch: CollectedBatch) => Effect.Effect<boolean, SourceEnded | Halted>
}

/** Writes and acks, one transaction at a time; {@link decide} says what becomes of a failed one. */
export const makeCommitter = (context: CommitterContext): Committer => {
  const { stream, source, store, lane, rules, guard, progress, metrics } = context
  /** Failures of the database in a row. */
  let failures = 0
  /** What was pulled may have been written by an earlier life of this writer: until a whole batch is new, ask first. */
  let suspicious = true
  let confirmation: Fiber.Fiber<void> | undefined
  /** Of the batch in work. */
  let tally = emptyTally

  const stopping = () => Deferred.isDoneUnsafe(context.stop)

  const pause = (millis: number) =>
    Effect.sleep(millis).pipe(Effect.raceFirst(source.ended), Effect.raceFirst(Deferred.await(context.stop)))

  const observe = (stage: "collect" | "write" | "ack", since: number) =>
    metrics.batchSeconds.observe({ stage }, (performance.now() - since) / 1000)

  const acknowledge = Effect.fnUntraced(function* (deliveries: ReadonlyArray<Delivery>) {
    if (confirmation !== undefined) yield* Fiber.await(confirmation) // else acks pile up in memory behind a slow link
    if (!source.alive()) return yield* source.ended
    const startedAt = performance.now()
    if (due("ack-flush")) {
      source.ack(deliveries, 0, deliveries.length >> 1)
      yield* Effect.ignore(source.flush)
      die()
    }
    source.ack(deliveries, 0, deliveries.length)
    const confirmed = source.flush.pipe(Effect.andThen(Effect.sync(() => observe("ack", startedAt))))
    confirmation = yield* Effect.forkChild(Effect.ignore(confirmed))
  })

  const databaseFailed = Effect.fnUntraced(function* (
    decision: Omit<Extract<Decision, { _tag: "Retry" | "Stall" }>, "_tag"> & { readonly _tag: "Retry" | "Stall" },
    failure: WriteFailure,
    messages: number
  ) {
    const { reason, afterMillis } = decision
    const stalled = decision._tag === "Stall"
    failures++
    metrics.circuitOpen.set(isOpen(failures) ? 1 : 0)
    recordDatabaseError(metrics, failure, !stalled)
    recordFailure(metrics, failure, messages)
    recordPause(metrics, reason)
    if (progress.enter(stalled ? "Stalled" : "Retrying", reason, failure.message)) {
      yield* Effect.logWarning(failure.message, { reason, retryMillis: Math.round(afterMillis) })
    } else if (isOpen(failures) && !isOpen(failures - 1)) {
      yield* Effect.logWarning(`the database failed ${failures} times in a row: it is only probed until it answers`, {
        reason
      })
    }
    yield* pause(afterMillis)
  })

  const databaseAnswers = Effect.suspend(() => {
    if (failures === 0) return Effect.void
    failures = 0
    metrics.paused.reset()
    metrics.circuitOpen.set(0)
    progress.enter("Running")
    return Effect.logInfo("the database answers again")
  })

  const committed = Effect.fnUntraced(function* (group: Group, written: Written, startedAt: number) {
    const { batch, selected } = group
    hit("commit-before-ack")
    const now = Date.now()
    observe("write", startedAt)
    progress.committed(now)
    if (written.deadLettered > 0) context.deadLettersWritten()
    guard.passed(selected.filter((index) => deadLettersOf(batch.outcomes[index]!).length === 0).length)
    tally = addTo(tally, selected.length, written, recordCommit(metrics, batch, selected, written, now))
    yield* databaseAnswers
    yield* acknowledge(pick(batch.deliveries, selected))
  })

  /** Acks what has its outcome already, and returns the rest. */
  const subtract = Effect.fnUntraced(function* ({ batch, selected }: Group) {
    const { deliveries } = batch
    const coverage = yield* store.covered(lane, pick(deliveries, selected))
    const { open, covered, reused, stale } = sortOut(selected, coverage)
    if (reused.length > 0) {
      yield* Effect.logWarning(
        "the stream's store was rolled back: its sequences came again with newer messages, which are written",
        { messages: reused.length, first: deliveries[reused[0]!]!.seq, last: deliveries[reused.at(-1)!]!.seq }
      )
    }
    if (covered.length + stale.length > 0) {
      metrics.covered.inc(covered.length)
      const counts = { covered: covered.length, stale: stale.length, open: open.length }
      yield* Effect.logInfo("messages had their outcome already", counts)
    }
    if (covered.length > 0) yield* acknowledge(pick(deliveries, covered))
    return open
  })

  /** The group again with another outcome for its one message, decided after the database had refused its rows. */
  const withOutcome = (group: Group, outcome: Outcome): Group => ({
    ...group,
    batch: { ...group.batch, outcomes: group.batch.outcomes.with(group.selected[0]!, outcome) },
    refusals: 0,
    conflicts: 0,
    admitted: outcome._tag !== "DeadLetter",
    replaced: true
  })

  /** One transaction for the group; returns what is left to do at once, and what is left to do when all else is done. */
  const attempt = Effect.fnUntraced(function* (
    group: Group
  ): Effect.fn.Return<{ readonly next?: ReadonlyArray<Group>; readonly last?: Group }, SourceEnded | Halted> {
    const { batch, selected, refusals, conflicts } = group
    const startedAt = performance.now()
    const result = yield* Effect.result(store.write(lane, batch, selected))
    if (Result.isSuccess(result)) {
      yield* committed(group, result.success, startedAt)
      return {}
    }
    const { failure } = result
    const decision = decide({ failure, failures, refusals, conflicts, size: selected.length }, rules)
    switch (decision._tag) {
      case "Retry":
      case "Stall":
        if (failure._tag === "RowRefused") {
          // After the others: perhaps one of them brings what this one refers to.
          return { last: { ...group, refusals: refusals + 1, notBefore: performance.now() + decision.afterMillis } }
        }
        yield* databaseFailed(decision, failure, selected.length)
        return { next: [group] }
      case "Split":
        if (failure._tag === "DatabaseUnavailable") {
          recordDatabaseError(metrics, failure, true)
          recordFailure(metrics, failure, selected.length)
          yield* Effect.logWarning(`${failure.message}; writing the halves apart`, { messages: selected.length })
        }
        return {
          next: split(selected, decision.suspect).map((part) => ({
            ...group,
            selected: part,
            refusals: 0,
            conflicts: 0
          }))
        }
      case "Subtract":
        return { next: [{ ...group, check: true, conflicts: conflicts + 1 }] }
      case "Reopen":
        source.end("LaneChanged", failure.message)
        return yield* source.ended
      case "Halt":
        recordFailure(metrics, failure, 1)
        return { next: [{ ...group, check: true, poison: { ...decision, field: "errors.onPoison" } }] }
      case "DeadLetter":
      case "Drop":
        if (group.replaced) {
          // A dead letter that is refused as well is no fault of the message.
          yield* databaseFailed({ _tag: "Stall", reason: "SchemaMismatch", afterMillis: stallMillis }, failure, 1)
          return { next: [group] }
        }
        recordFailure(metrics, failure, 1)
        return {
          next: [
            withOutcome(
              group,
              decision._tag === "Drop"
                ? { _tag: "Dropped", reason: decision.reason }
                : { _tag: "DeadLetter", reason: decision.reason, detail: decision.detail }
            )
          ]
        }
    }
  })

  /** As {@link attempt}, for a group whose dead letters may be too many; it is left as it is when the writer is to stop. */
  const admit = Effect.fnUntraced(function* (group: Group) {
    const { batch, selected } = group
    const deadLetters = selected.flatMap((index) => deadLettersOf(batch.outcomes[index]!).slice(0, 1))
    const counts = {
      last: batch.deliveries[selected.at(-1)!]!.seq,
      messages: selected.length,
      poison: deadLetters.length,
      reason: deadLetters[0]?.reason
    }
    yield* guard.admit(counts, { pause, stopping })
    return { next: [{ ...group, admitted: true }] }
  })

  /** As {@link attempt}, for a group whose coverage is to be read first. */
  const check = Effect.fnUntraced(function* (group: Group) {
    const result = yield* Effect.result(subtract(group))
    if (Result.isFailure(result)) {
      const { failure } = result
      if (failure._tag === "SourceEnded") return yield* failure
      yield* databaseFailed(retry(failure, failures, rules), failure, group.selected.length)
      return { next: [group] }
    }
    yield* databaseAnswers
    const open = result.success
    suspicious = open.length < group.selected.length
    if (open.length === 0) return {}
    if (group.poison !== undefined) {
      const { reason, detail, field } = group.poison
      const sequence = group.batch.deliveries[open[0]!]!.seq
      return yield* new Halted({ stream, sequence, reason, detail, field })
    }
    return { next: [{ ...group, selected: open, check: false, conflicts: suspicious ? 0 : group.conflicts }] }
  })

  const writeOut = Effect.fnUntraced(function* (collected: CollectedBatch) {
    metrics.received.inc(collected.deliveries.length)
    metrics.redelivered.inc(collected.redelivered)
    metrics.batchBytes.observe(collected.bytes)
    recordFaults(metrics, collected.outcomes)
    observe("collect", collected.since)
    const { onPoison } = rules
    const outcomes = onPoison === "Drop" ? collected.outcomes.map(withoutDeadLetters) : collected.outcomes
    const whole: Group = {
      batch: { ...collected, outcomes },
      selected: indices(outcomes.length),
      notBefore: 0,
      check: suspicious || collected.redelivered > 0,
      refusals: 0,
      conflicts: 0,
      admitted: onPoison !== "DeadLetter",
      replaced: false
    }
    const groups = apartFromPoison(whole, onPoison)
    while (groups.length > 0 && !stopping()) {
      if (!source.alive()) return yield* source.ended
      const group = groups.shift()!
      if (group.selected.length === 0) continue
      const early = group.notBefore - performance.now()
      if (early > 0) yield* pause(early)
      if (stopping()) return false
      const left: { readonly next?: ReadonlyArray<Group>; readonly last?: Group } = yield* group.check
        ? check(group)
        : group.admitted
          ? attempt(group)
          : admit(group)
      groups.unshift(...(left.next ?? []))
      if (left.last) groups.push(left.last)
    }
    return groups.length === 0
  })

  return {
    commit: (batch) =>
      Effect.suspend(() => {
        const startedAt = performance.now()
        tally = emptyTally
        return writeOut(batch).pipe(
          Effect.ensuring(Effect.suspend(() => logTally(tally, performance.now() - startedAt)))
        )
      })
  }
}
