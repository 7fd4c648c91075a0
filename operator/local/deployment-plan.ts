import { createHash } from "node:crypto"
import type { KubeObject } from "../kube.ts"

/**
 * What the Deployment and ReplicaSet controllers of a cluster decide, for the one strategy that writers use: RollingUpdate with
 * maxSurge 1 and maxUnavailable 0. Pure: a Deployment and its Pods in, what to do and the status out.
 */

/** Held until the Pod's last process has ended: deleting a Pod of the in-memory API takes as long as in a cluster. */
export const runningFinalizer = "eventstream.dev/running"

interface DeploymentSpec {
  readonly replicas?: number
  readonly selector: { readonly matchLabels: Readonly<Record<string, string>> }
  readonly template: { readonly metadata?: KubeObject["metadata"]; readonly spec: object }
}

const specOf = (deployment: KubeObject) => deployment["spec"] as DeploymentSpec

const hashLabel = "pod-template-hash"

/** Ten hex digits of the template: which Pods are of the newest version. */
export const templateHash = (deployment: KubeObject): string =>
  createHash("sha256")
    .update(JSON.stringify(specOf(deployment).template))
    .digest("hex")
    .slice(0, 10)

export const isReady = (pod: KubeObject): boolean => {
  const status = pod["status"] as { readonly conditions?: ReadonlyArray<{ type: string; status: string }> } | undefined
  return status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false
}

const isLeaving = (pod: KubeObject) => pod.metadata.deletionTimestamp !== undefined

/** @param suffix random, of the characters that a Pod's name may have */
export const podOf = (deployment: KubeObject, node: string, suffix: string): KubeObject => {
  const { template } = specOf(deployment)
  const { name, namespace, uid } = deployment.metadata
  const hash = templateHash(deployment)
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `${name}-${hash}-${suffix}`,
      namespace: namespace!,
      labels: { ...template.metadata?.labels, [hashLabel]: hash },
      annotations: { ...template.metadata?.annotations },
      finalizers: [runningFinalizer],
      ownerReferences: [
        {
          apiVersion: deployment.apiVersion,
          kind: deployment.kind,
          name,
          uid: uid!,
          controller: true,
          blockOwnerDeletion: true
        }
      ]
    },
    spec: { ...template.spec, nodeName: node }
  }
}

export interface DeploymentPlan {
  /** Pods to create. */
  readonly create: number
  readonly remove: ReadonlyArray<KubeObject>
  readonly status: object
}

/** Which Pods to give up first: those that serve least, and of these the youngest. */
const leastUseful = (pods: ReadonlyArray<KubeObject>): ReadonlyArray<KubeObject> =>
  [...pods].sort(
    (a, b) =>
      Number(isReady(a)) - Number(isReady(b)) ||
      (b.metadata.creationTimestamp ?? "").localeCompare(a.metadata.creationTimestamp ?? "")
  )

interface Condition {
  readonly type: string
  readonly status: "True" | "False"
  readonly reason: string
  readonly message: string
  readonly lastTransitionTime: string
}

/** @param pods all that the Deployment controls, leaving ones included */
export const planDeployment = (
  deployment: KubeObject,
  pods: ReadonlyArray<KubeObject>,
  now: string
): DeploymentPlan => {
  const wanted = specOf(deployment).replicas ?? 1
  const hash = templateHash(deployment)
  const staying = pods.filter((pod) => !isLeaving(pod))
  const isNew = (pod: KubeObject) => pod.metadata.labels?.[hashLabel] === hash
  const current = staying.filter(isNew)
  const old = staying.filter((pod) => !isNew(pod))
  const surplus = leastUseful(current).slice(0, Math.max(0, current.length - wanted))
  const remaining = current.filter((pod) => !surplus.includes(pod))

  const create = Math.max(0, Math.min(wanted - current.length, wanted + 1 - staying.length))
  // An old Pod may go when it serves nothing, or when enough others do.
  const unready = old.filter((pod) => !isReady(pod))
  const ready = leastUseful(old.filter(isReady))
  const spare = Math.max(0, remaining.filter(isReady).length + ready.length - wanted)
  const remove = [...surplus, ...unready, ...ready.slice(0, spare)]

  const readyCount = staying.filter(isReady).length
  const isAvailable = readyCount >= wanted
  const isComplete = old.length === 0 && current.length === wanted && isAvailable
  const before = (deployment["status"] as { readonly conditions?: ReadonlyArray<Condition> } | undefined)?.conditions
  const condition = (type: string, isTrue: boolean, reason: string, message: string): Condition => {
    const status = isTrue ? "True" : "False"
    const previous = before?.find((each) => each.type === type)
    const lastTransitionTime = previous?.status === status ? previous.lastTransitionTime : now
    return { type, status, reason, message, lastTransitionTime }
  }
  return {
    create,
    remove,
    status: {
      observedGeneration: deployment.metadata.generation,
      replicas: staying.length,
      updatedReplicas: current.length,
      readyReplicas: readyCount,
      availableReplicas: readyCount,
      unavailableReplicas: Math.max(0, wanted - readyCount),
      conditions: [
        isAvailable
          ? condition("Available", true, "MinimumReplicasAvailable", "Deployment has minimum availability.")
          : condition(
              "Available",
              false,
              "MinimumReplicasUnavailable",
              "Deployment does not have minimum availability."
            ),
        isComplete
          ? condition("Progressing", true, "NewReplicaSetAvailable", `Pods of template ${hash} are available.`)
          : condition("Progressing", true, "ReplicaSetUpdated", `Pods of template ${hash} are progressing.`)
      ]
    }
  }
}
