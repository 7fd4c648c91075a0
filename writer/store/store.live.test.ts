import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import {
  all,
  batchOf,
  Databases,
  openRequest,
  testStore
} from "../../testing/store.ts"
import type { Table } from "../tables/table.ts"

const events: Table = {
  name: "events",
  columns: [
    { name: "id", type: "int8", notNull: true },
    { name: "note", type: "text" }
  ],
  primaryKey: [],
  indexes: [],
  conflict: { mode: "Append" },
  createdAt: true
}

const numbered = (...sequences: ReadonlyArray<number>) =>
  batchOf([events], sequences.map((seq) => ({ seq, rows: [[[seq, `row ${seq}`]]] })))

layer(Databases.layer, { excludeTestServices: true, timeout: "60 seconds" })("store", (it) => {
  it.effect("writes rows and their record in the ledger together", () =>
    Effect.gen(function* () {
      const { session, store } = yield* testStore([events])
      const lane = yield* store.open(openRequest())
      const batch = numbered(1, 2, 3, 7)
      const written = yield* store.write(lane, batch, all(batch))
      assert.deepEqual(written, { messages: 4, rows: 4, conflicts: 0, deadLettered: 0, dropped: 0 })
      const rows = yield* session.query("SELECT id, note FROM events ORDER BY id")
      assert.deepEqual(rows, [1, 2, 3, 7].map((id) => ({ id: String(id), note: `row ${id}` })))
      const records = yield* session.query("SELECT seqs::text, messages FROM eventstream_ledger")
      assert.deepEqual(records, [{ seqs: "{[1,4),[7,8)}", messages: "4" }])
      assert.deepEqual(yield* store.covered(lane, numbered(3, 4, 7, 8).deliveries), ["Covered", "Open", "Covered", "Open"])
    })
  )
})
