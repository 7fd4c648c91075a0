import { assert, describe, layer } from "@effect/vitest"
import { jetstream } from "@nats-io/jetstream"
import { Effect } from "effect"
import { makeBench, Servers } from "../testing/writer-bench.ts"
import { startWriter } from "../testing/writer-process.ts"

const json = (fields: object) => ({ type: "Json", json: fields }) as const

describe("a writer of Json", () => {
  layer(Servers.layer, { excludeTestServices: true, timeout: 120_000 })((it) => {
    it.effect("writes the tables of all routes in one transaction, and halts before what has none", () =>
      Effect.gen(function* () {
        const columns = [{ name: "id", type: "int8", required: true }] as const
        const bench = yield* makeBench({
          processor: json({
            routes: [
              { name: "audit", subjects: ["*.audit"], table: "audit", columns },
              { name: "noise", subjects: ["*.noise"], drop: true },
              { name: "orders", subjects: ["*.new"], table: "orders", columns }
            ],
            onNoRoute: "Halt"
          }),
          errors: { onPoison: "Drop" }
        })
        const js = jetstream(bench.connection)
        const { name } = bench.config.eventStream
        for (const [id, kind] of ["new", "audit", "noise", "new", "audit", "other", "new"].entries()) {
          yield* Effect.promise(() => js.publish(`${name}.${kind}`, JSON.stringify({ id })))
        }
        const writer = yield* startWriter({ config: bench.config })
        const line = yield* writer.logged("Halted", ({ state }) => state === "Halted")
        assert.include(line.message, "message 6 of stream")
        assert.include(line.message, "processor.json.onNoRoute is Halt")
        assert.deepStrictEqual(
          yield* bench.query(
            "SELECT array_agg(id ORDER BY id) AS ids, count(DISTINCT x)::int AS transactions FROM " +
              "(SELECT id::int, xmin::text AS x FROM orders UNION ALL SELECT id::int, xmin::text FROM audit) AS r"
          ),
          [{ ids: [0, 1, 3, 4], transactions: 1 }]
        )
      }).pipe(Effect.scoped)
    )

    it.effect("finds the columns of a table that exists", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        yield* bench.query("ALTER TABLE orders ADD COLUMN at timestamptz NOT NULL DEFAULT now()")
        const config = { ...bench.config, processor: json({ table: "orders", onUnknownField: "Reject" }) }
        yield* bench.publish(0, 100)
        yield* bench.publish(100, 101, (id) => JSON.stringify({ id, other: 1 }))
        yield* startWriter({ config })
        yield* bench.drained()
        assert.deepStrictEqual(yield* bench.outcomes, { rows: 100, distinct: 100, deadLetters: 1, covered: 101 })
        assert.deepStrictEqual(
          yield* bench.query("SELECT id::int, amount::int, note FROM orders WHERE id = 42 AND at IS NOT NULL"),
          [{ id: 42, amount: 42, note: "order 42" }]
        )
      }).pipe(Effect.scoped)
    )

    it.effect("says when a table is neither there nor described", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        const writer = yield* startWriter({ config: { ...bench.config, processor: json({ table: "nowhere" }) } })
        const line = yield* writer.logged("SchemaMismatch", ({ reason }) => reason === "SchemaMismatch")
        assert.include(line.message, "table nowhere does not exist, and without columns it cannot be made")
        assert.deepInclude(yield* writer.exit, { code: 1 })
      }).pipe(Effect.scoped)
    )
  })
})
