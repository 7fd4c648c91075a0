import { describe, it } from "@effect/vitest"
import { Effect, Option, Stream } from "effect"
import { assert } from "vitest"
import { layerMemory } from "../kube/memory.ts"
import { Deployments, Kube, type KubeObject, keyOf, Pods } from "../kube.ts"
import { releasePod, runDeployments } from "./deployments.ts"

const deployment = (replicas: number): KubeObject => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "logs-writer", namespace: "demo" },
  spec: { replicas, selector: { matchLabels: {} }, template: { spec: { containers: [{ name: "writer" }] } } }
})

/** The first state of the Deployment that is so. */
const until = Effect.fnUntraced(function* (is: (status: Record<string, unknown>) => boolean) {
  const kube = yield* Kube
  yield* kube.watch(Deployments, {}).pipe(
    Stream.filter(({ object }) => is((object["status"] ?? {}) as Record<string, unknown>)),
    Stream.runHead,
    Effect.map(Option.getOrThrow),
    Effect.timeout("5 seconds")
  )
  return yield* kube.list(Pods, {})
})

const setReady = Effect.fnUntraced(function* (pods: ReadonlyArray<KubeObject>) {
  const kube = yield* Kube
  for (const pod of pods) {
    yield* kube.patchStatus(
      Pods,
      keyOf(pod),
      { conditions: [{ type: "Ready", status: "True" }] },
      { manager: "kubelet" }
    )
  }
})

describe("runDeployments", () => {
  it.live("follows Deployments and Pods, and leaves nothing behind", () =>
    Effect.gen(function* () {
      const kube = yield* Kube
      yield* runDeployments("local")
      yield* kube.apply(deployment(2))
      const pods = yield* until(({ replicas }) => replicas === 2)
      assert.lengthOf(pods, 2)
      yield* setReady(pods)
      yield* until(({ readyReplicas }) => readyReplicas === 2)

      yield* kube.delete(Pods, keyOf(pods[0]!))
      const after = yield* until(({ readyReplicas, replicas }) => replicas === 2 && readyReplicas === 1)
      assert.lengthOf(after, 3) // the leaving one stays until its process has ended
      yield* releasePod(pods[0]!)
      assert.lengthOf(yield* kube.list(Pods, {}), 2)

      yield* kube.delete(Deployments, { namespace: "demo", name: "logs-writer" })
      const leaving = yield* kube.list(Pods, {})
      assert.isTrue(leaving.every(({ metadata }) => metadata.deletionTimestamp !== undefined))
      for (const pod of leaving) yield* releasePod(pod)
      assert.deepEqual(yield* kube.list(Pods, {}), [])
    }).pipe(Effect.scoped, Effect.provide(layerMemory([])))
  )
})
