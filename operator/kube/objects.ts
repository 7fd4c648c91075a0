import {
  type Change,
  type KubeObject,
  keyOf,
  type ObjectKey,
  type ObjectMeta,
  type Resource,
  type Selection
} from "../kube.ts"
import type { KindDefinition } from "./kinds.ts"
import type { Owners } from "./merge.ts"

/** The objects of the API server in memory, who watches them, and how they end. Every step is synchronous. */

export interface Stored {
  readonly object: KubeObject
  readonly owners: Owners
}

export interface Kind extends KindDefinition {
  readonly objects: Map<string, Stored>
}

interface Watcher {
  readonly kind: Kind
  readonly selection: Selection
  readonly tell: (change: Change) => void
}

export const nameOf = ({ namespace, name }: ObjectKey) => `${namespace}/${name}`
/** e.g. `deployments.apps`, as the API server names kinds in its sentences. */
export const groupPlural = ({ group, plural }: Resource) => (group === "" ? plural : `${plural}.${group}`)
/** Timestamps of metadata have whole seconds. */
export const timestamp = (millis: number) => new Date(millis).toISOString().replace(/\.\d+Z$/, "Z")

const selects = ({ namespace, labels }: Selection, object: KubeObject) =>
  (namespace === undefined || namespace === object.metadata.namespace) &&
  Object.entries(labels ?? {}).every(([key, value]) => object.metadata.labels?.[key] === value)

export class Objects {
  readonly #kinds: ReadonlyMap<string, Kind>
  readonly #watchers = new Set<Watcher>()
  #resourceVersion = 0

  constructor(definitions: ReadonlyArray<KindDefinition>) {
    this.#kinds = new Map(definitions.map((each) => [groupPlural(each.resource), { ...each, objects: new Map() }]))
  }

  kind(resource: Resource): Kind | undefined {
    return this.#kinds.get(groupPlural(resource))
  }

  /** In the order of namespace and name, as a list of the API has it. */
  list(kind: Kind, selection: Selection): ReadonlyArray<KubeObject> {
    return [...kind.objects]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, { object }]) => object)
      .filter((object) => selects(selection, object))
  }

  /** Tells every object, then every change until the returned function is called. */
  watch(watcher: Watcher): () => void {
    for (const object of this.list(watcher.kind, watcher.selection)) {
      watcher.tell({ type: "Applied", key: keyOf(object), object })
    }
    this.#watchers.add(watcher)
    return () => void this.#watchers.delete(watcher)
  }

  /** Stores the next state of an object. One that was deleted and waited only for its finalizers is gone instead. */
  put(kind: Kind, before: Stored | undefined, next: KubeObject, owners: Owners, nowMillis: number): KubeObject {
    const object = this.#store(kind, before?.object, next, owners)
    this.#collectGarbage(nowMillis)
    return object
  }

  /** Deletes an object: at once, or by a mark when finalizers hold it. */
  remove(kind: Kind, stored: Stored, nowMillis: number): void {
    this.#delete(kind, stored, nowMillis)
    this.#collectGarbage(nowMillis)
  }

  #store(kind: Kind, before: KubeObject | undefined, next: KubeObject, owners: Owners): KubeObject {
    const metadata = { ...next.metadata, resourceVersion: String(++this.#resourceVersion) }
    const object: KubeObject = { ...next, metadata }
    const gone = metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0
    if (gone) kind.objects.delete(nameOf(keyOf(object)))
    else kind.objects.set(nameOf(keyOf(object)), { object, owners })
    for (const watcher of this.#watchers) {
      if (watcher.kind !== kind) continue
      const key = keyOf(object)
      if (!gone && selects(watcher.selection, object)) watcher.tell({ type: "Applied", key, object })
      else if (before && selects(watcher.selection, before)) watcher.tell({ type: "Deleted", key, object })
    }
    return object
  }

  /** Source: k8s.io/apiserver, rest.BeforeDelete: that the deletion begins counts in the generation. */
  #delete(kind: Kind, { object, owners }: Stored, nowMillis: number): void {
    const { deletionTimestamp, generation } = object.metadata
    if (deletionTimestamp !== undefined) return
    const metadata: ObjectMeta = {
      ...object.metadata,
      deletionTimestamp: timestamp(nowMillis),
      deletionGracePeriodSeconds: 0,
      ...(generation === undefined ? {} : { generation: generation + 1 })
    }
    this.#store(kind, object, { ...object, metadata }, owners)
  }

  /** Deletes what belongs to owners of which none is there any more, and what belongs to that in turn. */
  #collectGarbage(nowMillis: number): void {
    const all = [...this.#kinds.values()].flatMap((kind) =>
      [...kind.objects.values()].map((stored) => ({ kind, stored }))
    )
    const present = new Set(all.map(({ stored }) => stored.object.metadata.uid))
    const orphans = all.filter(({ stored: { object } }) => {
      const { ownerReferences = [], deletionTimestamp } = object.metadata
      return (
        deletionTimestamp === undefined &&
        ownerReferences.length > 0 &&
        !ownerReferences.some(({ uid }) => present.has(uid))
      )
    })
    for (const { kind, stored } of orphans) this.#delete(kind, stored, nowMillis)
    if (orphans.length > 0) this.#collectGarbage(nowMillis)
  }
}
