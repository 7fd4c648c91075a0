import { Redacted } from "effect"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import { parseHosts } from "./hosts.ts"
import { type PostgresOptions, readSettings } from "./postgres-settings.ts"

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
      host: "pg-rw",
      port: 5433,
      database: "app",
      user: "writer",
      password: "p w",
      tls: { mode: "Require", ca: undefined, serverName: "pg-rw" }
    })
    const withUri = secret({ uri: "postgresql://u:p%40ss@[::1]:6000/d%20b?sslmode=disable\n" })
    assert.deepEqual(read(withUri), {
      host: "::1",
      port: 6000,
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
    assert.deepEqual(read(secret({ ...parts, "ca.crt": "CA" })).tls, { mode: "VerifyFull", ca: "CA", serverName: "h" })
    assert.equal(uri("postgres://u@h/d?sslmode=prefer").tls.mode, "Require")
    assert.equal(uri("postgres://u@h/d?sslmode=verify-ca").tls.mode, "VerifyCA")
    assert.equal(uri("postgres://u@h/d").tls.mode, "Require")
    const { tls } = read({ uri: Redacted.make("postgres://u@h/d?sslmode=disable"), tls: { mode: "VerifyFull" } })
    assert.equal(tls.mode, "VerifyFull")
  })

  it("go to another address where the host map says so, and verify the name as it was", () => {
    const settings = read({ uri: Redacted.make("postgres://u@pg.db.svc/d") }, "pg.db.svc=127.0.0.1:5999")
    assert.deepInclude(settings, { host: "127.0.0.1", port: 5999 })
    assert.deepInclude(settings.tls, { serverName: "pg.db.svc" })
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
    ["several hosts", () => secret({ uri: "postgres://u:s3cret@a:1,b:2/d" }), /write one host/],
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
