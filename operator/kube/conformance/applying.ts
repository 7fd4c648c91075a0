import { assert, type Vitest } from "@effect/vitest"
import { Effect } from "effect"
import { randomUUID } from "node:crypto"
import { ConfigMaps, EventStreams, Kube, type KubeObject, keyOf } from "../../kube.ts"
import { freshNamespace, configMap, eventStream, deployment, reasonOf } from "./fixtures.ts"

/** Conformance: create and apply. */

export const applying = (it: Vitest.MethodsNonLive<Kube>) => {
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

  it.effect("apply: lists are replaced whole, maps merged", () =>
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
}
