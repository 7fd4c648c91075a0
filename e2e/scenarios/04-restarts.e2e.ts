import { assert, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import {
  counted,
  allOf,
  longestGap,
  numbers,
  ready,
  rows,
  settled,
  start,
  streamNameOf,
  tableOf,
  writers
} from "../numbers.ts"
import {
  isPodReady,
  kubectl,
  leader,
  namespace,
  operatorNamespace,
  report,
  seconds,
  startLoad,
  streamThere,
  waitFor
} from "../world.ts"

/**
 * Under load, with two writers: one of them is deleted, then the operator that leads is, then everything is restarted in rolls,
 * as an update of the nodes would do it. Rows keep arriving all the time, and in the end each is there once.
 */

const name = "restarts"
const table = tableOf(name)

/** What a rolling restart takes, in seconds. */
const restart = Effect.fnUntraced(function* (into: string, workload: string) {
  const started = yield* Clock.currentTimeMillis
  yield* kubectl("rollout", "restart", "--namespace", into, workload)
  yield* kubectl("rollout", "status", "--namespace", into, workload, "--timeout=500s")
  return ((yield* Clock.currentTimeMillis) - started) / 1000
})

it.live(
  "a writer, the leading operator, then everything is restarted: rows keep arriving, none lost, none twice",
  () =>
    Effect.gen(function* () {
      yield* start(numbers(name, { stream: { replicas: 3 }, writer: { replicas: 2 } }))
      const load = yield* startLoad({ subject: `${name}.a`, rate: 200 })
      yield* waitFor("the first rows", rows(table), ({ count }) => count > 200)

      const writerGone = yield* Clock.currentTimeMillis
      const [gone] = yield* writers(name)
      yield* kubectl("delete", "pod", "--namespace", namespace, gone!.metadata.name, "--wait=false")
      yield* waitFor(
        "two writers, one of them new",
        writers(name),
        (pods) => pods.filter((pod) => isPodReady(pod) && pod.metadata.uid !== gone!.metadata.uid).length === 2
      )

      const before = yield* leader
      const operatorGone = yield* Clock.currentTimeMillis
      yield* kubectl("delete", "pod", "--namespace", operatorNamespace, before.pod, "--wait=false")
      const after = yield* waitFor("another leader", leader, ({ pod }) => pod !== "" && pod !== before.pod, 60)
      const handedOver = (after.since - operatorGone) / 1000
      assert.isBelow(handedOver, 5, "a leader that is stopped gives its Lease back, nobody waits for it to expire")
      // It works: what is edited now is carried out by the new leader.
      yield* kubectl("scale", "--namespace", namespace, `eventstream/${name}`, "--replicas=1")
      yield* ready(name)
      yield* kubectl("scale", "--namespace", namespace, `eventstream/${name}`, "--replicas=2")
      yield* ready(name)

      const restarted = yield* Clock.currentTimeMillis
      const took = yield* Effect.all(
        [
          restart("nats", "statefulset/nats"),
          restart(operatorNamespace, "deployment/eventstream-operator").pipe(
            Effect.tap(restart(namespace, `deployment/${name}-writer`))
          )
        ],
        { concurrency: 2 }
      )
      yield* waitFor("three replicas up to date", streamThere(streamNameOf(name)), ({ current }) => current === 3, 300)
      yield* ready(name)

      const { published } = yield* load.stop
      const loadEnded = yield* Clock.currentTimeMillis
      const found = yield* settled(name, published)
      assert.deepEqual(found, allOf(published))
      const gaps = {
        writer: yield* longestGap(name, writerGone, operatorGone),
        operator: yield* longestGap(name, operatorGone, restarted),
        all: yield* longestGap(name, restarted, loadEnded)
      }
      yield* report(
        "restarts",
        `${counted(published, found)}, longest time without rows: ${seconds(gaps.writer)} (writer deleted), ${seconds(gaps.operator)} (leading operator deleted, ` +
          `Lease handed over in ${seconds(handedOver)}), ${seconds(gaps.all)} (all restarted: NATS in ${seconds(took[0])}, operators in ${seconds(took[1])})`
      )
    }).pipe(Effect.scoped),
  900_000
)
