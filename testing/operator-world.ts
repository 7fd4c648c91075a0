import { decodeSpec } from "../crds/admission.ts"
import type { EventStream, EventStreamMetadata, EventStreamStatus } from "../crds/eventstream.ts"
import type { ConsumerState, StreamState } from "../operator/jetstream.ts"
import { ConfigMaps, type KubeObject } from "../operator/kube.ts"
import type { Observed } from "../operator/observe.ts"
import { plan } from "../operator/plan.ts"
import type { Action, Inputs, Plan } from "../operator/plan/action.ts"
import { deadLetterStreamName } from "../operator/specs/dead-letter-stream.ts"
import { ConfigHashAnnotation, ownerReference, selectorLabels } from "../operator/specs/names.ts"
import type { ConsumerConfig } from "../operator/specs/consumer.ts"
import type { StreamConfig } from "../operator/specs/stream.ts"
import { streamConfig } from "../operator/specs/stream.ts"

/** A model of the world that an operator acts on: what each action brings about, as a value. */

export const minimalSpec = {
  nats: { servers: ["nats://nats.nats.svc:4222"] },
  stream: { subjects: ["logs.>"] },
  processor: { type: "Telemetry" },
  target: { postgres: { secretRef: { name: "pg-app" } } }
}

/** `demo/logs`; the spec as a user writes it, merged one level deep over {@link minimalSpec}. */
export const eventStreamOf = (
  spec: Readonly<Record<string, unknown>> = {},
  metadata: Partial<EventStreamMetadata> = {},
  status?: EventStreamStatus
): EventStream => {
  const decoded = decodeSpec({ spec: { ...minimalSpec, ...spec } })
  if (!("spec" in decoded)) throw new Error(JSON.stringify(decoded.errors))
  return {
    apiVersion: "eventstream.dev/v1alpha1",
    kind: "EventStream",
    metadata: { name: "logs", namespace: "demo", uid: "uid-1", generation: 1, ...metadata },
    spec: decoded.spec,
    ...(status ? { status } : {})
  }
}

export const emptyWorld: Observed = {
  serviceAccount: undefined,
  deployment: undefined,
  configMaps: [],
  pods: [],
  jetStream: { clustered: false, stream: undefined, consumers: [], startTimeSequence: undefined },
  natsProblem: undefined,
  writers: []
}

/** A world in which NATS does not answer. */
export const withoutNats = (world: Observed): Observed => ({
  ...world,
  jetStream: undefined,
  natsProblem: { about: "Nats", reason: "NatsUnreachable", message: "wanted a connection, found none", stalled: false }
})

/** What the server answers for a stream of this configuration. */
export const streamOf = (config: StreamConfig, state: Partial<StreamState> = {}): StreamState => ({
  config,
  created: "2026-01-01T00:00:00.000000001Z",
  messages: 0,
  bytes: 0,
  firstSequence: 0,
  lastSequence: 0,
  firstTime: "2026-01-01T00:00:00Z",
  subjects: 0,
  currentReplicas: 1,
  ...state
})

/** The stream the EventStream wants, with other fields or metadata. */
export const wantedStream = (
  { metadata, spec }: EventStream,
  marks: Readonly<Record<string, string>>,
  state: Partial<StreamState> = {},
  fields: Partial<StreamConfig> = {}
) => streamOf({ ...streamConfig(metadata, spec), metadata: marks, ...fields }, state)

export const consumerOf = (config: ConsumerConfig, state: Partial<ConsumerState> = {}): ConsumerState => ({
  name: config.name,
  created: "2026-01-01T00:00:01Z",
  config,
  delivered: 0,
  ackFloor: 0,
  pending: 0,
  ackPending: 0,
  redelivered: 0,
  waiting: 0,
  paused: false,
  ...state
})

interface Template {
  readonly template: { readonly metadata: { readonly annotations: Readonly<Record<string, string>> } }
  readonly replicas: number
}

/** The Pods that a Deployment comes to have, and its status when they are ready. */
const rolledOut = (deployment: KubeObject): Pick<Observed, "deployment" | "pods"> => {
  const { template, replicas } = deployment["spec"] as Template
  const { annotations } = template.metadata
  const name = deployment.metadata.name
  const pods = Array.from({ length: replicas }, (_, index): KubeObject => {
    const metadata = { name: `${name}-${annotations[ConfigHashAnnotation]}-${index}`, namespace: "demo", annotations }
    return {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { ...metadata, labels: selectorLabels("logs") },
      status: { phase: "Running" }
    }
  })
  const counts = { replicas, readyReplicas: replicas, updatedReplicas: replicas, availableReplicas: replicas }
  return { deployment: { ...deployment, status: { ...counts, observedGeneration: 1 } }, pods }
}

/** How a Deployment's Pods follow it: at once, or not before the test says so. */
export type Rollouts = "Immediate" | "Held"

const applied = (world: Observed, object: KubeObject, rollouts: Rollouts, sequence: number): Observed => {
  const stored: KubeObject = {
    ...object,
    metadata: {
      ...object.metadata,
      uid: object.metadata.uid ?? `${object.kind}-${object.metadata.name}`,
      generation: 1,
      creationTimestamp: new Date(sequence * 1_000).toISOString()
    }
  }
  switch (object.kind) {
    case "ServiceAccount":
      return { ...world, serviceAccount: stored }
    case "ConfigMap":
      return { ...world, configMaps: [...world.configMaps, stored] }
    case "Deployment":
      return rollouts === "Immediate" ? { ...world, ...rolledOut(stored) } : { ...world, deployment: stored }
    default:
      throw new Error(`the model does not know ${object.kind}`)
  }
}

export interface Modelled {
  readonly eventStream: EventStream
  readonly world: Observed
}

/** What an action brings about. `sequence` orders what is created. */
export const carriedOut = (
  { eventStream, world }: Modelled,
  action: Action,
  sequence: number,
  rollouts: Rollouts
): Modelled => {
  const { jetStream } = world
  const inJetStream = (change: Partial<NonNullable<Observed["jetStream"]>>): Modelled => {
    if (!jetStream) throw new Error(`${action._tag} was planned without NATS`)
    return { eventStream, world: { ...world, jetStream: { ...jetStream, ...change } } }
  }
  const stream = jetStream?.stream
  const letters = jetStream?.deadLetterStream
  const { publish } = eventStream.spec.errors.deadLetter
  const isLetters = (name: string) =>
    publish !== undefined && name === deadLetterStreamName(eventStream.metadata, publish)
  const consumers = jetStream?.consumers ?? []
  const time = new Date(1_767_225_600_000 + sequence * 1_000).toISOString()
  switch (action._tag) {
    case "SetFinalizers":
      return {
        eventStream: { ...eventStream, metadata: { ...eventStream.metadata, finalizers: action.finalizers } },
        world
      }
    case "CreateStream":
      if (isLetters(action.config.name)) {
        return inJetStream({ deadLetterStream: streamOf(action.config, { created: time }) })
      }
      return inJetStream({ stream: streamOf(action.config, { created: time }), consumers: [] })
    case "UpdateStream":
      if (isLetters(action.name)) {
        return inJetStream({ deadLetterStream: { ...letters!, config: { ...letters!.config, ...action.fields } } })
      }
      return inJetStream({ stream: { ...stream!, config: { ...stream!.config, ...action.fields } } })
    case "DeleteStream":
      if (isLetters(action.name)) return inJetStream({ deadLetterStream: undefined })
      return inJetStream({ stream: undefined, consumers: [] })
    case "CreateConsumer":
      return inJetStream({ consumers: [...consumers, consumerOf(action.config, { created: time })] })
    case "UpdateConsumer":
      return inJetStream({
        consumers: consumers.map((consumer) =>
          consumer.name === action.name
            ? { ...consumer, config: { ...consumer.config, ...action.fields, filter_subjects: action.filterSubjects } }
            : consumer
        )
      })
    case "DeleteConsumer":
      return inJetStream({ consumers: consumers.filter(({ name }) => name !== action.name) })
    case "Apply":
      return { eventStream, world: applied(world, action.object, rollouts, sequence) }
    case "DeleteObject":
      return action.resource === ConfigMaps
        ? {
            eventStream,
            world: {
              ...world,
              configMaps: world.configMaps.filter(({ metadata }) => metadata.name !== action.key.name)
            }
          }
        : { eventStream, world: { ...world, deployment: undefined, pods: rollouts === "Immediate" ? [] : world.pods } }
    case "ReportOrphans":
      return { eventStream, world }
  }
}

/** Plans and carries out until a plan is empty; throws when it never is. */
export const settle = (
  start: Modelled,
  inputs: Inputs,
  rollouts: Rollouts = "Immediate"
): Modelled & { readonly plan: Plan; readonly steps: ReadonlyArray<Action> } => {
  let state = start
  const steps: Array<Action> = []
  for (let round = 0; round < 6; round++) {
    const nonce = `n${round}`
    const next = plan(state.eventStream, state.world, { ...inputs, nonce })
    if (next.actions.length === 0) return { ...state, plan: next, steps }
    for (const action of next.actions) {
      state = carriedOut(state, action, steps.length + 1, rollouts)
      steps.push(action)
    }
  }
  throw new Error(`no end: ${steps.map(({ _tag }) => _tag).join(" ")}`)
}

/** An object that somebody else made. */
export const foreign = (kind: string, name: string): KubeObject => ({
  apiVersion: kind === "Deployment" ? "apps/v1" : "v1",
  kind,
  metadata: {
    name,
    namespace: "demo",
    uid: `foreign-${name}`,
    ownerReferences: [ownerReference({ namespace: "demo", name: "other", uid: "uid-9" })]
  }
})
