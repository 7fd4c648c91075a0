import { assert, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { operatorValues, hubValues } from "../values.ts"
import {
  apply,
  get,
  helm,
  isPodReady,
  type KubeList,
  leader,
  namespace,
  operatorNamespace,
  report,
  seconds,
  secondsSince,
  waitFor
} from "../world.ts"

/**
 * A cluster and a database are there. Two charts bring the rest: a hub of three NATS servers, each on a node of its own, and two
 * operators, one of which leads. All of it in namespaces that enforce the Pod security standard `restricted`, without a warning.
 */

const restricted = (name: string) => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: {
    name,
    labels: Object.fromEntries(["enforce", "warn"].map((mode) => [`pod-security.kubernetes.io/${mode}`, "restricted"]))
  }
})

/** In the shape of CloudNativePG's. */
const databaseSecret = {
  apiVersion: "v1",
  kind: "Secret",
  metadata: { name: "pg-app", namespace },
  stringData: { uri: "postgres://app:app@postgres.postgres.svc:5432/app?sslmode=disable" }
}

/** Installs, and runs the chart's own test; the seconds both took. */
const install = Effect.fnUntraced(function* (release: string, chart: string, into: string, values: object) {
  const started = yield* Clock.currentTimeMillis
  // As `helm install`, and also good for a cluster that an earlier run has used.
  const args = ["upgrade", "--install", release, `charts/${chart}`, "--namespace", into, "--wait", "--timeout", "4m"]
  const { stderr } = yield* helm(args, values)
  assert.notMatch(stderr, /warn|violate/i)
  const installed = yield* secondsSince(started)
  const test = yield* helm(["test", release, "--namespace", into, "--timeout", "2m"])
  assert.match(test.stdout, /Phase:\s+Succeeded/)
  return `${release} in ${seconds(installed)} and tested in ${seconds((yield* secondsSince(started)) - installed)}`
})

it.live(
  "two charts install, pass their own tests and need no exception from the Pod security standard",
  () =>
    Effect.gen(function* () {
      yield* apply(...["nats", "edge", operatorNamespace, namespace].map(restricted), databaseSecret)

      const times = yield* Effect.all(
        [
          install("nats", "eventstream-nats", "nats", hubValues),
          install("eventstream-operator", "eventstream-operator", operatorNamespace, operatorValues)
        ],
        { concurrency: 2 }
      )

      const servers = yield* get<KubeList>("--namespace", "nats", "pods", "--selector=app.kubernetes.io/instance=nats")
      const hubs = servers.items.filter(({ metadata }) => /^nats-\d$/.test(metadata.name))
      assert.deepEqual(hubs.map(({ metadata }) => metadata.name).sort(), ["nats-0", "nats-1", "nats-2"])
      assert.isTrue(hubs.every(isPodReady))
      assert.lengthOf(new Set(hubs.map(({ spec }) => spec.nodeName)), 3, "one server on each node")

      const selector = "--selector=app.kubernetes.io/name=eventstream-operator"
      const operators = yield* get<KubeList>("--namespace", operatorNamespace, "pods", selector)
      assert.lengthOf(operators.items.filter(isPodReady), 2)
      const { pod } = yield* waitFor("a leader", leader, ({ pod }) => pod !== "")
      assert.include(
        operators.items.map(({ metadata }) => metadata.name),
        pod
      )
      yield* report("install", times.join(", "))
    }),
  600_000
)
