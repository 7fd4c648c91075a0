import { Duration } from "effect"
import type { EventStream } from "../../crds/eventstream.ts"
import { Deployments, keyOf } from "../kube.ts"
import type { Observed, ObservedJetStream } from "../observe.ts"
import { deadLetterStreamName } from "../specs/dead-letter-stream.ts"
import { ApproveAnnotation, Finalizer, OwnerMark, ownerOf } from "../specs/names.ts"
import { streamNameOf } from "../specs/stream.ts"
import { type Action, approvals, emptyPlan, type Inputs, type Plan, type Problem } from "./action.ts"
import { ownedConsumers } from "./consumer.ts"
import { ownsDeadLetterStream } from "./dead-letter-stream.ts"
import { isAlive, isOwnedBy } from "./writers.ts"

/** When waiting ends and the object goes in any case, in milliseconds since 1970. */
export const releaseTime = ({ metadata, spec }: EventStream): number =>
  Date.parse(metadata.deletionTimestamp ?? "") + Duration.toMillis(spec.drainTimeout)

/** Whether the policies remove the durable, and the stream if it is ours. */
const removesConsumer = ({ spec }: EventStream) =>
  spec.consumer.management === "Managed" && spec.consumer.deletionPolicy === "Delete"
const removesStream = ({ spec }: EventStream) =>
  spec.stream.management === "Managed" && spec.stream.deletionPolicy === "Delete"

interface Removal {
  readonly actions: ReadonlyArray<Action>
  /** Why the stream has to stay. */
  readonly refused: Problem | undefined
}

const deadLetterRemoval = (eventStream: EventStream, { deadLetterStream }: ObservedJetStream): ReadonlyArray<Action> =>
  eventStream.spec.errors.deadLetter.publish?.deletionPolicy === "Delete" &&
  deadLetterStream !== undefined &&
  ownsDeadLetterStream(eventStream, deadLetterStream)
    ? [{ _tag: "DeleteStream", name: deadLetterStream.config.name }]
    : []

/** What goes from JetStream by the policies. A stream that others read stays until that is approved. */
const removal = (eventStream: EventStream, jetStream: ObservedJetStream): Removal => {
  const { stream, consumers } = jetStream
  const letters = deadLetterRemoval(eventStream, jetStream)
  if (!stream) return { actions: letters, refused: undefined }
  const { metadata } = eventStream
  const { name } = stream.config
  const own = ownedConsumers(eventStream, consumers)
  const actions: ReadonlyArray<Action> = [
    ...letters,
    ...(removesConsumer(eventStream)
      ? own.map((consumer): Action => ({ _tag: "DeleteConsumer", stream: name, name: consumer.name }))
      : [])
  ]
  if (!removesStream(eventStream) || stream.config.metadata?.[OwnerMark] !== ownerOf(metadata)) {
    return { actions, refused: undefined }
  }
  const foreign = consumers.filter((consumer) => !own.includes(consumer)).map((consumer) => consumer.name)
  const approval = `delete-stream:${name}`
  if (foreign.length > 0 && !approvals(metadata.annotations?.[ApproveAnnotation]).has(approval)) {
    const message = `stream ${name} is not deleted, because others read it with ${foreign.join(", ")}; approve with the annotation ${ApproveAnnotation}=${approval}`
    return { actions, refused: { about: "Stream", reason: "NeedsApproval", message, stalled: true } }
  }
  return { actions: [...actions, { _tag: "DeleteStream", name }], refused: undefined }
}

/** What may be left in JetStream when it can't be asked. */
const assetsOf = (eventStream: EventStream): ReadonlyArray<string> => {
  const { metadata, spec, status } = eventStream
  const stream = streamNameOf(metadata, spec)
  const durable = status?.consumer?.name
  const { publish } = spec.errors.deadLetter
  return [
    ...(removesConsumer(eventStream) && durable !== undefined ? [`consumer ${stream}/${durable}`] : []),
    ...(removesStream(eventStream) ? [`stream ${stream}`] : []),
    ...(publish?.deletionPolicy === "Delete" ? [`stream ${deadLetterStreamName(metadata, publish)}`] : [])
  ]
}

/**
 * Steps when the object is being deleted: writers stop, then durable and stream go by their policies, then the object may go.
 * Writers whose database is down, NATS being away and a stream that others read hold it up to drainTimeout, not longer.
 * Other children go by Kubernetes' garbage collection.
 */
export const planDeletion = (eventStream: EventStream, observed: Observed, inputs: Inputs): Plan => {
  const { metadata } = eventStream
  if (!metadata.finalizers?.includes(Finalizer)) return emptyPlan
  const expired = inputs.nowMillis >= releaseTime(eventStream)
  const wait = (draining: string, ...problems: ReadonlyArray<Problem>): Plan => ({ ...emptyPlan, draining, problems })

  const { deployment, pods, jetStream } = observed
  if (deployment && isOwnedBy(deployment, metadata.uid) && deployment.metadata.deletionTimestamp === undefined) {
    const stop: Action = {
      _tag: "DeleteObject",
      resource: Deployments,
      key: keyOf(deployment),
      uid: deployment.metadata.uid ?? ""
    }
    return { ...emptyPlan, actions: [stop], draining: "writers are being stopped" }
  }
  if (pods.some(isAlive) && !expired) return wait("writers finish what is in flight")

  const release: Action = {
    _tag: "SetFinalizers",
    finalizers: metadata.finalizers.filter((finalizer) => finalizer !== Finalizer)
  }
  if (!jetStream) {
    // NATS has never answered: there is nothing of this object in it.
    if (eventStream.status?.stream === undefined) return { ...emptyPlan, actions: [release] }
    if (!expired)
      return wait(
        "NATS is needed to remove durable and stream",
        ...(observed.natsProblem ? [observed.natsProblem] : [])
      )
    const assets = assetsOf(eventStream)
    const why = observed.natsProblem?.message ?? "NATS did not answer"
    return { ...emptyPlan, actions: [...(assets.length > 0 ? [orphans(assets, why)] : []), release] }
  }
  const { actions, refused } = removal(eventStream, jetStream)
  if (!refused) return { ...emptyPlan, actions: [...actions, release] }
  if (!expired) return { ...wait("the stream is read by others", refused), actions }
  const name = streamNameOf(metadata, eventStream.spec)
  return { ...emptyPlan, actions: [...actions, orphans([`stream ${name}`], refused.message), release] }
}

const orphans = (assets: ReadonlyArray<string>, why: string): Action => ({ _tag: "ReportOrphans", assets, why })
