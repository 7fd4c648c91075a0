import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { installation, treeExists, withoutTree } from "../../testing/debian.ts"
import { all, batchOf, connectTo, Databases, openRequest, postgresOptions, storeOver } from "../../testing/store.ts"
import { type ProcessorConfig, ProcessorOutputs, ProcessorTypes } from "../processor-config.ts"
import { makeProcessor } from "../processors/index.ts"
import { policyStatements } from "../tables/policies.ts"
import type { Conflict, Row, Table } from "../tables/table.ts"
import { migrate, type MigrateOptions } from "./migrate.ts"
import { readPolicies } from "./timescale.ts"

const hour = 3_600_000

/** Every table that a built-in processor writes. */
const builtIn = (): ReadonlyArray<Table> => {
  const configs = ProcessorTypes.filter((type) => type !== "Json").flatMap((type): ReadonlyArray<ProcessorConfig> => {
    const outputs = type in ProcessorOutputs ? ProcessorOutputs[type as keyof typeof ProcessorOutputs] : [undefined]
    return outputs.map((output) => ({ type, skipSubjects: [], ...(output === undefined ? {} : { output }) }))
  })
  const tables = configs.flatMap((config) => makeProcessor(config).tables)
  return [...new Map(tables.map((table) => [table.name, table])).values()]
}

const readings = (conflict: Conflict): Table => ({
  name: "readings",
  columns: [
    { name: "time", type: "timestamptz", notNull: true },
    { name: "sensor", type: "text", notNull: true },
    { name: "value", type: "float8" }
  ],
  primaryKey: conflict.mode === "Append" ? [] : ["time", "sensor"],
  indexes: [{ on: `"sensor", "time" DESC` }],
  conflict,
  timeColumn: "time",
  chunkIntervalMillis: hour,
  createdAt: true
})
const keyed = readings({ mode: "InsertIgnore", keys: ["time", "sensor"] })

const tree = "timescaledb"
const databases = Databases.layerWith({
  installation: installation(tree),
  settings: { shared_preload_libraries: "timescaledb", "timescaledb.telemetry_level": "off" }
})

describe.skipIf(!treeExists(tree))(`TimescaleDB${withoutTree(tree)}`, () => {
  layer(databases, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
    const withDatabase = Effect.gen(function* () {
      const uri = yield* (yield* Databases).create
      const session = yield* connectTo(uri)
      yield* session.query("CREATE EXTENSION timescaledb")
      return { uri, session }
    })
    const optionsFor = (uri: string, more: Partial<MigrateOptions>): MigrateOptions => ({
      postgres: postgresOptions(uri),
      schema: "public",
      tables: [keyed],
      ddl: "CreateIfMissing",
      hosts: new Map(),
      ...more
    })
    const withStore = (table: Table) =>
      Effect.gen(function* () {
        const { uri, session } = yield* withDatabase
        yield* migrate(optionsFor(uri, { tables: [table] }))
        const store = yield* storeOver(uri, [table])
        return { session, store, lane: yield* store.open(openRequest()) }
      })
    const batchOfRows = (table: Table, rows: ReadonlyArray<Row>, firstSeq: number) =>
      batchOf(
        [table],
        rows.map((row, i) => ({ seq: firstSeq + i, rows: [[row]] }))
      )
    /** A row per half hour from noon of a day in 2026, one sensor. */
    const rowsOf = (count: number, value: number): ReadonlyArray<Row> =>
      Array.from({ length: count }, (_, i) => [(Date.UTC(2026, 5, 1, 12) + (i * hour) / 2) * 1000, "a", value])

    it.effect("makes hypertables of all built-in tables, by their time columns and chunk intervals", () =>
      Effect.gen(function* () {
        const { uri, session } = yield* withDatabase
        const tables = builtIn()
        const made = yield* migrate(optionsFor(uri, { tables }))
        assert.match(made.server, /^PostgreSQL 17\.\d+, TimescaleDB 2\.\d+\.\d+ \(apache\)$/)
        const timed = tables.filter(({ timeColumn }) => timeColumn !== undefined)
        assert.isAbove(timed.length, 5)
        assert.deepEqual(
          made.hypertables,
          timed.map(({ name }) => name)
        )
        const dimensions = yield* session.query(
          `SELECT hypertable_name AS name, column_name AS "timeColumn",
            (extract(epoch FROM time_interval) * 1000)::float8 AS "chunkIntervalMillis"
           FROM timescaledb_information.dimensions ORDER BY hypertable_name`
        )
        const wanted = timed.map(({ name, timeColumn, chunkIntervalMillis = 24 * hour }) => ({
          name,
          timeColumn,
          chunkIntervalMillis
        }))
        assert.deepEqual(
          dimensions,
          wanted.toSorted((a, b) => (a.name < b.name ? -1 : 1))
        )
        // Its own and no others: TimescaleDB would add one on the time column.
        const indexes = yield* session.query(
          "SELECT count(*)::int AS n FROM pg_indexes WHERE tablename = 'otel_metrics'"
        )
        const otelMetrics = tables.find(({ name }) => name === "otel_metrics")!
        assert.deepEqual(indexes, [{ n: otelMetrics.indexes.length + 1 }])
        assert.deepEqual((yield* migrate(optionsFor(uri, { tables }))).tables, [])
      })
    )

    it.effect("takes rows by COPY into many chunks, and by the way of conflicts those that are there", () =>
      Effect.gen(function* () {
        const { session, store, lane } = yield* withStore(keyed)
        const first = batchOfRows(keyed, rowsOf(20, 1), 1)
        assert.deepInclude(yield* store.write(lane, first, all(first)), { rows: 20, conflicts: 0 })
        const second = batchOfRows(keyed, rowsOf(24, 2), 21)
        assert.deepInclude(yield* store.write(lane, second, all(second)), { rows: 24, conflicts: 20 })
        assert.deepEqual(
          yield* session.query("SELECT value, count(*)::int AS n FROM readings GROUP BY value ORDER BY value"),
          [
            { value: 1, n: 20 },
            { value: 2, n: 4 }
          ]
        )
        const [chunks] = yield* session.query("SELECT count(*)::int AS n FROM timescaledb_information.chunks")
        assert.deepEqual(chunks, { n: 12 })
      })
    )

    it.effect("takes an upsert across chunks", () =>
      Effect.gen(function* () {
        const table = readings({ mode: "Upsert", keys: ["time", "sensor"], update: ["value"] })
        const { session, store, lane } = yield* withStore(table)
        for (const [value, firstSeq] of [
          [1, 1],
          [2, 7]
        ] as const) {
          const batch = batchOfRows(table, rowsOf(6, value), firstSeq)
          yield* store.write(lane, batch, all(batch))
        }
        assert.deepEqual(yield* session.query("SELECT value, count(*)::int AS n FROM readings GROUP BY value"), [
          { value: 2, n: 6 }
        ])
      })
    )

    it.effect("isolates a row that a chunk refuses", () =>
      Effect.gen(function* () {
        const { session, store, lane } = yield* withStore(keyed)
        yield* session.query("ALTER TABLE readings ADD CHECK (value < 5)")
        const batch = batchOfRows(keyed, [...rowsOf(6, 1), [Date.UTC(2026, 7, 1) * 1000, "a", 9]], 1)
        const refused = yield* Effect.flip(store.write(lane, batch, all(batch)))
        assert.deepInclude(refused, { _tag: "RowRefused", sqlstate: "23514", suspect: 6 })
        yield* store.write(lane, batch, [0, 1, 2, 3, 4, 5])
        assert.deepEqual(yield* session.query("SELECT count(*)::int AS n FROM readings"), [{ n: 6 }])
      })
    )

    it.effect("says that this edition neither compresses nor drops, and lets rows be written all the same", () =>
      Effect.gen(function* () {
        const { uri, session } = yield* withDatabase
        const chunkPolicies = { compressAfterMillis: 24 * hour, dropAfterMillis: 240 * hour }
        const made = yield* migrate(optionsFor(uri, { chunkPolicies }))
        assert.deepEqual(made.hypertables, ["readings"])
        assert.match(
          made.policies.missing.join(),
          /compressed or dropped by age, which takes the community edition .*found PostgreSQL 17.* \(apache\): they stay as they are/
        )
        // What is asked of the catalogs and of the community edition is known to this one too.
        const found = yield* readPolicies(session, "public", "readings")
        assert.deepEqual(found, { compressAfterMillis: null, dropAfterMillis: null, segmentBy: [], orderBy: [] })
        assert.isUndefined(yield* readPolicies(session, "public", "eventstream_lane"))
        for (const statement of policyStatements(keyed, "public", "public", chunkPolicies, found!)) {
          const refused = yield* Effect.flip(session.query(statement))
          assert.strictEqual(refused.sqlstate, "0A000", statement)
        }
      })
    )

    it.effect("says why a key without the time column can't be that of a hypertable", () =>
      Effect.gen(function* () {
        const { uri } = yield* withDatabase
        const table: Table = { ...keyed, primaryKey: ["sensor"], conflict: { mode: "InsertIgnore", keys: ["sensor"] } }
        const { message } = yield* Effect.flip(migrate(optionsFor(uri, { tables: [table] })))
        assert.match(message, /cannot create a unique index without the column "time"/)
      })
    )
  })
})
