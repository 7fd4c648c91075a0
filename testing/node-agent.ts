import { Effect, Schedule, Stream } from "effect"
import { join } from "node:path"
import { type Change, Kube, type KubeError, type KubeObject, Pods } from "../operator/kube.ts"
import { type Endpoint, request } from "../operator/kube/rest.ts"
import { connect } from "../operator/kube/server.ts"
import { runPods } from "../operator/local/pods.ts"
import { openProcesses } from "../operator/local/processes.ts"

/**
 * A node of a real API server: registers itself, takes the Pods of one namespace, and runs them as processes of this machine
 * with the Pod runner of the embedded platform. Stands for scheduler and kubelet in tests.
 */
export interface NodeOptions {
  readonly kubeconfig: string
  /** Name of the Node. */
  readonly name: string
  /** Whose Pods it takes. */
  readonly namespace: string
  /** Folder for volumes and logs. */
  readonly directory: string
}

/** The controller manager evicts the Pods of a node that was silent for 40 s. */
const heartbeat = Schedule.spaced("10 seconds")

const applyPatch = "application/apply-patch+yaml"

const apply = (endpoint: Endpoint, path: string, body: KubeObject) =>
  request(endpoint, {
    operation: `apply ${body.kind} ${body.metadata.name}`,
    method: "PATCH",
    path: `${path}?fieldManager=node-agent&force=true`,
    contentType: applyPatch,
    body
  })

/** Says that the node is alive, by its status and by its Lease, as a kubelet does. */
const beat = Effect.fnUntraced(function* (endpoint: Endpoint, name: string) {
  const now = new Date().toISOString()
  yield* apply(endpoint, `/api/v1/nodes/${name}/status`, {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name },
    status: {
      addresses: [{ type: "InternalIP", address: "127.0.0.1" }],
      capacity: { pods: "110" },
      allocatable: { pods: "110" },
      conditions: [
        { type: "Ready", status: "True", reason: "KubeletReady", message: "runs processes", lastHeartbeatTime: now }
      ]
    }
  })
  yield* apply(endpoint, `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${name}`, {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name, namespace: "kube-node-lease" },
    spec: { holderIdentity: name, leaseDurationSeconds: 40, renewTime: now.replace("Z", "000Z") }
  })
})

const podPath = ({ metadata }: KubeObject) => `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}`

const bind = (endpoint: Endpoint, node: string, pod: KubeObject) =>
  request(endpoint, {
    operation: `bind Pod ${pod.metadata.name}`,
    method: "POST",
    path: `${podPath(pod)}/binding`,
    body: {
      apiVersion: "v1",
      kind: "Binding",
      metadata: { name: pod.metadata.name },
      target: { apiVersion: "v1", kind: "Node", name: node }
    }
  })

/** The second deletion of a Pod, without grace time, which takes it out of the API. */
const release = (endpoint: Endpoint) => (pod: KubeObject) =>
  request(endpoint, {
    operation: `release Pod ${pod.metadata.name}`,
    method: "DELETE",
    path: podPath(pod),
    body: {
      apiVersion: "v1",
      kind: "DeleteOptions",
      gracePeriodSeconds: 0,
      preconditions: { uid: pod.metadata.uid }
    }
  }).pipe(
    Effect.catchIf(
      ({ reason }: KubeError) => reason === "NotFound",
      () => Effect.void
    )
  )

/** Runs the node until the scope closes; its Pods stop then, their objects stay. */
export const runNode = Effect.fnUntraced(function* (options: NodeOptions) {
  const { name, namespace, directory } = options
  const kube = yield* Kube
  const endpoint = yield* connect({ kubeconfig: options.kubeconfig })
  yield* apply(endpoint, `/api/v1/nodes/${name}`, { apiVersion: "v1", kind: "Node", metadata: { name } })
  yield* beat(endpoint, name)
  yield* beat(endpoint, name).pipe(Effect.ignore, Effect.repeat(heartbeat), Effect.forkScoped)

  const processes = yield* openProcesses(directory, () => {})
  const entryPoint = join(import.meta.dirname, "..", "bin", "eventstream")
  const runner = yield* runPods({
    node: name,
    directory,
    entryPoint,
    processes,
    release: (pod) => Effect.asVoid(release(endpoint)(pod))
  })

  const take = ({ type, object: pod }: Change) => {
    const isTaken = (pod["spec"] as { readonly nodeName?: string }).nodeName !== undefined
    if (type === "Deleted" || isTaken || pod.metadata.deletionTimestamp !== undefined) return Effect.void
    return Effect.ignore(bind(endpoint, name, pod)) // one that is gone or taken by now is seen again
  }
  yield* kube.watch(Pods, { namespace }).pipe(Stream.runForEach(take), Effect.forkScoped)
  return runner
})
