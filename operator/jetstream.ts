import {
  type ConsumerInfo,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
  type Lister,
  type StreamInfo
} from "@nats-io/jetstream"
import {
  ClosedConnectionError,
  ConnectionError,
  type NatsConnection,
  PermissionViolationError,
  TimeoutError
} from "@nats-io/transport-node"
import { Context, Effect, Layer, Option, RcMap, Schema, type Scope } from "effect"
import type { HostMap } from "../platform/hosts.ts"
import type { NatsUnavailable } from "../platform/nats.ts"
import { type NatsConfig, WriterStatus, writerStatusSubject } from "../writer/config.ts"
import type { NatsFiles } from "./credentials.ts"
import type { ObjectKey } from "./kube.ts"
import { passFence } from "./fence.ts"
import { OperatorMetrics } from "./metrics.ts"
import { openLink, settingsOf } from "./nats-link.ts"
import type { ConsumerConfig } from "./specs/consumer.ts"
import type { StreamConfig } from "./specs/stream.ts"

/** A stream as its leader sees it. Sequences are stream sequences, 0 when there is none. */
export interface StreamState {
  readonly config: StreamConfig
  /** RFC 3339 with nanoseconds, exactly as the server writes it. */
  readonly created: string
  readonly messages: number
  readonly bytes: number
  readonly firstSequence: number
  readonly lastSequence: number
  /** Publish time of the oldest message; meaningless when there is none. */
  readonly firstTime: string
  /** Distinct subjects among the stored messages. */
  readonly subjects: number
  /** Replicas that are up to date, the leader included. */
  readonly currentReplicas: number
}

/** A consumer as its leader sees it. Sequences are stream sequences. */
export interface ConsumerState {
  readonly name: string
  readonly created: string
  readonly config: ConsumerConfig
  readonly delivered: number
  readonly ackFloor: number
  readonly pending: number
  readonly ackPending: number
  readonly redelivered: number
  /** Pull requests waiting for messages. */
  readonly waiting: number
  readonly paused: boolean
}

/** A refused or failed JetStream call; `detail` is the server's own sentence. */
export class JetStreamError extends Schema.TaggedError<JetStreamError>()("JetStreamError", {
  reason: Schema.Literals([
    "Unreachable", // no answer
    "Unavailable", // JetStream is off, has no leader or is not enabled for the account or domain
    "Offline", // NATS is there, and too few of the servers that hold this stream or durable are
    "Changed", // somebody was quicker; the next observation shows what is there
    "SubjectOverlap",
    "QuotaExceeded",
    "UnsupportedByServer",
    "PermissionDenied",
    "Refused" // the server does not accept this configuration
  ]),
  /** What was tried, e.g. `create stream DEMO_LOGS`. */
  operation: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${this.operation}: ${this.detail}`
  }
  get isRetryable() {
    return ["Unreachable", "Unavailable", "Offline", "Changed"].includes(this.reason)
  }
}

/** JetStream of one account, over one connection. */
export interface Account {
  /** Whether the server is part of a cluster: others refuse more than one replica. */
  readonly clustered: boolean
  readonly stream: (name: string) => Effect.Effect<StreamState | undefined, JetStreamError>
  /** All of them, or none: fails while one has no leader to tell about it. */
  readonly consumers: (stream: string) => Effect.Effect<ReadonlyArray<ConsumerState>, JetStreamError>
  readonly createStream: (config: StreamConfig) => Effect.Effect<StreamState, JetStreamError>
  /** Changes the given fields and leaves the others. */
  readonly updateStream: (name: string, fields: Partial<StreamConfig>) => Effect.Effect<StreamState, JetStreamError>
  /** Succeeds when there is none. */
  readonly deleteStream: (name: string) => Effect.Effect<void, JetStreamError>
  readonly createConsumer: (stream: string, config: ConsumerConfig) => Effect.Effect<ConsumerState, JetStreamError>
  /** Changes the given fields and leaves the others. `filter_subjects` is always given, because an edit may have left the single form. */
  readonly updateConsumer: (
    stream: string,
    name: string,
    fields: Partial<ConsumerConfig> & Pick<ConsumerConfig, "filter_subjects">
  ) => Effect.Effect<ConsumerState, JetStreamError>
  /** Succeeds when there is none. */
  readonly deleteConsumer: (stream: string, name: string) => Effect.Effect<void, JetStreamError>
  /** Sequence of the first message stored at or after `time` (RFC 3339); `undefined` when there is none yet. */
  readonly sequenceAt: (stream: string, time: string) => Effect.Effect<number | undefined, JetStreamError>
  /** What the running writers of an EventStream say; at most `expected` answers, within 500 ms. No answer is not an error. */
  readonly writers: (key: ObjectKey, expected: number) => Effect.Effect<ReadonlyArray<WriterStatus>>
}

/**
 * Reasons by JetStream's error codes. Those that are not here are `Refused`: the server names the field.
 * Source: nats-server `server/errors.json`.
 */
const reasons: Readonly<Record<number, JetStreamError["reason"]>> = {
  10002: "QuotaExceeded", // resource limits exceeded for account
  10005: "UnsupportedByServer", // no suitable peers for placement
  10008: "Unavailable", // system temporarily unavailable
  10009: "Unavailable", // no cluster leader
  10023: "QuotaExceeded", // insufficient resources
  10026: "QuotaExceeded", // maximum consumers limit reached
  10027: "QuotaExceeded", // maximum number of streams reached
  10028: "QuotaExceeded", // insufficient memory resources available
  10035: "PermissionDenied", // account not found or not enabled
  10039: "Unavailable", // not enabled for account
  10047: "QuotaExceeded", // insufficient storage resources available
  10058: "Changed", // stream name already in use with a different configuration
  10065: "SubjectOverlap",
  10074: "UnsupportedByServer", // replicas > 1 not supported in non-clustered mode
  10076: "Unavailable", // not enabled
  10118: "Offline", // stream is offline
  10119: "Offline", // consumer is offline
  10121: "QuotaExceeded", // consumer max ack pending exceeds system limit
  10122: "QuotaExceeded", // stream max bytes exceeds account limit
  10148: "Changed", // consumer already exists
  10194: "Offline", // stream is offline: {reason}
  10195: "Offline" // consumer is offline: {reason}
}

const streamNotFound = 10059
const consumerNotFound = 10014
const noMessageFound = 10037

const codeOf = (error: unknown) => (error instanceof JetStreamApiError ? error.code : undefined)

const failure = (operation: string, error: unknown): JetStreamError => {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  const detail = error instanceof Error ? error.message : String(error)
  const reason = (): JetStreamError["reason"] => {
    const code = codeOf(error)
    if (code !== undefined) return reasons[code] ?? "Refused"
    if (error instanceof Error && error.name === "JetStreamNotEnabled") return "Unavailable"
    if (cause instanceof PermissionViolationError || error instanceof PermissionViolationError)
      return "PermissionDenied"
    const noAnswer = [TimeoutError, ClosedConnectionError, ConnectionError]
    return noAnswer.some((kind) => error instanceof kind || cause instanceof kind) ? "Unreachable" : "Refused"
  }
  return new JetStreamError({ reason: reason(), operation, detail })
}

const streamState = (info: StreamInfo): StreamState => ({
  config: info.config as StreamConfig,
  created: info.created,
  messages: info.state.messages,
  bytes: info.state.bytes,
  firstSequence: info.state.first_seq,
  lastSequence: info.state.last_seq,
  firstTime: info.state.first_ts,
  subjects: info.state.num_subjects ?? 0,
  currentReplicas: 1 + (info.cluster?.replicas ?? []).filter((replica) => replica.current).length
})

const consumerState = (info: ConsumerInfo): ConsumerState => ({
  name: info.name,
  created: info.created,
  config: info.config as ConsumerConfig,
  delivered: info.delivered.stream_seq,
  ackFloor: info.ack_floor.stream_seq,
  pending: info.num_pending,
  ackPending: info.num_ack_pending,
  redelivered: info.num_redelivered,
  waiting: info.num_waiting,
  paused: info.paused ?? false
})

/** Outcomes as the metric names them. */
const codes: Readonly<Partial<Record<JetStreamError["reason"], string>>> = {
  Unreachable: "timeout",
  Unavailable: "no_responders",
  Offline: "no_responders",
  PermissionDenied: "permission",
  QuotaExceeded: "quota"
}

/**
 * Consumers whose leader did not answer when the last page was made: they exist, and are not in it. A consumer taken for
 * deleted would be made anew. Source: nats-server, `JSApiConsumerListResponse.Missing`; the client's types leave it out.
 */
const silentOf = (pages: Lister<ConsumerInfo>): ReadonlyArray<string> =>
  (pages as unknown as { readonly pageInfo: { readonly missing?: ReadonlyArray<string> } }).pageInfo.missing ?? []

const decodeStatus = Schema.decodeUnknownOption(Schema.fromJsonString(WriterStatus))

const makeAccount = (
  connection: NatsConnection,
  manager: JetStreamManager,
  count: (operation: string, result: string) => void
): Account => {
  const call = <A>(operation: string, subject: string, run: () => Promise<A>): Effect.Effect<A, JetStreamError> =>
    Effect.andThen(passFence, Effect.tryPromise({ try: run, catch: (error) => error })).pipe(
      Effect.tap(() => Effect.sync(() => count(operation, "ok"))),
      Effect.mapError((error) => failure(`${operation} ${subject}`, error)),
      Effect.tapError((error) => Effect.sync(() => count(operation, codes[error.reason] ?? "other")))
    )
  /** `undefined` instead of an error of the given code. */
  const unless = async <A>(code: number, run: () => Promise<A>): Promise<A | undefined> => {
    try {
      return await run()
    } catch (error) {
      if (codeOf(error) === code) return undefined
      throw error
    }
  }
  /** Which other streams store the subjects; the server's own sentence names none. */
  const takenBy = async (subjects: ReadonlyArray<string>, own: string): Promise<ReadonlyArray<string>> => {
    const taken: Array<string> = []
    for (const subject of subjects) {
      for (const stream of await manager.streams.names(subject).next()) {
        if (stream !== own) taken.push(`subject ${subject} is already stored by stream ${stream}`)
      }
    }
    return taken
  }
  const namingOverlap = (subjects: ReadonlyArray<string> | undefined, own: string) =>
    Effect.catch((error: JetStreamError) =>
      error.reason !== "SubjectOverlap"
        ? Effect.fail(error)
        : Effect.promise(() => takenBy(subjects ?? [], own).catch(() => [])).pipe(
            Effect.flatMap((taken) => {
              const detail = taken.length > 0 ? taken.join(", ") : error.detail
              return Effect.fail(new JetStreamError({ reason: "SubjectOverlap", operation: error.operation, detail }))
            })
          )
    )

  return {
    get clustered() {
      return connection.info?.cluster !== undefined
    },
    stream: (name) =>
      call("read stream", name, () => unless(streamNotFound, () => manager.streams.info(name))).pipe(
        Effect.map((info) => info && streamState(info))
      ),
    consumers: (stream) =>
      call("list consumers of", stream, async () => {
        const found: Array<ConsumerState> = []
        const silent = new Set<string>()
        const pages = manager.consumers.list(stream)
        for (let page = await pages.next(); ; page = await pages.next()) {
          for (const name of silentOf(pages)) silent.add(name)
          if (page.length === 0) break
          found.push(...page.map(consumerState))
        }
        return { found, silent: [...silent] }
      }).pipe(
        Effect.flatMap(({ found, silent }) => {
          if (silent.length === 0) return Effect.succeed(found)
          const detail = `no server answers for ${silent.join(", ")}`
          const operation = `list consumers of ${stream}`
          return Effect.fail(new JetStreamError({ reason: "Offline", operation, detail }))
        })
      ),
    createStream: (config) =>
      call("create stream", config.name, () =>
        manager.streams.add(config as object as Parameters<typeof manager.streams.add>[0])
      ).pipe(namingOverlap(config.subjects, config.name), Effect.map(streamState)),
    updateStream: (name, fields) =>
      call("update stream", name, () => manager.streams.update(name, fields as object)).pipe(
        namingOverlap(fields.subjects, name),
        Effect.map(streamState)
      ),
    deleteStream: (name) =>
      call("delete stream", name, () => unless(streamNotFound, () => manager.streams.delete(name))).pipe(Effect.asVoid),
    createConsumer: (stream, config) =>
      call("create consumer", `${stream}/${config.durable_name}`, () =>
        manager.consumers.add(stream, config as object as Parameters<typeof manager.consumers.add>[1])
      ).pipe(Effect.map(consumerState)),
    updateConsumer: (stream, name, fields) =>
      call("update consumer", `${stream}/${name}`, () =>
        // The plural form is refused as long as the single one is set.
        manager.consumers.update(stream, name, { ...fields, filter_subject: "" } as object)
      ).pipe(Effect.map(consumerState)),
    deleteConsumer: (stream, name) =>
      call("delete consumer", `${stream}/${name}`, () =>
        unless(consumerNotFound, () => unless(streamNotFound, () => manager.consumers.delete(stream, name)))
      ).pipe(Effect.asVoid),
    sequenceAt: (stream, time) =>
      call("find start time in", stream, () =>
        // By start time since nats-server 2.11; the client types only offer it for direct gets.
        unless(noMessageFound, () => manager.streams.getMessage(stream, { start_time: time } as never))
      ).pipe(Effect.map((message) => message?.seq)),
    writers: (key, expected) =>
      Effect.promise(async () => {
        const statuses: Array<WriterStatus> = []
        try {
          const replies = await connection.requestMany(writerStatusSubject(key.namespace, key.name), undefined, {
            strategy: "count",
            maxMessages: expected,
            maxWait: 500
          })
          for await (const reply of replies) {
            const status = decodeStatus(reply.string())
            if (Option.isSome(status)) statuses.push(status.value)
          }
        } catch {
          // Nobody listens: the writers are not there yet, or not any more.
        }
        return statuses
      })
  }
}

/**
 * JetStream by connection settings. EventStreams with the same settings and credentials share one connection, which stays open
 * for ten minutes after its last use, so that the polling of objects at rest never reconnects.
 */
export class JetStream extends Context.Service<
  JetStream,
  {
    readonly account: (
      settings: NatsConfig,
      files: NatsFiles
    ) => Effect.Effect<Account, NatsUnavailable | JetStreamError, Scope.Scope>
  }
>()("operator/JetStream") {
  static readonly layer = (hosts: HostMap) =>
    Layer.effect(
      JetStream,
      Effect.gen(function* () {
        const metrics = yield* OperatorMetrics
        const count = (operation: string, code: string) =>
          metrics.natsRequests.inc({ operation: operation.replaceAll(" ", "_"), code })
        const links = yield* RcMap.make({
          lookup: (settings: string) => openLink(settings, hosts),
          idleTimeToLive: "10 minutes"
        })
        const account = Effect.fnUntraced(function* ({ jetstreamDomain, ...transport }: NatsConfig, files: NatsFiles) {
          const settings = settingsOf(transport, files)
          // A failed connect is not kept: the next reconcile tries again.
          const link = yield* RcMap.get(links, settings).pipe(Effect.tapError(() => RcMap.invalidate(links, settings)))
          // Said at once, so that EventStreams of one dead NATS do not keep the workers from the others.
          if (link.connection === undefined) return yield* link.problem!
          const { connection } = link
          const domain = jetstreamDomain === undefined ? {} : { domain: jetstreamDomain }
          const manager = yield* Effect.tryPromise({
            try: () => jetstreamManager(connection, { checkAPI: false, timeout: 5_000, ...domain }),
            catch: (error) => failure("open JetStream", error)
          })
          return makeAccount(connection, manager, count)
        })
        return JetStream.of({ account })
      })
    )
}
