import { assert, describe, it } from "@effect/vitest"
import type { NatsConnection } from "@nats-io/transport-node"
import { Effect, Schema } from "effect"
import { WriterConfig } from "./config.ts"
import { makeProgress } from "./progress.ts"
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
  databaseChanged: false,
  server: "PostgreSQL"
}

describe("refresh", () => {
  it.live("reads again what nobody waited for to the end", () =>
    Effect.gen(function* () {
      const progress = makeProgress("orders")
      let asked = 0
      const silent = {
        request: () => {
          asked++
          return new Promise(() => {})
        }
      } as unknown as NatsConnection
      const store = {} as Store["Service"] // is not come to
      const { refresh } = makeUpkeep({ connection: silent, config, store, lane, progress })
      yield* Effect.timeoutOption(refresh, "5 millis")
      yield* Effect.timeoutOption(refresh, "5 millis")
      assert.strictEqual(asked, 2)
    })
  )
})
