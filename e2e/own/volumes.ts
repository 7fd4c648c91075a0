import { Effect, Stream } from "effect"
import { mkdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { type Change, Kube, type KubeError, type KubeObject, type Resource } from "../../operator/kube.ts"
import { request } from "../../operator/kube/rest.ts"
import { connect } from "../../operator/kube/server.ts"
import { diskOf } from "./nodes.ts"

/**
 * Volumes of the StorageClass of `e2e/manifests/storage.yaml`: a folder on the disk of the node that the scheduler chose, so a
 * Pod's data is where the Pod has to run, and there after a power loss. Source: the contract of external provisioners.
 */

const provisioner = "eventstream.dev/e2e"
const chosenNode = "volume.kubernetes.io/selected-node"
const wantedProvisioner = "volume.kubernetes.io/storage-provisioner"

const Claims: Resource = { group: "", version: "v1", kind: "PersistentVolumeClaim", plural: "persistentvolumeclaims" }
const Volumes: Resource = {
  group: "",
  version: "v1",
  kind: "PersistentVolume",
  plural: "persistentvolumes",
  scope: "Cluster"
}

interface VolumeSpec {
  readonly local?: { readonly path: string }
  readonly nodeAffinity?: { readonly required: { readonly nodeSelectorTerms: ReadonlyArray<Term> } }
}
interface Term {
  readonly matchExpressions: ReadonlyArray<{ readonly values: ReadonlyArray<string> }>
}

/** Folder of all volumes, as the node sees it: in its /var/lib. */
const volumesFolder = "/var/lib/volumes"

const volumeFor = (claim: KubeObject, node: string): KubeObject => {
  const { namespace, name, uid } = claim.metadata
  const spec = claim["spec"] as {
    readonly accessModes: ReadonlyArray<string>
    readonly storageClassName: string
    readonly resources: { readonly requests: { readonly storage: string } }
  }
  const onNode = { key: "kubernetes.io/hostname", operator: "In", values: [node] }
  return {
    apiVersion: "v1",
    kind: Volumes.kind,
    metadata: { name: `pvc-${uid}`, annotations: { "pv.kubernetes.io/provisioned-by": provisioner } },
    spec: {
      capacity: spec.resources.requests,
      accessModes: spec.accessModes,
      storageClassName: spec.storageClassName,
      persistentVolumeReclaimPolicy: "Delete",
      claimRef: { apiVersion: "v1", kind: claim.kind, namespace, name, uid },
      local: { path: join(volumesFolder, `pvc-${uid}`) },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [onNode] }] } }
    }
  }
}

/** The node that the claim's volume is wanted on, `undefined` while nobody waits for it or it has one. */
const wantedOn = (claim: KubeObject): string | undefined => {
  const { annotations = {} } = claim.metadata
  const { phase } = claim["status"] as { readonly phase?: string }
  return annotations[wantedProvisioner] === provisioner && phase === "Pending" ? annotations[chosenNode] : undefined
}

/** Whether the volume is ours and its claim is gone. */
const isReleased = ({ metadata, status }: KubeObject) =>
  metadata.annotations?.["pv.kubernetes.io/provisioned-by"] === provisioner &&
  (status as { readonly phase?: string }).phase === "Released"

/**
 * Provides volumes until the scope closes.
 *
 * @param run folder of the run
 */
export const provideVolumes = Effect.fnUntraced(function* (run: string, kubeconfig: string) {
  const kube = yield* Kube
  const endpoint = yield* connect({ kubeconfig })
  const send = (method: "POST" | "DELETE", path: string, name: string, body?: KubeObject) =>
    request(endpoint, { operation: `${method} volume ${name}`, method, path, body })
  const folderOf = (node: string, volume: string) => join(diskOf(run, node), "volumes", volume)

  const provide = ({ type, object: claim }: Change): Effect.Effect<unknown, KubeError> => {
    const node = type === "Applied" ? wantedOn(claim) : undefined
    if (node === undefined) return Effect.void
    const volume = volumeFor(claim, node)
    mkdirSync(folderOf(node, volume.metadata.name), { recursive: true })
    return send("POST", "/api/v1/persistentvolumes", volume.metadata.name, volume)
  }
  const reclaim = ({ type, object: volume }: Change): Effect.Effect<unknown, KubeError> => {
    if (type === "Deleted" || !isReleased(volume)) return Effect.void
    const { name } = volume.metadata
    const { nodeAffinity } = volume["spec"] as VolumeSpec
    const node = nodeAffinity!.required.nodeSelectorTerms[0]!.matchExpressions[0]!.values[0]!
    rmSync(folderOf(node, name), { recursive: true, force: true })
    return send("DELETE", `/api/v1/persistentvolumes/${name}`, name)
  }
  const each = (resource: Resource, act: (change: Change) => Effect.Effect<unknown, KubeError>) =>
    kube.watch(resource, {}).pipe(
      // One that is there, or gone, already is told of again by the next change.
      Stream.runForEach((change) => Effect.ignore(act(change), { log: "Debug" })),
      Effect.forkScoped
    )
  yield* each(Claims, provide)
  yield* each(Volumes, reclaim)
})
