import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { inject } from "vitest"
import { kubectl } from "../testing/control-plane.ts"
import { operatorAccount } from "../testing/operator-account.ts"
import { startOperator } from "../testing/operator-process.ts"
import { manifest, until } from "../testing/operator-services.ts"
import { startProxy } from "../testing/proxy.ts"
import { startNats } from "../testing/servers.ts"
import { Deployments, EventStreams, Kube, type KubeObject } from "./kube.ts"
import { layerServer } from "./kube/server.ts"

const plane = inject("controlPlane")
const namespaces = ["outage-a", "outage-b"]

const replicas = (deployment: KubeObject | undefined) =>
  (deployment?.["spec"] as { readonly replicas: number } | undefined)?.replicas

it.live(
  "an API server that is away at the start, or later for a while, is waited for; each namespace is looked after",
  () =>
    Effect.gen(function* () {
      const kube = yield* Kube
      const nats = yield* startNats()
      for (const namespace of [...namespaces, "outage-c"]) yield* kubectl(plane, "create", "namespace", namespace)
      const account = yield* operatorAccount(plane, namespaces[0]!, { namespaces })
      const proxy = yield* startProxy(Number(new URL(plane.url).port))
      const apply = (namespace: string, spec: object = {}) => {
        const { metadata, ...object } = manifest("logs", { stream: { name: namespace, subjects: [`${namespace}.>`] } })
        const merged = { ...(object["spec"] as object), ...spec }
        return kube.apply({ ...object, metadata: { ...metadata, namespace }, spec: merged })
      }
      const deployment = (namespace: string) => kube.get(Deployments, { namespace, name: "logs-writer" })

      proxy.refuse(true)
      for (const namespace of [...namespaces, "outage-c"]) yield* apply(namespace)
      const operator = yield* startOperator(
        { KUBECONFIG: account.kubeconfigBy(proxy.port), EVENTSTREAM_HOSTS: `nats.nats.svc=127.0.0.1:${nats.port}` },
        namespaces.flatMap((namespace) => ["--namespace", namespace])
      )
      yield* operator.logged("waiting for the Kubernetes API")
      const { status, text } = yield* operator.get("/readyz")
      assert.strictEqual(status, 503)
      assert.include(text, "list EventStream: ")

      proxy.refuse(false)
      for (const namespace of namespaces) {
        yield* until(deployment(namespace), (found) => found !== undefined)
      }
      assert.deepStrictEqual(yield* operator.get("/readyz"), { status: 200, text: "watching EventStreams\n" })

      proxy.refuse(true)
      proxy.cut()
      yield* apply(namespaces[0]!, { suspend: true })
      yield* apply(namespaces[1]!, { writer: { replicas: 2 } })
      yield* Effect.sleep("3 seconds")
      proxy.refuse(false)
      yield* until(deployment(namespaces[0]!), (found) => replicas(found) === 0)
      yield* until(deployment(namespaces[1]!), (found) => replicas(found) === 2)

      assert.isUndefined(yield* deployment("outage-c"), "a namespace that it was not given")
      for (const namespace of namespaces) yield* kube.delete(EventStreams, { namespace, name: "logs" })
      for (const namespace of namespaces) {
        yield* until(kube.get(EventStreams, { namespace, name: "logs" }), (found) => found === undefined)
      }
      operator.signal("SIGTERM")
      assert.strictEqual((yield* operator.exit).code, 0)
      assert.deepStrictEqual(yield* account.offences, [])
    }).pipe(Effect.scoped, Effect.provide(layerServer({ kubeconfig: plane.kubeconfig }))),
  90_000
)
