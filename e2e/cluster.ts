import { Effect, Schema } from "effect"
import { join } from "node:path"
import { kubectl } from "../testing/control-plane.ts"
import { kindMachines } from "./kind.ts"
import type { Machines } from "./machines.ts"
import { auditLogOf } from "./own/control-plane.ts"
import { ownMachines } from "./own/nodes.ts"

/** Nodes made here, kind's, or those of a cluster that KUBECONFIG named. */
export type ClusterKind = "own" | "kind" | "given"

/** How to get at a cluster. */
export interface ClusterAccess {
  readonly kind: ClusterKind
  /** File with a context whose user may do everything. */
  readonly kubeconfig: string
  /** Path of kubectl. */
  readonly kubectl: string
  /** Folder of the run for nodes made here, name of the cluster for kind; else empty. */
  readonly place: string
}

/** The cluster that scenarios run on, whichever of the three kinds it is. */
export interface Cluster extends ClusterAccess {
  /** The first one is never stopped: PostgreSQL and the publisher stand there. */
  readonly nodes: ReadonlyArray<string>
  /** File with one JSON object per request to the API server; `undefined` where it can't be read. */
  readonly auditLog: string | undefined
  /** `undefined` where the machines are not ours to stop. */
  readonly machines: Machines | undefined
}

export class ClusterUnknown extends Schema.TaggedError<ClusterUnknown>()("ClusterUnknown", { found: Schema.String }) {
  override get message() {
    return `wanted a cluster in KUBECONFIG and E2E_CLUSTER, found ${this.found}; run 'make e2e', or 'make cluster' and then e2e/enter`
  }
}

export const accessTo = (kind: ClusterKind, kubeconfig: string, place = ""): ClusterAccess => ({
  kind,
  kubeconfig,
  kubectl: join(import.meta.dirname, "..", ".bin", "kubectl"),
  place
})

/** Environment from which {@link openCluster} knows the cluster. */
export const environmentOf = ({ kind, kubeconfig, place }: ClusterAccess) => ({
  KUBECONFIG: kubeconfig,
  E2E_CLUSTER: `${kind}:${place}`
})

/** Names of the nodes, but for one that is a control plane's own. */
export const nodesOf = (access: ClusterAccess) =>
  kubectl(access, "get", "nodes", "--selector=!node-role.kubernetes.io/control-plane", "--output=name").pipe(
    Effect.map((names) =>
      names
        .trim()
        .split("\n")
        .map((name) => name.replace("node/", ""))
        .sort()
    )
  )

/** The cluster that the environment names. */
export const openCluster = Effect.gen(function* () {
  const { KUBECONFIG: kubeconfig, E2E_CLUSTER: named = "" } = process.env
  const [, kind, place = ""] = /^(own|kind|given):(.*)$/.exec(named) ?? []
  if (kubeconfig === undefined || kind === undefined) {
    return yield* new ClusterUnknown({ found: `KUBECONFIG=${kubeconfig ?? ""} E2E_CLUSTER=${named}` })
  }
  const access = accessTo(kind as ClusterKind, kubeconfig, place)
  const cluster: Cluster = {
    ...access,
    nodes: yield* nodesOf(access),
    auditLog: access.kind === "own" ? auditLogOf(place) : undefined,
    machines: access.kind === "own" ? ownMachines(place) : access.kind === "kind" ? kindMachines(place) : undefined
  }
  return cluster
})
