import { assert, type Vitest } from "@effect/vitest"
import { Effect } from "effect"
import { randomUUID } from "node:crypto"
import { ConfigMaps, EventStreams, Kube, keyOf } from "../../kube.ts"
import { finalizer, freshNamespace, configMap, eventStream, ownedBy, reasonOf, changesOf } from "./fixtures.ts"

/** Conformance: finalizers, deletion and garbage collection. */

export const deleting = (it: Vitest.MethodsNonLive<Kube>) => {
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
      const changes = yield* changesOf(ConfigMaps, { namespace })
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
      const changes = yield* changesOf(ConfigMaps, { namespace })
      yield* kube.apply(configMap(namespace, "late", ownedBy(owner)))
      yield* changes.until((change) => change.type === "Deleted" && change.key.name === "late")
    })
  )
}
