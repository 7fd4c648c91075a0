import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { inject } from "vitest"
import type { EventStreamStatus } from "../crds/eventstream.ts"
import { kubectl } from "../testing/control-plane.ts"
import { operatorAccount } from "../testing/operator-account.ts"
import { conditionsOf, manifest, operatorServices, until } from "../testing/operator-services.ts"
import { startNats } from "../testing/servers.ts"
import { Deployments, EventStreams, Kube, type ObjectKey, Pods } from "./kube.ts"
import { layerServer } from "./kube/server.ts"
import { makeReconciler } from "./reconcile.ts"

const plane = inject("controlPlane")
const key = { namespace: "operator-reconcile", name: "logs" }

/** Everything a Pod template may hold of a spec, in forms that the API server rewrites. */
const writer = {
  resources: { requests: { cpu: "1000m", memory: "1024Mi" }, limits: { memory: 2147483648 } },
  podLabels: { team: "a" },
  podAnnotations: { note: "x" },
  nodeSelector: {},
  imagePullSecrets: [{ name: "registry" }],
  tolerations: [{ operator: "Exists" }]
}

it.live(
  "over a real API server: created, at rest without a write, edits put back, deleted with what belongs to it",
  () => {
    const calls: Array<string> = []
    return Effect.gen(function* () {
      const { port } = yield* startNats()
      yield* kubectl(plane, "create", "namespace", key.namespace)
      const account = yield* operatorAccount(plane, key.namespace, { namespaces: [key.namespace] })
      const services = yield* Layer.build(
        operatorServices(port, layerServer({ kubeconfig: account.kubeconfig }), calls)
      )
      yield* Effect.gen(function* () {
        const kube = yield* Kube
        const reconciler = makeReconciler({
          defaults: { image: "eventstream:test", hosts: undefined },
          statusIntervalMillis: 30_000
        })
        const reconcile = (one: ObjectKey) => Effect.provide(reconciler(one), services)
        const { metadata: named, ...object } = manifest("logs", { writer })
        yield* kube.apply({ ...object, metadata: { ...named, ...key } })
        yield* reconcile(key)
        const pods = kube.list(Pods, { namespace: key.namespace })
        yield* until(pods, (found) => found.length === 1)
        const child = { ...key, name: "logs-writer" }
        const counted = yield* until(
          kube.get(Deployments, child),
          (found) => (found?.["status"] as { updatedReplicas?: number } | undefined)?.updatedReplicas === 1
        )
        yield* reconcile(key)
        const { status } = (yield* kube.get(EventStreams, key)) as unknown as { readonly status: EventStreamStatus }
        assert.deepInclude(conditionsOf(status), { StreamReady: "True UpToDate", ConsumerReady: "True UpToDate" })

        calls.length = 0
        for (let i = 0; i < 3; i++) assert.deepStrictEqual((yield* reconcile(key)).steps, [])
        assert.deepStrictEqual(calls, [])

        const spec = counted!["spec"] as { readonly template: { readonly spec: object } }
        const template = { ...spec.template, spec: { ...spec.template.spec, terminationGracePeriodSeconds: 1 } }
        const { resourceVersion: _, ...metadata } = counted!.metadata
        yield* kube.apply({ ...counted!, metadata, spec: { ...spec, template } }, { manager: "somebody" })
        assert.deepStrictEqual((yield* reconcile(key)).steps, ["Apply Deployment"])
        assert.deepStrictEqual((yield* reconcile(key)).steps, [])

        yield* kube.delete(EventStreams, key)
        yield* until(
          Effect.map(reconcile(key), ({ outcome }) => outcome._tag),
          (outcome) => outcome === "Gone"
        )
        yield* until(pods, (found) => found.length === 0)
        assert.strictEqual(yield* kube.get(EventStreams, key), undefined)
        assert.deepStrictEqual(yield* account.offences, [])
      }).pipe(Effect.provide(layerServer({ kubeconfig: plane.kubeconfig })))
    }).pipe(Effect.scoped)
  }
)
