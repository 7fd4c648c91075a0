import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { execFileSync, spawnSync } from "node:child_process"
import { chmodSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { startPostgres, tempDirectory } from "../testing/servers.ts"
import { connectPostgres } from "./postgres.ts"
import type { PostgresOptions } from "./postgres-settings.ts"

/** A PostgreSQL server with TLS and passwords. */
class SecureServer extends Context.Service<
  SecureServer,
  { readonly port: number; readonly ca: string; readonly otherCa: string; readonly folder: string }
>()("test/SecureServer") {
  static readonly layer = Layer.effect(
    SecureServer,
    Effect.gen(function* () {
      const folder = yield* tempDirectory("eventstream-tls-")
      const selfSigned = (name: string) => {
        const [key, certificate] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)]
        const request = [
          "req",
          "-x509",
          "-newkey",
          "ec",
          "-pkeyopt",
          "ec_paramgen_curve:prime256v1",
          "-nodes",
          "-days",
          "2"
        ]
        const subject = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`]
        execFileSync("openssl", [...request, ...subject, "-keyout", key, "-out", certificate], { stdio: "ignore" })
        chmodSync(key, 0o600)
        return { key, certificate }
      }
      const server = selfSigned("db.test")
      const other = selfSigned("other.test")
      const hba = join(folder, "pg_hba.conf")
      writeFileSync(hba, "hostssl all writer all scram-sha-256\nhostssl all postgres all trust\n")
      chmodSync(folder, 0o755)
      const { port } = yield* startPostgres({
        settings: { ssl: "on", ssl_cert_file: server.certificate, ssl_key_file: server.key, hba_file: hba }
      })
      const admin = yield* connectPostgres(
        { host: "127.0.0.1", port, user: "postgres" },
        { applicationName: "test", hosts: new Map(), requestTimeoutMillis: 10_000 },
        () => {}
      )
      yield* admin.query("CREATE ROLE writer LOGIN PASSWORD 'first'")
      return { port, ca: server.certificate, otherCa: other.certificate, folder }
    })
  )
}

// Certificates are made with the openssl command.
describe.skipIf(spawnSync("openssl", ["version"]).status !== 0)("PostgreSQL", () => {
  layer(SecureServer.layer, { excludeTestServices: true, timeout: "60 seconds" })("a TLS connection", (it) => {
    const connect = (options: PostgresOptions, name = "db.test") =>
      Effect.gen(function* () {
        const { port, folder } = yield* SecureServer
        const passwordFile = join(folder, "password")
        writeFileSync(passwordFile, "first\n")
        const hosts = new Map([[name, { host: "127.0.0.1", port }]])
        const session = yield* connectPostgres(
          { host: name, database: "postgres", user: "writer", passwordFile, ...options },
          { applicationName: "eventstream/test", hosts, requestTimeoutMillis: 10_000 },
          () => {}
        )
        const [row] = yield* session.query(
          "SELECT ssl, application_name FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE pid = pg_backend_pid()"
        )
        return row
      }).pipe(Effect.scoped)

    it.effect("is made by default, and verified in full with a CA", () =>
      Effect.gen(function* () {
        const { ca } = yield* SecureServer
        assert.deepEqual(yield* connect({}), { ssl: true, application_name: "eventstream/test" })
        assert.isTrue((yield* connect({ tls: { caFile: ca } })).ssl)
      })
    )

    it.effect("is refused for another CA or another name, unless the mode does not ask", () =>
      Effect.gen(function* () {
        const { ca, otherCa } = yield* SecureServer
        const wrongCa = yield* Effect.flip(connect({ tls: { caFile: otherCa } }))
        assert.include(wrongCa.message, "not signed by the known CA")
        const wrongName = yield* Effect.flip(connect({ tls: { caFile: ca } }, "pg.test"))
        assert.include(wrongName.message, "carries another name")
        assert.isTrue((yield* connect({ tls: { caFile: ca, mode: "VerifyCA" } }, "pg.test")).ssl)
        assert.isTrue((yield* connect({ tls: { caFile: otherCa, mode: "Require" } })).ssl)
      })
    )

    it.effect("takes the password of the moment, and says when there is none", () =>
      Effect.gen(function* () {
        const { folder } = yield* SecureServer
        const rotated = join(folder, "rotated")
        writeFileSync(rotated, "second")
        const refused = yield* Effect.flip(connect({ passwordFile: rotated }))
        assert.deepInclude(refused, { _tag: "PostgresFailure", sqlstate: "28P01" })
        writeFileSync(rotated, "first")
        yield* connect({ passwordFile: rotated })
        writeFileSync(rotated, "")
        const none = yield* Effect.flip(connect({ passwordFile: rotated }))
        assert.include(none.message, "asks for the password of writer, and none is given")
      })
    )
  })
})
