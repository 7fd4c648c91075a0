import { assert, type Vitest } from "@effect/vitest"
import { Effect } from "effect"
import { randomUUID } from "node:crypto"
import { type Change, ConfigMaps, EventStreams, Kube, keyOf, type Selection } from "../../kube.ts"
import { finalizer, freshNamespace, configMap, eventStream, changesOf } from "./fixtures.ts"

/** Conformance: reading and watching. */

const brief = ({ type, key, object }: Change) => `${type} ${key.name} ${JSON.stringify(object["data"] ?? null)}`

export const watching = (it: Vitest.MethodsNonLive<Kube>) => {
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

  it.effect("watch: every object once, then every change, of what is selected", () =>
    Effect.gen(function* () {
      const kube = yield* Kube
      const namespace = yield* freshNamespace
      const labels = { team: "x" }
      const map = (name: string, a: string, more: object = labels) =>
        configMap(namespace, name, { metadata: { labels: more }, data: { a } })
      yield* kube.apply(map("before", "1"))
      yield* kube.apply(map("unselected", "1", {}))
      const changes = yield* changesOf(ConfigMaps, { namespace, labels })
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
      const changes = yield* changesOf(EventStreams, { namespace })
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
      const changes = yield* changesOf(EventStreams, { namespace })
      yield* changes.next
      yield* kube.delete(EventStreams, keyOf(held))
      const marked = yield* changes.next
      assert.strictEqual(marked.type, "Applied")
      assert.isString(marked.object.metadata.deletionTimestamp)
      yield* kube.setFinalizers(EventStreams, marked.object, [])
      assert.strictEqual((yield* changes.next).type, "Deleted")
    })
  )
}
