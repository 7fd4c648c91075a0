import type { KubeObject } from "../kube.ts"
import { podTrouble, type WriterHealth } from "./writers.ts"

/** How far a Deployment is. */
export interface Rollout {
  readonly exists: boolean
  readonly desired: number
  readonly replicas: number
  readonly ready: number
  readonly updated: number
  readonly available: number
  /** Every writer has the newest configuration and no old one is left; also while one of several is restarting. */
  readonly settled: boolean
  /** Why a Pod does not start, or is not even made. */
  readonly trouble: WriterHealth | undefined
}

interface DeploymentStatus {
  readonly replicas?: number
  readonly readyReplicas?: number
  readonly updatedReplicas?: number
  readonly availableReplicas?: number
  readonly observedGeneration?: number
}

/** @param desired writers wanted now */
export const rolloutOf = (
  deployment: KubeObject | undefined,
  pods: ReadonlyArray<KubeObject>,
  desired: number
): Rollout => {
  const status = (deployment?.["status"] ?? {}) as DeploymentStatus
  const seen = (status.observedGeneration ?? 0) >= (deployment?.metadata.generation ?? 0)
  const replicas = status.replicas ?? 0
  const updated = status.updatedReplicas ?? 0
  const available = status.availableReplicas ?? 0
  return {
    exists: deployment !== undefined,
    desired,
    replicas,
    ready: status.readyReplicas ?? 0,
    updated,
    available,
    settled: deployment === undefined ? desired === 0 : seen && updated === desired && replicas === desired,
    trouble: podTrouble(deployment, pods)
  }
}
