import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { connectTo, Databases, postgresOptions } from "../../testing/store.ts"
import type { Table } from "../tables/table.ts"
import { DatabaseMisconfigured } from "./errors.ts"
import { migrate, type MigrateOptions } from "./migrate.ts"
import { storeTables } from "./schema.ts"

const metrics: Table = {
  name: "metrics",
  columns: [
    { name: "time", type: "timestamptz", notNull: true },
    { name: "select", type: "text", notNull: true, default: "''" },
    { name: "attributes", type: "text", json: true }
  ],
  primaryKey: ["time", "select"],
  indexes: [{ on: `"time" DESC` }, { on: `"select"`, where: `"select" <> ''` }],
  conflict: { mode: "InsertIgnore", keys: ["time", "select"] },
  timeColumn: "time",
  createdAt: true
}

const optionsFor = (uri: string, overrides: Partial<MigrateOptions> = {}): MigrateOptions => ({
  postgres: postgresOptions(uri),
  schema: "events of today",
  tables: [metrics],
  ddl: "CreateIfMissing",
  hosts: new Map(),
  ...overrides
})

const made = [...storeTables.map(({ name }) => name), "metrics"]

layer(Databases.layer, { excludeTestServices: true, timeout: "60 seconds" })("migrate", (it) => {
  const withDatabase = Effect.gen(function* () {
    const uri = yield* (yield* Databases).create
    return { uri, session: yield* connectTo(uri) }
  })

  it.effect("makes schema, extension and tables, and nothing the second time", () =>
    Effect.gen(function* () {
      const { uri, session } = yield* withDatabase
      const first = yield* migrate(optionsFor(uri))
      assert.match(first.server, /^PostgreSQL \d/)
      assert.deepEqual(first.tables, made)
      assert.deepEqual((yield* migrate(optionsFor(uri))).tables, [])
      const columns = yield* session.query(
        `SELECT column_name AS name, data_type AS type, is_nullable AS nullable, column_default AS "default"
         FROM information_schema.columns WHERE table_name = 'metrics' ORDER BY ordinal_position`
      )
      assert.deepEqual(columns, [
        { name: "time", type: "timestamp with time zone", nullable: "NO", default: null },
        { name: "select", type: "text", nullable: "NO", default: "''::text" },
        { name: "attributes", type: "text", nullable: "YES", default: null },
        { name: "created_at", type: "timestamp with time zone", nullable: "NO", default: "now()" }
      ])
      const indexes = yield* session.query(
        "SELECT indexdef FROM pg_indexes WHERE tablename = 'metrics' ORDER BY indexname"
      )
      assert.equal(indexes.length, 3)
    })
  )

  it.effect("may run many times at once", () =>
    Effect.gen(function* () {
      const { uri } = yield* withDatabase
      const runs = yield* Effect.all(
        Array.from({ length: 5 }, () => migrate(optionsFor(uri))),
        { concurrency: "unbounded" }
      )
      assert.deepEqual(runs.flatMap(({ tables }) => tables).sort(), [...made].sort())
    })
  )

  it.effect("with ddl None says what is missing, and makes nothing", () =>
    Effect.gen(function* () {
      const { uri, session } = yield* withDatabase
      const failure = yield* Effect.flip(migrate(optionsFor(uri, { ddl: "None" })))
      assert.instanceOf(failure, DatabaseMisconfigured)
      assert.equal(failure.reason, "SchemaMismatch")
      assert.include(failure.message, `tables ${made.join(", ")} do not exist`)
      assert.deepEqual(yield* session.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'events%'"), [])
    })
  )

  it.effect("names everything that keeps rows out of a table that exists, and makes nothing beside it", () =>
    Effect.gen(function* () {
      const { uri, session } = yield* withDatabase
      yield* session.query(
        `CREATE SCHEMA "events of today"; CREATE TABLE "events of today".metrics ("time" bigint, id int NOT NULL)`
      )
      const { message } = yield* Effect.flip(migrate(optionsFor(uri)))
      assert.include(message, "table metrics lacks columns select text, attributes text")
      assert.include(message, "column metrics.time is bigint, wanted timestamp with time zone")
      assert.include(message, "columns metrics.id are NOT NULL without a default")
      assert.include(message, "table metrics has no unique index on (time, select), which InsertIgnore needs")
      assert.deepEqual(yield* session.query("SELECT FROM pg_class WHERE relname LIKE 'eventstream%'"), [])
    })
  )

  it.effect("says what a role lacks", () =>
    Effect.gen(function* () {
      const { uri, session } = yield* withDatabase
      const role = `plain_${new URL(uri).pathname.slice(1)}`
      yield* session.query(`CREATE ROLE ${role} LOGIN`)
      const asRole = uri.replace("postgres@", `${role}@`)
      const noSchema = yield* Effect.flip(migrate(optionsFor(asRole)))
      assert.deepInclude(noSchema, { _tag: "DatabaseMisconfigured", reason: "PermissionDenied", sqlstate: "42501" })
      assert.include(noSchema.message, `wanted to run \`CREATE SCHEMA "events of today"\``)
      yield* session.query(`CREATE SCHEMA "events of today" AUTHORIZATION ${role}`)
      const noExtension = yield* Effect.flip(migrate(optionsFor(asRole)))
      assert.include(noExtension.message, "CREATE EXTENSION IF NOT EXISTS btree_gist")
      yield* session.query("CREATE EXTENSION btree_gist")
      assert.deepEqual((yield* migrate(optionsFor(asRole))).tables, made)
    })
  )

  it.effect("a wrong password, database or address is told without the password", () =>
    Effect.gen(function* () {
      const { uri } = yield* withDatabase
      const cases: ReadonlyArray<readonly [string, string, string | null]> = [
        [uri.replace("postgres@", "nobody:s3cret@"), "LoginFailed", "28000"],
        [uri.replace(/test_\d+/, "absent"), "TargetUnreachable", "3D000"],
        ["postgres://postgres:s3cret@127.0.0.1:1/x?sslmode=disable", "TargetUnreachable", null],
        [
          uri.replace("sslmode=disable", "sslmode=require").replace("postgres@", "postgres:s3cret@"),
          "TargetUnreachable",
          null
        ]
      ]
      for (const [address, reason, sqlstate] of cases) {
        const failure = yield* Effect.flip(migrate(optionsFor(address)))
        assert.deepEqual([failure.reason, failure.sqlstate], [reason, sqlstate])
        assert.notInclude(JSON.stringify(failure) + failure.message, "s3cret")
      }
      const plain = yield* Effect.flip(migrate(optionsFor(uri.replace("sslmode=disable", ""))))
      assert.include(plain.message, "sslmode=disable")
    })
  )
})
