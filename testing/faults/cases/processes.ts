import { Effect, Fiber } from "effect"
import { rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { incarnationOf } from "../../../platform/incarnation.ts"
import type { Failpoint } from "../../../writer/failpoints.ts"
import { storeOver } from "../../store.ts"
import type { FaultCase } from "../campaign.ts"
import type { Rig } from "../rig.ts"

/** Faults of the writer processes themselves. */

const failpoints: ReadonlyArray<Failpoint> = ["rows-before-commit", "commit-before-ack", "ack-flush"]

const hour = 3_600_000
const decade = 87_660 * hour
/** Milliseconds by which the writers' clock is wrong. */
const clockFile = join(tmpdir(), `eventstream-faults-clock-${process.pid}`)
const setClock = (offset: number) => Effect.sync(() => writeFileSync(clockFile, String(offset)))

const smallBatches: FaultCase["rig"] = {
  writers: 2,
  writer: (defaults) => ({ ...defaults, batch: { maxMessages: 50 } })
}

/** Compacts the lane's ledger over and over, from a session of its own. */
const compactions = Effect.fnUntraced(function* (rig: Rig) {
  const { name } = rig.lane
  const uri = `postgres://postgres@127.0.0.1:${rig.database.port}/faults?sslmode=disable`
  const store = yield* storeOver(uri, rig.lane.tables)
  const info = yield* Effect.promise(() => rig.manager().streams.info(rig.stream))
  const lane = yield* store
    .open({
      namespace: "faults",
      name,
      uid: `uid-${name}`,
      fingerprint: "",
      stream: rig.stream,
      incarnation: incarnationOf(rig.stream, info.created),
      start: { sequence: 1, timeNanos: 0n },
      consumerUsed: true
    })
    .pipe(Effect.orDie)
  let done = 0
  const once = Effect.gen(function* () {
    const { ack_floor: floor } = yield* Effect.promise(() => rig.manager().consumers.info(rig.stream, name))
    yield* store.compact(lane, { ackFloor: floor.stream_seq, firstSequence: 1 })
    done++
  })
  return { forever: Effect.forever(Effect.ignore(once)), done: () => done }
})

export const processCases: ReadonlyArray<FaultCase> = [
  {
    id: "N01",
    title: "writers are killed at every point of a batch",
    rig: smallBatches,
    run: (rig) =>
      Effect.gen(function* () {
        const rounds = rig.full ? 100 : 10
        for (const failpoint of failpoints) {
          for (let round = 0; round < rounds; round++) {
            const writer = rig.writers[round % 2]!
            yield* writer.end("SIGKILL")
            const process = yield* writer.start(`${failpoint}:${1 + Math.floor(rig.random() * 4)}`)
            yield* Effect.orDie(process.exit)
          }
        }
        for (const writer of rig.writers) yield* writer.start()
        yield* rig.recovers(10)
      })
  },
  {
    id: "P19",
    title: "the ledger is compacted all the time, and cut off in the midst of it",
    rig: smallBatches,
    quiesceSeconds: 120,
    run: (rig) =>
      Effect.gen(function* () {
        // Whole blocks of 65,536 sequences are compacted.
        yield* rig.producer.burst(140_000)
        const { forever, done } = yield* compactions(rig)
        const compacting = yield* Effect.forkScoped(forever)
        for (let round = 0; round < (rig.full ? 60 : 8); round++) {
          yield* rig.writers[round % 2]!.end("SIGKILL")
          yield* rig.database.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'eventstream/test/events'"
          )
          yield* rig.writers[round % 2]!.start()
          yield* Effect.sleep(2_000 * rig.random())
        }
        while (rig.monitor.covered(rig.lane) < 140_000) yield* Effect.sleep("100 millis")
        const before = done()
        while (done() < before + 3) yield* Effect.sleep("50 millis")
        yield* Fiber.interrupt(compacting)
        const [row] = yield* rig.database.query<{ readonly n: string }>(
          "SELECT max(compacted_to) AS n FROM eventstream_lane"
        )
        rig.expect(Number(row!.n) > 0, "nothing was compacted")
        yield* rig.recovers(10)
      })
  },
  {
    id: "P20",
    title: "writers freeze by turns, so that batches overlap",
    rig: { ...smallBatches, writers: 4, ackWaitMillis: 1_000 },
    run: (rig) =>
      Effect.gen(function* () {
        const since = Date.now()
        while (Date.now() - since < (rig.full ? 120_000 : 15_000)) {
          const writer = rig.writers[Math.floor(rig.random() * rig.writers.length)]!
          writer.signal("SIGSTOP")
          yield* Effect.sleep(800 + 1_200 * rig.random())
          writer.signal("SIGCONT")
          yield* Effect.sleep(200 * rig.random())
        }
        rig.told(/had their outcome already/)
        yield* rig.paused(since, 5)
        yield* rig.recovers(5)
      })
  },
  {
    id: "P21",
    title: "the writer's clock jumps by hours and decades",
    rig: {
      nodeOptions: `--import ${new URL("../clock.ts", import.meta.url).href}?${encodeURIComponent(clockFile)}`,
      prepare: () => setClock(0)
    },
    run: (rig) =>
      Effect.gen(function* () {
        yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(clockFile, { force: true })))
        for (const offset of [hour, -hour, decade, -decade, 0]) {
          const since = Date.now()
          yield* setClock(offset)
          yield* Effect.sleep(rig.full ? "30 seconds" : "4 seconds")
          yield* rig.paused(since, 2, `pause when the clock jumps by ${offset / hour} h`)
          yield* rig.says(/^Running/, 2)
        }
        const skewed = rig.writer.log().includes(`"time":"${new Date(Date.now() + decade).getFullYear()}-`)
        rig.expect(skewed, "the clock did not jump")
      })
  },
  {
    id: "K01",
    title: "a writer is asked to stop under load",
    rig: { writers: 2 },
    run: (rig) =>
      Effect.gen(function* () {
        for (let round = 0; round < (rig.full ? 20 : 3); round++) {
          const writer = rig.writers[round % 2]!
          const since = Date.now()
          yield* writer.end("SIGTERM")
          const took = (Date.now() - since) / 1000
          rig.expect(took <= 10, `V5: a writer took ${took} s to stop, bound 10 s`)
          yield* rig.paused(since, 5, "hand-over")
          yield* writer.start()
          yield* Effect.sleep("1 second")
        }
      })
  }
]
