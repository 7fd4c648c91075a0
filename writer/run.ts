import type { NatsConnection, Status } from "@nats-io/transport-node"
import { Cause, Deferred, Effect, Exit, Latch, type Scope } from "effect"
import { backoffMillis } from "../platform/backoff.ts"
import { type PortTaken, serveHealth } from "../platform/health.ts"
import type { HostMap } from "../platform/hosts.ts"
import { Metrics } from "../platform/metrics.ts"
import { connectNats, NatsUnavailable } from "../platform/nats.ts"
import { batchesHeld } from "./collector.ts"
import type { WriterConfig } from "./config.ts"
import { makeWriterMetrics, recordDatabaseError, recordPause, type WriterMetrics } from "./metrics.ts"
import type { Processor } from "./processors/processor.ts"
import { makeProgress, type Progress } from "./progress.ts"
import { runSession, type SessionFailure, type SessionParts } from "./session.ts"
import { retry } from "./settle.ts"
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

/** What the connection's events, scrapes and status requests act on. */
interface Current {
  session: SessionParts | undefined
  /** Open while NATS is connected. */
  readonly connected: Latch.Latch
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
  connection: NatsConnection,
  current: Current,
  progress: Progress,
  metrics: WriterMetrics,
  service: StatusService
) => {
  let connected = true
  let announced: string | undefined
  for await (const event of connection.status()) {
    announced = lossAnnounced(event) ?? announced
    if (event.type === "error") service.connectionFailed(event.error)
    if (event.type === "disconnect") {
      connected = false
      current.connected.closeUnsafe()
      metrics.natsConnected.set(0)
      metrics.natsDisconnects.inc({ reason: announced ?? "other" })
      announced = undefined
      current.session?.source.end("Disconnected", `the connection to NATS server ${event.server} was lost`)
    } else if (event.type === "reconnect") {
      connected = true
      current.connected.openUnsafe()
      metrics.natsConnected.set(1)
      metrics.natsReconnects.inc()
    } else if (event.type === "error" && !connected) {
      // Why the connection does not come back, e.g. a password that was changed.
      progress.enter("Retrying", "NatsUnreachable", `wanted to connect to NATS again, found: ${event.error.message}`)
    } else if (event.type === "error" && /permissions violation for publish to "\$JS\./i.test(event.error.message)) {
      // To a pull request or an ack that this user may not publish there is no other answer. Other subjects are those of who
      // asks for the status.
      current.session?.source.end("Forbidden", event.error.message)
    }
  }
  // Closed for good, e.g. because its credentials could not be read: whoever waits is to look and make another one.
  current.session?.source.end("Disconnected", "the connection to NATS was closed")
  current.connected.openUnsafe()
}

/** What to say, and when to try again, after a session ended with a failure; `undefined` when trying again makes no sense. */
const reactionTo = (failure: SessionFailure, failures: number, config: WriterConfig) => {
  const soon = backoffMillis(failures, natsBackoff.initialMillis, natsBackoff.maxMillis)
  switch (failure._tag) {
    case "Halted":
      return { state: "Halted", reason: "Halted", afterMillis: undefined } as const
    case "LaneMissing":
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

/** One session after the other over one connection, until `stop` is done or the connection is closed for good. */
const runSessions = Effect.fnUntraced(function* (
  connection: NatsConnection,
  options: RunOptions,
  current: Current,
  progress: Progress,
  metrics: WriterMetrics
) {
  const { config, processor, stop } = options
  const store = yield* Store
  const stopped = Deferred.await(stop)
  let startedAt = Infinity
  const onStart = (session: SessionParts) => {
    current.session = session
    startedAt = performance.now()
    metrics.paused.reset()
  }
  let failures = 0
  while (!connection.isClosed()) {
    yield* Effect.raceFirst(current.connected.await, stopped)
    if (Deferred.isDoneUnsafe(stop)) return
    startedAt = Infinity
    const context = { connection, config, processor, store, progress, metrics, stop, onStart }
    const ended = yield* Effect.result(Effect.scoped(runSession(context)))
    current.session = undefined
    if (ended._tag === "Success") return
    const { failure } = ended
    // A session that ends as soon as it began is likely to do so again.
    if (performance.now() - startedAt > natsBackoff.maxMillis) failures = 0
    const { state, reason, afterMillis } = reactionTo(failure, failures++, config)
    recordPause(metrics, reason)
    if (failure._tag === "DatabaseUnavailable" || failure._tag === "DatabaseMisconfigured") {
      recordDatabaseError(metrics, failure, state === "Retrying")
    }
    if (progress.enter(state, reason, failure.message)) {
      yield* Effect.logWarning(failure.message, { state, reason })
    }
    yield* afterMillis === undefined ? stopped : Effect.raceFirst(Effect.sleep(afterMillis), stopped)
  }
})

const runConnection = Effect.fnUntraced(function* (
  options: RunOptions,
  current: Current,
  progress: Progress,
  metrics: WriterMetrics
): Effect.fn.Return<void, NatsUnavailable, Scope.Scope | Store> {
  const { config, hosts } = options
  const { namespace, name } = config.eventStream
  const connection = yield* connectNats(config.nats, { name: `eventstream-writer/${namespace}/${name}`, hosts })
  current.connected.openUnsafe()
  metrics.natsConnected.set(1)
  const refresh = Effect.suspend(() => current.session?.upkeep.refresh ?? Effect.void)
  const status = refresh.pipe(Effect.timeoutOption(statusWait), Effect.map(progress.status))
  void watchConnection(connection, current, progress, metrics, yield* serveStatus(connection, config, status))
  yield* runSessions(connection, options, current, progress, metrics)
})

/**
 * The writer: connects to NATS and to the database, and writes until `stop` is done. Failures of either are waited out, shown by
 * `/readyz`, the NATS service and the log; the only failure is that the health server's port is taken.
 */
export const runWriter = Effect.fnUntraced(function* (
  options: RunOptions
): Effect.fn.Return<void, PortTaken, Scope.Scope | Store | Metrics> {
  const { config, stop } = options
  const current: Current = { session: undefined, connected: Latch.makeUnsafe(false) }
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
  while (!Deferred.isDoneUnsafe(stop)) {
    const ended = yield* Effect.exit(Effect.scoped(runConnection(options, current, progress, metrics)))
    metrics.natsConnected.set(0)
    if (Exit.isFailure(ended)) {
      const error = Cause.squash(ended.cause)
      if (!(error instanceof NatsUnavailable)) return yield* Effect.failCause(ended.cause as Cause.Cause<never>)
      recordPause(metrics, "NatsUnreachable")
      if (progress.enter("Retrying", "NatsUnreachable", error.message)) {
        yield* Effect.logWarning(error.message, { reason: "NatsUnreachable" })
      }
    }
    if (Deferred.isDoneUnsafe(stop)) break
    const wait = Effect.sleep(backoffMillis(failures++, natsBackoff.initialMillis, natsBackoff.maxMillis))
    yield* Effect.raceFirst(wait, Deferred.await(stop))
  }
  yield* Effect.logInfo("stopped", { millis: Math.round(shutdownSeconds() * 1000) })
})
