import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { inject } from "vitest"
import type { EventStreamStatus } from "../crds/eventstream.ts"
import { kubectl } from "../testing/control-plane.ts"
import { operatorAccount } from "../testing/operator-account.ts"
import { startOperator } from "../testing/operator-process.ts"
import { conditionsOf, manifest, until } from "../testing/operator-services.ts"
import { startNats } from "../testing/servers.ts"
import { ConfigMaps, Deployments, Events, EventStreams, Kube, type KubeObject } from "./kube.ts"
import { layerServer } from "./kube/server.ts"

/**
 * The rights that the chart gives: no fewer than an EventStream's whole life takes, and none that nothing takes. The operator
 * looks after all namespaces here, and after one in the quickstart's test.
 */

const plane = inject("controlPlane")
const own = "rights-system"
const namespace = "rights"
const key = { namespace, name: "logs" }
const child = { namespace, name: "logs-writer" }

/** Rights that nothing here uses. */
const unused = [
  // Asked for by OwnerReferencesPermissionEnforcement, an admission plugin that is off in the API server's defaults.
  "update eventstreams/finalizers.eventstream.dev"
]

const conditions = (object: KubeObject | undefined) => conditionsOf(object?.["status"] ?? {})

it.live(
  "a whole life takes every right but those that are known, is refused none, and reads no Secret",
  () =>
    Effect.gen(function* () {
      const kube = yield* Kube
      const nats = yield* startNats()
      for (const each of [own, namespace]) yield* kubectl(plane, "create", "namespace", each)
      const account = yield* operatorAccount(plane, own)
      const operator = yield* startOperator({
        KUBECONFIG: account.kubeconfig,
        EVENTSTREAM_HOSTS: `nats.nats.svc=127.0.0.1:${nats.port}`,
        EVENTSTREAM_LEASE: `${own}/eventstream-operator`
      })
      const { metadata, ...object } = manifest("logs")
      const apply = (spec: object) =>
        kube.apply({ ...object, metadata: { ...metadata, ...key }, spec: { ...(object["spec"] as object), ...spec } })

      yield* apply({})
      yield* until(kube.get(EventStreams, key), (found) => conditions(found)["ConsumerReady"] === "True UpToDate")
      // Each configuration has a ConfigMap of its own, of which a few are kept. Which ones is open here: creation times are whole seconds.
      const maps = Effect.map(kube.list(ConfigMaps, { namespace, labels: { "eventstream.dev/name": "logs" } }), (all) =>
        all.map(({ metadata }) => metadata.name)
      )
      const edits = 5
      for (let i = 1; i <= edits; i++) {
        yield* apply({ batch: { maxMessages: 1000 + i } })
        yield* until(kube.get(EventStreams, key), (found) => {
          const { observedGeneration } = found!["status"] as EventStreamStatus
          return observedGeneration === found!.metadata.generation
        })
      }
      yield* until(maps, (names) => names.length < 1 + edits)
      yield* kube.delete(Deployments, child)
      yield* until(kube.get(Deployments, child), (found) => found !== undefined)
      yield* until(kube.list(Events, { namespace }), (events) => events.length > 0)
      yield* kube.delete(EventStreams, key)
      yield* until(kube.get(EventStreams, key), (found) => found === undefined)
      operator.signal("SIGTERM")
      assert.strictEqual((yield* operator.exit).code, 0)

      assert.deepStrictEqual(yield* account.offences, [])
      assert.deepStrictEqual(yield* account.unusedRights, unused)
    }).pipe(Effect.scoped, Effect.provide(layerServer({ kubeconfig: plane.kubeconfig }))),
  60_000
)
