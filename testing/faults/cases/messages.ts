import { headers } from "@nats-io/transport-node"
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import type { FaultCase } from "../campaign.ts"
import { type MakeMessage, type Message, numbered, selfChecking, undecodable } from "../producer.ts"
import { postgresEdges, type Rig } from "../rig.ts"

/** Messages that are odd, too many, or can't be written. */

const wellFormed = numbered()

/** Other messages than the usual ones, at a share. */
const some =
  (share: number, random: () => number, make: MakeMessage): MakeMessage =>
  (id) =>
    random() < share ? make(id) : wellFormed(id)

const deep = (depth: number) => `${"[".repeat(depth)}1${"]".repeat(depth)}`

/** Values at and beyond the edges of their types; text is put in as it stands. */
const edges: ReadonlyArray<(id: number) => string> = [
  ...["\\u0000", "\\ud800", "\\udfff\\ud800", "\\uffff", "a\\u0000b"].map(
    (text) => (id: number) => `{"id":${id},"note":"${text}"}`
  ),
  ...['{"a":"\\u0000"}', '{"\\u0000":1}', deep(60), deep(5_000), "1e400", "-0", "1e-400", "[1e99999]", '"\\ud800"'].map(
    (data) => (id: number) => `{"id":${id},"data":${data}}`
  ),
  ...["9223372036854775807.5", "1e30", '"twelve"', "true", "[]"].map(
    (data) => (id: number) => `{"was":{"id":${id}},"id":${data}}`
  ),
  (id) => `{"id":${id},"id":${id}}`,
  (id) => `{"id":${id},"__proto__":{"note":"x"}}`
]

/** Times of a clock that is wrong, and of producers that take one unit for another. */
const times: ReadonlyArray<string> = [
  "0 -1 1970 4294967296 1e18 1e24 253402300800 -62135596801 null true".split(" "),
  [
    ..."1970-01-01T00:00:00Z 2106-02-07T06:28:16Z 2262-04-12T00:00:00Z 9999-12-31T23:59:59Z 10000-01-01T00:00:00Z".split(
      " "
    ),
    ..."294276-12-31T23:59:59Z 294277-01-01T00:00:00Z -4713-01-01T00:00:00Z 0001-01-01T00:00:00Z".split(" "),
    ..."2026-02-30T00:00:00Z 2026-13-01T00:00:00Z 2026-01-01T24:00:00Z 2026-06-30T23:59:60Z".split(" "),
    ..."infinity -infinity NaN".split(" "),
    ""
  ].map((text) => JSON.stringify(text))
].flat()

/** Sends each so often, in the midst of the others, and looks whether the flow goes on. */
const among = (rig: Rig, texts: ReadonlyArray<(id: number) => string>, repeat: number) =>
  Effect.gen(function* () {
    const since = Date.now()
    for (let round = 0; round < repeat; round++) {
      yield* rig.producer.send(
        texts.map((text) => (id) => ({ payload: Buffer.from(text(id)), outcome: "row or dead letter" }))
      )
    }
    yield* rig.recovers(5)
    yield* rig.paused(since, 5)
  })

export const messageCases: ReadonlyArray<FaultCase> = [
  {
    id: "N16",
    title: "the database is blocked while a backlog grows",
    rig: { bytes: 2_000, maxAckPending: 5_000 },
    quiesceSeconds: 300,
    run: (rig) =>
      Effect.gen(function* () {
        for (const proxy of postgresEdges(rig)) proxy.weather({ hold: "both" })
        const began = Date.now()
        yield* rig.producer.burst(rig.full ? 1_000_000 : 50_000)
        const left = (rig.full ? 300_000 : 15_000) - (Date.now() - began)
        yield* Effect.sleep(Math.max(0, left))
        const info = yield* Effect.promise(() => rig.manager().consumers.info(rig.stream, rig.lane.name))
        rig.expect(info.num_ack_pending <= 5_000, `V6: ${info.num_ack_pending} messages in flight, bound 5000`)
        rig.expect(info.num_ack_pending <= 3 * 500, `V6: ${info.num_ack_pending} messages held, bound three batches`)
        for (const proxy of postgresEdges(rig)) proxy.weather({})
        yield* rig.recovers(15)
      })
  },
  {
    id: "N17",
    title: "messages of odd sizes, headers and subjects",
    run: (rig) =>
      Effect.gen(function* () {
        const big = headers()
        for (let i = 0; i < 60; i++) big.set(`X-${i}`, "v".repeat(1_000))
        const few = headers()
        few.set("X-Only", "a header")
        const nothing = (more: Partial<Message>) => (): Message => ({
          payload: Buffer.alloc(0),
          outcome: "nothing",
          ...more
        })
        const binary = (size: number) => (): Message => ({ payload: randomBytes(size), outcome: "dead letter" })
        const row =
          (text: string, more: Partial<Message> = {}) =>
          (id: number): Message => ({ payload: selfChecking(id, text), outcome: "row", ...more })
        const long = Array.from({ length: 200 }, () => "t").join(".")
        yield* rig.producer.send([
          nothing({}),
          nothing({ headers: few }),
          nothing({ headers: big }),
          binary(1),
          binary(1_000),
          binary(1_048_000),
          row("with headers", { headers: big }),
          row("x".repeat(900_000)),
          row("short", { subject: "faults.a" }),
          row("long", { subject: `faults.${long}` })
        ])
        rig.producer.rate(500)
        yield* rig.recovers(5)
      })
  },
  {
    id: "N18",
    title: "one in 50 messages can't be decoded",
    run: (rig) =>
      Effect.gen(function* () {
        const since = Date.now()
        rig.producer.make(some(0.02, rig.random, undecodable))
        yield* Effect.sleep(rig.full ? "60 seconds" : "8 seconds")
        yield* rig.paused(since, 5)
      })
  },
  {
    id: "N19",
    title: "the producer sends nothing that can be decoded",
    run: (rig) =>
      Effect.gen(function* () {
        rig.producer.make(undecodable)
        yield* rig.says(/HaltedByThreshold/, 30)
        yield* Effect.sleep(rig.full ? "60 seconds" : "6 seconds")
        const [found] = yield* rig.database.query<{ readonly rows: string; readonly dead: string }>(
          "SELECT (SELECT count(*) FROM events) AS rows, (SELECT count(*) FROM eventstream_dead_letter) AS dead"
        )
        // Half of the traffic may be poison.
        const most = Number(found!.rows) + 100
        rig.expect(Number(found!.dead) <= most, `V1: ${found!.dead} dead letters, beside ${found!.rows} rows`)
        rig.producer.make(wellFormed)
        yield* rig.recovers(35)
        yield* rig.says(/^Running/, 35)
      })
  },
  {
    id: "N27",
    title: "messages that are tried again don't stop the others",
    rig: {
      maxAckPending: 2_000,
      writer: (defaults) => ({ ...defaults, errors: { maxAttempts: 3 } }),
      prepare: (database) =>
        Effect.andThen(
          database.query("CREATE TABLE days (at timestamptz PRIMARY KEY)"),
          Effect.asVoid(database.query("ALTER TABLE events ADD FOREIGN KEY (at) REFERENCES days"))
        )
    },
    run: (rig) =>
      Effect.gen(function* () {
        const since = Date.now()
        rig.producer.make(
          some(0.002, rig.random, (id) => ({
            payload: selfChecking(id, "no such day", { at: "2026-01-01T00:00:00Z" }),
            outcome: "dead letter"
          }))
        )
        yield* Effect.sleep(rig.full ? "60 seconds" : "10 seconds")
        yield* rig.paused(since, 5, "pause of the others")
      })
  },
  {
    id: "P13",
    title: "one row in a thousand breaks a CHECK",
    run: (rig) =>
      Effect.gen(function* () {
        const from = rig.producer.published() + 3_000
        const isBroken = (id: number) => id >= from && id % 1_000 === 500
        rig.producer.make((id) => (isBroken(id) ? { ...wellFormed(id), outcome: "dead letter" } : wellFormed(id)))
        yield* rig.database.query(`ALTER TABLE events ADD CHECK (id < ${from} OR id % 1000 <> 500)`)
        const since = Date.now()
        yield* Effect.sleep(rig.full ? "60 seconds" : "10 seconds")
        yield* rig.paused(since, 2)
      })
  },
  {
    id: "P14",
    title: "values at and beyond the edges of their types",
    run: (rig) => among(rig, edges, rig.full ? 100 : 5)
  },
  {
    id: "P15",
    title: "times far from now, and in wrong units",
    run: (rig) =>
      among(
        rig,
        times.map((time) => (id: number) => `{"id":${id},"at":${time}}`),
        rig.full ? 100 : 5
      )
  }
]
