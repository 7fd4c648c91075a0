import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer, Schedule } from "effect"
import { Client } from "pg"
import { type Proxy, startProxy } from "../testing/proxy.ts"
import { startNats } from "../testing/servers.ts"
import { type Pair, startPair } from "../testing/standby.ts"
import { connectTo, makeBench, outcomesOf, Servers } from "../testing/writer-bench.ts"
import type { Answer } from "../testing/logged-process.ts"
import { startWriter } from "../testing/writer-process.ts"

class Databases extends Context.Service<Databases, Pair>()("test/Databases") {
  static readonly layer = Layer.effect(Databases, startPair)
}

const servers = Layer.effect(
  Servers,
  Effect.gen(function* () {
    const { primary } = yield* Databases
    const nats = yield* startNats()
    return Servers.of({ nats, postgres: primary, connection: yield* connectTo(nats.url) })
  })
).pipe(Layer.provideMerge(Databases.layer))

const clientOf = (port: number, database: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new Client({ host: "127.0.0.1", port, database, user: "postgres" })
      client.on("error", () => undefined) // the old primary is killed
      await client.connect()
      return client
    }),
    (client) => Effect.promise(() => client.end().catch(() => undefined))
  )

/** P03's bound. */
const longestPause = 30_000

describe("a switchover to a standby", () => {
  layer(servers, { excludeTestServices: true, timeout: 120_000 })((it) => {
    it.effect("is followed by a list of hosts and by a name that moves, and nothing is lost or written twice", () =>
      Effect.gen(function* () {
        const { primary, standby } = yield* Databases
        const bench = yield* makeBench({ batch: { maxMessages: 50 } })
        const { name } = bench.config.eventStream
        const moving: Proxy = yield* startProxy(primary.port)
        const writerOf = (hosts: string) => {
          const uri = `postgres://postgres@${hosts}/${name}?sslmode=disable&target_session_attrs=read-write`
          return startWriter({
            config: { ...bench.config, target: { postgres: { ...bench.config.target.postgres, uri } } }
          })
        }
        const listed = yield* writerOf(`127.0.0.1:${primary.port},127.0.0.1:${standby.port}`)
        const named = yield* writerOf(`127.0.0.1:${moving.port}`)
        yield* Effect.all([listed.writing, named.writing])
        let published = 0
        const publish = (count: number) => bench.publish(published, (published += count))
        yield* publish(1_000)
        yield* bench.drained()

        // As an orderly switchover goes: no more writes at the old primary, then the promotion.
        const [old, next] = yield* Effect.all([clientOf(primary.port, name), clientOf(standby.port, name)])
        yield* Effect.promise(() => old.query("ALTER SYSTEM SET default_transaction_read_only = on"))
        yield* Effect.promise(() => old.query("SELECT pg_reload_conf()"))
        yield* publish(500)
        const ready = (writer: typeof listed, matches: (answer: Answer) => boolean) =>
          writer.get("/readyz").pipe(Effect.repeat({ until: matches, schedule: Schedule.spaced("20 millis") }))
        yield* ready(listed, ({ text }) => text.includes("none of the servers takes writes"))
        yield* ready(named, ({ text }) => text.includes("25006"))

        const promotedAt = Date.now()
        yield* Effect.promise(() => next.query("SELECT pg_promote()"))
        yield* Effect.promise(() => next.query("ALTER SYSTEM RESET default_transaction_read_only"))
        yield* Effect.promise(() => next.query("SELECT pg_reload_conf()"))
        moving.lead(standby.port)
        moving.cut()
        primary.process.kill("SIGKILL")
        yield* Effect.all([listed, named].map((writer) => ready(writer, ({ status }) => status === 200)))
        assert.isBelow(Date.now() - promotedAt, longestPause)

        yield* publish(500)
        yield* bench.drained()
        const all = { rows: published, distinct: published, deadLetters: 0, covered: published }
        assert.deepStrictEqual(
          yield* outcomesOf((sql) => Effect.promise(() => next.query(sql).then(({ rows }) => rows))),
          all
        )
      }).pipe(Effect.scoped)
    )
  })
})
