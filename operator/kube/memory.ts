import { Clock, Effect, Layer, Queue, Result, Stream } from "effect"
import { randomUUID } from "node:crypto"
import { isDeepStrictEqual } from "node:util"
import {
  apiVersionOf,
  type Change,
  Kube,
  KubeError,
  type KubeObject,
  keyOf,
  type ObjectKey,
  type ObjectMeta,
  type Resource
} from "../kube.ts"
import { makeRecorder } from "./events.ts"
import { builtInKinds, type FieldError, type KindDefinition } from "./kinds.ts"
import { applyFields, type Fields, flatten, type Owners, sameSpec, unflatten } from "./merge.ts"
import { groupPlural, type Kind, nameOf, Objects, type Stored, timestamp } from "./objects.ts"
import { operatorManager, resourceToWrite, statusManager, title } from "./requests.ts"

/** `Kube` in memory: a small API server that promises what the real one does, for `eventstream local` and for tests. */

interface Refusal {
  readonly reason: KubeError["reason"]
  readonly detail: string
}

type Outcome<A = KubeObject> = Result.Result<A, Refusal>

const refuse = (reason: Refusal["reason"], detail: string): Outcome<never> => Result.fail({ reason, detail })

const notFound = (resource: Resource, name: string) =>
  refuse("NotFound", `${groupPlural(resource)} "${name}" not found`)

const invalid = ({ group, kind }: Resource, name: string, errors: ReadonlyArray<FieldError>) => {
  const each = errors.map(({ path, message }) => `${path}: ${message}`).join(", ")
  const title = group === "" ? kind : `${kind}.${group}`
  return refuse("Invalid", `${title} "${name}" is invalid: ${errors.length === 1 ? each : `[${each}]`}`)
}

/** Source: k8s.io/apimachinery, validation.IsDNS1123Subdomain. */
const namePattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

/** The fields that writing the main resource sets: no metadata that is the server's, no status where it is a subresource. */
const mainFields = (kind: KindDefinition, object: KubeObject): Fields => {
  const { apiVersion: _v, kind: _k, metadata, status, ...rest } = object
  const { labels, annotations, finalizers, ownerReferences } = metadata
  const written = { labels, annotations, finalizers, ownerReferences }
  return flatten({ metadata: written, ...rest, ...(kind.status ? {} : { status }) })
}

/** The object with these fields; identity and what the server counts are those of `metadata`. */
const assemble = (resource: Resource, metadata: ObjectMeta, fields: Fields): KubeObject => {
  const { labels: _l, annotations: _a, finalizers: _f, ownerReferences: _o, ...kept } = metadata
  const { metadata: written, ...rest } = unflatten(fields) as { readonly metadata?: Partial<ObjectMeta> }
  return {
    apiVersion: apiVersionOf(resource),
    kind: resource.kind,
    ...rest,
    metadata: { ...kept, ...written }
  }
}

const precondition = ({ object }: Stored, wanted: Partial<ObjectMeta>): Outcome<void> => {
  for (const field of ["uid", "resourceVersion"] as const) {
    const found = object.metadata[field]
    if (wanted[field] === undefined || wanted[field] === found) continue
    return refuse("Conflict", `wanted ${field} ${wanted[field]}, found ${found}`)
  }
  return Result.succeed(undefined)
}

const admit = (kind: Kind, object: KubeObject, old: KubeObject | undefined): Outcome => {
  // As it would come out of JSON: what is `undefined` is not there.
  const candidate = JSON.parse(JSON.stringify(object)) as KubeObject
  const admitted = kind.admit?.(candidate, old) ?? { object: candidate }
  return "object" in admitted
    ? Result.succeed(admitted.object)
    : invalid(kind.resource, object.metadata.name, admitted.errors)
}

/** The calls that write, each one synchronous step: calls of concurrent fibers never mix. */
class Writes {
  readonly #objects: Objects

  constructor(objects: Objects) {
    this.#objects = objects
  }

  apply(kind: Kind, given: KubeObject, manager: string, nowMillis: number): Outcome {
    const before = kind.objects.get(nameOf(keyOf(given)))
    const wanted = mainFields(kind, given)
    if (before === undefined) {
      const { uid } = given.metadata
      if (uid !== undefined) return refuse("Conflict", `wanted uid ${uid}, found no object`)
      return this.#create(kind, given, new Map([[manager, new Set(wanted.keys())]]), nowMillis)
    }
    return Result.flatMap(precondition(before, given.metadata), () => {
      const { object: live } = before
      const { fields, owners } = applyFields(mainFields(kind, live), before.owners, manager, wanted)
      const status = kind.status ? { status: live["status"] } : {}
      const object = { ...assemble(kind.resource, live.metadata, fields), ...status }
      return this.#update(kind, before, object, owners, nowMillis)
    })
  }

  create(kind: Kind, given: KubeObject, nowMillis: number): Outcome {
    if (kind.objects.has(nameOf(keyOf(given)))) {
      return refuse("AlreadyExists", `${groupPlural(kind.resource)} "${given.metadata.name}" already exists`)
    }
    // Owned as by an update, so that no later apply takes these fields away.
    const owners = new Map([[`${operatorManager} (create)`, new Set(mainFields(kind, given).keys())]])
    return this.#create(kind, given, owners, nowMillis)
  }

  patchStatus(kind: Kind, key: ObjectKey, status: unknown, manager: string, nowMillis: number): Outcome {
    const before = kind.objects.get(nameOf(key))
    if (before === undefined || !kind.status) return notFound(kind.resource, key.name)
    const { status: live, ...rest } = before.object
    const owner = `${manager} (status)`
    const { fields, owners } = applyFields(flatten({ status: live }), before.owners, owner, flatten({ status }))
    return this.#update(kind, before, { ...rest, ...(unflatten(fields) as object) }, owners, nowMillis)
  }

  setFinalizers(kind: Kind, given: KubeObject, finalizers: ReadonlyArray<string>, nowMillis: number): Outcome {
    const before = kind.objects.get(nameOf(keyOf(given)))
    if (before === undefined) return notFound(kind.resource, given.metadata.name)
    const { resourceVersion } = given.metadata
    return Result.flatMap(precondition(before, resourceVersion === undefined ? {} : { resourceVersion }), () => {
      const { finalizers: _, ...metadata } = before.object.metadata
      const object = { ...before.object, metadata: finalizers.length > 0 ? { ...metadata, finalizers } : metadata }
      return this.#update(kind, before, object, before.owners, nowMillis)
    })
  }

  delete(kind: Kind, key: ObjectKey, uid: string | undefined, nowMillis: number): Outcome<void> {
    const before = kind.objects.get(nameOf(key))
    if (before === undefined) return Result.succeed(undefined)
    return Result.map(precondition(before, uid === undefined ? {} : { uid }), () =>
      this.#objects.remove(kind, before, nowMillis)
    )
  }

  #create(kind: Kind, given: KubeObject, owners: Owners, nowMillis: number): Outcome {
    const { namespace, name } = given.metadata
    if (!namePattern.test(name) || name.length > 253) {
      const message = `Invalid value: "${name}": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'`
      return invalid(kind.resource, name, [{ path: "metadata.name", message }])
    }
    const metadata: ObjectMeta = {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      uid: randomUUID(),
      creationTimestamp: timestamp(nowMillis),
      ...(kind.generation ? { generation: 1 } : {})
    }
    const object = assemble(kind.resource, metadata, mainFields(kind, given))
    return Result.map(admit(kind, object, undefined), (admitted) =>
      this.#objects.put(kind, undefined, admitted, owners, nowMillis)
    )
  }

  #update(kind: Kind, before: Stored, changed: KubeObject, owners: Owners, nowMillis: number): Outcome {
    const { deletionTimestamp, finalizers = [], generation = 0, name } = changed.metadata
    const added = finalizers.filter((each) => !before.object.metadata.finalizers?.includes(each))
    if (deletionTimestamp !== undefined && added.length > 0) {
      const message = `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers ${added.join(", ")}`
      return invalid(kind.resource, name, [{ path: "metadata.finalizers", message }])
    }
    return Result.map(admit(kind, changed, before.object), (object) => {
      if (isDeepStrictEqual(object, before.object) && isDeepStrictEqual(owners, before.owners)) return before.object
      const counted = kind.generation && !sameSpec(object, before.object)
      const metadata = counted ? { ...object.metadata, generation: generation + 1 } : object.metadata
      return this.#objects.put(kind, before, { ...object, metadata }, owners, nowMillis)
    })
  }
}

const makeMemory = (kinds: ReadonlyArray<KindDefinition>): Kube["Service"] => {
  const objects = new Objects([...builtInKinds, ...kinds])
  const writes = new Writes(objects)

  const call = <A>(operation: string, resource: Resource, step: (kind: Kind, nowMillis: number) => Outcome<A>) =>
    Effect.flatMap(Clock.currentTimeMillis, (nowMillis) => {
      const kind = objects.kind(resource)
      const outcome = kind
        ? step(kind, nowMillis)
        : refuse("NotFound", "the server could not find the requested resource")
      return Effect.fromResult(Result.mapError(outcome, (refusal) => new KubeError({ ...refusal, operation })))
    })

  const write = (verb: string, object: KubeObject, step: (kind: Kind, nowMillis: number) => Outcome) =>
    Effect.flatMap(resourceToWrite(verb, object), (resource) =>
      call(`${verb} ${title(resource, keyOf(object))}`, resource, step)
    )

  const create = (object: KubeObject) => write("create", object, (kind, now) => writes.create(kind, object, now))

  return {
    get: (resource, key) =>
      call(`get ${title(resource, key)}`, resource, (kind) => Result.succeed(kind.objects.get(nameOf(key))?.object)),
    list: (resource, selection) =>
      call(`list ${resource.kind}`, resource, (kind) => Result.succeed(objects.list(kind, selection))),
    watch: (resource, selection) =>
      Stream.callback<Change>((queue) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            const kind = objects.kind(resource)
            return kind && objects.watch({ kind, selection, tell: (change) => void Queue.offerUnsafe(queue, change) })
          }),
          (stop) => Effect.sync(() => stop?.())
        )
      ),
    apply: (object, options) =>
      write("apply", object, (kind, now) => writes.apply(kind, object, options?.manager ?? operatorManager, now)),
    create,
    patchStatus: (resource, key, status, options) =>
      call(`apply status of ${title(resource, key)}`, resource, (kind, now) =>
        writes.patchStatus(kind, key, status, options?.manager ?? statusManager, now)
      ),
    setFinalizers: (resource, object, finalizers) =>
      call(`set finalizers of ${title(resource, keyOf(object))}`, resource, (kind, now) =>
        writes.setFinalizers(kind, object, finalizers, now)
      ),
    delete: (resource, key, options) =>
      call(`delete ${title(resource, key)}`, resource, (kind, now) => writes.delete(kind, key, options?.uid, now)),
    event: makeRecorder(create)
  }
}

/**
 * `Kube` in memory, empty. It knows the built-in kinds that the operator handles and those in `kinds`. A namespace need not be
 * there to be used.
 */
export const layerMemory = (kinds: ReadonlyArray<KindDefinition>): Layer.Layer<Kube> =>
  Layer.sync(Kube, () => makeMemory(kinds))
