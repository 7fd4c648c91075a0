import { Effect } from "effect"
import { breakCommits } from "../../proxy.ts"
import type { FaultCase } from "../campaign.ts"
import { postgresEdges, type Rig } from "../rig.ts"

/** Faults of the database server, and of the network to it. */

const pick = <A>(rig: Rig, items: ReadonlyArray<A>): A => items[Math.floor(rig.random() * items.length)]!

/** How long a writer waits at most between two attempts to reach a database that is away. */
const longestProbe = 6

export const postgresServerCases: ReadonlyArray<FaultCase> = [
  {
    id: "P01",
    title: "nobody knows whether a COMMIT succeeded",
    rig: {
      writer: (defaults) => ({
        ...defaults,
        batch: { maxMessages: 20 },
        errors: { backoffInitialMillis: 10 },
        target: { ...defaults.target, postgres: { ...defaults.target.postgres, statementTimeoutMillis: 1_000 } }
      })
    },
    run: (rig) =>
      Effect.gen(function* () {
        const wanted = rig.full ? 300 : 60
        const seen = { batches: 0 }
        breakCommits(rig.writer.postgres, (batch) => {
          seen.batches = batch
          if (batch > wanted || rig.random() < 0.3) return undefined
          return rig.random() < 0.05 ? "never" : pick(rig, ["before", "after"])
        })
        while (seen.batches < wanted) yield* Effect.sleep("50 millis")
        yield* rig.recovers(10)
      })
  },
  ...(["SIGINT", "SIGQUIT", "SIGKILL"] as const).map((signal): FaultCase => ({
    id: `P02-${{ SIGINT: "fast", SIGQUIT: "immediate", SIGKILL: "kill" }[signal]}`,
    title: `the database server is restarted after ${signal}`,
    rig: { database: { settings: { fsync: "on" } } },
    run: (rig) =>
      Effect.gen(function* () {
        for (let round = 0; round < (rig.full ? 10 : 2); round++) {
          yield* rig.database.end(signal)
          yield* Effect.sleep("1 second")
          yield* rig.database.start
          yield* rig.recovers(10, `flow after ${signal}`)
        }
      })
  })),
  {
    id: "P04",
    title: "the database is away for long",
    run: (rig) =>
      Effect.gen(function* () {
        yield* rig.database.end("SIGINT")
        yield* rig.says(/TargetUnreachable/, 30)
        yield* Effect.sleep("12 seconds") // the circuit is open now
        const attempts = () => postgresEdges(rig).reduce((sum, proxy) => sum + proxy.attempts(), 0)
        const before = attempts()
        const seconds = rig.full ? 588 : 20
        yield* Effect.sleep(seconds * 1000)
        const made = attempts() - before
        rig.expect(made <= seconds / 5 + 1, `V6: ${made} attempts to connect in ${seconds} s, bound one per 5 s`)
        rig.expect(made > 0, `V6: no attempt to connect in ${seconds} s`)
        yield* rig.database.start
        yield* rig.recovers(15)
      })
  },
  {
    id: "P05",
    title: "more writers than connections start at once",
    rig: {
      writers: 6,
      database: { settings: { max_connections: "10", superuser_reserved_connections: "0", max_wal_senders: "0" } }
    },
    run: (rig) =>
      Effect.gen(function* () {
        for (const writer of rig.writers) yield* writer.end("SIGKILL")
        yield* Effect.all(
          rig.writers.map((writer) => writer.start()),
          { concurrency: "unbounded" }
        )
        yield* rig.recovers(15, "flow with those that found a connection")
        yield* Effect.sleep("5 seconds")
        rig.told(/53300/)
        // Who looks at the outcome needs a connection too.
        for (const writer of rig.writers.slice(2)) yield* writer.end("SIGTERM")
      })
  },
  {
    id: "P18",
    title: "the network to the database swallows everything, without an end",
    run: (rig) =>
      Effect.gen(function* () {
        for (const proxy of postgresEdges(rig)) proxy.weather({ hold: "both" })
        // statement_timeout of 5 s, and 5 s for its answer.
        yield* rig.says(/TargetUnreachable/, 15)
        yield* Effect.sleep(rig.full ? "300 seconds" : "15 seconds")
        for (const proxy of postgresEdges(rig)) proxy.weather({})
        yield* rig.recovers(15)
      })
  },
  {
    id: "P18-up",
    title: "the network to the database swallows what writers send",
    rig: { writers: 2 },
    run: (rig) =>
      Effect.gen(function* () {
        for (let round = 0; round < (rig.full ? 10 : 2); round++) {
          const proxy = rig.writers[round % 2]!.postgres
          proxy.weather({ hold: "up" })
          yield* Effect.sleep(2_000 + 12_000 * rig.random())
          proxy.cut()
          proxy.weather({})
          yield* rig.recovers(10)
        }
      })
  },
  {
    id: "P-slow",
    title: "slow and narrow network to the database",
    rig: { rate: 500 },
    run: (rig) =>
      Effect.gen(function* () {
        for (const proxy of postgresEdges(rig)) {
          proxy.weather({ latencyMillis: 100, jitterMillis: 80, bytesPerSecond: 262_144, sliceBytes: 1_400 })
        }
        yield* rig.recovers(longestProbe)
        yield* Effect.sleep(rig.full ? "300 seconds" : "10 seconds")
        for (const proxy of postgresEdges(rig)) proxy.weather({})
        yield* rig.recovers(longestProbe)
      })
  }
]
