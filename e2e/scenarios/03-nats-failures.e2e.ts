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
  cluster,
  get,
  handOver,
  isPodReady,
  type KubeList,
  type KubeObject,
  report,
  seconds,
  startLoad,
  streamThere,
  waitFor,
  kubectl
} from "../world.ts"

/**
 * Under load on a stream of three replicas that two writers read, first the NATS server that leads the stream is deleted, then a
 * node loses its power, whose server leads the stream by then, and with it a writer where it has one. Rows keep arriving; none is
 * lost, none is there twice, and when the node is back everything is whole again.
 */

const name = "failover"
const stream = streamNameOf(name)
const table = tableOf(name)

const natsPods = get<KubeList>("--namespace", "nats", "pods", "--selector=app.kubernetes.io/instance=nats").pipe(
  Effect.map(({ items }) => items.filter(({ metadata }) => /^nats-\d$/.test(metadata.name)))
)
const nodeOf = ({ spec }: KubeObject) => spec.nodeName as string

/** Waits until there are that many rows more than now. */
const rowsArrive = Effect.fnUntraced(function* (when: string, more: number) {
  const { count } = yield* rows(table)
  return yield* waitFor(`rows again ${when}`, rows(table), (now) => now.count >= count + more, 90)
})

it.live(
  "a NATS server is deleted, then a node loses its power: rows keep arriving, none lost, none twice",
  () =>
    Effect.gen(function* () {
      const { machines, nodes } = yield* cluster
      const rate = 300
      yield* start(numbers(name, { stream: { replicas: 3 }, writer: { replicas: 2 } }))
      const load = yield* startLoad({ subject: `${name}.a`, rate })
      yield* rowsArrive("at the start", rate)

      // The server that leads the stream goes.
      const leading = (yield* waitFor("a stream leader", streamThere(stream), (s) => s.leader !== null)).leader!
      const deleted = (yield* natsPods).find(({ metadata }) => metadata.name === leading)!
      const podGone = yield* Clock.currentTimeMillis
      yield* kubectl("delete", "pod", "--namespace", "nats", leading, "--wait=false")
      yield* waitFor(
        `another Pod ${leading}`,
        natsPods,
        (pods) =>
          pods.some(
            (pod) => pod.metadata.uid !== deleted.metadata.uid && pod.metadata.name === leading && isPodReady(pod)
          ),
        120
      )
      yield* waitFor("three replicas up to date", streamThere(stream), ({ current }) => current === 3, 300)
      yield* rowsArrive("after the deletion", 2 * rate)

      if (machines === undefined) {
        const { published } = yield* load.stop
        const found = yield* settled(name, published)
        assert.deepEqual(found, allOf(published))
        const gap = yield* longestGap(name, podGone, yield* Clock.currentTimeMillis)
        return yield* report(
          "NATS failures",
          `${counted(published, found)}, longest time without rows: ${seconds(gap)} (Pod of the stream's leader deleted); ` +
            "no node was stopped, because this cluster's machines are not ours"
        )
      }

      // A node goes, with a writer on it if there is one elsewhere than on the first node, where the database stands. Its NATS
      // server leads the stream: the worst of the three to lose.
      const [, ...others] = nodes
      const mine = yield* writers(name)
      const writersOn = (node: string) => mine.filter((pod) => nodeOf(pod) === node).length
      const lost = others.sort((a, b) => writersOn(b) - writersOn(a))[0]!
      const server = (yield* natsPods).find((pod) => nodeOf(pod) === lost)!.metadata.name
      yield* waitFor(
        `${server} leading`,
        handOver(stream, server).pipe(Effect.andThen(streamThere(stream))),
        (now) => now.leader === server
      )
      yield* rowsArrive("under the new leader", rate)
      const nodeGone = yield* Clock.currentTimeMillis
      const withoutNode = Effect.gen(function* () {
        yield* rowsArrive("after the power loss", 2 * rate)
        yield* waitFor(
          "two writers on other nodes",
          writers(name),
          (pods) => pods.filter((pod) => isPodReady(pod) && nodeOf(pod) !== lost).length === 2,
          120
        )
        const replacedAfter = (yield* Clock.currentTimeMillis) - nodeGone
        yield* rowsArrive("with the new writer", rate)
        return replacedAfter
      })
      const replacedAfter = yield* Effect.acquireUseRelease(
        machines.stopNode(lost),
        () => withoutNode,
        () => Effect.orDie(machines.startNode(lost))
      )
      // The server that led comes back; it has been seen to need two minutes until it counts itself as up to date.
      const nodeBack = yield* Clock.currentTimeMillis
      yield* waitFor("three replicas up to date", streamThere(stream), ({ current }) => current === 3, 300)
      const wholeAfter = (yield* Clock.currentTimeMillis) - nodeBack
      yield* rowsArrive("with the node back", rate)
      const { published } = yield* load.stop
      const loadEnded = yield* Clock.currentTimeMillis
      const found = yield* settled(name, published)
      yield* ready(name)
      yield* waitFor("all NATS servers ready", natsPods, (pods) => pods.filter(isPodReady).length === 3, 120)

      assert.deepEqual(yield* rows(table), allOf(published))
      assert.deepEqual(found, allOf(published))
      const podGap = yield* longestGap(name, podGone, nodeGone)
      const nodeGap = yield* longestGap(name, nodeGone, loadEnded)
      yield* report(
        "NATS failures",
        `${counted(published, found)}, longest time without rows: ${seconds(podGap)} (Pod of the stream's leader deleted), ` +
          `${seconds(nodeGap)} (node of the leader and ${writersOn(lost)} of 2 writers stopped); two writers elsewhere after ${seconds(replacedAfter / 1000)}, ` +
          `three replicas up to date ${seconds(wholeAfter / 1000)} after the node was back`
      )
    }).pipe(Effect.scoped),
  900_000
)
