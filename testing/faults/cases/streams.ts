import { DeliverPolicy, jetstream } from "@nats-io/jetstream"
import { Effect, Schema } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { WriterStatus, writerStatusSubject } from "../../../writer/config.ts"
import type { FaultCase } from "../campaign.ts"
import type { Rig } from "../rig.ts"
import { numbered, selfChecking } from "../producer.ts"

/** Faults of streams and durables: deleted, emptied, full, out of reach. */

const operatorBound = 30

const statusOf = (rig: Rig) =>
  Effect.promise(() =>
    rig.connection().request(writerStatusSubject("faults", rig.lane.name), undefined, { timeout: 5_000 })
  ).pipe(
    Effect.flatMap((answer) => Schema.decodeUnknownEffect(WriterStatus)(answer.json())),
    Effect.orDie
  )

const deleteConsumer = (rig: Rig) => Effect.promise(() => rig.manager().consumers.delete(rig.stream, rig.lane.name))

/** Waits until the lane counts so many messages as removed by the stream; it takes two rounds of its audit, a minute each. */
const tellsLoss = (rig: Rig, wanted: number) =>
  Effect.gen(function* () {
    const until = Date.now() + 150_000
    let found = 0
    while (found !== wanted && Date.now() < until) {
      yield* Effect.sleep("500 millis")
      const [row] = yield* rig.database.query<{ readonly n: string }>(
        "SELECT coalesce(sum(messages), 0) AS n FROM eventstream_loss"
      )
      found = Number(row!.n)
    }
    rig.expect(
      found === wanted,
      `V7: the stream removed ${wanted} messages unread, and the lane tells ${found} within 150 s`
    )
    const { lost } = yield* statusOf(rig)
    rig.expect(lost === wanted, `V7: the status tells ${lost} lost messages, wanted ${wanted}`)
  })

/** While the writer is away messages come, and go as the stream's owner wants. */
const removedUnread = (rig: Rig, remove: Effect.Effect<void>) =>
  Effect.gen(function* () {
    rig.producer.rate(0)
    yield* rig.producer.settled
    yield* rig.writer.end("SIGTERM")
    const [covered] = yield* rig.database.query<{ readonly n: string }>(
      "SELECT coalesce(sum(upper(r) - lower(r)), 0) AS n FROM eventstream_ledger, unnest(seqs) AS r"
    )
    yield* rig.producer.burst(6_000)
    yield* remove
    const { state } = yield* Effect.promise(() => rig.manager().streams.info(rig.stream, { deleted_details: true }))
    yield* rig.writer.start()
    yield* rig.recovers(10)
    rig.producer.rate(200)
    const missing = (state.deleted ?? []).filter((seq) => seq > Number(covered!.n)).length
    yield* tellsLoss(rig, state.first_seq - 1 - Number(covered!.n) + missing)
  })

const user = (permissions: string) =>
  `{ user: writer, password: writer, permissions: { publish: ${permissions}, subscribe: ">" } }`
const accounts = (writer: string) => `authorization { users: [{ user: test, password: test }, ${writer}] }`
const allowed = accounts(user('">"'))

/** Changes the servers' configuration and has them read it. */
const reload = (rig: Rig, from: string, to: string) => {
  for (const node of rig.nats.nodes) {
    writeFileSync(node.configFile, readFileSync(node.configFile, "utf8").replace(from, to))
    node.signal("SIGHUP")
  }
}

const withLogin: FaultCase["rig"] = {
  natsConfig: [allowed],
  login: { user: "test", pass: "test" },
  writer: (defaults) => ({ ...defaults, nats: { ...defaults.nats, user: "writer", password: "writer" } })
}

export const streamCases: ReadonlyArray<FaultCase> = [
  {
    id: "N08",
    title: "the durable is deleted, and made anew at once or later",
    run: (rig) =>
      Effect.gen(function* () {
        for (const later of [false, true]) {
          const { lowestUncovered } = yield* statusOf(rig)
          yield* deleteConsumer(rig)
          if (later) yield* rig.says(/ConsumerError/, operatorBound)
          if (later) yield* Effect.sleep("5 seconds")
          // The first time from the start: all that was written is answered by the ledger.
          yield* rig.lane.createConsumer(
            later ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: lowestUncovered ?? 1 } : {}
          )
          yield* rig.recovers(10)
        }
      })
  },
  {
    id: "N09",
    title: "the stream is deleted and made anew: its sequences count from 1",
    run: (rig) =>
      Effect.gen(function* () {
        yield* rig.producer.settled
        while (rig.monitor.covered(rig.lane) < rig.producer.confirmed()) yield* Effect.sleep("50 millis")
        yield* Effect.promise(() => rig.manager().streams.delete(rig.stream))
        yield* rig.says(/ConsumerError/, operatorBound)
        yield* rig.createStream
        yield* rig.lane.createConsumer()
        rig.producer.rate(1_000)
        yield* rig.recovers(10)
        yield* Effect.sleep("3 seconds")
      })
  },
  {
    id: "N10",
    title: "a purge and deletions take messages before they are written",
    rig: { removal: true },
    run: (rig) =>
      removedUnread(
        rig,
        Effect.promise(async () => {
          const { state } = await rig.manager().streams.info(rig.stream)
          await rig.manager().streams.purge(rig.stream, { seq: state.last_seq - 1_000 })
          for (const back of [3, 200, 201, 700])
            await rig.manager().streams.deleteMessage(rig.stream, state.last_seq - back)
        })
      )
  },
  {
    id: "N11",
    title: "limits of the stream take messages before they are written",
    rig: { stream: { max_msgs: 3_000 }, removal: true },
    run: (rig) => removedUnread(rig, Effect.void)
  },
  {
    id: "N20",
    title: "the stream's storage is full",
    rig: { natsConfig: ["jetstream { max_file_store: 24MB }"], bytes: 1_000 },
    run: (rig) =>
      Effect.gen(function* () {
        rig.producer.rate(4_000)
        const refused = Effect.gen(function* () {
          for (let before = -1; before < rig.producer.confirmed();) {
            before = rig.producer.confirmed()
            yield* Effect.sleep("1 second")
          }
        })
        yield* refused.pipe(Effect.timeoutOption("60 seconds"))
        rig.expect(rig.producer.confirmed() < rig.producer.published(), "JetStream never refused a message")
        yield* rig.says(/^Running/, 5)
        while (rig.monitor.covered(rig.lane) < rig.producer.confirmed()) yield* Effect.sleep("50 millis")
        yield* Effect.promise(async () => {
          const { ack_floor } = await rig.manager().consumers.info(rig.stream, rig.lane.name)
          await rig.manager().streams.purge(rig.stream, { seq: ack_floor.stream_seq })
        })
        rig.producer.rate(500)
        yield* rig.recovers(10)
      })
  },
  {
    id: "N21",
    title: "the writer's permission is taken away and given back",
    rig: withLogin,
    run: (rig) =>
      Effect.gen(function* () {
        reload(rig, allowed, accounts(user('{ deny: "$JS.API.CONSUMER.MSG.NEXT.>" }')))
        yield* rig.says(/PermissionDenied/, 30)
        yield* Effect.sleep("3 seconds")
        reload(rig, accounts(user('{ deny: "$JS.API.CONSUMER.MSG.NEXT.>" }')), allowed)
        yield* rig.recovers(15, "flow with the permission")
        yield* rig.says(/^Running/, 10)
      })
  },
  {
    id: "N21-user",
    title: "the writer's user is taken away and given back",
    rig: withLogin,
    run: (rig) =>
      Effect.gen(function* () {
        const without = "authorization { users: [{ user: test, password: test }] }"
        reload(rig, allowed, without)
        yield* rig.says(/NatsUnreachable|PermissionDenied/, 30)
        yield* Effect.sleep("8 seconds")
        reload(rig, without, allowed)
        yield* rig.recovers(15, "flow with the user")
        yield* rig.says(/^Running/, 10)
      })
  },
  {
    id: "N24",
    title: "the producer publishes the same messages again",
    run: (rig) =>
      Effect.gen(function* () {
        yield* rig.producer.settled
        const before = rig.producer.published()
        const make = numbered()
        yield* Effect.promise(async () => {
          const js = jetstream(rig.connection())
          for (let id = 0; id < before; id += 7) {
            const { duplicate } = await js.publish("faults.event", make(id).payload, { msgID: `p-${id}` })
            rig.expect(duplicate, `JetStream took message ${id} twice`)
          }
        })
        // Beyond the window they are messages of their own: a row each.
        yield* rig.producer.send(
          [1, 2].map(() => () => ({ payload: selfChecking(before, "the same text"), outcome: "nothing" }))
        )
        while (rig.monitor.covered(rig.lane) < before + 2) yield* Effect.sleep("50 millis")
        const [row] = yield* rig.database.query<{ readonly n: string }>(
          `SELECT count(*) AS n FROM events WHERE id = ${before}`
        )
        rig.expect(row!.n === "2", `V2: two messages of the same content became ${row!.n} rows, wanted 2`)
        yield* rig.database.query(
          `UPDATE events SET id = id + 1 WHERE ctid = (SELECT max(ctid) FROM events WHERE id = ${before})`
        )
        rig.producer.rate(500)
        yield* rig.recovers(10)
      })
  }
]
