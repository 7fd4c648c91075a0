import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { chmodSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { makeAuthority, type Pair } from "../testing/certificates.ts"
import { startPostgres, tempDirectory } from "../testing/servers.ts"
import { connectPostgres } from "./postgres.ts"
import type { PostgresOptions } from "./postgres-settings.ts"

const day = 24 * 3_600_000
const expired = { notBefore: new Date(Date.now() - 3 * day), notAfter: new Date(Date.now() - day) }

/** Who may log in how: with a password, with a certificate of that name, with both. Nobody without TLS. */
const hba = `\
hostssl all postgres all trust
hostssl all writer all scram-sha-256
hostssl all certified all cert
hostssl all twofold all scram-sha-256 clientcert=verify-ca
`

/** A PostgreSQL that insists on TLS and passwords or client certificates, and one that has no TLS. */
class SecureServer extends Context.Service<
  SecureServer,
  {
    readonly port: number
    readonly plainPort: number
    /** Path of a file with the text. */
    readonly file: (name: string, text: string) => string
    /** The server presents this certificate to who connects from now on. */
    readonly present: (pair: Pair) => Effect.Effect<void>
  }
>()("test/SecureServer") {
  static readonly layer = Layer.effect(
    SecureServer,
    Effect.gen(function* () {
      const folder = yield* tempDirectory("eventstream-tls-")
      chmodSync(folder, 0o755)
      const file = (name: string, text: string) => {
        mkdirSync(join(folder, "files"), { recursive: true })
        const path = join(folder, "files", name)
        writeFileSync(path, text, { mode: 0o600 })
        return path
      }
      const write = ({ certificate, key }: Pair) => [file("server.crt", certificate), file("server.key", key)] as const
      const [certificateFile, keyFile] = write(serverPair)
      const { port, process } = yield* startPostgres({
        settings: {
          ssl: "on",
          ssl_cert_file: certificateFile,
          ssl_key_file: keyFile,
          ssl_ca_file: file("clients.crt", clientCa.certificate),
          hba_file: file("pg_hba.conf", hba)
        }
      })
      const { port: plainPort } = yield* startPostgres()
      const admin = yield* connectPostgres(
        { host: "127.0.0.1", port, user: "postgres" },
        { applicationName: "test", hosts: new Map(), requestTimeoutMillis: 10_000 },
        () => {}
      )
      yield* admin.query("CREATE ROLE writer LOGIN PASSWORD 'first'; CREATE ROLE certified LOGIN")
      yield* admin.query("CREATE ROLE twofold LOGIN PASSWORD 'first'")
      const loaded = "SELECT pg_conf_load_time()::text AS at"
      const present = (pair: Pair) =>
        Effect.gen(function* () {
          const [before] = yield* admin.query(loaded)
          write(pair)
          process.kill("SIGHUP")
          while ((yield* admin.query(loaded))[0].at === before.at) yield* Effect.sleep("5 millis")
        }).pipe(Effect.orDie)
      return { port, plainPort, file, present }
    })
  )
}

const serverCa = makeAuthority("servers")
const clientCa = makeAuthority("clients")
const otherCa = makeAuthority("others")
const serverPair = serverCa.issue("db.test", { dns: ["db.test"], ips: ["127.0.0.1"] })

interface Login {
  readonly user?: string
  readonly password?: string
  /** Unset: `db.test`, which the certificate carries. */
  readonly host?: string
  readonly mode?: NonNullable<PostgresOptions["tls"]>["mode"] | undefined
  readonly ca?: string
  readonly client?: Pair
  /** Go to the server that has no TLS. */
  readonly plain?: boolean
}

const connect = (login: Login) =>
  Effect.gen(function* () {
    const { port, plainPort, file } = yield* SecureServer
    const { user = "writer", password = "first", host = "db.test", mode, ca, client } = login
    const address = { host: "127.0.0.1", port: login.plain ? plainPort : port }
    const session = yield* connectPostgres(
      {
        host,
        database: "postgres",
        user: login.plain ? "postgres" : user,
        passwordFile: file("password", `${password}\n`),
        tls: {
          ...(mode === undefined ? {} : { mode }),
          ...(ca === undefined ? {} : { caFile: file("ca.crt", ca) }),
          ...(client === undefined
            ? {}
            : { certFile: file("client.crt", client.certificate), keyFile: file("client.key", client.key) })
        }
      },
      { applicationName: "eventstream/test", hosts: new Map([[host, address]]), requestTimeoutMillis: 10_000 },
      () => {}
    )
    const [row] = yield* session.query(
      "SELECT ssl, client_dn, application_name FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE pid = pg_backend_pid()"
    )
    return row
  }).pipe(Effect.scoped)

/** What keeps the login out. */
const refusal = (login: Login) => Effect.map(Effect.flip(connect(login)), ({ message }) => message)

const ca = serverCa.certificate

describe("PostgreSQL", () => {
  layer(SecureServer.layer, { excludeTestServices: true, timeout: "60 seconds" })("a TLS connection", (it) => {
    it.effect("is made by default, and verified as far as the mode says", () =>
      Effect.gen(function* () {
        assert.deepInclude(yield* connect({}), { ssl: true, application_name: "eventstream/test" })
        const made: ReadonlyArray<Login> = [
          { mode: "Require" },
          { ca },
          { ca, mode: "VerifyFull" },
          { ca, host: "127.0.0.1" },
          { ca, host: "pg.test", mode: "VerifyCA" }
        ]
        for (const login of made) assert.isTrue((yield* connect(login)).ssl, JSON.stringify(login))
      })
    )

    const wrongCa = /not signed by the known CA: give the CA that signed it/
    const wrongName = /carries another name: use a host that is in it/
    const noTls = /speaks plain text only: turn its TLS on, or say sslmode=disable/
    const refused: ReadonlyArray<readonly [string, Login, RegExp]> = [
      ["another CA", { ca: otherCa.certificate }, wrongCa],
      ["another CA, whatever the name", { ca: otherCa.certificate, mode: "VerifyCA" }, wrongCa],
      ["no CA that the system knows", { mode: "VerifyFull" }, wrongCa],
      ["another name", { ca, host: "pg.test" }, wrongName],
      ["another address", { ca, host: "127.0.0.2" }, wrongName],
      ["a CA that is none", { ca: "garbage" }, /found a CA that is no certificate .*as PEM/],
      ["plain text where the server wants TLS", { mode: "Disable" }, /28000 no pg_hba.conf entry .*no encryption/],
      ["a server without TLS", { plain: true }, noTls],
      ["a server without TLS, when all is to be verified", { plain: true, ca }, noTls]
    ]
    it.effect.each(refused)("is refused for %s", ([, login, message]) =>
      Effect.gen(function* () {
        assert.match(yield* refusal(login), message)
      })
    )

    it.effect("is left out only where that is asked for", () =>
      Effect.gen(function* () {
        assert.isFalse((yield* connect({ plain: true, mode: "Disable" })).ssl)
      })
    )

    it.effect("logs in with a client certificate, alone or with a password, and shows the newest one", () =>
      Effect.gen(function* () {
        const client = clientCa.issue("certified")
        assert.include(yield* connect({ ca, user: "certified", client }), { client_dn: "/CN=certified" })
        const spiffe = clientCa.issue("spiffe", { uris: ["spiffe://test/writer"] })
        assert.include(yield* connect({ ca, user: "twofold", client: spiffe }), { client_dn: "/CN=spiffe" })
        const rotated = clientCa.issue("rotated")
        assert.include(yield* connect({ ca, user: "twofold", client: rotated }), { client_dn: "/CN=rotated" })
      })
    )

    const key = clientCa.issue("other").key
    const outsiders: ReadonlyArray<readonly [string, Login, RegExp]> = [
      ["none", { user: "twofold" }, /28000 connection requires a valid client certificate/],
      [
        "that of somebody else",
        { user: "certified", client: clientCa.issue("twofold") },
        /28000 certificate auth.*failed/
      ],
      ["one of another CA", { user: "twofold", client: otherCa.issue("twofold") }, /refuses our client certificate/],
      [
        "an expired one",
        { user: "twofold", client: clientCa.issue("twofold", {}, expired) },
        /certificate.*has expired: renew/
      ],
      [
        "another key",
        { user: "twofold", client: { ...clientCa.issue("twofold"), key } },
        /key that don't belong together/
      ],
      [
        "a key that is none",
        { user: "twofold", client: { ...clientCa.issue("twofold"), key: "x" } },
        /that can't be read .*as PEM/
      ]
    ]
    it.effect.each(outsiders)("says what is wrong with the client certificate: %s", ([, login, message]) =>
      Effect.gen(function* () {
        assert.match(yield* refusal({ ca, ...login }), message)
      })
    )

    it.effect("is refused when the server's certificate has expired or is of the future", () =>
      Effect.gen(function* () {
        const { present } = yield* SecureServer
        const names = { dns: ["db.test"] }
        yield* present(serverCa.issue("db.test", names, expired))
        assert.match(yield* refusal({ ca }), /server's certificate has expired: renew it/)
        yield* present(serverCa.issue("db.test", names, { notBefore: new Date(Date.now() + day) }))
        assert.match(yield* refusal({ ca }), /not valid yet: check the clocks/)
        yield* present(serverPair)
        assert.isTrue((yield* connect({ ca })).ssl)
      })
    )

    it.effect("takes the password of the moment, and says when there is none", () =>
      Effect.gen(function* () {
        const refused = yield* Effect.flip(connect({ password: "second" }))
        assert.deepInclude(refused, { _tag: "PostgresFailure", sqlstate: "28P01" })
        assert.match(yield* refusal({ password: "" }), /asks for the password of writer, and none is given/)
      })
    )
  })
})
