import { assert, describe, layer } from "@effect/vitest"
import { Effect, Exit, Redacted, Scope } from "effect"
import { connectPostgres } from "../platform/postgres.ts"
import { type Tree, treeExists, withoutTree } from "../testing/debian.ts"
import { startPgBouncer } from "../testing/pgbouncer.ts"
import { type Bench, makeBench, Servers } from "../testing/writer-bench.ts"
import { startWriter } from "../testing/writer-process.ts"
import type { EncodedWriterConfig } from "./config.ts"
import { migrate } from "./store/migrate.ts"

const poolSize = 5

/** The bench's configuration with its database behind the pooler. */
const through = ({ config }: Bench, port: number): EncodedWriterConfig => ({
  ...config,
  target: { postgres: { ...config.target.postgres, uri: uriOf(config, port) } }
})
const uriOf = (config: EncodedWriterConfig, port: number) => config.target.postgres.uri!.replace(/:\d+\//, `:${port}/`)

/** A statement of the pooler's console, which knows no parameters. */
const console = (port: number, statement: string) =>
  Effect.gen(function* () {
    const uri = Redacted.make(`postgres://postgres@127.0.0.1:${port}/pgbouncer?sslmode=disable`)
    const options = { applicationName: "test", hosts: new Map(), requestTimeoutMillis: 10_000 }
    const session = yield* connectPostgres({ uri }, options, () => {})
    return yield* session.query(statement)
  }).pipe(Effect.scoped, Effect.orDie)

const trees: ReadonlyArray<Tree> = ["timescaledb", "postgres15"]

describe.each(trees)("through PgBouncer of the tree %s", (tree) => {
  layer(Servers.layer, { excludeTestServices: true, timeout: 120_000 })((it) => {
    it.effect.skipIf(!treeExists(tree))(
      `one outcome per message, when it is killed and when it pauses${withoutTree(tree)}`,
      () =>
        Effect.gen(function* () {
          const { postgres } = yield* Servers
          const life = yield* Scope.make()
          const { port, process } = yield* startPgBouncer({ tree, target: postgres.port, poolSize }).pipe(
            Scope.provide(life)
          )
          const bench = yield* makeBench({ batch: { maxMessages: 50 } })
          const config = through(bench, port)
          const made = yield* migrate({
            postgres: {
              uri: Redacted.make(uriOf(config, port)),
              statementTimeoutMillis: 10_000,
              lockTimeoutMillis: 5_000
            },
            schema: "pooled",
            tables: [],
            ddl: "CreateIfMissing",
            hosts: new Map()
          })
          assert.include(made.tables, "eventstream_ledger")

          yield* bench.publish(0, 1_000)
          // Six connections of three writers share five of the pool.
          const writers = yield* Effect.all(Array.from({ length: 3 }, () => startWriter({ config })))
          yield* Effect.raceAll(writers.map(({ writing }) => writing))
          process.kill("SIGKILL")
          yield* Scope.close(life, Exit.void)
          yield* bench.publish(1_000, 2_000)
          yield* Effect.raceAll(
            writers.map(({ logged }) => logged("a lost pooler", ({ reason }) => reason === "TargetUnreachable"))
          )
          yield* startPgBouncer({ tree, target: postgres.port, poolSize, port })
          yield* bench.drained()
          assert.deepStrictEqual(yield* bench.outcomes, {
            rows: 2_000,
            distinct: 2_000,
            deadLetters: 0,
            covered: 2_000
          })

          yield* console(port, "PAUSE")
          yield* bench.publish(2_000, 3_000)
          while ((yield* console(port, "SHOW POOLS")).every(({ cl_waiting }) => Number(cl_waiting) === 0)) {
            yield* Effect.sleep("10 millis")
          }
          assert.strictEqual((yield* bench.outcomes).rows, 2_000)
          yield* console(port, "RESUME")
          yield* bench.drained()
          assert.deepStrictEqual(yield* bench.outcomes, {
            rows: 3_000,
            distinct: 3_000,
            deadLetters: 0,
            covered: 3_000
          })
          const [sessions] = yield* bench.query<{ n: number }>(
            "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name LIKE 'eventstream/%'"
          )
          assert.isAtMost(sessions!.n, poolSize)
        }).pipe(Effect.scoped)
    )
  })
})
