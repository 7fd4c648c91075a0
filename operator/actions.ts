import { Effect } from "effect"
import type { Reason } from "../crds/conditions.ts"
import type { EventStream } from "../crds/eventstream.ts"
import { type Note, record } from "./events.ts"
import { type Account, JetStreamError } from "./jetstream.ts"
import { Deployments, EventStreams, Kube, type KubeError, type KubeObject } from "./kube.ts"
import { OperatorMetrics } from "./metrics.ts"
import { natsProblem } from "./observe.ts"
import { type Action, type Cause, isJetStreamAction, type JetStreamAction, type Problem } from "./plan/action.ts"
import { AppliedHashAnnotation, ConfigHashAnnotation, OwnerMark, ownerOf } from "./specs/names.ts"

/** Refusals of the API server that no retry gets around; others may pass. */
const refusals: Partial<Record<KubeError["reason"], Reason>> = { Forbidden: "PermissionDenied", Invalid: "InvalidSpec" }

const kubeProblem = ({ reason, message }: KubeError): Problem => ({
  about: "Kubernetes",
  reason: refusals[reason] ?? "Progressing",
  message,
  stalled: refusals[reason] !== undefined
})

const jetStreamProblem = (about: "Stream" | "Consumer", error: JetStreamError): Problem => {
  const { reason } = error
  if (reason === "Unreachable" || reason === "Unavailable" || reason === "Offline") return natsProblem(error)
  const own = { Stream: "StreamError", Consumer: "ConsumerError" } as const
  const reasons: Record<typeof reason, Reason> = {
    Changed: own[about],
    Refused: "InvalidSpec",
    SubjectOverlap: "SubjectOverlap",
    QuotaExceeded: "QuotaExceeded",
    UnsupportedByServer: "UnsupportedByServer",
    PermissionDenied: "PermissionDenied"
  }
  return { about, reason: reasons[reason], message: error.message, stalled: !error.isRetryable }
}

/** A failed step as what the user is told. */
export const problemOf = (action: Action, error: KubeError | JetStreamError): Problem =>
  error._tag === "KubeError"
    ? kubeProblem(error)
    : jetStreamProblem(action._tag.endsWith("Consumer") ? "Consumer" : "Stream", error)

const updated = (cause: Cause, reason: "StreamUpdated" | "ConsumerUpdated", name: string, fields: object): Note =>
  cause === "Drift"
    ? { type: "Normal", reason: "DriftRepaired", note: `${name}: put back ${Object.keys(fields).join(", ")}` }
    : { type: "Normal", reason, note: `${name}: changed ${Object.keys(fields).join(", ")}` }

const configOf = (deployment: KubeObject | undefined) =>
  (deployment?.["spec"] as { template?: { metadata?: KubeObject["metadata"] } } | undefined)?.template?.metadata
    ?.annotations?.[ConfigHashAnnotation]
const replicasOf = (deployment: KubeObject | undefined) =>
  (deployment?.["spec"] as { replicas?: number } | undefined)?.replicas

const applied = (object: KubeObject, live: KubeObject | undefined): Note | undefined => {
  if (object.kind !== Deployments.kind) return undefined
  const hash = (o: KubeObject | undefined) => o?.metadata.annotations?.[AppliedHashAnnotation]
  if (configOf(object) !== configOf(live)) {
    return { type: "Normal", reason: "RolloutStarted", note: `writers get configuration ${configOf(object)}` }
  }
  if (hash(object) === hash(live)) {
    return { type: "Normal", reason: "DriftRepaired", note: `put back an edit of Deployment ${object.metadata.name}` }
  }
  return replicasOf(object) === replicasOf(live)
    ? undefined
    : { type: "Normal", reason: "Scaled", note: `writers scaled to ${replicasOf(object)}` }
}

/** Makes the durable and makes sure that it is on the stream whose name and start were chosen for, not on a successor. */
const createConsumer = Effect.fnUntraced(function* (
  account: Account,
  action: Extract<Action, { readonly _tag: "CreateConsumer" }>
) {
  yield* account.createConsumer(action.stream, action.config)
  const stream = yield* account.stream(action.stream)
  if (stream?.created === action.streamCreated) return
  yield* account.deleteConsumer(action.stream, action.config.name)
  return yield* new JetStreamError({
    reason: "Changed",
    operation: `create consumer ${action.stream}/${action.config.name}`,
    detail: "the stream was deleted and made again meanwhile"
  })
})

/** The note of a step that touches JetStream. */
const onJetStream = Effect.fnUntraced(function* (eventStream: EventStream, account: Account, action: JetStreamAction) {
  switch (action._tag) {
    case "CreateStream":
      yield* account.createStream(action.config)
      return { type: "Normal", reason: "StreamCreated", note: `created stream ${action.config.name}` } satisfies Note
    case "UpdateStream": {
      // Read again: what was decided on was read a moment ago, and another EventStream may have taken the stream since.
      const owner = (yield* account.stream(action.name))?.config.metadata?.[OwnerMark]
      if (owner !== undefined && owner !== ownerOf(eventStream.metadata)) {
        const operation = `update stream ${action.name}`
        return yield* new JetStreamError({
          reason: "Changed",
          operation,
          detail: `EventStream ${owner} took it meanwhile`
        })
      }
      yield* account.updateStream(action.name, action.fields)
      return updated(action.cause, "StreamUpdated", `stream ${action.name}`, action.fields)
    }
    case "DeleteStream":
      yield* account.deleteStream(action.name)
      return undefined
    case "CreateConsumer": {
      yield* createConsumer(account, action)
      const reason = action.cause === "First" ? "ConsumerCreated" : "ConsumerReplaced"
      const from = action.config.opt_start_seq ?? 1
      return {
        type: "Normal",
        reason,
        note: `created durable ${action.config.name} from sequence ${from}`
      } satisfies Note
    }
    case "UpdateConsumer":
      yield* account.updateConsumer(action.stream, action.name, {
        ...action.fields,
        filter_subjects: action.filterSubjects
      })
      return updated(action.cause, "ConsumerUpdated", `durable ${action.name}`, action.fields)
    case "DeleteConsumer":
      yield* account.deleteConsumer(action.stream, action.name)
      return undefined
  }
})

const onKubernetes = Effect.fnUntraced(function* (object: KubeObject, action: Exclude<Action, JetStreamAction>) {
  const kube = yield* Kube
  switch (action._tag) {
    case "SetFinalizers":
      yield* kube.setFinalizers(EventStreams, object, action.finalizers)
      return undefined
    case "Apply":
      yield* kube.apply(action.object)
      return applied(action.object, action.live)
    case "DeleteObject":
      yield* kube.delete(action.resource, action.key, { uid: action.uid })
      return undefined
    case "ReportOrphans":
      return {
        type: "Warning",
        reason: "JetStreamAssetsOrphaned",
        note: `left in JetStream: ${action.assets.join(", ")}: ${action.why}`
      } satisfies Note
  }
})

/**
 * Carries out one action and records what a person wants to know of it as an Event.
 *
 * @param object the EventStream as read from Kubernetes
 * @param account JetStream; undefined while NATS is away, when no plan has a step that needs it
 */
export const carryOut = Effect.fnUntraced(function* (
  eventStream: EventStream,
  object: KubeObject,
  account: Account | undefined,
  action: Action
) {
  const metrics = yield* OperatorMetrics
  if (isJetStreamAction(action) && !account)
    return yield* Effect.die(new Error(`${action._tag} was planned without NATS`))
  const note: Note | undefined = isJetStreamAction(action)
    ? yield* onJetStream(eventStream, account!, action)
    : yield* onKubernetes(object, action)
  if (!note) return
  if (note.reason === "DriftRepaired") {
    const kinds = { UpdateStream: "stream", UpdateConsumer: "consumer", Apply: "deployment" }
    metrics.driftCorrections.inc({ kind: kinds[action._tag as keyof typeof kinds] })
  }
  yield* record(object, note, action._tag)
})
