import { Effect } from "effect"
import type { EncodedWriterConfig } from "../../../writer/config.ts"
import type { FaultCase } from "../campaign.ts"
import type { Database } from "../database.ts"
import type { Rig, RigOptions } from "../rig.ts"

/** Faults inside the database: locks, tables that changed, rights that went, space that ran out. */

/** A failure that takes a person is looked at again every 30 s. */
const stallBound = 35

const asRole =
  (role: string) =>
  (defaults: EncodedWriterConfig): EncodedWriterConfig => {
    const { postgres } = defaults.target
    return {
      ...defaults,
      target: { postgres: { ...postgres, uri: postgres.uri!.replace("postgres@", `${role}@`) } }
    }
  }

const statements = (database: Database, ...all: ReadonlyArray<string>) =>
  Effect.forEach(all, (sql) => database.query(sql), { discard: true })

/** A role of its own for the writers, with what they need and no more. */
const ownRole: RigOptions = {
  prepare: (database) =>
    statements(
      database,
      "CREATE ROLE writer LOGIN",
      "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO writer"
    ),
  writer: asRole("writer")
}

const disconnect = (database: Database) =>
  database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'eventstream/%'")

const deadLetters = (rig: Rig) =>
  Effect.map(rig.database.query<{ readonly n: string }>("SELECT count(*) AS n FROM eventstream_dead_letter"), ([row]) =>
    Number(row!.n)
  )

/** Breaks something that takes a person; the writer says so, writes no dead letter for it, and goes on after the repair. */
const stalls = (
  id: string,
  title: string,
  options: {
    readonly rig?: RigOptions
    readonly breaks: ReadonlyArray<string>
    readonly says: RegExp
    readonly repairs: ReadonlyArray<string>
    readonly bound?: number
  }
): FaultCase => ({
  id,
  title,
  ...(options.rig ? { rig: options.rig } : {}),
  run: (rig) =>
    Effect.gen(function* () {
      // So that those which are due come before and after, and none while it is broken.
      rig.producer.make((id) => ({ payload: Buffer.from(JSON.stringify({ id })), outcome: "row" }))
      yield* Effect.sleep("1 second")
      const before = yield* deadLetters(rig)
      yield* statements(rig.database, ...options.breaks)
      yield* rig.says(options.says, 30)
      yield* Effect.sleep("3 seconds")
      const during = yield* deadLetters(rig)
      rig.expect(during === before, `V1: ${during - before} dead letters for what a person has to repair`)
      yield* statements(rig.database, ...options.repairs)
      yield* rig.recovers(options.bound ?? stallBound)
      yield* rig.says(/^Running/, 10)
    })
})

const slowTable = [
  `CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.002); RETURN NEW; END'`,
  "CREATE TRIGGER slow BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION slow()"
]

export const postgresObjectCases: ReadonlyArray<FaultCase> = [
  {
    id: "P06",
    title: "one of two tables is locked",
    rig: { lanes: ["events", "others"], rate: 500 },
    run: (rig) =>
      Effect.gen(function* () {
        const [events, others] = rig.lanes
        const seconds = rig.full ? 60 : 15
        const client = yield* rig.database.session
        yield* Effect.promise(() => client.query("BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE"))
        const since = Date.now()
        yield* Effect.sleep(seconds * 1000)
        const rate = rig.monitor.rate(others!, since, Date.now())
        rig.expect(rate >= 0.95 * 500, `V5: the other table got ${Math.round(rate)} rows per second, bound 95 % of 500`)
        rig.expect(rig.monitor.rate(events!, since + 1_000, Date.now()) === 0, "the locked table got rows")
        yield* Effect.promise(() => client.query("COMMIT"))
        yield* rig.recovers(10, "flow into the unlocked table", events)
      })
  },
  {
    id: "P07",
    title: "batches take longer than the statement timeout",
    rig: {
      rate: 200,
      writer: (defaults) => ({
        ...defaults,
        target: { ...defaults.target, postgres: { ...defaults.target.postgres, statementTimeoutMillis: 300 } }
      })
    },
    run: (rig) =>
      Effect.gen(function* () {
        yield* rig.producer.burst(2_000)
        yield* statements(rig.database, ...slowTable)
        yield* rig.producer.burst(2_000)
        yield* rig.recovers(20, "progress with smaller batches")
        const since = Date.now()
        yield* Effect.sleep("8 seconds")
        yield* rig.paused(since, 4, "pause with smaller batches")
        rig.told(/57014.*writing the halves apart/)
        yield* statements(rig.database, "DROP TRIGGER slow ON events")
        yield* rig.recovers(10)
      })
  },
  {
    id: "P08",
    title: "the volume of the table is full",
    rig: { database: { smallVolumeMegabytes: 48 } },
    run: (rig) =>
      Effect.gen(function* () {
        yield* statements(rig.database, "CREATE TABLE filler (t text STORAGE PLAIN) TABLESPACE small")
        yield* statements(rig.database, "ALTER TABLE events SET TABLESPACE small")
        const client = yield* rig.database.session
        for (const size of [1_000, 100, 10, 1]) {
          yield* Effect.promise(async () => {
            for (;;) {
              const full = await client
                .query(`INSERT INTO filler SELECT repeat('x', 7000) FROM generate_series(1, ${size})`)
                .then(
                  () => false,
                  () => true
                )
              if (full) return
            }
          })
        }
        const before = yield* deadLetters(rig)
        yield* rig.says(/53100|DiskFull|space/i, 30)
        yield* Effect.sleep("3 seconds")
        rig.expect((yield* deadLetters(rig)) - before <= 8, "V1: dead letters for want of space")
        yield* statements(rig.database, "DROP TABLE filler")
        yield* rig.recovers(stallBound)
      })
  },
  {
    id: "P09",
    title: "deadlocks and serialization failures",
    rig: {
      writers: 2,
      rate: 500,
      prepare: (database) =>
        statements(database, "ALTER ROLE postgres SET default_transaction_isolation = 'serializable'")
    },
    run: (rig) =>
      Effect.gen(function* () {
        const since = Date.now()
        const client = yield* rig.database.session
        const rival = [
          "BEGIN ISOLATION LEVEL READ COMMITTED",
          "SELECT FROM eventstream_lane FOR UPDATE",
          "SELECT pg_sleep(0.1)",
          "LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE",
          "COMMIT"
        ]
        while (Date.now() - since < (rig.full ? 60_000 : 12_000)) {
          yield* Effect.promise(async () => {
            try {
              for (const sql of rival) await client.query(sql)
            } catch {
              await client.query("ROLLBACK")
            }
          })
          yield* Effect.sleep(300 * rig.random())
        }
        rig.told(/40P01|40001/)
        yield* rig.paused(since, 10, "pause among deadlocks")
        yield* rig.recovers(10)
      })
  },
  stalls("P10-column", "a column is renamed", {
    breaks: ["ALTER TABLE events RENAME note TO remark"],
    says: /SchemaMismatch.*note/,
    repairs: ["ALTER TABLE events RENAME remark TO note"]
  }),
  stalls("P10-type", "the type of a column is changed", {
    breaks: ["ALTER TABLE events ALTER seq TYPE text"],
    says: /SchemaMismatch.*seq/,
    repairs: ["ALTER TABLE events ALTER seq TYPE int8 USING seq::int8"]
  }),
  stalls("P10-table", "the table is gone", {
    breaks: ["ALTER TABLE events RENAME TO elsewhere"],
    says: /SchemaMismatch.*events/,
    repairs: ["ALTER TABLE elsewhere RENAME TO events"]
  }),
  stalls("P11", "the right to insert is revoked", {
    rig: ownRole,
    breaks: ["REVOKE INSERT ON events FROM writer"],
    says: /PermissionDenied/,
    repairs: ["GRANT INSERT ON events TO writer"]
  }),
  {
    id: "P11-login",
    title: "the role may not log in",
    rig: ownRole,
    run: (rig) =>
      Effect.gen(function* () {
        yield* statements(rig.database, "ALTER ROLE writer NOLOGIN")
        yield* disconnect(rig.database)
        yield* rig.says(/LoginFailed/, 30)
        yield* statements(rig.database, "ALTER ROLE writer LOGIN")
        yield* rig.recovers(15)
      })
  },
  {
    id: "P11-db",
    title: "the database takes no connections",
    run: (rig) =>
      Effect.gen(function* () {
        yield* rig.database.maintain("ALTER DATABASE faults ALLOW_CONNECTIONS false")
        yield* rig.database.maintain("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'faults'")
        yield* rig.says(/55000/, 30)
        yield* Effect.sleep("3 seconds")
        yield* rig.database.maintain("ALTER DATABASE faults ALLOW_CONNECTIONS true")
        yield* rig.recovers(stallBound)
      })
  },
  stalls("P12", "the partition that rows belong to is missing", {
    rig: {
      prepare: (database) =>
        statements(
          database,
          "ALTER TABLE events RENAME TO plain",
          "CREATE TABLE events (LIKE plain) PARTITION BY RANGE (seq)",
          "CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (100000000)",
          "DROP TABLE plain"
        )
    },
    breaks: ["ALTER TABLE events DETACH PARTITION events_1"],
    says: /Stalled.*partition/i,
    repairs: ["ALTER TABLE events ATTACH PARTITION events_1 FOR VALUES FROM (0) TO (100000000)"]
  }),
  {
    id: "P22",
    title: "one of two tables is gone",
    rig: { lanes: ["events", "others"], rate: 500 },
    run: (rig) =>
      Effect.gen(function* () {
        const others = rig.lanes[1]!
        yield* statements(rig.database, "ALTER TABLE events RENAME TO elsewhere")
        const since = Date.now()
        yield* rig.says(/SchemaMismatch.*events/, 30)
        yield* Effect.sleep("5 seconds")
        yield* rig.paused(since, 2, "pause of the other table", others)
        yield* rig.says(/^Running/, 1, others.writers[0])
        yield* statements(rig.database, "ALTER TABLE elsewhere RENAME TO events")
        yield* rig.recovers(stallBound)
      })
  }
]
