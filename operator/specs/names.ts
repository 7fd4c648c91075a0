import { createHash } from "node:crypto"
import type { KubeObject, ObjectKey, OwnerReference } from "../kube.ts"

/** Held while JetStream assets have to be removed before the object may go. */
export const Finalizer = "eventstream.dev/finalizer"

/** Names, comma separated, of the lossy changes that a person allows, e.g. `retention:Interest, maxMessages:5`. */
export const ApproveAnnotation = "eventstream.dev/approve"

/** On what is applied: a hash over the whole of it, so that a field that is no longer wanted is noticed too. */
export const AppliedHashAnnotation = "eventstream.dev/applied-hash"

/**
 * On a writers' Deployment: `<namespace>/<name>` of the Lease of the operator that looks after it. Two that differ in a setting
 * would roll the writers back and forth for ever.
 */
export const OperatorAnnotation = "eventstream.dev/operator"

/** On writer Pods: which configuration they run. */
export const ConfigHashAnnotation = "eventstream.dev/config-hash"

/** On writer Pods and everything else of an EventStream: its name. */
export const NameLabel = "eventstream.dev/name"

/** JetStream metadata: `<namespace>/<name>` of the EventStream that owns a stream or durable. */
export const OwnerMark = "eventstream.dev/owner"

/**
 * JetStream metadata of a durable: counts the durables of an EventStream. The highest is the current one; creation times would
 * not do, since a server's clock may go back.
 */
export const GenerationMark = "eventstream.dev/consumer-generation"

/** JetStream metadata of a stream: uid of the EventStream object that made it. Nothing in the stream is older than that object. */
export const CreatedMark = "eventstream.dev/created-by"

export const ownerOf = (key: ObjectKey) => `${key.namespace}/${key.name}`

/** Default name of the JetStream stream: upper-cased `<NAMESPACE>_<NAME>`; both are DNS labels, so it has no dots or spaces. */
export const defaultStreamName = (key: ObjectKey) => `${key.namespace}_${key.name}`.toUpperCase()

/** Name of the Deployment, and the prefix of the other objects of an EventStream's writers. */
export const writerName = (name: string) => `${name}-writer`

/** Which objects are about writers of any EventStream. */
export const writerLabels = { "app.kubernetes.io/name": "eventstream-writer" }

/** Which Pods are writers of an EventStream. Never changes: a Deployment's selector can't. */
export const selectorLabels = (name: string) => ({ ...writerLabels, [NameLabel]: name })

/**
 * Labels of every child. `app.kubernetes.io/instance` is not among them: Argo CD tracks by it and would take our children for
 * its own, and prune them.
 */
export const childLabels = (name: string) => ({
  ...selectorLabels(name),
  "app.kubernetes.io/managed-by": "eventstream-operator"
})

/** What the builders need to know of the EventStream object. */
export interface Owner extends ObjectKey {
  readonly uid: string
}

export const ownerReference = (owner: Owner): OwnerReference => ({
  apiVersion: "eventstream.dev/v1alpha1",
  kind: "EventStream",
  name: owner.name,
  uid: owner.uid,
  controller: true,
  blockOwnerDeletion: true
})

/** The first 10 hex digits of SHA-256 over the JSON text. */
export const hashOf = (value: unknown) => createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 10)

/** The object with a hash over all of it in an annotation. */
export const withAppliedHash = (object: KubeObject): KubeObject => ({
  ...object,
  metadata: {
    ...object.metadata,
    annotations: { ...object.metadata.annotations, [AppliedHashAnnotation]: hashOf(object) }
  }
})
