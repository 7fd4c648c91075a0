import { Effect, Result, Schema } from "effect"
import { incarnationOf } from "../../platform/incarnation.ts"
import type { HostMap } from "../../platform/hosts.ts"
import { connectNats } from "../../platform/nats.ts"
import type { ReplayConfig, WriterConfig } from "../config.ts"
import { describeConsumer } from "../consumer.ts"
import { hit } from "../failpoints.ts"
import type { Processor } from "../processors/processor.ts"
import type { DatabaseError } from "../store/errors.ts"
import type { Replay, ReplayChanged } from "../store/replay-store.ts"
import { retry } from "../settle.ts"
import { Store } from "../store/store.ts"
import type { ReplayBatch } from "./batch.ts"
import { fromDeadLetters } from "./from-dead-letters.ts"
import { fromStream, type StreamRange } from "./from-stream.ts"
import { paceMillis } from "./pace.ts"
import { replayBatch } from "./write.ts"

/** The replay can't be carried out, now or ever, until a person changes something. */
export class ReplayFailed extends Schema.TaggedError<ReplayFailed>()("ReplayFailed", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}

/** What a replay has done, over all its lives. */
export interface ReplayResult {
  readonly read: number
  readonly written: number
  readonly failed: number
}

/** Most messages of a batch: they are in memory with their payloads. */
const mostMessages = 500
/** Between two lines of progress. */
const reportMillis = 5_000

/** What makes a replay this one and no other; how fast it goes may change. */
const parametersOf = ({ from, range, filter, onSuccess }: ReplayConfig) =>
  JSON.stringify({ from, range, filter, onSuccess })

/** Waits while the database fails for a reason that may pass. */
const patiently = <A, E>(
  work: Effect.Effect<A, E | DatabaseError>,
  rules: WriterConfig["errors"]
): Effect.Effect<A, Exclude<E, DatabaseError>> =>
  Effect.gen(function* () {
    for (let failures = 0; ; failures++) {
      const result = yield* Effect.result(work)
      if (Result.isSuccess(result)) return result.success
      const failure = result.failure as { readonly _tag: string }
      if (failure._tag !== "DatabaseUnavailable" && failure._tag !== "DatabaseMisconfigured") {
        return yield* Effect.fail(failure as Exclude<E, DatabaseError>)
      }
      const { afterMillis } = retry(failure as DatabaseError, failures, rules)
      if (failures === 0) yield* Effect.logWarning((failure as DatabaseError).message)
      yield* Effect.sleep(afterMillis)
    }
  })

interface Context {
  readonly config: WriterConfig
  readonly replay: ReplayConfig
  readonly processor: Processor
  readonly hosts: HostMap
}

/** The range of the stream, and the connection to read it over. */
const openRange = Effect.fnUntraced(function* ({ config, replay, hosts }: Context) {
  const { replays } = yield* Store
  const { stream, consumer, nats, eventStream } = config
  const domain = nats.jetstreamDomain
  const name = `eventstream-replay/${eventStream.namespace}/${eventStream.name}`
  const connection = yield* connectNats(nats, { name, hosts })
  const found = yield* describeConsumer(connection, { stream, consumer, domain })
  const incarnation = incarnationOf(stream, found.streamCreated)
  const base = (yield* patiently(replays.lanes, config.errors)).findLast((lane) => lane.incarnation === incarnation)
  if (base === undefined) {
    return yield* new ReplayFailed({
      detail: `wanted the lane of stream ${stream} (incarnation ${incarnation}) in this database, found none: nothing was ever written here; start its writer first`
    })
  }
  const { range, filter } = replay
  const subjects = filter.subjects.length > 0 ? filter.subjects : found.filterSubjects
  const last = Math.min(range.endSequence ?? found.delivered, found.lastSequence)
  const wanted: Omit<StreamRange, "to" | "from"> = {
    base,
    startTime: range.startTime,
    endTime: range.endTime,
    subjects
  }
  return { connection, wanted, last }
})

/**
 * Carries out a replay, or what is left of it: every message has one outcome in it, because what it writes is covered in a lane
 * of its own, and a dead letter goes with the commit that writes its rows.
 */
export const runReplay = Effect.fnUntraced(function* (context: Context) {
  const { config, replay, processor } = context
  const store = yield* Store
  const { replays } = store
  const { dryRun, from, maxPerSecond, onSuccess } = replay
  yield* patiently(store.verify, config.errors)
  const opened = from === "Stream" ? yield* openRange(context) : undefined
  const state: Replay | undefined = dryRun
    ? undefined
    : yield* patiently<Replay, DatabaseError | ReplayChanged>(
        replays.begin(replay.id, parametersOf(replay), opened?.last ?? null),
        config.errors
      )
  if (state?.finished) {
    yield* Effect.logInfo("this replay has ended before: nothing to do", { id: replay.id })
    return { read: state.read, written: state.written, failed: state.failed } satisfies ReplayResult
  }
  const cursor = state?.cursor ?? { lane: 0, seq: 0 }
  // Dead letters that were removed by a commit which nobody lived to count are not met again; others are, and count then.
  const uncounted = from === "DeadLetter" && onSuccess === "Remove" ? (state?.covered ?? 0) - (state?.written ?? 0) : 0
  let progress = {
    cursor,
    read: (state?.read ?? 0) + uncounted,
    written: (state?.written ?? 0) + uncounted,
    failed: state?.failed ?? 0
  }
  const reasons: Record<string, number> = {}
  const startedAt = performance.now()
  let handled = 0
  let reportedAt = startedAt

  const handle = (batch: ReplayBatch) =>
    Effect.gen(function* () {
      const lane =
        state === undefined ? undefined : yield* patiently(replays.laneOf(batch.base, state.generation), config.errors)
      const rules = { ...config.errors, onPoison: "DeadLetter" as const }
      const done = yield* replayBatch(store, rules, onSuccess === "Remove", lane, batch)
      hit("replay-before-save")
      for (const [reason, count] of done.failed) reasons[reason] = (reasons[reason] ?? 0) + count
      const failed = [...done.failed.values()].reduce((sum, count) => sum + count, 0)
      progress = {
        cursor: batch.cursor,
        read: progress.read + batch.chosen.length,
        written: progress.written + done.written,
        failed: progress.failed + failed
      }
      if (state !== undefined) yield* patiently(replays.save(replay.id, progress, false), config.errors)
      handled += batch.chosen.length
      const now = performance.now()
      if (now - reportedAt >= reportMillis) {
        reportedAt = now
        const { cursor, ...counts } = progress
        yield* Effect.logInfo("replaying", { ...counts, remaining: batch.remaining, cursor: cursor.seq })
      }
      yield* Effect.sleep(paceMillis(maxPerSecond, handled, now - startedAt))
    })

  const limit = Math.min(mostMessages, config.batch.maxMessages, maxPerSecond ?? mostMessages)
  if (opened === undefined) {
    const resumable = Effect.suspend(() => fromDeadLetters(store, processor, replay, progress.cursor, limit, handle))
    yield* patiently(resumable, config.errors)
  } else {
    const { connection, wanted, last } = opened
    const begin = Math.max(replay.range.startSequence ?? 1, cursor.seq + 1)
    const range = { ...wanted, from: begin, to: state?.endSequence ?? last }
    yield* fromStream(connection, config, processor, range, limit, handle)
  }
  if (state !== undefined) yield* patiently(replays.save(replay.id, progress, true), config.errors)
  const { cursor: _, ...result } = progress
  yield* Effect.logInfo(dryRun ? "dry run: nothing was written" : "replay finished", {
    id: replay.id,
    ...result,
    ...(Object.keys(reasons).length > 0 ? { reasons } : {})
  })
  return result satisfies ReplayResult
})
