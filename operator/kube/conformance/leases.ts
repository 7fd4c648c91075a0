import { assert, type Vitest } from "@effect/vitest"
import { Effect } from "effect"
import { Kube, Leases } from "../../kube.ts"
import { freshNamespace, reasonOf } from "./fixtures.ts"

/** Conformance: what a leader election by a Lease asks of the API. */

const time = "2026-01-31T12:00:00.123456Z"

export const leases = (it: Vitest.MethodsNonLive<Kube>) => {
  const lease = (namespace: string, holderIdentity: string, resourceVersion?: string) => ({
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name: "operator", namespace, ...(resourceVersion === undefined ? {} : { resourceVersion }) },
    spec: { holderIdentity, leaseDurationSeconds: 15, acquireTime: time, renewTime: time, leaseTransitions: 0 }
  })
  const candidates = ["a", "b", "c", "d"]
  const outcomes = (tries: ReadonlyArray<Effect.Effect<unknown, { readonly reason: string }>>) =>
    Effect.map(Effect.all(tries.map(reasonOf), { concurrency: "unbounded" }), (reasons) => reasons.sort())

  it.effect("a Lease: of those who create it at once one succeeds, of those who write on one state of it one", () =>
    Effect.gen(function* () {
      const kube = yield* Kube
      const namespace = yield* freshNamespace
      const found = kube.get(Leases, { namespace, name: "operator" })
      const created = yield* outcomes(candidates.map((name) => kube.create(lease(namespace, name))))
      assert.deepStrictEqual(created, ["AlreadyExists", "AlreadyExists", "AlreadyExists", "none"])
      const { resourceVersion } = (yield* found)!.metadata
      const taken = yield* outcomes(candidates.map((name) => kube.apply(lease(namespace, `${name}2`, resourceVersion))))
      assert.deepStrictEqual(taken, ["Conflict", "Conflict", "Conflict", "none"])
    })
  )

  it.effect("a Lease: what is written is read, microseconds and a holder without a name, too", () =>
    Effect.gen(function* () {
      const kube = yield* Kube
      const namespace = yield* freshNamespace
      const { metadata } = yield* kube.create(lease(namespace, "a"))
      const released = lease(namespace, "", metadata.resourceVersion)
      yield* kube.apply(released)
      const found = yield* kube.get(Leases, { namespace, name: "operator" })
      assert.deepStrictEqual(found?.["spec"], released.spec)
      const late = kube.apply(lease(namespace, "a", metadata.resourceVersion))
      assert.strictEqual(yield* reasonOf(late), "Conflict")
    })
  )
}
