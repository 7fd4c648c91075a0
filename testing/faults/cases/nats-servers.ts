import { Effect } from "effect"
import type { FaultCase } from "../campaign.ts"
import type { NatsNode } from "../nats-cluster.ts"
import { natsEdges, type Rig } from "../rig.ts"

/** Faults of NATS servers. */

/** A bare client of the library needs up to 10 s for a lost leader; recovery is not to take 5 s longer than that. */
const singleFault = 15

const leaderOf = (rig: Rig, of: "stream" | "consumer") =>
  Effect.promise(async () => {
    for (;;) {
      try {
        const info =
          of === "stream"
            ? await rig.manager().streams.info(rig.stream)
            : await rig.manager().consumers.info(rig.stream, rig.lane.name)
        const leader = rig.nats.nodes.find(({ name }) => name === info.cluster?.leader)
        if (leader !== undefined) return leader
      } catch {
        // there is none for now
      }
      await new Promise((resolve) => void setTimeout(resolve, 100))
    }
  })

/** The node that the first writer is connected to. */
const nodeOfWriter = ({ nats, writer }: Rig): NatsNode =>
  nats.nodes[writer.nats.findIndex((proxy) => proxy.connections() > 0)] ?? nats.nodes[0]!

/** Waits until stream and durables have all their replicas again: a second fault at once would be two at the same time. */
const replicated = (rig: Rig) =>
  Effect.gen(function* () {
    for (;;) {
      const infos = yield* Effect.promise(() =>
        Promise.all([
          rig.manager().streams.info(rig.stream),
          ...rig.lanes.map(({ name }) => rig.manager().consumers.info(rig.stream, name))
        ]).catch(() => [])
      )
      const current = infos.filter(
        ({ cluster }) => cluster?.leader && cluster.replicas?.every(({ current }) => current)
      )
      if (infos.length > 0 && current.length === infos.length) return
      yield* Effect.sleep("200 millis")
    }
  }).pipe(Effect.timeoutOption("60 seconds"), Effect.asVoid)

/** Kills a node again and again, and lets it come back. */
const kills = (rig: Rig, which: (rig: Rig) => Effect.Effect<NatsNode>, bound: number) =>
  Effect.gen(function* () {
    for (let round = 0; round < (rig.full ? 20 : 2); round++) {
      const node = yield* which(rig)
      yield* node.end("SIGKILL")
      yield* rig.recovers(bound, `flow after the death of ${node.name}`)
      yield* Effect.sleep(rig.full ? "20 seconds" : "2 seconds")
      yield* node.start
      yield* replicated(rig)
    }
  })

export const natsServerCases: ReadonlyArray<FaultCase> = [
  {
    id: "N02",
    title: "the leader of stream or durable is killed",
    rig: { nodes: 3 },
    run: (rig) => kills(rig, () => leaderOf(rig, rig.random() < 0.5 ? "stream" : "consumer"), singleFault)
  },
  {
    id: "N03",
    title: "the node the writer sits on is killed",
    rig: { nodes: 3 },
    run: (rig) => kills(rig, () => Effect.sync(() => nodeOfWriter(rig)), 12)
  },
  {
    id: "N04",
    title: "the node the writer sits on freezes, its sockets open",
    rig: { nodes: 3 },
    run: (rig) =>
      Effect.gen(function* () {
        const node = nodeOfWriter(rig)
        const frozen = rig.full ? 120 : 25
        node.signal("SIGSTOP")
        const since = Date.now()
        yield* Effect.sleep("1 second") // what the frozen node had handed over is still written
        yield* rig.recovers(singleFault + 5, "flow past the frozen node")
        yield* Effect.sleep(Math.max(0, since + frozen * 1000 - Date.now()))
        node.signal("SIGCONT")
        yield* rig.recovers(singleFault)
      })
  },
  {
    id: "N05",
    title: "two of three nodes are killed: no quorum",
    rig: { nodes: 3 },
    run: (rig) =>
      Effect.gen(function* () {
        const [first, second] = rig.nats.nodes
        yield* Effect.all([first!.end("SIGKILL"), second!.end("SIGKILL")], { concurrency: 2 })
        yield* rig.says(/NatsUnreachable/, 30)
        yield* Effect.sleep(rig.full ? "90 seconds" : "15 seconds")
        yield* Effect.all([first!.start, second!.start], { concurrency: 2 })
        yield* rig.recovers(singleFault, "flow after the quorum is back")
        yield* rig.says(/^Running/, 30)
      })
  },
  {
    id: "N06",
    title: "nodes restart one after the other, in lame duck mode",
    rig: { nodes: 3, natsConfig: ['lame_duck_duration: "30s"', 'lame_duck_grace_period: "1s"'] },
    run: (rig) =>
      Effect.gen(function* () {
        for (let lap = 0; lap < (rig.full ? 5 : 1); lap++) {
          for (const node of rig.nats.nodes) {
            const since = Date.now()
            node.signal("SIGUSR2")
            yield* Effect.sleep("3 seconds")
            yield* node.end("SIGTERM")
            yield* node.start
            yield* replicated(rig)
            yield* rig.paused(since, 5, `pause for ${node.name}`)
          }
        }
      })
  },
  {
    id: "N07",
    title: "leaders step down every 3 s",
    rig: { nodes: 3 },
    run: (rig) =>
      Effect.gen(function* () {
        const since = Date.now()
        const seconds = rig.full ? 180 : 18
        while (Date.now() - since < seconds * 1000) {
          const what =
            rig.random() < 0.5
              ? `STREAM.LEADER.STEPDOWN.${rig.stream}`
              : `CONSUMER.LEADER.STEPDOWN.${rig.stream}.${rig.lane.name}`
          yield* Effect.promise(() =>
            rig
              .connection()
              .request(`$JS.API.${what}`, undefined, { timeout: 2_000 })
              .catch(() => undefined)
          )
          yield* Effect.sleep("3 seconds")
        }
        const rate = rig.monitor.rate(rig.lane, since, Date.now())
        rig.expect(rate >= 300, `V5: ${Math.round(rate)} messages per second while leaders step down, bound 300`)
      })
  },
  {
    id: "N26",
    title: "NATS can't be reached when the writer starts",
    run: (rig) =>
      Effect.gen(function* () {
        yield* rig.writer.end("SIGTERM")
        for (const proxy of natsEdges(rig)) proxy.refuse(true)
        yield* rig.writer.start()
        yield* rig.says(/NatsUnreachable/, 30)
        yield* Effect.sleep("3 seconds")
        for (const proxy of natsEdges(rig)) proxy.refuse(false)
        yield* rig.recovers(10)
      })
  }
]
