import { assert, type Vitest } from "@effect/vitest"
import { Effect } from "effect"
import { Events, Kube, keyOf, Namespaces, Pods, Secrets } from "../../kube.ts"
import { freshNamespace, configMap, eventStream, reasonOf } from "./fixtures.ts"

/** Conformance: what is particular to a kind, and events. */

export const kinds = (it: Vitest.MethodsNonLive<Kube>) => {
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
}
