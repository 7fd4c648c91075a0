import type { KubeObject } from "../kube.ts"
import { childLabels, type Owner, ownerReference, withAppliedHash, writerName } from "./names.ts"

/** Identity of the writers. They use no Kubernetes API, so no token is mounted. */
export const serviceAccount = (owner: Owner): KubeObject =>
  withAppliedHash({
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: {
      name: writerName(owner.name),
      namespace: owner.namespace,
      labels: childLabels(owner.name),
      ownerReferences: [ownerReference(owner)]
    },
    automountServiceAccountToken: false
  })
