import { assert, type Vitest } from "@effect/vitest"
import { Effect } from "effect"
import { ConfigMaps, EventStreams, Kube, type KubeObject, keyOf } from "../../kube.ts"
import { freshNamespace, configMap, eventStream, reasonOf } from "./fixtures.ts"

/** Conformance: the status subresource. */

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

export const status = (it: Vitest.MethodsNonLive<Kube>) => {
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
}
