import type { EventStream } from "../../crds/eventstream.ts"
import { needsApply } from "../drift.ts"
import { ConfigMaps, type KubeObject, keyOf } from "../kube.ts"
import { configHash, configMap, configMapName, writerConfig } from "../specs/configmap.ts"
import { deployment } from "../specs/deployment.ts"
import { ConfigHashAnnotation, OperatorAnnotation } from "../specs/names.ts"
import { serviceAccount } from "../specs/serviceaccount.ts"
import type { Action, Inputs, Problem } from "./action.ts"

/** Configurations kept, the current one included, so that a rollback of the Deployment finds its own. */
const keptConfigMaps = 3

export interface Children {
  readonly serviceAccount: KubeObject | undefined
  readonly deployment: KubeObject | undefined
  readonly configMaps: ReadonlyArray<KubeObject>
  readonly pods: ReadonlyArray<KubeObject>
}

export interface WritersPlan {
  readonly actions: ReadonlyArray<Action>
  readonly problems: ReadonlyArray<Problem>
  readonly configHash: string
  /** Whether every writer Pod runs the wanted configuration. */
  readonly rolledOut: boolean
}

export const isOwnedBy = (object: KubeObject, uid: string) =>
  object.metadata.ownerReferences?.some((reference) => reference.controller === true && reference.uid === uid) ?? false

/** Names a child that is not ours; we neither change nor adopt it. */
const conflictOf = (eventStream: EventStream, object: KubeObject | undefined): Problem | undefined => {
  const { uid, name } = eventStream.metadata
  if (!object || isOwnedBy(object, uid)) return undefined
  const id = `${object.kind} ${object.metadata.namespace}/${object.metadata.name}`
  const predecessor = object.metadata.ownerReferences?.some((o) => o.kind === "EventStream" && o.name === name) ?? false
  if (predecessor) {
    const message = `${id} belongs to an earlier EventStream of this name and is being removed by Kubernetes`
    return { about: "Kubernetes", reason: "NameConflict", message, stalled: false }
  }
  const message = `${id} exists and was not made by this EventStream; delete or rename it, or give the EventStream another name`
  return { about: "Kubernetes", reason: "NameConflict", message, stalled: true }
}

/** Names another operator that looks after the writers; what it does is not undone. */
const rivalOf = (live: KubeObject | undefined, own: string | undefined): Problem | undefined => {
  const other = live?.metadata.annotations?.[OperatorAnnotation]
  if (live === undefined || other === undefined || other === own) return undefined
  const id = `Deployment ${live.metadata.namespace}/${live.metadata.name}`
  const message =
    `${id} is looked after by another operator, whose Lease is ${other}; let only one look after this namespace, ` +
    `or, if that one is gone, remove the annotation ${OperatorAnnotation} from the Deployment`
  return { about: "Kubernetes", reason: "NameConflict", message, stalled: true }
}

/** The configuration a writer Pod runs. */
export const hashOfPod = (pod: KubeObject) => pod.metadata.annotations?.[ConfigHashAnnotation]

/** Whether a Pod still may write. */
export const isAlive = (pod: KubeObject): boolean => {
  const { phase } = (pod["status"] ?? {}) as { readonly phase?: string }
  return phase !== "Succeeded" && phase !== "Failed"
}

const byNewest = (a: KubeObject, b: KubeObject) =>
  (b.metadata.creationTimestamp ?? "").localeCompare(a.metadata.creationTimestamp ?? "")

/** Steps for the objects that run the writers, given the durable they are to read. */
export const planWriters = (
  eventStream: EventStream,
  children: Children,
  stream: string,
  durable: string,
  inputs: Inputs
): WritersPlan => {
  const { metadata, spec } = eventStream
  const config = writerConfig(metadata, spec, stream, durable)
  const hash = configHash(config, spec)
  const replicas = spec.suspend ? 0 : spec.writer.replicas
  const wantedConfigMap = configMap(metadata, config, hash)
  const present = children.configMaps.find((object) => object.metadata.name === wantedConfigMap.metadata.name)
  const problems = [children.serviceAccount, children.deployment, present].flatMap(
    (object) => conflictOf(eventStream, object) ?? []
  )
  const rival = rivalOf(children.deployment, inputs.defaults.operator)
  if (rival) problems.push(rival)
  if (problems.length > 0) return { actions: [], problems, configHash: hash, rolledOut: false }

  const actions: Array<Action> = []
  const apply = (object: KubeObject, live: KubeObject | undefined) => {
    if (needsApply(live, object)) actions.push({ _tag: "Apply", object, live })
  }
  apply(serviceAccount(metadata), children.serviceAccount)
  if (!present) actions.push({ _tag: "Apply", object: wantedConfigMap, live: undefined })
  apply(deployment(metadata, spec, hash, replicas, inputs.defaults), children.deployment)

  const used = new Set([wantedConfigMap.metadata.name])
  for (const pod of children.pods) used.add(configMapName(metadata, hashOfPod(pod) ?? ""))
  const settled = actions.length === 0
  const old = children.configMaps
    .filter((object) => isOwnedBy(object, metadata.uid) && !used.has(object.metadata.name))
    .sort(byNewest)
    .slice(keptConfigMaps - 1)
  if (settled) {
    for (const object of old) {
      actions.push({
        _tag: "DeleteObject",
        resource: ConfigMaps,
        key: keyOf(object),
        uid: object.metadata.uid ?? ""
      })
    }
  }
  return {
    actions,
    problems,
    configHash: hash,
    rolledOut: settled && children.pods.filter(isAlive).every((pod) => hashOfPod(pod) === hash)
  }
}
