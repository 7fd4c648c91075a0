import { assert, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { counted, allOf, numbers, ready, remove, rows, settled, start, streamNameOf, tableOf } from "../numbers.ts"
import {
  apply,
  get,
  type KubeList,
  namespace,
  publish,
  report,
  seconds,
  secondsSince,
  streamOf,
  waitFor
} from "../world.ts"

/**
 * Four EventStreams, one for each pair of deletion policies, are deleted after their rows are written. In JetStream remains what
 * the object said; rows always remain, and nothing of it in Kubernetes. What was retained is taken up again by an EventStream of
 * the same name, which writes no row a second time.
 */

const policies = [
  { stream: "Retain", consumer: "Retain" },
  { stream: "Retain", consumer: "Delete" },
  { stream: "Delete", consumer: "Retain" },
  { stream: "Delete", consumer: "Delete" }
] as const
const nameOf = ({ stream, consumer }: (typeof policies)[number]) => `stream-${stream}-durable-${consumer}`.toLowerCase()

const events = 100

const manifestOf = (policy: (typeof policies)[number]) =>
  numbers(nameOf(policy), {
    stream: { deletionPolicy: policy.stream },
    consumer: { deletionPolicy: policy.consumer }
  })

/** What remains in JetStream: the stream with its messages, and how many durables on it. */
const remains = (name: string) =>
  streamOf(streamNameOf(name)).pipe(
    Effect.map((stream) => (stream ? { messages: stream.messages, durables: stream.consumers.length } : null))
  )

/** Removes what an earlier run, broken off here, has left: an EventStream of the same name takes it over, and takes it along. */
const discard = (name: string) => start(numbers(name)).pipe(Effect.andThen(remove(name)))

it.live(
  "deleted with each policy: in JetStream and PostgreSQL remains what the object said",
  () =>
    Effect.gen(function* () {
      yield* Effect.forEach(
        policies,
        Effect.fnUntraced(function* (policy) {
          const name = nameOf(policy)
          if (yield* streamOf(streamNameOf(name))) yield* discard(name)
          yield* start(manifestOf(policy))
          yield* publish({ subject: `${name}.a`, count: events })
          assert.deepEqual(yield* settled(name, events), allOf(events))
        }),
        { concurrency: 2, discard: true }
      )

      const deleted = yield* Clock.currentTimeMillis
      yield* Effect.forEach(policies, (policy) => remove(nameOf(policy)), { concurrency: 4, discard: true })
      const took = yield* secondsSince(deleted)
      for (const policy of policies) {
        const name = nameOf(policy)
        const kept = { messages: events, durables: policy.consumer === "Retain" ? 1 : 0 }
        assert.deepEqual(yield* remains(name), policy.stream === "Retain" ? kept : null, name)
        assert.deepEqual(yield* rows(tableOf(name)), allOf(events))
        yield* waitFor(
          `no object of ${name}`,
          get<KubeList>(
            "--namespace",
            namespace,
            "deployments,pods,configmaps,serviceaccounts",
            `--selector=eventstream.dev/name=${name}`
          ),
          ({ items }) => items.length === 0
        )
      }

      // Taken up again: the retained messages are known to be written.
      const again = nameOf(policies[1])
      yield* apply(numbers(again))
      yield* ready(again)
      yield* publish({ subject: `${again}.a`, from: events + 1, count: events })
      const found = yield* settled(again, 2 * events)
      assert.deepEqual(found, allOf(2 * events))
      yield* Effect.forEach(
        policies.slice(0, 2),
        Effect.fnUntraced(function* (policy) {
          yield* apply(numbers(nameOf(policy)))
          yield* ready(nameOf(policy))
        })
      )
      yield* report(
        "deletion",
        `four pairs of policies kept, four deletions in ${seconds(took)}; taken up again: ${counted(2 * events, found)}`
      )
    }).pipe(Effect.scoped),
  400_000
)
