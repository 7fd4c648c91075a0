import { assert, describe, it } from "@effect/vitest"
import type { NatsConnection } from "@nats-io/transport-node"
import { Effect, Exit, Fiber, Logger, Queue, Schema, Scope } from "effect"
import { Registry } from "prom-client"
import { WriterConfig } from "./config.ts"
import { makeWriterMetrics } from "./metrics.ts"
import { makeProgress } from "./progress.ts"
import { DatabaseUnavailable } from "./store/errors.ts"
import { Store } from "./store/store.ts"
import { makeUpkeep } from "./upkeep.ts"

const config = Schema.decodeUnknownSync(WriterConfig)({
  eventStream: { namespace: "demo", name: "orders", uid: "u-1" },
  nats: { servers: ["nats://nats:4222"] },
  stream: "ORDERS",
  consumer: "orders",
  processor: { type: "Telemetry" },
  target: { postgres: { host: "db" } }
})

const lane = {
  id: 1,
  stream: "ORDERS",
  isNew: true,
  database: "1",
  timeline: 1,
  databaseChanged: false,
  server: "PostgreSQL",
  timescale: null
}

const infos: Readonly<Record<string, object>> = {
  "$JS.API.STREAM.INFO.ORDERS": {
    created: "2026-11-21T12:00:00Z",
    config: { retention: "limits" },
    state: { first_seq: 1, last_seq: 9 }
  },
  "$JS.API.CONSUMER.INFO.ORDERS.orders": {
    created: "2026-11-21T12:00:00Z",
    config: { ack_policy: "explicit" },
    delivered: { consumer_seq: 9, stream_seq: 9 },
    ack_floor: { stream_seq: 9 },
    num_ack_pending: 0
  }
}

const readable = {
  reconnected: Effect.never,
  server: Effect.succeed({ database: "1", timeline: 1 }),
  audit: {
    settled: () => Effect.succeed({ to: 9, filter: "[]", next: 10, rollbacks: 0 }),
    lost: () => Effect.succeed(0)
  },
  lowestUncovered: () => Effect.succeed(10),
  totals: () => Effect.succeed({ messages: 0, rows: 0, deadLettered: 0, dropped: 0, lastWriteTime: null })
} as unknown as Store["Service"]

const rest = {
  config,
  lane,
  metrics: makeWriterMetrics(new Registry(), {
    inFlight: () => 0,
    connections: () => ({ idle: 0, used: 0, waiting: 0 }),
    shutdownSeconds: () => 0
  }),
  deliveredBefore: 0,
  databaseChanged: () => assert.fail("it is the same")
}

describe("refresh", () => {
  it.live("goes on when nobody waits for it, but not beyond its session", () =>
    Effect.gen(function* () {
      const progress = makeProgress("orders")
      const asked = yield* Queue.unbounded<() => void>()
      const slow = {
        request: (subject: string) =>
          new Promise((resolve) => {
            Queue.offerUnsafe(asked, () => resolve({ json: () => infos[subject] }))
          })
      } as unknown as NatsConnection
      const session = yield* Scope.make()
      const make = makeUpkeep({ ...rest, connection: slow, store: readable, progress })
      const first = yield* Scope.provide(make, session)
      yield* Effect.timeoutOption(first.refresh, "5 millis")
      yield* Effect.timeoutOption(first.refresh, "5 millis")
      const [answer, ...more] = yield* Queue.takeAll(asked)
      assert.lengthOf(more, 0)
      yield* Scope.close(session, Exit.void)
      answer()
      yield* Effect.sleep("5 millis")
      assert.isNull(progress.status().lowestUncovered)

      const second = yield* make
      const reading = yield* Effect.forkChild(second.refresh)
      for (let i = 0; i < 2; i++) (yield* Queue.take(asked))()
      yield* Fiber.join(reading)
      assert.strictEqual(progress.status().lowestUncovered, 10)
    }).pipe(Effect.scoped)
  )
})

describe("forever", () => {
  const connection = {
    request: (subject: string) => Promise.resolve({ json: () => infos[subject] })
  } as unknown as NatsConnection
  const refused = (detail: string) =>
    Effect.fail(new DatabaseUnavailable({ reason: "TargetBusy", sqlstate: "55P03", detail, shrink: false }))

  it.live("goes on after failures to compact, and says each once until it changes or passes", () => {
    const lines: Array<string> = []
    const log = Logger.make(({ message }) => void lines.push(String(message)))
    return Effect.gen(function* () {
      const turns = yield* Queue.unbounded<void>()
      const outcomes = [
        refused("lock timeout"),
        refused("lock timeout"),
        Effect.die(new Error("no such block")),
        refused("deadlock"),
        Effect.void,
        refused("deadlock")
      ]
      const compact = () => Effect.andThen(Queue.offer(turns, undefined), outcomes.shift() ?? Effect.void)
      const reconnects = yield* Queue.unbounded<void>()
      const store = { ...readable, compact, reconnected: Queue.take(reconnects) }
      const progress = makeProgress("orders")
      progress.enter("Running")
      const { forever } = yield* makeUpkeep({ ...rest, connection, store, progress })
      const upkeep = yield* Effect.forkChild(forever)
      for (let turn = 0; turn < 7; turn++) {
        yield* Queue.offer(reconnects, undefined)
        yield* Queue.take(turns)
      }
      yield* Fiber.interrupt(upkeep)
      assert.deepStrictEqual(
        lines.map((line) => line.replace("wanted the database to answer, found: ", "")),
        ["lock timeout", "no such block", "deadlock", "deadlock"].map((why) => `the ledger was not compacted: ${why}`)
      )
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([log])))
  })
})
