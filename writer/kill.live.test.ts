import { assert, describe, layer } from "@effect/vitest"
import { jetstream } from "@nats-io/jetstream"
import { Effect } from "effect"
import { join } from "node:path"
import { bundle } from "../images/bundle.ts"
import { tempDirectory } from "../testing/servers.ts"
import { type Bench, makeBench, Servers } from "../testing/writer-bench.ts"
import { startWriter } from "../testing/writer-process.ts"
import type { Failpoint } from "./failpoints.ts"

/**
 * The writer is killed again and again in the midst of its work, while messages of every kind keep coming. The table has no
 * key, so that a row that is written twice is there twice.
 */

/** What a message ends as. */
interface Expected {
  readonly rows: number
  readonly deadLetters: number
}

interface Kind extends Expected {
  readonly subject: "new" | "skip"
  readonly payload: (id: number) => string
}

const kinds: ReadonlyArray<Kind> = [
  { subject: "new", rows: 1, deadLetters: 0, payload: (id) => JSON.stringify({ id, amount: 1 }) },
  { subject: "new", rows: 1, deadLetters: 0, payload: (id) => JSON.stringify({ id, amount: 2 }) },
  { subject: "new", rows: 2, deadLetters: 0, payload: (id) => JSON.stringify([{ id }, { id }]) },
  { subject: "new", rows: 0, deadLetters: 1, payload: (id) => `{"id": ${id}, ` },
  { subject: "new", rows: 1, deadLetters: 1, payload: (id) => JSON.stringify([{ id }, { amount: 4 }]) },
  { subject: "skip", rows: 0, deadLetters: 0, payload: (id) => JSON.stringify({ id }) },
  { subject: "new", rows: 1, deadLetters: 0, payload: (id) => JSON.stringify({ id, amount: 6 }) },
  // Refused by the database: the batch is halved until this one is alone.
  { subject: "new", rows: 0, deadLetters: 1, payload: (id) => JSON.stringify({ id, amount: 1_000_000 }) }
]

const processor = {
  type: "Json",
  skipSubjects: ["*.skip"],
  json: {
    table: "events",
    columns: [
      { name: "seq", from: "seq", type: "int8" },
      { name: "id", type: "int8", required: true },
      { name: "amount", type: "int8" }
    ]
  }
} as const

interface Campaign {
  readonly bench: Bench
  /** Publishes so many more messages. */
  readonly publish: (count: number) => Effect.Effect<void>
  /** Runs a writer while messages keep coming, until it has killed itself. */
  readonly kill: (failpoint: Failpoint, visit: number) => Effect.Effect<void>
  /** Lets a writer finish, and checks that every message ended as it must, once. */
  readonly finish: Effect.Effect<void>
}

/** The program as its image holds it, which also starts three times as fast as from its sources. */
const program = Effect.gen(function* () {
  const file = join(yield* tempDirectory("eventstream-bundle-"), "writer.mjs")
  yield* Effect.promise(() => bundle("images/writer.ts", file))
  return [process.execPath, file] as const
})

const startCampaign = Effect.gen(function* () {
  const bench = yield* makeBench({ processor, batch: { maxMessages: 10 } })
  yield* Effect.promise(() =>
    bench.database.query("ALTER TABLE events ADD CONSTRAINT amount_limit CHECK (amount < 1000)")
  )
  const entry = yield* program
  const js = jetstream(bench.connection)
  const expected = new Map<number, Expected>()
  let published = 0

  const publish = (count: number) =>
    Effect.promise(async () => {
      const stored = Array.from({ length: count }, async () => {
        const id = published++
        const kind = kinds[id % kinds.length]!
        const { seq } = await js.publish(`${bench.config.consumer}.${kind.subject}`, kind.payload(id))
        expected.set(seq, kind)
      })
      await Promise.all(stored)
    })

  const kill = (failpoint: Failpoint, visit: number) =>
    Effect.gen(function* () {
      const writer = yield* startWriter({ config: bench.config, failpoint: `${failpoint}:${visit}`, program: entry })
      const more = publish(2).pipe(Effect.andThen(Effect.sleep("10 millis")), Effect.forever)
      const exit = yield* Effect.raceFirst(writer.exit, more)
      assert.deepStrictEqual(exit, { code: null, signal: "SIGKILL" })
    }).pipe(Effect.scoped, Effect.orDie)

  const finish = Effect.gen(function* () {
    yield* startWriter({ config: bench.config, program: entry })
    yield* bench.drained()
    const counts = (table: string) =>
      Effect.map(
        bench.query<{ seq: string; count: string }>(`SELECT seq, count(*) FROM ${table} GROUP BY seq`),
        (found) => new Map(found.map(({ seq, count }) => [Number(seq), Number(count)]))
      )
    const rows = yield* counts("events")
    const deadLetters = yield* counts("eventstream_dead_letter")
    const wrong = [...expected].flatMap(([seq, wanted]) => {
      const found = { rows: rows.get(seq) ?? 0, deadLetters: deadLetters.get(seq) ?? 0 }
      return found.rows === wanted.rows && found.deadLetters === wanted.deadLetters ? [] : [{ seq, wanted, found }]
    })
    assert.deepStrictEqual(wrong, [])
    const [ledger] = yield* bench.query<{ covered: string; dropped: string }>(
      `SELECT (SELECT sum(upper(run) - lower(run)) FROM eventstream_ledger, unnest(seqs) AS run) AS covered,
        (SELECT sum(dropped) FROM eventstream_ledger) AS dropped`
    )
    const dropped = [...expected.values()].filter((wanted) => wanted.rows + wanted.deadLetters === 0).length
    assert.deepStrictEqual(ledger, { covered: String(expected.size), dropped: String(dropped) })
  }).pipe(Effect.scoped, Effect.orDie)

  return { bench, publish, kill, finish } satisfies Campaign
})

const failpoints: ReadonlyArray<Failpoint> = ["rows-before-commit", "commit-before-ack", "ack-flush"]
const kills = 20

describe("one outcome per message under kill -9", () => {
  layer(Servers.layer, { excludeTestServices: true, timeout: 120_000 })((it) => {
    for (const failpoint of failpoints) {
      it.effect(
        `${kills} times at ${failpoint}`,
        () =>
          Effect.gen(function* () {
            const campaign = yield* startCampaign
            for (let round = 0; round < kills; round++) {
              yield* campaign.publish(24)
              yield* campaign.kill(failpoint, 1 + (round % 3))
            }
            yield* campaign.finish
          }).pipe(Effect.scoped),
        120_000
      )
    }

    it.effect(
      "two writers on one durable, killed by turns",
      () =>
        Effect.gen(function* () {
          const campaign = yield* startCampaign
          const writer = (first: number) =>
            Effect.gen(function* () {
              for (let round = 0; round < kills / 2; round++) {
                yield* campaign.publish(12)
                yield* campaign.kill(failpoints[(first + round) % failpoints.length]!, 1 + (round % 3))
              }
            })
          yield* Effect.all([writer(0), writer(1)], { concurrency: "unbounded" })
          yield* campaign.finish
        }).pipe(Effect.scoped),
      120_000
    )
  })
})
