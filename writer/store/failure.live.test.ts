import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import {
  all,
  batchOf,
  connectTo,
  Databases,
  openRequest,
  shortTimeouts,
  testStore,
  timeOf
} from "../../testing/store.ts"
import type { Table } from "../tables/table.ts"
import {
  type DatabaseError,
  DatabaseMisconfigured,
  DatabaseUnavailable,
  type LaneMissing,
  LedgerConflict
} from "./errors.ts"

const events: Table = {
  name: "events",
  columns: [
    { name: "id", type: "int8", notNull: true },
    { name: "extra", type: "jsonb" }
  ],
  primaryKey: ["id"],
  indexes: [],
  conflict: { mode: "Append" },
  createdAt: false
}

const batchOfSequences = (...sequences: ReadonlyArray<number>) =>
  batchOf(
    [events],
    sequences.map((seq) => ({ seq, rows: [[[seq, null]]] }))
  )

layer(Databases.layer, { excludeTestServices: true, timeout: "60 seconds" })("store", (it) => {
  it.effect("a dead letter can always be written, and keeps the message as it was", () =>
    Effect.gen(function* () {
      const { session, store } = yield* testStore([events])
      const lane = yield* store.open(openRequest())
      const data = Buffer.from([0, 255, 254, 1])
      const batch = batchOf(
        [events],
        [
          {
            seq: 1,
            data,
            headers: { "Nats-Msg-Id": ["a\0b"], Odd: ["\ud800", "two"] },
            outcome: { _tag: "DeadLetter", reason: "malformed_json", detail: "at \0 and \udc00" }
          },
          {
            seq: 2,
            rows: [[[2, { a: 1 }]]],
            outcome: {
              _tag: "Rows",
              elements: [
                { index: 1, reason: "unsupported_type" },
                { index: 4, reason: "missing_field:id" }
              ]
            }
          },
          { seq: 3, outcome: { _tag: "Dropped", reason: "empty" } },
          {
            seq: 4,
            outcome: {
              _tag: "DeadLetter",
              reason: "unsupported_type",
              elements: [{ index: 0, reason: "unsupported_type" }]
            }
          }
        ]
      )
      assert.deepEqual(yield* store.write(lane, batch, all(batch)), {
        messages: 1,
        rows: 1,
        conflicts: 0,
        deadLettered: 4,
        dropped: 1
      })
      const letters = yield* session.query(
        `SELECT lane, stream, seq, element, subject, (extract(epoch FROM message_time) * 1000000)::int8 AS time, deliveries,
           reason, detail, sqlstate, headers, payload, relayed_at FROM eventstream_dead_letter ORDER BY id`
      )
      const common = {
        lane: String(lane.id),
        stream: "EVENTS",
        subject: "events.test",
        deliveries: 1,
        detail: null,
        sqlstate: null,
        headers: null,
        payload: null,
        relayed_at: null
      }
      const at = (seq: number) => ({ seq: String(seq), time: String(timeOf(seq) / 1000n) })
      assert.deepEqual(letters, [
        {
          ...common,
          ...at(1),
          element: null,
          reason: "malformed_json",
          detail: "at \ufffd and \ufffd",
          headers: { "Nats-Msg-Id": ["a\ufffdb"], Odd: ["\ufffd", "two"] },
          payload: data
        },
        { ...common, ...at(2), element: 1, reason: "unsupported_type", payload: Buffer.from("message 2") },
        { ...common, ...at(2), element: 4, reason: "missing_field:id" },
        { ...common, ...at(4), element: 0, reason: "unsupported_type", payload: Buffer.from("message 4") }
      ])
      const totals = yield* store.totals(lane)
      assert.deepInclude(totals, { messages: 1, rows: 1, deadLettered: 4, dropped: 1 })
    })
  )

  it.effect("a broken connection is told, and the next call has a new one", () =>
    Effect.gen(function* () {
      const { session, store } = yield* testStore([events])
      const lane = yield* store.open(openRequest())
      yield* session.query("BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
      const batch = batchOfSequences(1)
      const writing = yield* Effect.forkChild(Effect.flip(store.write(lane, batch, [0])))
      const waiting =
        "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'eventstream/test/events'"
      yield* session.query(waiting).pipe(Effect.repeat({ until: (rows) => rows.length > 0 }))
      yield* session.query(`SELECT pg_terminate_backend(pid) FROM (${waiting}) blocked; COMMIT`)
      const failure = yield* Fiber.join(writing)
      assert.instanceOf(failure, DatabaseUnavailable)
      assert.deepInclude(failure, { reason: "TargetUnreachable", sqlstate: "57P01" })
      yield* store.write(lane, batch, [0])
      assert.deepEqual(yield* session.query("SELECT id FROM events"), [{ id: "1" }])
    })
  )

  it.effect("a lock is waited for no longer than lock_timeout", () =>
    Effect.gen(function* () {
      const { session, store } = yield* testStore([events], shortTimeouts)
      const lane = yield* store.open(openRequest())
      yield* session.query("BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
      const batch = batchOfSequences(1)
      const failure = yield* Effect.flip(store.write(lane, batch, [0]))
      assert.deepInclude(failure, {
        _tag: "DatabaseUnavailable",
        reason: "TargetBusy",
        sqlstate: "55P03",
        shrink: false
      })
      yield* session.query("COMMIT")
      yield* store.write(lane, batch, [0])
    })
  )

  it.effect("a statement that takes too long asks for a smaller batch", () =>
    Effect.gen(function* () {
      const { session, store } = yield* testStore([events], shortTimeouts)
      yield* session.query("ALTER TABLE events ADD CHECK (pg_sleep(0.5) IS NOT NULL)")
      const lane = yield* store.open(openRequest())
      const batch = batchOfSequences(1, 2, 3)
      const failure = yield* Effect.flip(store.write(lane, batch, all(batch)))
      assert.deepInclude(failure, {
        _tag: "DatabaseUnavailable",
        reason: "TargetBusy",
        sqlstate: "57014",
        shrink: true
      })
      yield* store.write(lane, batch, [0])
    })
  )

  it.effect("the server ends what only reads as well", () =>
    Effect.gen(function* () {
      const timeouts = { statementTimeoutMillis: 300, lockTimeoutMillis: 60_000 }
      const { session, store } = yield* testStore([events], timeouts)
      const lane = yield* store.open(openRequest())
      yield* session.query("BEGIN; LOCK TABLE eventstream_lane, eventstream_ledger IN ACCESS EXCLUSIVE MODE")
      const reads: Readonly<Record<string, Effect.Effect<unknown, DatabaseError | LaneMissing>>> = {
        open: store.open(openRequest()),
        covered: store.covered(lane, batchOfSequences(1).deliveries),
        lowestUncovered: store.lowestUncovered(lane, 1),
        totals: store.totals(lane),
        compact: store.compact(lane, { ackFloor: 1, firstSequence: 1 })
      }
      for (const [name, read] of Object.entries(reads)) {
        assert.deepInclude(yield* Effect.flip(read), { reason: "TargetBusy", sqlstate: "57014" }, name)
      }
    })
  )

  it.effect("a commit whose answer was lost is found again, though its keys are there already", () =>
    Effect.gen(function* () {
      const { session, store } = yield* testStore([events])
      const lane = yield* store.open(openRequest())
      yield* session.query("BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
      const lost = batchOfSequences(1, 2)
      const writing = yield* Effect.forkChild(store.write(lane, lost, all(lost)))
      const waiting =
        "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'eventstream/test/events'"
      yield* session.query(waiting).pipe(Effect.repeat({ until: (rows) => rows.length > 0 }))
      yield* Fiber.interrupt(writing)
      yield* session.query("COMMIT")
      const again = batchOfSequences(2, 3)
      assert.instanceOf(yield* Effect.flip(store.write(lane, again, all(again))), LedgerConflict)
      assert.deepEqual(yield* store.covered(lane, again.deliveries), ["Covered", "Open"])
      yield* store.write(lane, again, [1])
      assert.deepEqual(yield* session.query("SELECT id FROM events ORDER BY id"), [
        { id: "1" },
        { id: "2" },
        { id: "3" }
      ])
    })
  )

  it.effect("a session of the same EventStream that froze in a COPY is ended when it blocks", () =>
    Effect.gen(function* () {
      const { session, store, uri } = yield* testStore([events], shortTimeouts)
      const lane = yield* store.open(openRequest())
      // A writer's process that stopped with its row data sent: the server waits for the end of the COPY.
      const frozen = yield* connectTo(uri)
      yield* frozen.query("SET application_name = 'eventstream/test/events'")
      const batch = batchOfSequences(7)
      const header = Buffer.concat([Buffer.from("PGCOPY\n\xff\r\n\0", "latin1"), Buffer.alloc(8)])
      const copy = {
        sql: "INSERT INTO events VALUES (7); COPY events (id, extra) FROM STDIN (FORMAT binary);",
        copies: [[header, batchOfSequences(8).tables[0]!.bytes]],
        crash: () => {}
      }
      const ended = yield* Effect.forkChild(Effect.flip(frozen.run(copy)))
      const reading =
        "SELECT FROM pg_stat_activity WHERE wait_event = 'ClientRead' AND state = 'active' AND query LIKE 'INSERT%'"
      yield* session.query(reading).pipe(Effect.repeat({ until: (rows) => rows.length > 0 }))
      const busy = Effect.flip(store.write(lane, batch, [0]))
      assert.deepInclude(yield* busy, { sqlstate: "55P03" })
      yield* store.write(lane, batch, [0]).pipe(Effect.eventually)
      assert.deepInclude(yield* Fiber.join(ended), { sqlstate: "57P01" })
      assert.deepEqual(yield* session.query("SELECT id FROM events"), [{ id: "7" }])
    })
  )

  it.effect("a table that changed under the writer stalls it, and costs no row", () =>
    Effect.gen(function* () {
      const { session, store } = yield* testStore([events])
      const lane = yield* store.open(openRequest())
      const batch = batchOfSequences(1, 2)
      const changes: ReadonlyArray<readonly [change: string, repair: string, found: string]> = [
        ["events RENAME TO gone", "gone RENAME TO events", 'relation "public.events" does not exist'],
        ["events RENAME extra TO more", "events RENAME more TO extra", "table events lacks columns extra jsonb"],
        // Both are eight bytes: the server would take one for the other.
        [
          "events ALTER id TYPE timestamptz USING now()",
          "events ALTER id TYPE int8 USING 0",
          "column events.id is timestamp with time zone, wanted bigint"
        ],
        [
          "events ADD needed int NOT NULL",
          "events DROP needed",
          "columns events.needed are NOT NULL without a default"
        ],
        // Other tables of that name.
        [
          "events RENAME TO older; CREATE TABLE events (id timestamptz NOT NULL, extra jsonb)",
          "older ADD more text; DROP TABLE events; ALTER TABLE older RENAME TO events",
          "column events.id is timestamp with time zone, wanted bigint"
        ],
        [
          "events DROP extra; DROP TABLE events; CREATE TABLE events (id text NOT NULL, extra jsonb)",
          "events ALTER id TYPE int8 USING 0",
          "column events.id is text, wanted bigint"
        ]
      ]
      for (const [change, repair, found] of changes) {
        yield* session.query(`ALTER TABLE ${change}`)
        const failure = yield* Effect.flip(store.write(lane, batch, all(batch)))
        assert.instanceOf(failure, DatabaseMisconfigured, change)
        assert.equal(failure.reason, "SchemaMismatch")
        assert.include(failure.message, found)
        yield* session.query(`ALTER TABLE ${repair}`)
      }
      yield* store.write(lane, batch, all(batch))
      assert.deepEqual(yield* session.query("SELECT count(*)::int AS n FROM eventstream_dead_letter"), [{ n: 0 }])
    })
  )

  it.effect("a table that was made anew, or changed in other columns only, is written on", () =>
    Effect.gen(function* () {
      const { session, store } = yield* testStore([events])
      const lane = yield* store.open(openRequest())
      for (const [i, change] of [
        "ALTER TABLE events ADD more text",
        "DROP TABLE events; CREATE TABLE events (extra jsonb, id int8 NOT NULL)"
      ].entries()) {
        yield* session.query(change)
        yield* store.write(lane, batchOfSequences(i + 1), [0])
      }
      assert.deepEqual(yield* session.query("SELECT id FROM events"), [{ id: "2" }])
    })
  )
})
