import { assert, it } from "@effect/vitest"
import type { NatsConnection } from "@nats-io/transport-node"
import { Effect } from "effect"
import { Registry } from "prom-client"
import { makeAudit } from "./audit.ts"
import { makeWriterMetrics } from "./metrics.ts"
import { judge } from "./position.ts"
import { makeProgress } from "./progress.ts"
import type { Lane, Store } from "./store/store.ts"

it.effect("an audit gives up the session when another server answers, and concludes nothing", () =>
  Effect.gen(function* () {
    const answers: Readonly<Record<string, object>> = {
      "$JS.API.STREAM.INFO.S": { created: "x", config: { retention: "limits" }, state: { first_seq: 1, last_seq: 9 } },
      "$JS.API.CONSUMER.INFO.S.d": {
        created: "2026-11-21T12:00:00Z",
        config: { ack_policy: "explicit" },
        delivered: { consumer_seq: 9, stream_seq: 9 },
        ack_floor: { stream_seq: 9 },
        num_ack_pending: 0
      }
    }
    const told: Array<string> = []
    const { pass } = makeAudit({
      connection: {
        request: (subject: string) => Promise.resolve({ json: () => answers[subject] })
      } as unknown as NatsConnection,
      config: { stream: "S", consumer: "d", nats: { servers: ["nats://nats"] } },
      store: { server: Effect.succeed({ database: "1", timeline: 2 }) } as unknown as Store["Service"],
      lane: { id: 1, database: "1", timeline: 1 } as Lane,
      progress: makeProgress("d"),
      metrics: makeWriterMetrics(new Registry(), {
        inFlight: () => 0,
        connections: () => ({ idle: 0, used: 0, waiting: 0 }),
        shutdownSeconds: () => 0
      }),
      deliveredBefore: 0,
      databaseChanged: (detail) => told.push(detail)
    })
    assert.strictEqual(yield* pass, 0)
    assert.match(told.join(), /was promoted/)
  })
)

it.each<[string, Parameters<typeof judge>[0], ReturnType<typeof judge>]>([
  ["in the middle is well", { delivered: 5, startSequence: 1, lastSequence: 9, newer: 6 }, undefined],
  ["at the end is well", { delivered: 9, startSequence: 1, lastSequence: 9, newer: undefined }, undefined],
  [
    "beyond the end is lost",
    { delivered: 9, startSequence: 1, lastSequence: 6, newer: undefined },
    { restart: 7, certain: true }
  ],
  [
    "beyond the end may be where it was made to start",
    { delivered: 99, startSequence: 100, lastSequence: 6, newer: undefined },
    { restart: 7, certain: false }
  ],
  [
    "behind which a message is newer than all that were written may be lost",
    { delivered: 5, startSequence: 1, lastSequence: 9, newer: 5 },
    { restart: 5, certain: false }
  ]
])("a position %s", (_, position, expected) => {
  assert.deepStrictEqual(judge(position), expected)
})
