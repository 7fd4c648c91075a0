import type { NatsConnection } from "@nats-io/transport-node"
import { Deferred, Effect, type Scope } from "effect"
import { incarnationOf } from "../platform/incarnation.ts"
import { type Collector, makeCollector } from "./collector.ts"
import type { WriterConfig } from "./config.ts"
import { type ConsumerDescription, type ConsumerUnavailable, describeConsumer, describeStream } from "./consumer.ts"
import { type Halted, makeCommitter } from "./commit.ts"
import { makeDeadLetterKeeper } from "./dead-letters.ts"
import { type GuardMemory, makeGuard } from "./guard.ts"
import { keepAlive } from "./leases.ts"
import type { WriterMetrics } from "./metrics.ts"
import { runPipeline } from "./pipeline.ts"
import { type PositionLost, requirePosition } from "./position.ts"
import { targetKind } from "./processors/outputs.ts"
import type { Processor } from "./processors/processor.ts"
import type { Progress } from "./progress.ts"
import { openSource, type Source, SourceEnded } from "./source.ts"
import type { DatabaseError, LaneMissing } from "./store/errors.ts"
import { anyTime, targetFingerprint } from "./store/ledger.ts"
import type { Store } from "./store/store.ts"
import { makeUpkeep, type Upkeep } from "./upkeep.ts"

export interface SessionParts {
  readonly source: Source
  readonly collector: Collector
  readonly upkeep: Upkeep
}

export interface SessionContext {
  readonly connection: NatsConnection
  readonly config: WriterConfig
  readonly processor: Processor
  readonly store: Store["Service"]
  readonly progress: Progress
  readonly metrics: WriterMetrics
  readonly stop: Deferred.Deferred<void>
  readonly guardMemory: GuardMemory
  /** Told the parts of this session: to be ended when the connection breaks, to be counted, to be asked for its status. */
  readonly onStart: (parts: SessionParts) => void
}

export type SessionFailure = SourceEnded | Halted | ConsumerUnavailable | DatabaseError | LaneMissing | PositionLost

/** Pull requests are smaller than a batch, so that the next one is under way while the last is still answered. */
const requestsPerBatch = 2

/** Up to when what is below a new lane's start is none of it: a start beyond the end of the stream is meant for what comes, too. */
const startTimeOf = ({ startSequence, lastSequence, createdNanos }: ConsumerDescription): bigint => {
  if (startSequence === 1) return 0n
  return startSequence > lastSequence + 1 ? anyTime : createdNanos
}

/** Looks at stream and consumer, and opens the lane of what is there now. */
const prepare = Effect.fnUntraced(function* (context: SessionContext) {
  const { connection, config, processor, store, progress, metrics } = context
  const { eventStream, stream, consumer, target } = config
  const found = yield* describeConsumer(connection, { stream, consumer, domain: config.nats.jetstreamDomain })
  const incarnation = incarnationOf(stream, found.streamCreated)
  // What was found out about the lane before may not hold for the database that answers now.
  progress.set({ incarnation, lane: null, database: null, lowestUncovered: null, missed: null })
  progress.keepNews()
  const lane = yield* store.open({
    ...eventStream,
    fingerprint: targetFingerprint(targetKind(config.processor), target.schema, processor.tables),
    stream,
    incarnation,
    start: { sequence: found.startSequence, timeNanos: startTimeOf(found) },
    consumerUsed: found.used
  })
  progress.set({ lane: lane.id, database: lane.database, server: lane.server, timescale: lane.timescale })
  yield* requirePosition(connection, { stream, consumer, domain: config.nats.jetstreamDomain }, found, store, lane)
  const totals = yield* store.totals(lane)
  progress.totals(totals)
  if (totals.lastWriteTime !== null) metrics.lastCommit.set(totals.lastWriteTime.getTime() / 1e3)
  return { found, lane }
})

/** Fails unless the stream was made at `created`, exactly as the server writes it. */
const requireSameStream = (
  connection: NatsConnection,
  options: Parameters<typeof describeStream>[1],
  created: string
): Effect.Effect<void, SourceEnded> =>
  describeStream(connection, options).pipe(
    Effect.mapError(({ reason, detail }) =>
      reason === "NatsUnreachable"
        ? new SourceEnded({ reason: "Disconnected", detail })
        : new SourceEnded({ reason, detail })
    ),
    Effect.flatMap((found) =>
      found.created === created
        ? Effect.void
        : new SourceEnded({
            reason: "StreamChanged",
            detail: `stream ${options.stream} was deleted and made again at ${found.created}`
          })
    )
  )

/**
 * A session lasts from finding stream, consumer and lane until the connection breaks or the consumer's leader changes. What it
 * pulled ends with it, neither committed nor acked: afterwards the same names and sequences may mean something else, so the next
 * session begins by looking again.
 */
export const runSession = Effect.fnUntraced(function* (
  context: SessionContext
): Effect.fn.Return<void, SessionFailure, Scope.Scope> {
  const { connection, config, processor, store, progress, metrics, stop } = context
  const { stream, consumer, target, batch } = config
  const domain = config.nats.jetstreamDomain
  const prepared = yield* prepare(context).pipe(Effect.raceFirst(Deferred.await(stop).pipe(Effect.as(undefined))))
  if (prepared === undefined) return
  const { found, lane } = prepared

  const source: Source = yield* openSource(connection, {
    stream,
    consumer,
    domain,
    request: {
      messages: Math.min(Math.ceil(batch.maxMessages / requestsPerBatch), found.maxRequestMessages ?? Infinity),
      bytes: Math.min(Math.ceil(batch.maxBytes / requestsPerBatch), found.maxRequestBytes ?? Infinity)
    },
    deliver: (message) => collector.add(message),
    // While the database fails, the backlog grows in the stream and not here.
    room: () => (progress.status().state === "Running" ? collector.room() : { messages: 0, bytes: 0 }),
    verify: requireSameStream(connection, { stream, domain }, found.streamCreated),
    acknowledged: (kind, sent, unsent) => {
      if (sent > 0) metrics.acks.inc({ kind, result: "sent" }, sent)
      if (unsent > 0) metrics.acks.inc({ kind, result: "unsent" }, unsent)
    }
  })
  const collector = makeCollector(processor, batch, source)
  const databaseChanged = (detail: string) => source.end("LaneChanged", detail)
  const upkeep = yield* makeUpkeep({
    connection,
    config,
    store,
    lane,
    progress,
    metrics,
    deliveredBefore: found.delivered,
    databaseChanged
  })
  context.onStart({ source, collector, upkeep })
  const { filterSubjects } = found
  const guard = makeGuard({
    connection,
    config,
    filterSubjects,
    processor,
    store,
    progress,
    metrics,
    memory: context.guardMemory
  })
  const keeper = yield* makeDeadLetterKeeper({
    connection,
    config: config.errors.deadLetter,
    store,
    progress,
    metrics
  })
  const committer = makeCommitter({
    stream,
    source,
    store,
    lane,
    rules: config.errors,
    guard,
    deadLettersWritten: keeper.written,
    progress,
    metrics,
    stop
  })

  progress.enter("Running")
  yield* Effect.logInfo("writing", {
    lane: lane.id,
    newLane: lane.isNew,
    incarnation: progress.status().incarnation,
    server: lane.server,
    tables: processor.tables.map(({ schema, name }) => `${schema ?? target.schema}.${name}`)
  })
  if (lane.databaseChanged) {
    yield* Effect.logWarning(
      "the database is another one, or was promoted, since this lane was last used: messages acked then may be missing"
    )
  }
  yield* Effect.forkScoped(keepAlive(source, collector, found.ackWaitMillis))
  yield* Effect.forkScoped(upkeep.forever)
  yield* Effect.forkScoped(keeper.forever)
  yield* runPipeline({ source, collector, committer, stop })
})
