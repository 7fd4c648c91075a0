import { DeliverPolicy } from "@nats-io/jetstream"
import { Effect, type Scope } from "effect"
import { breakCommits, type Proxy } from "../proxy.ts"
import { randomIntegers } from "../random.ts"
import type { FaultCase } from "./campaign.ts"
import { natsEdges, postgresEdges, type Rig } from "./rig.ts"

/** Short runs of a few faults that overlap as the seed will have it. */

interface Fault {
  readonly name: string
  /** Comes, lasts about so long, and goes. */
  readonly run: (rig: Rig, millis: number) => Effect.Effect<void, never, Scope.Scope>
}

const pick = <A>(random: () => number, items: ReadonlyArray<A>): A => items[Math.floor(random() * items.length)]!

/** Bad weather on some edges. */
const weather = (
  name: string,
  edges: (rig: Rig) => ReadonlyArray<Proxy>,
  make: (rig: Rig) => Parameters<Proxy["weather"]>[0]
): Fault => ({
  name,
  run: (rig, millis) =>
    Effect.gen(function* () {
      const set = (next: Parameters<Proxy["weather"]>[0]) =>
        Effect.sync(() => edges(rig).forEach((proxy) => proxy.weather(next)))
      yield* set(make(rig))
      yield* Effect.sleep(millis)
      yield* set({})
    })
})

const holds = ["up", "down", "both"] as const
const someOf = (rig: Rig, proxies: ReadonlyArray<Proxy>) => proxies.filter(() => rig.random() < 0.7)

const faults: ReadonlyArray<Fault> = [
  {
    name: "NATS node killed",
    run: (rig, millis) =>
      Effect.gen(function* () {
        const node = pick(rig.random, rig.nats.nodes)
        yield* node.end("SIGKILL")
        yield* Effect.sleep(millis)
        yield* node.start
      })
  },
  {
    name: "NATS node frozen",
    run: (rig, millis) =>
      Effect.gen(function* () {
        const node = pick(rig.random, rig.nats.nodes)
        node.signal("SIGSTOP")
        yield* Effect.sleep(millis)
        node.signal("SIGCONT")
      })
  },
  {
    name: "leaders step down",
    run: (rig) =>
      Effect.promise(async () => {
        for (const what of [
          `STREAM.LEADER.STEPDOWN.${rig.stream}`,
          `CONSUMER.LEADER.STEPDOWN.${rig.stream}.${rig.lane.name}`
        ]) {
          await rig
            .connection()
            .request(`$JS.API.${what}`, undefined, { timeout: 2_000 })
            .catch(() => undefined)
        }
      })
  },
  {
    name: "durable made anew",
    run: (rig) =>
      Effect.gen(function* () {
        yield* Effect.promise(() =>
          rig
            .manager()
            .consumers.delete(rig.stream, rig.lane.name)
            .catch(() => false)
        )
        yield* rig.lane.createConsumer({ deliver_policy: DeliverPolicy.All })
      })
  },
  {
    name: "NATS connections reset",
    run: (rig) => Effect.sync(() => natsEdges(rig).forEach((proxy) => proxy.reset()))
  },
  weather("NATS silent", natsEdges, (rig) => ({ hold: pick(rig.random, holds) })),
  weather("NATS slow", natsEdges, () => ({ latencyMillis: 100, jitterMillis: 80 })),
  {
    name: "database restarted",
    run: (rig, millis) =>
      Effect.gen(function* () {
        yield* rig.database.end(pick(rig.random, ["SIGINT", "SIGQUIT", "SIGKILL"]))
        yield* Effect.sleep(millis)
        yield* rig.database.start
      })
  },
  {
    name: "sessions ended",
    run: (rig) =>
      Effect.asVoid(
        rig.database.query(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'eventstream/%'"
        )
      )
  },
  weather("database silent", postgresEdges, (rig) => ({ hold: pick(rig.random, holds) })),
  weather("database slow", postgresEdges, () => ({ latencyMillis: 200, jitterMillis: 150 })),
  {
    name: "database connections cut",
    run: (rig) => Effect.sync(() => someOf(rig, postgresEdges(rig)).forEach((proxy) => proxy.cut()))
  },
  {
    name: "COMMITs unknown",
    run: (rig, millis) =>
      Effect.gen(function* () {
        const { postgres } = pick(rig.random, rig.writers)
        breakCommits(postgres, () => (rig.random() < 0.5 ? undefined : pick(rig.random, ["before", "after", "never"])))
        yield* Effect.sleep(millis)
        postgres.intercept(() => () => "pass")
        postgres.cut()
      })
  },
  {
    name: "table locked",
    run: (rig, millis) =>
      Effect.gen(function* () {
        const client = yield* rig.database.session
        yield* Effect.promise(() =>
          client.query("BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE").catch(() => undefined)
        )
        yield* Effect.sleep(millis)
        yield* Effect.promise(() => client.query("COMMIT").catch(() => undefined))
      })
  },
  {
    name: "writer killed",
    run: (rig, millis) =>
      Effect.gen(function* () {
        const writer = pick(rig.random, rig.writers)
        yield* writer.end("SIGKILL")
        yield* Effect.sleep(millis / 4)
        yield* writer.start()
      })
  },
  {
    name: "writer frozen",
    run: (rig, millis) =>
      Effect.gen(function* () {
        const writer = pick(rig.random, rig.writers)
        writer.signal("SIGSTOP")
        yield* Effect.sleep(millis)
        writer.signal("SIGCONT")
      })
  }
]

const faultsPerRun = 3
const latestStartMillis = 3_000
const shortestMillis = 500
const longestMillis = 7_000

/** Recovery of the slowest of the faults, and of two of them that stand in each other's way. */
const bound = 25

/** The run of a seed: which faults, when, how long, and on how many servers. */
export const sweepCase = (seed: number): FaultCase => {
  const integers = randomIntegers(seed)
  const random = () => integers() / 2 ** 32
  const chosen = Array.from({ length: faultsPerRun }, () => ({
    fault: pick(random, faults),
    at: latestStartMillis * random(),
    millis: shortestMillis + (longestMillis - shortestMillis) * random() ** 2
  }))
  return {
    id: "SWEEP",
    title: chosen.map(({ fault }) => fault.name).join(" + "),
    rig: { nodes: random() < 0.5 ? 3 : 1, writers: 2, ackWaitMillis: 2_000, rate: 500 },
    run: (rig) =>
      Effect.gen(function* () {
        yield* Effect.all(
          chosen.map(({ fault, at, millis }) => fault.run(rig, millis).pipe(Effect.delay(at))),
          { concurrency: "unbounded", discard: true }
        )
        yield* rig.recovers(bound)
      })
  }
}
