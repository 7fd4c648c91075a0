import { assert, describe, it, layer } from "@effect/vitest"
import { nkeys } from "@nats-io/transport-node"
import { Context, Effect, Layer, Redacted } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { makeOperator, seedOf } from "../testing/nats-accounts.ts"
import { type NatsServer, startNats, tempDirectory } from "../testing/servers.ts"
import { connectNats, type NatsOptions } from "./nats.ts"

const settings = { name: "test", hosts: new Map() }

/** `connected`, or why not. */
const outcomeOf = (options: NatsOptions) =>
  connectNats(options, settings).pipe(
    Effect.flatMap((connection) => Effect.promise(() => connection.flush())),
    Effect.scoped,
    Effect.match({ onSuccess: () => "connected", onFailure: ({ detail }) => detail })
  )

class Folder extends Context.Service<Folder, { readonly put: (name: string, text: string) => string }>()(
  "test/Folder"
) {
  static readonly layer = Layer.effect(
    Folder,
    Effect.map(tempDirectory("eventstream-credentials-"), (folder) => ({
      put: (name, text) => {
        writeFileSync(join(folder, name), text)
        return join(folder, name)
      }
    }))
  )
}

describe("connectNats", () => {
  layer(Folder.layer, { excludeTestServices: true })("logs in", (it) => {
    it.effect("as a user with a password, which is read at every connect", () =>
      Effect.gen(function* () {
        const { put } = yield* Folder
        const users = (password: string) => `authorization { users: [{ user: writer, password: ${password} }] }`
        const nats = yield* startNats({ config: [users("first")] })
        const passwordFile = put("password", "first\n")
        const to = { servers: [nats.url] }
        const login = { ...to, user: "writer", passwordFile }
        assert.strictEqual(yield* outcomeOf(login), "connected")
        assert.strictEqual(yield* outcomeOf({ ...to, userFile: put("user", "writer\n"), passwordFile }), "connected")
        assert.strictEqual(yield* outcomeOf({ ...to, user: "writer", password: Redacted.make("first") }), "connected")
        put("password", "second")
        assert.match(
          yield* outcomeOf(login),
          /^NATS does not accept user writer with its password \(Authorization Violation\)$/
        )
        assert.match(yield* outcomeOf(to), /^NATS demands a login, and none is given \(Authorization Violation\)$/)
        assert.match(yield* outcomeOf({ ...login, passwordFile: "/none/password" }), /ENOENT.*\/none\/password/)
      }).pipe(Effect.scoped)
    )

    it.effect("with an NKey", () =>
      Effect.gen(function* () {
        const { put } = yield* Folder
        const user = nkeys.createUser()
        const { url } = yield* startNats({ config: [`authorization { users: [{ nkey: ${user.getPublicKey()} }] }`] })
        const outcome = (seed: string) => outcomeOf({ servers: [url], nkeyFile: put("seed", `${seed}\n`) })
        assert.strictEqual(yield* outcome(seedOf(user)), "connected")
        assert.match(yield* outcome(seedOf(nkeys.createUser())), /^NATS does not accept the NKey of .*seed \(Auth/)
        assert.match(yield* outcome("not a seed"), /^wanted the NKey of .*seed, found something else there$/)
      }).pipe(Effect.scoped)
    )

    it.effect("with a token", () =>
      Effect.gen(function* () {
        const { put } = yield* Folder
        const { url } = yield* startNats({ config: ["authorization { token: s3cret }"] })
        const outcome = (token: string) => outcomeOf({ servers: [url], tokenFile: put("token", token) })
        assert.strictEqual(yield* outcome("s3cret\n"), "connected")
        assert.match(yield* outcome("other"), /^NATS does not accept the token of .*token \(Authorization Violation\)$/)
      }).pipe(Effect.scoped)
    )

    it.effect("with a .creds file", () =>
      Effect.gen(function* () {
        const { put } = yield* Folder
        const operator = makeOperator()
        const { url } = yield* startNats({ config: operator.config })
        const outcome = (creds: string) => outcomeOf({ servers: [url], credsFile: put("nats.creds", creds) })
        assert.strictEqual(yield* outcome(operator.creds()), "connected")
        const refused = /^NATS does not accept the user of .*nats\.creds \(Authorization Violation\)$/
        assert.match(yield* outcome(makeOperator().creds()), refused)
        assert.match(yield* outcome(operator.creds({ expires: new Date(Date.now() - 60_000) })), refused)
        assert.match(yield* outcome("not this"), /^wanted the user of .*nats\.creds, found something else there$/)
      }).pipe(Effect.scoped)
    )
  })

  it.live("takes any server that does, and ends with it", () =>
    Effect.gen(function* () {
      const away = "nats://127.0.0.1:1"
      const { url, process } = yield* startNats()
      const connection = yield* connectNats({ servers: [away, url, away] }, settings)
      const ended = Effect.promise(() => connection.closed())
      process.kill("SIGKILL")
      yield* ended.pipe(Effect.timeout("5 seconds"))
    }).pipe(Effect.scoped)
  )

  it.live("leaves a server that takes no more bytes, with all that was to be sent to it", () =>
    Effect.gen(function* () {
      const server: NatsServer = yield* startNats()
      const connection = yield* connectNats({ servers: [server.url] }, settings)
      const ended = Effect.promise(() => connection.closed())
      server.process.kill("SIGSTOP")
      // More than the kernel buffers for both ends.
      for (let i = 0; i < 32; i++) connection.publish("test", new Uint8Array(1_000_000))
      yield* Effect.promise(() => new Promise(setImmediate))
      // As the client itself does when its pings are not answered, which takes it 15 s.
      const { protocol } = connection as unknown as { readonly protocol: { readonly disconnect: () => void } }
      protocol.disconnect()
      yield* ended.pipe(Effect.timeout("5 seconds"))
    }).pipe(Effect.scoped)
  )
})
