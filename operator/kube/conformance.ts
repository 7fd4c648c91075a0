import { assert, layer as withLayer } from "@effect/vitest"
import { Effect, type Layer, Queue, Result, Stream } from "effect"
import { randomUUID } from "node:crypto"
import {
  type Change,
  ConfigMaps,
  Deployments,
  Events,
  EventStreams,
  Kube,
  type KubeObject,
  keyOf,
  Namespaces,
  Pods,
  type Resource,
  Secrets,
  type Selection
} from "../kube.ts"

/** What `Kube` promises, as tests that every layer has to pass. */

const finalizer = "eventstream.dev/cleanup"

const freshNamespace = Effect.gen(function* () {
  const name = `kube-${randomUUID().slice(0, 8)}`
  yield* (yield* Kube).apply({ apiVersion: "v1", kind: "Namespace", metadata: { name } })
  return name
})

const configMap = (namespace: string, name: string, rest: object = {}): KubeObject => {
  const { metadata, ...fields } = rest as { readonly metadata?: object }
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace, ...metadata }, ...fields }
}

const eventStream = (namespace: string, name: string, spec: object = {}): KubeObject => ({
  apiVersion: "eventstream.dev/v1alpha1",
  kind: "EventStream",
  metadata: { name, namespace },
  spec: {
    nats: { servers: ["nats://nats.nats.svc:4222"] },
    stream: { subjects: ["logs.>"] },
    processor: { type: "Telemetry" },
    target: { postgres: { secretRef: { name: "pg-app" } } },
    ...spec
  }
})

const deployment = (namespace: string, name: string): KubeObject => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name, namespace },
  spec: {
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: "writer", image: "writer:1" }] } }
  }
})

const ownedBy = (...owners: ReadonlyArray<KubeObject>) => ({
  metadata: {
    ownerReferences: owners.map(({ apiVersion, kind, metadata }) => ({
      apiVersion,
      kind,
      name: metadata.name,
      uid: metadata.uid!
    }))
  }
})

/** The reason an effect fails with, "none" when it doesn't. */
const reasonOf = <A, R>(effect: Effect.Effect<A, { readonly reason: string }, R>) =>
  Effect.map(Effect.result(effect), (result) => (Result.isFailure(result) ? result.failure.reason : "none"))

const conditionTypes = (object: KubeObject) =>
  (object["status"] as { readonly conditions: ReadonlyArray<{ readonly type: string }> }).conditions
    .map(({ type }) => type)
    .sort()

const condition = (type: string, reason = "Running") => ({
  type,
  status: "True",
  reason,
  message: "",
  lastTransitionTime: "2026-01-01T00:00:00Z"
})

/** The changes a watch tells, in order; `next` takes one, failing the test when none comes. */
const watching = Effect.fnUntraced(function* (resource: Resource, selection: Selection) {
  const kube = yield* Kube
  const changes = yield* Queue.unbounded<Change>()
  yield* kube.watch(resource, selection).pipe(
    Stream.runForEach((change) => Queue.offer(changes, change)),
    Effect.forkScoped({ startImmediately: true })
  )
  const next = Queue.take(changes).pipe(
    Effect.timeoutOrElse({ duration: "30 seconds", orElse: () => Effect.die("wanted a change, none came in 30 s") })
  )
  /** Takes changes up to the first that fits. */
  const until = (fits: (change: Change) => boolean): Effect.Effect<Change> =>
    Effect.flatMap(next, (change) => (fits(change) ? Effect.succeed(change) : until(fits)))
  return { next, until }
})

const brief = ({ type, key, object }: Change) => `${type} ${key.name} ${JSON.stringify(object["data"] ?? null)}`

export const conformance = <E>(name: string, kubeLayer: Layer.Layer<Kube, E>) =>
  withLayer(kubeLayer, { excludeTestServices: true, timeout: "60 seconds" })(name, (it) => {
    it.effect("get, list: what there is, with its kind, in order, of all namespaces or one, by labels", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        const other = yield* freshNamespace
        assert.strictEqual(yield* kube.get(ConfigMaps, { namespace, name: "a" }), undefined)
        assert.deepStrictEqual(yield* kube.list(ConfigMaps, { namespace, labels: { team: "x" } }), [])
        const run = randomUUID()
        for (const [where, map, team] of [
          [namespace, "b", "x"],
          [namespace, "a", "x"],
          [namespace, "c", "y"],
          [other, "a", "x"]
        ] as const) {
          yield* kube.apply(configMap(where, map, { metadata: { labels: { team, run } } }))
        }
        const found = yield* kube.get(ConfigMaps, { namespace, name: "a" })
        assert.strictEqual(found?.kind, "ConfigMap")
        assert.strictEqual(found?.apiVersion, "v1")
        assert.notProperty(found?.metadata, "managedFields")
        const names = (selection: Selection) =>
          Effect.map(kube.list(ConfigMaps, selection), (all) =>
            all.map(({ kind, metadata }) => `${kind} ${metadata.namespace === other ? "other/" : ""}${metadata.name}`)
          )
        assert.deepStrictEqual(yield* names({ namespace, labels: { run } }), [
          "ConfigMap a",
          "ConfigMap b",
          "ConfigMap c"
        ])
        assert.deepStrictEqual(yield* names({ namespace, labels: { run, team: "x" } }), ["ConfigMap a", "ConfigMap b"])
        assert.sameMembers(
          [...(yield* names({ labels: { run, team: "x" } }))],
          ["ConfigMap a", "ConfigMap b", "ConfigMap other/a"]
        )
      })
    )

    it.effect("create: identity and generation are the server's; a taken name is AlreadyExists", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        const { metadata } = yield* kube.create(eventStream(namespace, "logs"))
        assert.isString(metadata.uid)
        assert.isString(metadata.resourceVersion)
        assert.strictEqual(metadata.generation, 1)
        assert.match(metadata.creationTimestamp ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
        assert.strictEqual(yield* reasonOf(kube.create(eventStream(namespace, "logs"))), "AlreadyExists")
      })
    )

    it.effect("apply: creates, then changes nothing when nothing differs", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        // The first apply after a creation writes the default of the status, which the API server shows but has not stored.
        yield* kube.apply(eventStream(namespace, "logs"))
        const stored = yield* kube.apply(eventStream(namespace, "logs"))
        assert.deepStrictEqual(yield* kube.apply(eventStream(namespace, "logs")), stored)
        const map = yield* kube.apply(configMap(namespace, "m", { data: { a: "1" } }))
        assert.deepStrictEqual(yield* kube.apply(configMap(namespace, "m", { data: { a: "1" } })), map)
        assert.notProperty(map.metadata, "generation")
      })
    )

    it.effect("generation counts changes of the spec alone", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        const stream = eventStream(namespace, "logs")
        const generationOf = (object: KubeObject) =>
          Effect.map(kube.apply(object), (stored) => stored.metadata.generation)
        assert.strictEqual(yield* generationOf(stream), 1)
        const labelled = { ...stream, metadata: { ...stream.metadata, labels: { team: "x" } } }
        assert.strictEqual(yield* generationOf(labelled), 1)
        assert.strictEqual(yield* generationOf(eventStream(namespace, "logs", { suspend: true })), 2)
        const { metadata } = yield* kube.patchStatus(EventStreams, keyOf(stream), { observedGeneration: 2 })
        assert.strictEqual(metadata.generation, 2)
      })
    )

    it.effect("apply removes what the same manager no longer applies, and nothing of others", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        const dataOf = (data: object, manager?: string) =>
          Effect.map(
            kube.apply(configMap(namespace, "m", { data }), manager === undefined ? {} : { manager }),
            (stored) => stored["data"]
          )
        assert.deepStrictEqual(yield* dataOf({ a: "1", b: "1" }), { a: "1", b: "1" })
        assert.deepStrictEqual(yield* dataOf({ c: "2" }, "other"), { a: "1", b: "1", c: "2" })
        assert.deepStrictEqual(yield* dataOf({ b: "1" }), { b: "1", c: "2" }, "ours is removed, theirs stays")
        assert.deepStrictEqual(yield* dataOf({ b: "1", c: "2" }), { b: "1", c: "2" }, "now both apply c")
        assert.deepStrictEqual(yield* dataOf({ b: "1" }), { b: "1", c: "2" }, "the other still does")
        assert.deepStrictEqual(yield* dataOf({ b: "1", c: "3" }), { b: "1", c: "3" }, "taken over by force")
        assert.deepStrictEqual(yield* dataOf({ d: "4" }, "other"), { b: "1", c: "3", d: "4" }, "it has lost c")
        assert.deepStrictEqual(yield* dataOf({}), { d: "4" })
      })
    )

    it.effect("apply does not remove what was created without it", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        yield* kube.create(configMap(namespace, "m", { data: { a: "1", b: "1" } }))
        yield* kube.apply(configMap(namespace, "m", { data: { a: "2" } }))
        const stored = yield* kube.apply(configMap(namespace, "m"))
        assert.deepStrictEqual(stored["data"], { b: "1" })
      })
    )

    it.effect("apply: lists are replaced whole, maps merged; a scalar may become a map's sibling", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        const key = { namespace, name: "writer" }
        const argsOf = (object: KubeObject) =>
          (object["spec"] as { template: { spec: { containers: [{ args?: ReadonlyArray<string> }] } } }).template.spec
            .containers[0].args
        const withArgs = (args: ReadonlyArray<string>) => {
          const object = structuredClone(deployment(namespace, "writer")) as KubeObject & {
            readonly spec: { template: { spec: { containers: [object] } } }
          }
          Object.assign(object.spec.template.spec.containers[0], { args })
          return object
        }
        yield* kube.apply(withArgs(["a", "b"]))
        assert.deepStrictEqual(argsOf(yield* kube.apply(withArgs(["c"]))), ["c"])
        const annotated = { metadata: { annotations: { "eventstream.dev/restart-at": "1" } } }
        const restart = { apiVersion: "apps/v1", kind: "Deployment", metadata: key, spec: { template: annotated } }
        yield* kube.apply(restart, { manager: "other" })
        const stored = yield* kube.apply(withArgs(["c"]))
        assert.containSubset(stored["spec"], { template: annotated })
      })
    )

    it.effect("apply: another manager's replicas of a Deployment stay", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        yield* kube.apply(deployment(namespace, "writer"))
        const scale = { ...deployment(namespace, "writer"), spec: { replicas: 3 } }
        yield* kube.apply(scale, { manager: "eventstream-autoscaler" })
        const stored = yield* kube.apply(deployment(namespace, "writer"))
        assert.containSubset(stored["spec"], {
          replicas: 3,
          template: { spec: { containers: [{ image: "writer:1" }] } }
        })
      })
    )

    it.effect("apply: resourceVersion and uid are preconditions", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        const first = yield* kube.apply(configMap(namespace, "m", { data: { a: "1" } }))
        const { uid, resourceVersion } = first.metadata
        const second = yield* kube.apply(
          configMap(namespace, "m", { metadata: { uid, resourceVersion }, data: { a: "2" } })
        )
        assert.deepStrictEqual(second["data"], { a: "2" })
        const reason = (metadata: object, name = "m") =>
          reasonOf(kube.apply(configMap(namespace, name, { metadata, data: { a: "3" } })))
        assert.strictEqual(yield* reason({ resourceVersion }), "Conflict")
        assert.strictEqual(yield* reason({ uid: randomUUID() }), "Conflict")
        assert.strictEqual(yield* reason({ uid: randomUUID() }, "absent"), "Conflict")
        assert.strictEqual(yield* reason({ resourceVersion }, "absent"), "none")
        assert.deepStrictEqual((yield* kube.get(ConfigMaps, { namespace, name: "m" }))?.["data"], { a: "2" })
      })
    )

    it.effect("an object that is refused is Invalid, and every field is named", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        const bad = eventStream(namespace, "bad", { batch: { maxMessages: 0 }, writer: { replicas: -1 } })
        const error = yield* Effect.flip(kube.apply(bad))
        assert.strictEqual(error.reason, "Invalid")
        assert.isFalse(error.isRetryable)
        assert.include(error.message, "apply EventStream")
        assert.include(error.message, `EventStream.eventstream.dev "bad" is invalid`)
        assert.include(error.message, "spec.batch.maxMessages")
        assert.include(error.message, "spec.writer.replicas")
        assert.strictEqual(yield* reasonOf(kube.create(bad)), "Invalid")
        assert.strictEqual(yield* kube.get(EventStreams, keyOf(bad)), undefined)
        assert.strictEqual(yield* reasonOf(kube.apply(configMap(namespace, "Bad_Name"))), "Invalid")
        assert.strictEqual(yield* reasonOf(kube.apply({ ...configMap(namespace, "m"), kind: "Unheard" })), "Invalid")
        const nowhere = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "m" } }
        assert.strictEqual(yield* reasonOf(kube.apply(nowhere)), "Invalid")
        // A change that is refused leaves the object as it was.
        const good = yield* kube.apply(eventStream(namespace, "good"))
        const worse = eventStream(namespace, "good", { batch: { maxMessages: 0 } })
        assert.strictEqual(yield* reasonOf(kube.apply(worse)), "Invalid")
        assert.deepStrictEqual(yield* kube.get(EventStreams, keyOf(good)), good)
      })
    )

    it.effect("defaults are filled in, and come back when a field is no longer applied", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        const batchOf = (spec: object) =>
          Effect.map(kube.apply(eventStream(namespace, "logs", spec)), (stored) => {
            const { batch } = stored["spec"] as {
              readonly batch: { readonly maxMessages: number; maxBytes: string }
            }
            return [batch.maxMessages, batch.maxBytes]
          })
        assert.deepStrictEqual(yield* batchOf({}), [5000, "16Mi"])
        assert.deepStrictEqual(yield* batchOf({ batch: { maxMessages: 100 } }), [100, "16Mi"])
        assert.deepStrictEqual(yield* batchOf({}), [5000, "16Mi"])
      })
    )

    it.effect("status: apply and create leave it out, patchStatus writes nothing else", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        const stream = { ...eventStream(namespace, "logs"), status: { observedGeneration: 7 } }
        const created = yield* kube.create(stream)
        assert.notNestedPropertyVal(created, "status.observedGeneration", 7)
        const applied = yield* kube.apply(stream)
        assert.notNestedPropertyVal(applied, "status.observedGeneration", 7)
        const status = { observedGeneration: 1, conditions: [condition("Ready")] }
        const patched = yield* kube.patchStatus(EventStreams, keyOf(stream), status)
        assert.containSubset(patched["status"], status)
        assert.deepStrictEqual(patched["spec"], applied["spec"])
        assert.notStrictEqual(patched.metadata.resourceVersion, applied.metadata.resourceVersion)
        const again = yield* kube.patchStatus(EventStreams, keyOf(stream), status)
        assert.strictEqual(again.metadata.resourceVersion, patched.metadata.resourceVersion)
        const later = yield* kube.apply(eventStream(namespace, "logs", { suspend: true }))
        assert.deepStrictEqual(later["status"], patched["status"])
      })
    )

    it.effect("status: written whole by each manager, conditions merged by type", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        const { metadata } = yield* kube.apply(eventStream(namespace, "logs"))
        const key = { namespace, name: metadata.name }
        const types = (conditions: ReadonlyArray<string>, manager?: string) =>
          Effect.map(
            kube.patchStatus(
              EventStreams,
              key,
              { conditions: conditions.map((type) => condition(type)) },
              manager === undefined ? {} : { manager }
            ),
            conditionTypes
          )
        assert.deepStrictEqual(yield* types(["Ready", "Stalled"]), ["Ready", "Stalled"])
        assert.deepStrictEqual(yield* types(["LagHigh"], "other"), ["LagHigh", "Ready", "Stalled"])
        assert.deepStrictEqual(yield* types(["Ready"]), ["LagHigh", "Ready"])
      })
    )

    it.effect("status of what is not there is NotFound, and so is that of a kind without", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        const status = { observedGeneration: 1 }
        const absent = kube.patchStatus(EventStreams, { namespace, name: "absent" }, status)
        assert.strictEqual(yield* reasonOf(absent), "NotFound")
        yield* kube.apply(configMap(namespace, "m"))
        assert.strictEqual(yield* reasonOf(kube.patchStatus(ConfigMaps, { namespace, name: "m" }, {})), "NotFound")
      })
    )

    it.effect("finalizers hold a deletion until they are gone", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        const first = yield* kube.apply(eventStream(namespace, "logs"))
        const held = yield* kube.setFinalizers(EventStreams, first, [finalizer])
        assert.deepStrictEqual(held.metadata.finalizers, [finalizer])
        assert.strictEqual(held.metadata.generation, 1)
        assert.strictEqual(yield* reasonOf(kube.setFinalizers(EventStreams, first, [])), "Conflict", "it has changed")
        const applied = yield* kube.apply(eventStream(namespace, "logs"))
        assert.deepStrictEqual(applied.metadata.finalizers, [finalizer], "apply leaves them alone")

        yield* kube.delete(EventStreams, keyOf(first))
        const deleting = yield* kube.get(EventStreams, keyOf(first))
        assert.isString(deleting?.metadata.deletionTimestamp)
        assert.strictEqual(deleting?.metadata.generation, 2)
        yield* kube.delete(EventStreams, keyOf(first))
        assert.deepStrictEqual(yield* kube.get(EventStreams, keyOf(first)), deleting, "deleted already")
        const more = kube.setFinalizers(EventStreams, deleting!, [finalizer, "example.com/other"])
        assert.strictEqual(yield* reasonOf(more), "Invalid")
        yield* kube.patchStatus(EventStreams, keyOf(first), { observedGeneration: 2 })

        const newest = yield* kube.get(EventStreams, keyOf(first))
        yield* kube.setFinalizers(EventStreams, newest!, [])
        assert.strictEqual(yield* kube.get(EventStreams, keyOf(first)), undefined)
        assert.strictEqual(yield* reasonOf(kube.setFinalizers(EventStreams, newest!, [])), "NotFound")
      })
    )

    it.effect("delete: succeeds when nothing is there; uid is a precondition", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        const key = { namespace, name: "m" }
        yield* kube.delete(ConfigMaps, key)
        const { metadata } = yield* kube.apply(configMap(namespace, "m"))
        assert.strictEqual(yield* reasonOf(kube.delete(ConfigMaps, key, { uid: randomUUID() })), "Conflict")
        assert.isDefined(yield* kube.get(ConfigMaps, key))
        yield* kube.delete(ConfigMaps, key, { uid: metadata.uid! })
        assert.strictEqual(yield* kube.get(ConfigMaps, key), undefined)
        const again = yield* kube.apply(configMap(namespace, "m"))
        assert.notStrictEqual(again.metadata.uid, metadata.uid)
      })
    )

    it.effect("garbage collection: dependents go with their last owner, not before", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        const one = yield* kube.apply(eventStream(namespace, "one"))
        const two = yield* kube.apply(configMap(namespace, "two"))
        const changes = yield* watching(ConfigMaps, { namespace })
        yield* kube.apply(configMap(namespace, "of-one", ownedBy(one)))
        yield* kube.apply(configMap(namespace, "of-both", ownedBy(one, two)))
        const held = yield* kube.setFinalizers(EventStreams, one, [finalizer])
        yield* kube.delete(EventStreams, keyOf(one))
        assert.isDefined(yield* kube.get(ConfigMaps, { namespace, name: "of-one" }), "its owner is not gone yet")
        const deleting = yield* kube.get(EventStreams, keyOf(held))
        yield* kube.setFinalizers(EventStreams, deleting!, [])
        yield* changes.until((change) => change.type === "Deleted" && change.key.name === "of-one")
        assert.isDefined(yield* kube.get(ConfigMaps, { namespace, name: "of-both" }))
        yield* kube.delete(ConfigMaps, keyOf(two))
        yield* changes.until((change) => change.type === "Deleted" && change.key.name === "of-both")
      })
    )

    it.effect("garbage collection: what belongs to nobody who is there goes", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        const owner = yield* kube.apply(configMap(namespace, "owner"))
        yield* kube.delete(ConfigMaps, keyOf(owner))
        const changes = yield* watching(ConfigMaps, { namespace })
        yield* kube.apply(configMap(namespace, "late", ownedBy(owner)))
        yield* changes.until((change) => change.type === "Deleted" && change.key.name === "late")
      })
    )

    it.effect("an immutable ConfigMap keeps its data", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        const map = (data: object, immutable = true) => configMap(namespace, "m", { data, immutable })
        yield* kube.apply(map({ a: "1" }))
        const error = yield* Effect.flip(kube.apply(map({ a: "2" })))
        assert.strictEqual(error.reason, "Invalid")
        assert.include(error.message, "data: Forbidden: field is immutable when `immutable` is set")
        assert.strictEqual(yield* reasonOf(kube.apply(map({ a: "1" }, false))), "Invalid")
        const labelled = { ...map({ a: "1" }), metadata: { namespace, name: "m", labels: { team: "x" } } }
        assert.strictEqual(yield* reasonOf(kube.apply(labelled)), "none")
      })
    )

    it.effect("a Secret's stringData is written to data", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        const metadata = { namespace, name: "pg-app" }
        const stringData = { password: "pässword" }
        yield* kube.apply({ apiVersion: "v1", kind: "Secret", metadata, stringData })
        const stored = yield* kube.get(Secrets, metadata)
        assert.deepStrictEqual(stored?.["data"], { password: "cMOkc3N3b3Jk" })
        assert.strictEqual(stored?.["type"], "Opaque")
        assert.notProperty(stored, "stringData")
      })
    )

    it.effect("a kind without namespaces, and a Pod with its status", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const name = yield* freshNamespace
        const found = yield* kube.get(Namespaces, { namespace: "", name })
        assert.strictEqual(found?.metadata.name, name)
        assert.notProperty(found?.metadata, "namespace")
        // Without the service account the API server would refuse the Pod.
        yield* kube.apply({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: name } })
        const pod = {
          apiVersion: "v1",
          kind: "Pod",
          metadata: { name: "writer", namespace: name },
          spec: { containers: [{ name: "writer", image: "writer:1" }] }
        }
        yield* kube.create(pod)
        const patched = yield* kube.patchStatus(Pods, keyOf(pod), { phase: "Running" })
        assert.containSubset(patched, { spec: { containers: [{ name: "writer" }] }, status: { phase: "Running" } })
      })
    )

    it.effect("events are recorded about an object, repeats of the reason dropped", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        const stream = yield* kube.apply(eventStream(namespace, "logs"))
        const event = {
          type: "Warning",
          reason: "DriftDetected",
          action: "Reconcile",
          note: "max_age differs"
        } as const
        yield* kube.event(stream, event)
        yield* kube.event(stream, { ...event, note: "max_bytes differs" })
        yield* kube.event(stream, { ...event, type: "Normal", reason: "StreamCreated", note: "é".repeat(2000) })
        const other = yield* kube.apply(eventStream(namespace, "other"))
        yield* kube.event(other, event)
        const events = yield* kube.list(Events, { namespace })
        const seen = events.map((each) => {
          const regarding = each["regarding"] as { readonly name: string; readonly uid: string }
          return `${regarding.name} ${each["type"] as string} ${each["reason"] as string}`
        })
        assert.deepStrictEqual(seen.sort(), [
          "logs Normal StreamCreated",
          "logs Warning DriftDetected",
          "other Warning DriftDetected"
        ])
        assert.containSubset(
          events.find((each) => each["reason"] === "DriftDetected" && each.metadata.name.startsWith("logs.")),
          {
            action: "Reconcile",
            note: "max_age differs",
            regarding: { kind: "EventStream", apiVersion: "eventstream.dev/v1alpha1", uid: stream.metadata.uid! }
          }
        )
      })
    )

    it.effect("watch: every object once, then every change, of what is selected", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        const labels = { team: "x" }
        const map = (name: string, a: string, more: object = labels) =>
          configMap(namespace, name, { metadata: { labels: more }, data: { a } })
        yield* kube.apply(map("before", "1"))
        yield* kube.apply(map("unselected", "1", {}))
        const changes = yield* watching(ConfigMaps, { namespace, labels })
        const next = Effect.map(changes.next, brief)
        assert.strictEqual(yield* next, `Applied before {"a":"1"}`)
        yield* kube.apply(map("after", "1"))
        assert.strictEqual(yield* next, `Applied after {"a":"1"}`)
        yield* kube.apply(map("unselected", "2", {}))
        yield* kube.apply(map("after", "1")) // changes nothing
        yield* kube.apply(map("before", "2"))
        assert.strictEqual(yield* next, `Applied before {"a":"2"}`)
        yield* kube.apply(map("before", "2", { team: "y" }))
        const left = yield* changes.next
        assert.strictEqual(`${left.type} ${left.key.name}`, "Deleted before", "no longer selected")
        yield* kube.delete(ConfigMaps, { namespace, name: "after" })
        assert.strictEqual(yield* next, `Deleted after {"a":"1"}`)
      })
    )

    it.effect("watch: a name made anew is deleted, then applied, under another uid", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        const first = yield* kube.apply(eventStream(namespace, "logs"))
        const changes = yield* watching(EventStreams, { namespace })
        assert.strictEqual((yield* changes.next).object.metadata.uid, first.metadata.uid)
        yield* kube.delete(EventStreams, keyOf(first))
        const second = yield* kube.create(eventStream(namespace, "logs"))
        const deleted = yield* changes.next
        assert.deepStrictEqual([deleted.type, deleted.object.metadata.uid], ["Deleted", first.metadata.uid])
        const applied = yield* changes.next
        assert.deepStrictEqual([applied.type, applied.object.metadata.uid], ["Applied", second.metadata.uid])
        assert.deepStrictEqual(applied.object, second)
      })
    )

    it.effect("watch: a deletion that waits for finalizers is an application first", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        const held = yield* kube.setFinalizers(EventStreams, yield* kube.apply(eventStream(namespace, "logs")), [
          finalizer
        ])
        const changes = yield* watching(EventStreams, { namespace })
        yield* changes.next
        yield* kube.delete(EventStreams, keyOf(held))
        const marked = yield* changes.next
        assert.strictEqual(marked.type, "Applied")
        assert.isString(marked.object.metadata.deletionTimestamp)
        yield* kube.setFinalizers(EventStreams, marked.object, [])
        assert.strictEqual((yield* changes.next).type, "Deleted")
      })
    )

    it.effect("what is handed in may be changed afterwards", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        const data = { a: "1" }
        yield* kube.apply(configMap(namespace, "m", { data }))
        data.a = "2"
        assert.deepStrictEqual((yield* kube.get(ConfigMaps, { namespace, name: "m" }))?.["data"], { a: "1" })
      })
    )

    it.effect("Deployments are found by the labels of their owner", () =>
      Effect.gen(function* () {
        const kube = yield* Kube
        const namespace = yield* freshNamespace
        const labels = { "eventstream.dev/name": "logs" }
        const writer = deployment(namespace, "logs-writer")
        yield* kube.apply({ ...writer, metadata: { ...writer.metadata, labels } })
        const found = yield* kube.list(Deployments, { namespace, labels })
        assert.deepStrictEqual(
          found.map((each) => each.metadata.name),
          ["logs-writer"]
        )
      })
    )
  })
