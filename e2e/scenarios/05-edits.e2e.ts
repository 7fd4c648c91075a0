import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  counted,
  allOf,
  condition,
  edit,
  eventStream,
  isReady,
  numbers,
  ready,
  rows,
  settled,
  start,
  streamNameOf,
  tableOf,
  writers
} from "../numbers.ts"
import { kubectl, namespace, publish, report, startLoad, streamThere, waitFor } from "../world.ts"

/**
 * An EventStream is edited under load, scaled to three writers and back through its /scale, suspended while events go on being
 * published, and resumed: the same rows as if nothing had been.
 */

const name = "edits"
const table = tableOf(name)
const backlog = 1_500

const scale = (replicas: number) =>
  kubectl("scale", "--namespace", namespace, `eventstream/${name}`, `--replicas=${replicas}`).pipe(
    Effect.andThen(ready(name)),
    Effect.andThen(writers(name))
  )

it.live(
  "edited, scaled, suspended and resumed: the same rows",
  () =>
    Effect.gen(function* () {
      yield* start(numbers(name))
      const load = yield* startLoad({ subject: `${name}.a`, rate: 200 })
      yield* waitFor("the first rows", rows(table), ({ count }) => count > 0)

      // A changed configuration is a rollout: a new writer first, then the old one goes.
      const before = yield* writers(name)
      yield* edit(name, { batch: { maxLatency: "100ms" }, writer: { podLabels: { edited: "yes" } } })
      yield* ready(name)
      const after = yield* waitFor("the new writer alone", writers(name), (pods) => pods.length === 1)
      assert.notEqual(after[0]!.metadata.uid, before[0]!.metadata.uid)

      assert.lengthOf(yield* scale(3), 3)
      yield* waitFor("one writer", scale(1), (pods) => pods.length === 1)
      const first = (yield* load.stop).published
      assert.deepEqual(yield* settled(name, first), allOf(first))

      // Suspended: no writer, no rows, a backlog that the status tells; Ready, because that is what was asked for.
      yield* edit(name, { suspend: true })
      const suspended = yield* ready(name)
      assert.equal(condition(suspended, "Ready"), "True Suspended")
      assert.equal(condition(suspended, "Suspended"), "True Suspended")
      yield* waitFor("no writer", writers(name), (pods) => pods.length === 0)
      yield* publish({ subject: `${name}.a`, from: first + 1, count: backlog, rate: 500 })
      const waiting = yield* waitFor(
        "the backlog in the status",
        eventStream(name),
        ({ status }) => status.consumer.pending === backlog
      )
      assert.deepInclude(waiting.status.consumer, { ackPending: 0, lag: "1.5k" })
      assert.isTrue(isReady(waiting))
      assert.equal((yield* streamThere(streamNameOf(name))).consumers[0]!.pending, backlog)
      assert.deepEqual(yield* rows(table), allOf(first), "nothing was written meanwhile")

      yield* edit(name, { suspend: false })
      yield* ready(name)
      const published = first + backlog
      const found = yield* settled(name, published)
      assert.deepEqual(found, allOf(published))
      yield* report("edits", `${counted(published, found)}, of these ${backlog} while suspended`)
    }).pipe(Effect.scoped),
  400_000
)
