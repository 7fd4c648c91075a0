import { Context, type Effect, Schema, type Stream } from "effect"

/**
 * The small part of the Kubernetes API that the operator needs, as a service with two layers held to one conformance suite:
 * `kube/server.ts` over a real API server, `kube/memory.ts` in memory for `eventstream local` and for tests.
 * Objects are raw JSON: nothing that a newer API server knows and we don't is lost by reading and applying.
 */

export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

export interface ObjectMeta {
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly deletionGracePeriodSeconds?: number
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly finalizers?: ReadonlyArray<string>
  readonly ownerReferences?: ReadonlyArray<OwnerReference>
}

export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: ObjectMeta
  readonly [field: string]: unknown
}

/** A kind of object: where it lives in the API. */
export interface Resource {
  /** "" for the core group. */
  readonly group: string
  readonly version: string
  readonly kind: string
  /** Lower-case plural, as in the URL. */
  readonly plural: string
  /** Set where objects have no namespace. */
  readonly scope?: "Cluster"
}

export const EventStreams: Resource = {
  group: "eventstream.dev",
  version: "v1alpha1",
  kind: "EventStream",
  plural: "eventstreams"
}
export const Deployments: Resource = { group: "apps", version: "v1", kind: "Deployment", plural: "deployments" }
export const ConfigMaps: Resource = { group: "", version: "v1", kind: "ConfigMap", plural: "configmaps" }
export const Secrets: Resource = { group: "", version: "v1", kind: "Secret", plural: "secrets" }
export const ServiceAccounts: Resource = { group: "", version: "v1", kind: "ServiceAccount", plural: "serviceaccounts" }
export const Pods: Resource = { group: "", version: "v1", kind: "Pod", plural: "pods" }
export const Namespaces: Resource = {
  group: "",
  version: "v1",
  kind: "Namespace",
  plural: "namespaces",
  scope: "Cluster"
}
export const Leases: Resource = { group: "coordination.k8s.io", version: "v1", kind: "Lease", plural: "leases" }
export const Events: Resource = { group: "events.k8s.io", version: "v1", kind: "Event", plural: "events" }

const resources = [EventStreams, Deployments, ConfigMaps, Secrets, ServiceAccounts, Pods, Namespaces, Leases, Events]

/** `group/version`, without the slash for the core group. */
export const apiVersionOf = (resource: Resource) =>
  resource.group === "" ? resource.version : `${resource.group}/${resource.version}`

/** The kind of an object, among those the operator handles. */
export const resourceOf = (object: KubeObject): Resource | undefined =>
  resources.find((resource) => resource.kind === object.kind && apiVersionOf(resource) === object.apiVersion)

export interface ObjectKey {
  /** "" for a kind without namespaces. */
  readonly namespace: string
  readonly name: string
}

export const keyOf = (object: KubeObject): ObjectKey => ({
  namespace: object.metadata.namespace ?? "",
  name: object.metadata.name
})

/** What a list or watch selects. */
export interface Selection {
  /** Unset: all namespaces. */
  readonly namespace?: string
  /** Equality selectors only, e.g. `{ "eventstream.dev/name": "logs" }`. */
  readonly labels?: Readonly<Record<string, string>>
}

/** One change of an object; `object` is its newest state, the last known one when deleted. */
export interface Change {
  readonly type: "Applied" | "Deleted"
  readonly key: ObjectKey
  readonly object: KubeObject
}

/**
 * A refused or failed call. `reason` is what a caller acts on; `message` is the server's own sentence.
 * Source of the reasons: HTTP status and `Status.reason` of the API server.
 */
export class KubeError extends Schema.TaggedError<KubeError>()("KubeError", {
  reason: Schema.Literals([
    "Unreachable", // no answer: connection refused, reset, timeout
    "Unavailable", // 401, 429 and 5xx
    "NotFound", // 404
    "AlreadyExists", // 409 on create
    "Conflict", // 409: resourceVersion or field manager
    "Invalid", // 400, 422: the object is refused, `message` names every field
    "Forbidden", // 403
    "Gone" // 410: the watch's resourceVersion is too old
  ]),
  /** What was tried, e.g. `apply Deployment demo/logs-writer`. */
  operation: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${this.operation}: ${this.detail}`
  }
  get isRetryable() {
    return (
      this.reason === "Unreachable" ||
      this.reason === "Unavailable" ||
      this.reason === "Conflict" ||
      this.reason === "Gone"
    )
  }
}

export class Kube extends Context.Service<
  Kube,
  {
    /** The object, `undefined` when there is none. */
    readonly get: (resource: Resource, key: ObjectKey) => Effect.Effect<KubeObject | undefined, KubeError>
    readonly list: (resource: Resource, selection: Selection) => Effect.Effect<ReadonlyArray<KubeObject>, KubeError>
    /**
     * Every object once, then every change, for ever: list + watch with bookmarks, restarted by itself after errors, a
     * relist telling deletions that were missed. A name deleted and made anew under another uid is seen as a deletion
     * followed by an application. Never fails.
     */
    readonly watch: (resource: Resource, selection: Selection) => Stream.Stream<Change>
    /**
     * Server-side apply with force under field manager `eventstream-operator` (or `manager`): creates or updates, removes
     * what the same manager applied before and no longer does, leaves fields of other managers alone, changes nothing (same
     * resourceVersion) when nothing differs. Returns the stored object. `metadata.uid` and `metadata.resourceVersion`, when
     * given, are preconditions (Conflict); an object that is not there is created all the same unless uid is given.
     * `status` is left out where it is a subresource.
     */
    readonly apply: (
      object: KubeObject,
      options?: { readonly manager?: string }
    ) => Effect.Effect<KubeObject, KubeError>
    /** Creates; AlreadyExists when the name is taken. `status` is left out where it is a subresource. */
    readonly create: (object: KubeObject) => Effect.Effect<KubeObject, KubeError>
    /** Applies `/status` whole, under field manager `eventstream-operator-status` (or `manager`). NotFound when the object is gone. */
    readonly patchStatus: (
      resource: Resource,
      key: ObjectKey,
      status: object,
      options?: { readonly manager?: string }
    ) => Effect.Effect<KubeObject, KubeError>
    /** Sets the finalizers with a test on resourceVersion (Conflict when the object changed meanwhile). */
    readonly setFinalizers: (
      resource: Resource,
      object: KubeObject,
      finalizers: ReadonlyArray<string>
    ) => Effect.Effect<KubeObject, KubeError>
    /**
     * Deletes; succeeds when it is gone already. `uid` is a precondition. With finalizers only `deletionTimestamp` is set.
     * Dependents go by garbage collection (background).
     */
    readonly delete: (
      resource: Resource,
      key: ObjectKey,
      options?: { readonly uid?: string }
    ) => Effect.Effect<void, KubeError>
    /** Records an Event about an object; a repeat of (object, reason) within 5 minutes is dropped. */
    readonly event: (
      regarding: KubeObject,
      event: {
        readonly type: "Normal" | "Warning"
        readonly reason: string
        readonly action: string
        readonly note: string
      }
    ) => Effect.Effect<void, KubeError>
  }
>()("operator/Kube") {}
