import { assert, describe, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { chmodSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { startNats, startPostgres, tempDirectory } from "../testing/servers.ts"
import { connectTo, makeBench, Servers } from "../testing/writer-bench.ts"
import { startWriter } from "../testing/writer-process.ts"

/** A PostgreSQL that asks role `writer` for its password. */
const servers = Layer.effect(
  Servers,
  Effect.gen(function* () {
    const folder = yield* tempDirectory("eventstream-hba-")
    chmodSync(folder, 0o755)
    const hba = join(folder, "pg_hba.conf")
    writeFileSync(hba, "host all writer all scram-sha-256\nhost all all all trust\n")
    const [nats, postgres] = yield* Effect.all([startNats(), startPostgres({ settings: { hba_file: hba } })])
    return Servers.of({ nats, postgres, connection: yield* connectTo(nats.url) })
  })
)

/** K12's bound: from the moment in which Secret and role agree again. */
const longestPause = 30_000

describe("a rotated database password", () => {
  layer(servers, { excludeTestServices: true, timeout: 120_000 })((it) => {
    it.effect("is taken up without a restart, whichever of Secret and role is changed first", () =>
      Effect.gen(function* () {
        const { postgres } = yield* Servers
        const bench = yield* makeBench({ batch: { maxMessages: 100 } })
        yield* bench.query("CREATE ROLE writer SUPERUSER LOGIN PASSWORD 'first'")
        const secretDirectory = yield* tempDirectory("eventstream-secret-")
        /** As a kubelet does it: a reader finds the old content or the new one. */
        const write = (key: string, text: string) => {
          writeFileSync(join(secretDirectory, `..${key}`), text)
          renameSync(join(secretDirectory, `..${key}`), join(secretDirectory, key))
        }
        const database = bench.config.eventStream.name
        const login = { host: "127.0.0.1", port: `${postgres.port}`, dbname: database, username: "writer" }
        for (const [key, text] of Object.entries({ ...login, password: "first", sslmode: "disable" })) write(key, text)
        const { uri: _, ...postgresConfig } = bench.config.target.postgres
        const writer = yield* startWriter({
          config: { ...bench.config, target: { postgres: { ...postgresConfig, secretDirectory } } }
        })
        yield* bench.publish(0, 500)
        yield* bench.drained()

        const disconnect = bench.query(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'writer'"
        )
        const refused = (since: string) =>
          writer.logged("a refused login", ({ reason, time }) => reason === "LoginFailed" && time > since)
        const now = () => new Date().toISOString()

        // The Secret first.
        let since = now()
        write("password", "second")
        yield* disconnect
        yield* bench.publish(500, 1_000)
        assert.include((yield* refused(since)).message, `password authentication failed for user "writer"`)
        assert.deepInclude(yield* writer.get("/readyz"), { status: 503 })
        let agreed = Date.now()
        yield* bench.query("ALTER ROLE writer PASSWORD 'second'")
        yield* bench.drained()
        assert.isBelow(Date.now() - agreed, longestPause)

        // The role first: connections that are there stay.
        since = now()
        yield* bench.query("ALTER ROLE writer PASSWORD 'third'")
        yield* bench.publish(1_000, 1_500)
        yield* bench.drained()
        assert.isEmpty(writer.lines().filter(({ reason, time }) => reason === "LoginFailed" && time > since))
        yield* disconnect
        yield* bench.publish(1_500, 2_000)
        yield* refused(since)
        agreed = Date.now()
        write("password", "third")
        yield* bench.drained()
        assert.isBelow(Date.now() - agreed, longestPause)

        assert.deepStrictEqual(yield* bench.outcomes, { rows: 2_000, distinct: 2_000, deadLetters: 0, covered: 2_000 })
        assert.isNull(writer.child.exitCode)
      }).pipe(Effect.scoped)
    )
  })
})
