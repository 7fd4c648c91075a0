import { Effect } from "effect"
import type { FaultCase } from "../campaign.ts"
import type { Proxy } from "../../proxy.ts"
import { natsEdges, postgresEdges, type Rig } from "../rig.ts"
import type { Weather } from "../../weather.ts"

/** Faults of the network between writers and NATS, and of writers that are slower than it. */

/** A figure of a writer's `/metrics`, 0 where it is not told. */
const metric = (rig: Rig, name: string) =>
  Effect.gen(function* () {
    const process = rig.writer.process()
    if (process === undefined) return 0
    const { text } = yield* Effect.orDie(process.get("/metrics"))
    return Number(new RegExp(`^eventstream_writer_${name}\\{[^}]*\\} (\\S+)$`, "m").exec(text)?.[1] ?? 0)
  })

/** So bad for a while that everything takes its time, and not so bad that a connection would have to be given up. */
const badNetwork = (id: string, title: string, weather: Weather, rate: number): FaultCase => ({
  id,
  title,
  rig: { rate },
  run: (rig) =>
    Effect.gen(function* () {
      const seconds = rig.full ? 600 : 12
      const before = yield* metric(rig, "nats_reconnects_total")
      for (const proxy of natsEdges(rig)) proxy.weather(weather)
      yield* Effect.sleep(seconds * 1000)
      const reconnects = (yield* metric(rig, "nats_reconnects_total")) - before
      rig.expect(reconnects <= seconds / 5, `V6: ${reconnects} new connections to NATS in ${seconds} s`)
      for (const proxy of natsEdges(rig)) proxy.weather({})
      yield* rig.recovers(15)
    })
})

/** Freezes the writer when the rows of a batch are partly on their way. */
const freezeInBatch = (proxy: Proxy, freeze: () => void) =>
  Effect.callback<void>((resume) => {
    proxy.intercept(() => (direction, chunk) => {
      if (direction === "up" && chunk.includes("eventstream_ledger")) {
        proxy.intercept(() => () => "pass")
        proxy.weather({ hold: "up" })
        freeze()
        resume(Effect.void)
      }
      return "pass"
    })
  })

export const natsNetworkCases: ReadonlyArray<FaultCase> = [
  {
    id: "N12",
    title: "acks are lost on the way, longer than the ack wait",
    rig: { ackWaitMillis: 2_000 },
    run: (rig) =>
      Effect.gen(function* () {
        for (let round = 0; round < 2; round++) {
          for (const proxy of natsEdges(rig)) proxy.weather({ hold: "up" })
          yield* Effect.sleep(rig.full ? "30 seconds" : "7 seconds")
          for (const proxy of natsEdges(rig)) {
            // What was held is lost with its connection.
            if (round === 1) proxy.cut()
            proxy.weather({})
          }
          yield* rig.recovers(15)
        }
      })
  },
  {
    id: "N13",
    title: "commits take three times the ack wait",
    rig: {
      ackWaitMillis: 2_000,
      rate: 200,
      writer: ({ target, ...defaults }) => ({
        ...defaults,
        target: {
          ...target,
          postgres: { ...target.postgres, statementTimeoutMillis: 30_000, lockTimeoutMillis: 30_000 }
        }
      })
    },
    run: (rig) =>
      Effect.gen(function* () {
        const before = yield* metric(rig, "redeliveries_total")
        for (const proxy of postgresEdges(rig)) proxy.weather({ latencyMillis: 3_000 })
        yield* Effect.sleep(rig.full ? "120 seconds" : "20 seconds")
        const again = (yield* metric(rig, "redeliveries_total")) - before
        const received = yield* metric(rig, "messages_received_total")
        rig.expect(again <= received / 100, `V6: ${again} of ${received} messages were delivered again, bound 1 %`)
        for (const proxy of postgresEdges(rig)) proxy.weather({})
        yield* rig.recovers(10)
      })
  },
  {
    id: "N14",
    title: "a writer freezes in mid-batch, past the ack wait, and wakes",
    rig: { writers: 2, ackWaitMillis: 3_000 },
    run: (rig) =>
      Effect.gen(function* () {
        for (let round = 0; round < (rig.full ? 10 : 2); round++) {
          const zombie = rig.writers[round % 2]!
          yield* freezeInBatch(zombie.postgres, () => zombie.signal("SIGSTOP"))
          const since = Date.now()
          yield* Effect.sleep(rig.full ? "30 seconds" : "6 seconds")
          yield* rig.paused(since, 5, "pause until the other writer goes on")
          zombie.signal("SIGCONT")
          zombie.postgres.weather({})
          yield* rig.recovers(10)
          yield* Effect.sleep("1 second")
        }
      })
  },
  badNetwork("N15", "slow network to NATS: 200 ± 150 ms", { latencyMillis: 200, jitterMillis: 150 }, 1_000),
  badNetwork("N15-band", "narrow network to NATS: 64 KB/s", { bytesPerSecond: 65_536 }, 120),
  badNetwork("N15-slice", "network to NATS cuts data into pieces of 40 bytes", { sliceBytes: 40 }, 120),
  {
    id: "N15-reset",
    title: "connections to NATS are reset every 5 s",
    run: (rig) =>
      Effect.gen(function* () {
        const since = Date.now()
        for (let round = 0; round < (rig.full ? 120 : 3); round++) {
          for (const proxy of natsEdges(rig)) proxy.reset()
          yield* Effect.sleep("5 seconds")
        }
        yield* rig.paused(since, 4)
      })
  },
  {
    id: "N15-limit",
    title: "connections to NATS break after 100 KB",
    rig: { rate: 400 },
    run: (rig) =>
      Effect.gen(function* () {
        const since = Date.now()
        for (const proxy of natsEdges(rig)) {
          proxy.intercept(() => {
            let left = 100_000
            return (_, chunk) => ((left -= chunk.length) < 0 ? "cut" : "pass")
          })
          proxy.cut()
        }
        yield* Effect.sleep(rig.full ? "600 seconds" : "10 seconds")
        for (const proxy of natsEdges(rig)) proxy.intercept(() => () => "pass")
        // The longest wait between connections that break at once, and the ack wait of what was under way on one.
        yield* rig.paused(since, 5 + 5)
        yield* rig.recovers(10)
      })
  }
]
