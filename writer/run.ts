import type { NatsConnection, Status } from "@nats-io/transport-node"
import { Cause, Deferred, Effect, Exit, type Scope } from "effect"
import { backoffMillis } from "../platform/backoff.ts"
import { contentHash } from "../platform/files.ts"
import { type PortTaken, serveHealth } from "../platform/health.ts"
import type { HostMap } from "../platform/hosts.ts"
import { Metrics } from "../platform/metrics.ts"
import { connectNats, filesOf, NatsUnavailable } from "../platform/nats.ts"
import { batchesHeld } from "./collector.ts"
import type { WriterConfig } from "./config.ts"
import type { GuardMemory } from "./guard.ts"
import { makeWriterMetrics, recordDatabaseError, recordPause, type WriterMetrics } from "./metrics.ts"
import type { Processor } from "./processors/processor.ts"
import { makeProgress, type Progress } from "./progress.ts"
import { renewed, reportCertificate } from "./renewal.ts"
import { runSession, type SessionFailure, type SessionParts } from "./session.ts"
import { isOpen, retry } from "./settle.ts"
import { serveStatus, type StatusService } from "./status.ts"
import { Store } from "./store/store.ts"

export interface RunOptions {
  readonly config: WriterConfig
  readonly processor: Processor
  readonly hosts: HostMap
  /** Done when the writer is to stop: it finishes the batch in the database, gives back the rest, and returns. */
  readonly stop: Deferred.Deferred<void>
}

/** How long a writer waits that needs another consumer; a new configuration usually replaces it before. */
const needsConsumerMillis = 30_000
/** Whoever asks for the status gets the ledger's newest figures, or those of before when reading takes longer. */
const statusWait = "1 second"
const natsBackoff = { initialMillis: 250, maxMillis: 5_000 }

/** What scrapes and status requests act on, and what outlives a connection. */
interface Current {
  session: SessionParts | undefined
  /** Connections made so far. */
  connections: number
  readonly guardMemory: GuardMemory
}

/** One connection to NATS. */
interface Link {
  readonly connection: NatsConnection
  /** Done when sessions over it are to end in order: the writer stops, or its certificate or credentials were replaced. */
  readonly leave: Deferred.Deferred<void>
  /** Done when it broke. */
  readonly lost: Deferred.Deferred<void>
}

/** Why the connection will break, as far as the event tells. */
const lossAnnounced = (event: Status): string | undefined => {
  if (event.type === "ldm") return "lame_duck"
  // The second is our own doing, when pull requests get no answer.
  if (event.type === "staleConnection" || event.type === "forceReconnect") return "stale"
  return event.type === "error" && /authentication expired/i.test(event.error.message) ? "auth_expired" : undefined
}

/** The events of the connection, for as long as it lives. */
const watchConnection = async (
  { connection, leave, lost }: Link,
  current: Current,
  metrics: WriterMetrics,
  service: StatusService
) => {
  const server = connection.getServer()
  let announced: string | undefined
  for await (const event of connection.status()) {
    announced ??= lossAnnounced(event)
    if (event.type === "error") service.connectionFailed(event.error)
    if (event.type === "error" && /permissions violation for publish to "\$JS\./i.test(event.error.message)) {
      // To a pull request or an ack that this user may not publish there is no other answer. Other subjects are those of who
      // asks for the status.
      current.session?.source.end("Forbidden", event.error.message)
    }
  }
  // Only the end of the events is sure to come: the client may close before it has told of a disconnect.
  metrics.natsConnected.set(0)
  if (!Deferred.isDoneUnsafe(leave)) metrics.natsDisconnects.inc({ reason: announced ?? "other" })
  Deferred.doneUnsafe(lost, Effect.void)
  current.session?.source.end("Disconnected", `the connection to NATS server ${server} was lost`)
}

/**
 * What to say, and when to try again, after a session ended with a failure; `undefined` when trying again makes no sense.
 *
 * @param tookMillis from the beginning of the attempt: one that waited for an answer in vain has waited already
 */
const reactionTo = (failure: SessionFailure, failures: number, config: WriterConfig, tookMillis: number) => {
  const { initialMillis, maxMillis } = natsBackoff
  const soon = Math.max(
    backoffMillis(0, initialMillis, maxMillis),
    backoffMillis(failures, initialMillis, maxMillis) - tookMillis
  )
  switch (failure._tag) {
    case "Halted":
      return { state: "Halted", reason: "Halted", afterMillis: undefined } as const
    case "LaneMissing":
      return { state: "NeedsConsumer", reason: "ConsumerError", afterMillis: needsConsumerMillis } as const
    case "PositionLost":
      return { state: "NeedsConsumer", reason: "ConsumerError", afterMillis: needsConsumerMillis } as const
    case "SourceEnded":
    case "ConsumerUnavailable":
      switch (failure.reason) {
        case "Forbidden":
          return { state: "Stalled", reason: "PermissionDenied", afterMillis: natsBackoff.maxMillis } as const
        case "Refused":
          return { state: "Stalled", reason: "ConsumerError", afterMillis: natsBackoff.maxMillis } as const
        case "ConsumerMissing":
        case "StreamChanged":
          return { state: "Retrying", reason: "ConsumerError", afterMillis: soon } as const
        case "LaneChanged":
          return { state: "Retrying", reason: "TargetUnreachable", afterMillis: soon } as const
        case "Disconnected":
        case "LeaderChanged":
        case "NatsUnreachable":
          return { state: "Retrying", reason: "NatsUnreachable", afterMillis: soon } as const
      }
    case "DatabaseUnavailable":
    case "DatabaseMisconfigured": {
      const { _tag, reason, afterMillis } = retry(failure, failures, config.errors)
      return { state: _tag === "Stall" ? "Stalled" : "Retrying", reason, afterMillis } as const
    }
  }
}

/** One session after the other over one connection, until it is to be left or is lost. */
const runSessions = Effect.fnUntraced(function* (
  { connection, leave, lost }: Link,
  options: RunOptions,
  current: Current,
  progress: Progress,
  metrics: WriterMetrics
) {
  const { config, processor } = options
  const { guardMemory } = current
  const store = yield* Store
  const over = Effect.raceFirst(Deferred.await(leave), Deferred.await(lost))
  let startedAt = Infinity
  const onStart = (session: SessionParts) => {
    current.session = session
    startedAt = performance.now()
    metrics.paused.reset()
    metrics.circuitOpen.set(0)
  }
  let failures = 0
  while (!Deferred.isDoneUnsafe(leave) && !Deferred.isDoneUnsafe(lost)) {
    startedAt = Infinity
    const beganAt = performance.now()
    const context = { connection, config, processor, store, progress, metrics, stop: leave, guardMemory, onStart }
    const ended = yield* Effect.result(Effect.scoped(runSession(context)))
    current.session = undefined
    if (ended._tag === "Success") return
    const { failure } = ended
    // A session that ends as soon as it began is likely to do so again.
    if (performance.now() - startedAt > natsBackoff.maxMillis) failures = 0
    const { state, reason, afterMillis } = reactionTo(failure, failures++, config, performance.now() - beganAt)
    if (failure._tag === "PositionLost") progress.set({ missed: failure.restart })
    recordPause(metrics, reason)
    if (failure._tag === "DatabaseUnavailable" || failure._tag === "DatabaseMisconfigured") {
      recordDatabaseError(metrics, failure, state === "Retrying")
      metrics.circuitOpen.set(isOpen(failures) ? 1 : 0)
    }
    if (progress.enter(state, reason, failure.message)) {
      yield* Effect.logWarning(failure.message, { state, reason })
    }
    yield* afterMillis === undefined ? over : Effect.raceFirst(Effect.sleep(afterMillis), over)
  }
})

const runConnection = Effect.fnUntraced(function* (
  options: RunOptions,
  current: Current,
  progress: Progress,
  metrics: WriterMetrics
): Effect.fn.Return<Link, NatsUnavailable, Scope.Scope | Store> {
  const { config, hosts, stop } = options
  const { namespace, name } = config.eventStream
  const connect = connectNats(config.nats, { name: `eventstream-writer/${namespace}/${name}`, hosts })
  const changed = reportCertificate(config.nats, progress, metrics)
  yield* changed
  const hash = yield* contentHash(filesOf(config.nats))
  const link: Link = { connection: yield* connect, leave: Deferred.makeUnsafe(), lost: Deferred.makeUnsafe() }
  const { connection, leave } = link
  if (current.connections++ > 0) metrics.natsReconnects.inc()
  metrics.natsConnected.set(1)
  const replaced = renewed(config.nats, { hash, attempt: Effect.scoped(connect), changed }).pipe(
    Effect.andThen(Effect.logInfo("certificate or credentials were replaced: connecting to NATS anew"))
  )
  yield* Effect.raceFirst(replaced, Deferred.await(stop)).pipe(
    Effect.andThen(Deferred.succeed(leave, undefined)),
    Effect.forkScoped
  )
  const refresh = Effect.suspend(() => current.session?.upkeep.refresh ?? Effect.void)
  const status = refresh.pipe(Effect.timeoutOption(statusWait), Effect.map(progress.status))
  void watchConnection(link, current, metrics, yield* serveStatus(connection, config, status))
  yield* runSessions(link, options, current, progress, metrics)
  return link
})

/**
 * The writer: connects to NATS and to the database, and writes until `stop` is done. Failures of either are waited out, shown by
 * `/readyz`, the NATS service and the log; the only failure is that the health server's port is taken.
 */
export const runWriter = Effect.fnUntraced(function* (
  options: RunOptions
): Effect.fn.Return<void, PortTaken, Scope.Scope | Store | Metrics> {
  const { config, stop } = options
  const current: Current = { session: undefined, connections: 0, guardMemory: { traffic: [] } }
  const progress = makeProgress(config.consumer)
  const { registry, exposition } = yield* Metrics
  const { connections } = yield* Store
  const most = batchesHeld * config.batch.maxMessages
  let stopAt: number | undefined
  const shutdownSeconds = () => (stopAt === undefined ? 0 : (performance.now() - stopAt) / 1000)
  const metrics = makeWriterMetrics(registry, {
    inFlight: () => most - (current.session?.collector.room().messages ?? most),
    connections,
    shutdownSeconds
  })
  const { port } = yield* serveHealth({
    ...config.http,
    exposition,
    readiness: () => {
      const { state, reason, message } = progress.status()
      return { ready: state === "Running", why: [state, reason, message].filter((part) => part !== null).join(": ") }
    }
  })
  yield* Effect.logInfo("started", { stream: config.stream, consumer: config.consumer, port })
  yield* Effect.forkScoped(
    Deferred.await(stop).pipe(
      Effect.andThen(
        Effect.sync(() => {
          stopAt = performance.now()
          progress.enter("Draining")
        })
      )
    )
  )
  let failures = 0
  let said: string | undefined
  while (!Deferred.isDoneUnsafe(stop)) {
    const began = performance.now()
    const ended = yield* Effect.exit(Effect.scoped(runConnection(options, current, progress, metrics)))
    metrics.natsConnected.set(0)
    if (Exit.isFailure(ended)) {
      const error = Cause.squash(ended.cause)
      if (!(error instanceof NatsUnavailable)) return yield* Effect.failCause(ended.cause as Cause.Cause<never>)
      recordPause(metrics, "NatsUnreachable")
      progress.enter("Retrying", "NatsUnreachable", error.message)
      if (error.message !== said) yield* Effect.logWarning(error.message, { reason: "NatsUnreachable" })
      said = error.message
    }
    if (Exit.isSuccess(ended)) {
      said = undefined
      // A connection that breaks as soon as it is made is likely to do so again.
      if (performance.now() - began > natsBackoff.maxMillis) failures = 0
      if (Deferred.isDoneUnsafe(ended.value.leave)) continue
    }
    const wait = Effect.sleep(backoffMillis(failures++, natsBackoff.initialMillis, natsBackoff.maxMillis))
    yield* Effect.raceFirst(wait, Deferred.await(stop))
  }
  yield* Effect.logInfo("stopped", { millis: Math.round(shutdownSeconds() * 1000) })
})
