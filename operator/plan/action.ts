import type { Reason } from "../../crds/conditions.ts"
import type { EventStreamSpec } from "../../crds/eventstream.ts"
import type { KubeObject, ObjectKey, Resource } from "../kube.ts"
import type { ConsumerConfig, MutableConsumerConfig } from "../specs/consumer.ts"
import type { WriterDefaults } from "../specs/deployment.ts"
import type { StreamConfig } from "../specs/stream.ts"

/** Why something is put right: the spec says so now, or somebody else changed it. */
export type Cause = "Spec" | "Drift"

/** Why a durable is made. */
export type ConsumerCause =
  | "First" // this EventStream reads the stream for the first time
  | "Lost" // somebody deleted the durable
  | "Reborn" // the stream was deleted and made again
  | "FixedField" // the durable has a setting that the server never changes
  | "Missed" // messages without an outcome lie behind the durable's position
  | "NewLane" // the writers found a database that holds nothing of this stream yet

/** One step towards the spec. Each may be repeated safely. */
export type Action =
  | { readonly _tag: "SetFinalizers"; readonly finalizers: ReadonlyArray<string> }
  | { readonly _tag: "CreateStream"; readonly config: StreamConfig }
  | {
      readonly _tag: "UpdateStream"
      readonly name: string
      readonly fields: Partial<StreamConfig>
      readonly cause: Cause
    }
  | { readonly _tag: "DeleteStream"; readonly name: string }
  | {
      readonly _tag: "CreateConsumer"
      readonly stream: string
      /** `created` of the stream the name and start were chosen for. */
      readonly streamCreated: string
      readonly config: ConsumerConfig
      readonly cause: ConsumerCause
    }
  | {
      readonly _tag: "UpdateConsumer"
      readonly stream: string
      readonly name: string
      readonly fields: Partial<MutableConsumerConfig>
      /** Sent with every update: an edit may have left the single form, which is refused beside the plural one. */
      readonly filterSubjects: ReadonlyArray<string>
      readonly cause: Cause
    }
  | { readonly _tag: "DeleteConsumer"; readonly stream: string; readonly name: string }
  | { readonly _tag: "Apply"; readonly object: KubeObject; readonly live: KubeObject | undefined }
  | { readonly _tag: "DeleteObject"; readonly resource: Resource; readonly key: ObjectKey; readonly uid: string }
  /** Tells that assets stay behind in JetStream, because nothing more could be done about them in time. */
  | { readonly _tag: "ReportOrphans"; readonly assets: ReadonlyArray<string>; readonly why: string }

/** A step that needs NATS. */
export type JetStreamAction = Extract<Action, { readonly _tag: `${string}${"Stream" | "Consumer"}` }>

export const isJetStreamAction = (action: Action): action is JetStreamAction => /(Stream|Consumer)$/.test(action._tag)

/** The step in a few words, for the log. */
export const nameOf = (action: Action): string => {
  if (action._tag === "Apply") return `Apply ${action.object.kind}`
  return action._tag === "DeleteObject" ? `Delete ${action.resource.kind}` : action._tag
}

/** What stands between the spec and the world. */
export interface Problem {
  readonly about: "Spec" | "Nats" | "Stream" | "Consumer" | "Kubernetes"
  readonly reason: Reason
  /** What was wanted, what was found, what to do; without counters or times, which would be a status write each. */
  readonly message: string
  /** Whether only a person can help. */
  readonly stalled: boolean
}

export interface Plan {
  /** In order; empty when the world is as wanted, as far as it can be. */
  readonly actions: ReadonlyArray<Action>
  readonly problems: ReadonlyArray<Problem>
  /** Name of the durable the writers are to read; undefined while there is none. */
  readonly durable: string | undefined
  /** Hash of the configuration the writers are to run. */
  readonly configHash: string | undefined
  /** What somebody changed outside Kubernetes and is not put back by itself. */
  readonly drift: ReadonlyArray<string>
  /** On deletion: what is waited for. */
  readonly draining: string | undefined
}

/** A plan with nothing in it. */
export const emptyPlan: Plan = {
  actions: [],
  problems: [],
  durable: undefined,
  configHash: undefined,
  drift: [],
  draining: undefined
}

/** What a plan depends on besides the object and the world; values, so that the plan is pure. */
export interface Inputs {
  readonly nowMillis: number
  /** For the name of a new durable: letters and digits, another one each time. */
  readonly nonce: string
  readonly defaults: WriterDefaults
}

/** The lossy changes a person has allowed by the annotation's value. */
export const approvals = (annotation: string | undefined): ReadonlySet<string> =>
  new Set((annotation ?? "").split(",").map((name) => name.trim()))

/** Whether JetStream assets go with the object, so that it may not go before them. */
export const needsFinalizer = ({ stream, consumer, errors }: EventStreamSpec) =>
  errors.deadLetter.publish?.deletionPolicy === "Delete" ||
  (stream.management === "Managed" && stream.deletionPolicy === "Delete") ||
  (consumer.management === "Managed" && consumer.deletionPolicy === "Delete")
