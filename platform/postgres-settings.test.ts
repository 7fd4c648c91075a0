import { Redacted } from "effect"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import { parseHosts } from "./hosts.ts"
import { type PostgresOptions, type PostgresTls, readSettings } from "./postgres-settings.ts"

let folder: string
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "eventstream-secret-"))))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const secret = (keys: Readonly<Record<string, string>>): PostgresOptions => {
  for (const [key, value] of Object.entries(keys)) writeFileSync(join(folder, key), value)
  return { secretDirectory: folder }
}
const read = (options: PostgresOptions, hosts = "") => readSettings(options, parseHosts(hosts))
const uri = (text: string) => read({ uri: Redacted.make(text) })

describe("database settings", () => {
  it("come from the keys of a CloudNativePG app Secret, the URI first", () => {
    const parts = { host: "pg-rw", port: "5433", dbname: "app", username: "writer", password: "p w\n" }
    assert.deepEqual(read(secret(parts)), {
      servers: [{ host: "pg-rw", port: 5433, name: "pg-rw" }],
      database: "app",
      user: "writer",
      password: "p w",
      tls: { mode: "Require", ca: undefined, client: undefined }
    })
    const withUri = secret({ uri: "postgresql://u:p%40ss@[::1]:6000/d%20b?sslmode=disable\n" })
    assert.deepEqual(read(withUri), {
      servers: [{ host: "::1", port: 6000, name: "::1" }],
      database: "d b",
      user: "u",
      password: "p@ss",
      tls: { mode: "Disable" }
    })
  })

  it("are read anew each time, so that a rotated password is found", () => {
    const options = secret({ host: "h", dbname: "d", username: "u", password: "old" })
    assert.equal(read(options).password, "old")
    secret({ password: "new" })
    assert.equal(read(options).password, "new")
  })

  it("verify what they can: everything with a CA, and never fall back to plain text", () => {
    const parts = { host: "h", dbname: "d", username: "u", password: "p" }
    assert.equal(read(secret(parts)).tls.mode, "Require")
    const withCa = { ...parts, "ca.crt": "CA" }
    assert.deepEqual(read(secret(withCa)).tls, { mode: "VerifyFull", ca: "CA", client: undefined })
    assert.equal(uri("postgres://u@h/d?sslmode=prefer").tls.mode, "Require")
    assert.equal(uri("postgres://u@h/d?sslmode=verify-ca").tls.mode, "VerifyCA")
    assert.equal(uri("postgres://u@h/d").tls.mode, "Require")
    assert.equal(uri("postgres://u@h/d?sslrootcert=system").tls.mode, "VerifyFull")
    const { tls } = read({ uri: Redacted.make("postgres://u@h/d?sslmode=disable"), tls: { mode: "VerifyFull" } })
    assert.equal(tls.mode, "VerifyFull")
  })

  it("use a CA that is there even where sslmode only asks for encryption, as libpq does", () => {
    const options = secret({ uri: "postgres://u@h/d?sslmode=require", "ca.crt": "CA" })
    assert.equal(read(options).tls.mode, "VerifyCA")
    assert.equal(read({ ...options, tls: { mode: "Require" } }).tls.mode, "Require")
  })

  it("take certificates from files, of the configuration or of a URI that is no Secret's", () => {
    secret({ ca: "CA", cert: "CERT", key: "KEY" })
    const file = (name: string) => join(folder, name)
    const wanted: PostgresTls = { mode: "VerifyFull", ca: "CA", client: { certificate: "CERT", key: "KEY" } }
    const tls = { caFile: file("ca"), certFile: file("cert"), keyFile: file("key") }
    assert.deepEqual(read({ host: "h", user: "u", tls }).tls, wanted)
    const names = `sslrootcert=${file("ca")}&sslcert=${file("cert")}&sslkey=${file("key")}`
    assert.deepEqual(uri(`postgres://u@h/d?${names}`).tls, wanted)
  })

  it("name several servers where the URI does", () => {
    const servers = (text: string) => uri(text).servers.map(({ host, port }) => `${host} ${port}`)
    assert.deepEqual(servers("postgres://u:p@a:1,b,[::1]:3/d?target_session_attrs=read-write"), [
      "a 1",
      "b 5432",
      "::1 3"
    ])
    assert.deepEqual(servers("postgres:///d?user=u&host=a,b&port=6000"), ["a 6000", "b 6000"])
    assert.deepEqual(servers("postgres:///d?user=u&host=a,b&port=1,2"), ["a 1", "b 2"])
  })

  it("go to another address where the host map says so, and verify the name as it was", () => {
    const { servers } = read({ uri: Redacted.make("postgres://u@pg.db.svc/d") }, "pg.db.svc=127.0.0.1:5999")
    assert.deepEqual(servers, [{ host: "127.0.0.1", port: 5999, name: "pg.db.svc" }])
  })

  const missing: ReadonlyArray<readonly [string, () => PostgresOptions, RegExp]> = [
    [
      "no folder",
      () => ({ secretDirectory: join(folder, "absent") }),
      /wanted key uri, .*found no such Secret; create it or fix target.postgres.secretRef/
    ],
    [
      "no Secret, by its name",
      () => ({ secretDirectory: join(folder, "absent"), secretName: "pg-app" }),
      /of the Secret pg-app, found no such Secret/
    ],
    [
      "no key",
      () => secret({ password: "s3cret", host: "h" }),
      /wanted key uri, or keys host, dbname, .* found keys host, password;/
    ],
    ["another key", () => ({ ...secret({ host: "h" }), uriKey: "url" }), /wanted key url,/],
    ["no URI", () => secret({ uri: "s3cret" }), /wanted a URI like .* in key uri of the Secret in /],
    ["no host among several", () => secret({ uri: "postgres://u:s3cret@a:1,,b:2/d" }), /wanted a URI like/],
    [
      "a standby asked for",
      () => secret({ uri: "postgres://u:s3cret@a,b/d?target_session_attrs=standby" }),
      /wanted a target_session_attrs of any, read-write, primary in key uri .*found "standby"/
    ],
    [
      "channel binding insisted on",
      () => secret({ uri: "postgres://u:s3cret@h/d?channel_binding=require" }),
      /use sslmode=verify-full/
    ],
    [
      "files of another machine",
      () => secret({ uri: "postgres://u:s3cret@h/d?sslrootcert=/home/me/ca.crt" }),
      /without sslrootcert .*use target.postgres.tls.caSecretRef/
    ],
    [
      "a CA for plain text",
      () => ({ ...secret({ uri: "postgres://u:s3cret@h/d?sslmode=disable" }), tls: { caFile: join(folder, "uri") } }),
      /either certificates or a connection in plain text/
    ],
    [
      "a certificate without its key",
      () => ({ host: "h", user: "u", tls: { certFile: join(folder, "x") } }),
      /found only the certificate/
    ],
    ["a stray percent sign", () => secret({ uri: "postgres://u:s3cret%zz@h/d" }), /percent-encode/],
    ["no host", () => secret({ uri: "postgres:///d" }), /wanted a host/],
    ["no user", () => secret({ uri: "postgres://h/d" }), /wanted a user/],
    [
      "an unknown sslmode",
      () => secret({ uri: "postgres://u@h/d?sslmode=maybe" }),
      /wanted an sslmode of disable, .*found "maybe"/
    ],
    [
      "an sslmode of another kind",
      () => secret({ uri: "postgres://u@h/d?sslmode=constructor" }),
      /wanted an sslmode of disable, /
    ],
    ["a port that is none", () => secret({ host: "h", dbname: "d", username: "u", port: "70000" }), /wanted a port/],
    ["no password file", () => ({ host: "h", user: "u", passwordFile: join(folder, "absent") }), /found no such file/],
    [
      "no CA file",
      () => ({ host: "h", user: "u", tls: { caFile: join(folder, "absent") } }),
      /wanted the database's CA/
    ]
  ]
  for (const [name, options, message] of missing) {
    it(`say what is missing: ${name}`, () => {
      mkdirSync(join(folder, "..data"), { recursive: true })
      assert.throws(() => read(options()), message)
      try {
        read(options())
      } catch (error) {
        assert.notInclude(String(error), "s3cret")
      }
    })
  }
})
