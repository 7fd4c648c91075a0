import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as fc from "fast-check"
import { all, batchOf, Databases, openRequest, testStore } from "../../testing/store.ts"
import type { Conflict, Row, Table } from "../tables/table.ts"
import { RowRefused } from "./errors.ts"

const tableWith = (conflict: Conflict): Table => ({
  name: "state",
  columns: [
    { name: "key", type: "text", notNull: true },
    { name: "version", type: "int4" },
    { name: "value", type: "text" },
    { name: "first seen", type: "int4" }
  ],
  primaryKey: ["key"],
  indexes: [],
  conflict,
  createdAt: false
})

const insertIgnore = tableWith({ mode: "InsertIgnore", keys: ["key"] })

/** One message per row. */
const batchOfRows = (table: Table, rows: ReadonlyArray<Row>, firstSeq: number) =>
  batchOf(
    [table],
    rows.map((row, i) => ({ seq: firstSeq + i, rows: [[row]] }))
  )

const stored = `SELECT key, version, value, "first seen" FROM state ORDER BY key`

/** What single-row INSERTs, one after the other, would leave. */
const oneByOne = (table: Table, rows: ReadonlyArray<Row>) => {
  const state = new Map<string, Record<string, unknown>>()
  for (const [key, version, value, seen] of rows) {
    const row: Record<string, unknown> = { key, version, value, "first seen": seen }
    const known = state.get(key as string)
    if (known === undefined) {
      state.set(key as string, row)
      continue
    }
    const { conflict } = table
    if (conflict.mode !== "Upsert") continue
    const [old, fresh] = [known["version"] as number | null, version as number | null]
    if (conflict.newerWins !== undefined && !(fresh !== null && (old === null || fresh > old))) continue
    for (const column of [...conflict.update, ...(conflict.newerWins ? [conflict.newerWins] : [])])
      known[column] = row[column]
  }
  return [...state.values()].sort((a, b) => (a["key"]! < b["key"]! ? -1 : 1))
}

layer(Databases.layer, { excludeTestServices: true, timeout: "60 seconds" })("rows with the same key", (it) => {
  const modes: ReadonlyArray<readonly [string, Table]> = [
    ["InsertIgnore", insertIgnore],
    ["Upsert: the last row wins", tableWith({ mode: "Upsert", keys: ["key"], update: ["version", "value"] })],
    ["Upsert with newerWins", tableWith({ mode: "Upsert", keys: ["key"], update: ["value"], newerWins: "version" })],
    ["Upsert of every column", tableWith({ mode: "Upsert", keys: ["key"], update: ["version", "value", "first seen"] })]
  ]
  for (const [name, table] of modes) {
    it.effect(`${name}: whatever the batches, the table is as after one INSERT per row`, () =>
      Effect.gen(function* () {
        const { session, store } = yield* testStore([table])
        const context = yield* Effect.context()
        let seq = 1
        let stamp = 0
        const row = fc
          .tuple(
            fc.constantFrom("a", "b", "c"),
            fc.option(fc.integer({ min: 0, max: 4 })),
            fc.option(fc.string({ unit: "grapheme-ascii", maxLength: 3 }))
          )
          .map(([key, version, value]): Row => [key, version, value, stamp++])
        const batches = fc.array(fc.array(row, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 4 })
        const lane = yield* store.open(openRequest())
        const property = fc.asyncProperty(batches, async (parts) => {
          const work = Effect.gen(function* () {
            let conflicts = 0
            for (const rows of parts) {
              const batch = batchOfRows(table, rows, seq)
              seq += rows.length
              conflicts += (yield* store.write(lane, batch, all(batch))).conflicts
            }
            const rows = yield* session.query(stored)
            assert.deepEqual(rows, oneByOne(table, parts.flat()))
            if (table.conflict.mode === "InsertIgnore") assert.equal(conflicts, parts.flat().length - rows.length)
            yield* session.query("TRUNCATE state")
          })
          await Effect.runPromiseWith(context)(work)
        })
        yield* Effect.promise(() => fc.assert(property, { numRuns: 40 }))
      })
    )
  }

  it.effect("only the key of the table counts: another unique index refuses the row", () =>
    Effect.gen(function* () {
      const { session, store } = yield* testStore([insertIgnore])
      yield* session.query("CREATE UNIQUE INDEX only_once ON state (value)")
      const lane = yield* store.open(openRequest())
      const batch = batchOfRows(
        insertIgnore,
        [
          ["a", 1, "x", 0],
          ["a", 1, "y", 0],
          ["b", 1, "x", 0]
        ],
        1
      )
      const refused = yield* Effect.flip(store.write(lane, batch, all(batch)))
      assert.instanceOf(refused, RowRefused)
      assert.deepInclude(refused, { sqlstate: "23505", mayPass: false })
      assert.include(refused.detail, "constraint only_once")
      assert.deepEqual(yield* store.write(lane, batch, [0, 1]), {
        messages: 2,
        rows: 2,
        conflicts: 1,
        deadLettered: 0,
        dropped: 0
      })
    })
  )

  it.effect("a staged row that breaks a constraint is a row's fault too", () =>
    Effect.gen(function* () {
      const upsert = tableWith({ mode: "Upsert", keys: ["key"], update: ["value"] })
      const { session, store } = yield* testStore([upsert])
      yield* session.query("ALTER TABLE state ALTER version SET NOT NULL")
      const lane = yield* store.open(openRequest())
      const batch = batchOfRows(upsert, [["a", null, "x", 0]], 1)
      const refused = yield* Effect.flip(store.write(lane, batch, all(batch)))
      assert.instanceOf(refused, RowRefused)
      assert.deepInclude(refused, { sqlstate: "23502", suspect: null })
    })
  )
})
