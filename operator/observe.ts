import { Effect } from "effect"
import type { EventStream } from "../crds/eventstream.ts"
import type { NatsUnavailable } from "../platform/nats.ts"
import type { WriterStatus } from "../writer/config.ts"
import { type CredentialsMissing, natsCredentials } from "./credentials.ts"
import { type Account, type ConsumerState, JetStream, type JetStreamError, type StreamState } from "./jetstream.ts"
import { ConfigMaps, Deployments, Kube, type KubeObject, Pods, ServiceAccounts } from "./kube.ts"
import type { Problem } from "./plan/action.ts"
import { deadLetterStreamName } from "./specs/dead-letter-stream.ts"
import { natsConfig } from "./specs/nats.ts"
import { selectorLabels, writerName } from "./specs/names.ts"
import { streamNameOf } from "./specs/stream.ts"

/** What JetStream has of an EventStream. */
export interface ObservedJetStream {
  readonly clustered: boolean
  readonly stream: StreamState | undefined
  /** The stream of published dead letters, where the spec asks for one and it is there. */
  readonly deadLetterStream?: StreamState | undefined
  /** Every consumer of the stream, also those of others. */
  readonly consumers: ReadonlyArray<ConsumerState>
  /** First sequence at or after `consumer.deliverFrom.time`; undefined when there is none yet. */
  readonly startTimeSequence: number | undefined
}

/** The world around an EventStream, as a plain value. */
export interface Observed {
  readonly serviceAccount: KubeObject | undefined
  readonly deployment: KubeObject | undefined
  readonly configMaps: ReadonlyArray<KubeObject>
  readonly pods: ReadonlyArray<KubeObject>
  /** Undefined when NATS did not answer; `natsProblem` says why. */
  readonly jetStream: ObservedJetStream | undefined
  readonly natsProblem: Problem | undefined
  /** What running writers say; those that don't answer are not in it. */
  readonly writers: ReadonlyArray<WriterStatus>
}

/** A failure to reach NATS, JetStream, or the servers that hold the stream, as what the user is told. */
export const natsProblem = (error: NatsUnavailable | JetStreamError | CredentialsMissing): Problem => {
  const why = error._tag === "NatsUnavailable" ? undefined : error.reason
  const words = { message: error.message, stalled: false }
  if (why === "Offline") return { about: "Stream", reason: "StreamError", ...words }
  const reason = why === "PermissionDenied" || why === "RefNotFound" ? why : "NatsUnreachable"
  return { about: "Nats", reason, ...words }
}

const observeJetStream = Effect.fnUntraced(function* (eventStream: EventStream, account: Account) {
  const { metadata, spec, status } = eventStream
  const name = streamNameOf(metadata, spec)
  const stream = yield* account.stream(name)
  const { publish } = spec.errors.deadLetter
  const { policy, time } = spec.consumer.deliverFrom
  const firstStart = policy === "StartTime" && time !== undefined && status?.consumer?.startSequence === undefined
  return {
    clustered: account.clustered,
    stream,
    deadLetterStream: publish && (yield* account.stream(deadLetterStreamName(metadata, publish))),
    consumers: stream ? yield* account.consumers(name) : [],
    startTimeSequence: stream && firstStart ? yield* account.sequenceAt(name, time) : undefined
  } satisfies ObservedJetStream
})

const isRunning = (pod: KubeObject) => (pod["status"] as { phase?: string } | undefined)?.phase === "Running"

const observeNats = Effect.fnUntraced(function* (
  eventStream: EventStream,
  pods: ReadonlyArray<KubeObject>,
  identity: string | undefined
) {
  const files = yield* natsCredentials(eventStream, identity)
  const account = yield* (yield* JetStream).account(natsConfig(eventStream.spec), files)
  const running = pods.filter(isRunning).length
  const [jetStream, writers] = yield* Effect.all(
    [
      observeJetStream(eventStream, account),
      running > 0 ? account.writers(eventStream.metadata, running) : Effect.succeed([])
    ],
    { concurrency: "unbounded" }
  )
  return { account, jetStream, writers, natsProblem: undefined }
})

/**
 * Reads everything a plan and a status need, once. NATS being away is part of what is seen, not a failure.
 *
 * @param identity folder of the operator's own certificate for NATS
 */
export const observe = Effect.fnUntraced(function* (eventStream: EventStream, identity: string | undefined) {
  const kube = yield* Kube
  const { namespace, name } = eventStream.metadata
  const child = { namespace, name: writerName(name) }
  const selection = { namespace, labels: selectorLabels(name) }
  const [serviceAccount, deployment, configMaps, pods] = yield* Effect.all(
    [
      kube.get(ServiceAccounts, child),
      kube.get(Deployments, child),
      kube.list(ConfigMaps, selection),
      kube.list(Pods, selection)
    ],
    { concurrency: "unbounded" }
  )
  const reached = yield* observeNats(eventStream, pods, identity).pipe(
    Effect.catch((error) =>
      Effect.succeed({ account: undefined, jetStream: undefined, writers: [], natsProblem: natsProblem(error) })
    )
  )
  const { account, ...seen } = reached
  const observed: Observed = { serviceAccount, deployment, configMaps, pods, ...seen }
  return { observed, account }
})
