import { assert, describe, it, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { type NatsServer, startNats, tempDirectory } from "../testing/servers.ts"
import { connectNats } from "./nats.ts"

const users = (password: string) => [`authorization { users: [{ user: writer, password: ${password} }] }`]

/** A nats-server that knows one user. */
class GuardedServer extends Context.Service<GuardedServer, { readonly nats: NatsServer; readonly folder: string }>()(
  "test/GuardedServer"
) {
  static readonly layer = Layer.effect(
    GuardedServer,
    Effect.all({ nats: startNats({ config: users("first") }), folder: tempDirectory("eventstream-passwords-") })
  )
}

const settings = { name: "test", hosts: new Map() }

describe("connectNats", () => {
  layer(GuardedServer.layer, { excludeTestServices: true })((it) => {
    it.effect("takes the password of the moment, also when it comes back by itself", () =>
      Effect.gen(function* () {
        const { nats, folder } = yield* GuardedServer
        const passwordFile = join(folder, "password")
        writeFileSync(passwordFile, "first\n")
        const connection = yield* connectNats({ servers: [nats.url], user: "writer", passwordFile }, settings)
        const back = Effect.promise(async () => {
          for await (const { type } of connection.status()) if (type === "reconnect") return
        })
        writeFileSync(passwordFile, "second\n")
        writeFileSync(join(nats.storeDirectory, "..", `nats-${nats.port}.conf`), users("second").join("\n"))
        nats.process.kill("SIGHUP") // reads its users again, and closes connections of those that changed
        yield* back.pipe(Effect.timeout("20 seconds"))
        yield* Effect.promise(() => connection.flush())
      })
    )

    it.effect("fails with what keeps it from logging in", () =>
      Effect.gen(function* () {
        const { nats, folder } = yield* GuardedServer
        const connect = (passwordFile: string) =>
          Effect.flip(connectNats({ servers: [nats.url], user: "writer", passwordFile }, settings))
        assert.include((yield* connect(join(folder, "none"))).message, "ENOENT")
        const wrong = join(folder, "wrong")
        writeFileSync(wrong, "wrong")
        assert.match((yield* connect(wrong)).message, /Authorization Violation/)
      })
    )
  })
})

it.live("leaves a server that takes no more bytes, with all that was to be sent to it", () =>
  Effect.gen(function* () {
    const servers = [yield* startNats(), yield* startNats()]
    const connection = yield* connectNats({ servers: servers.map(({ url }) => url) }, settings)
    const isAt = ({ port }: NatsServer) => connection.getServer().endsWith(`:${port}`)
    const [other] = servers.filter((server) => !isAt(server))
    const back = Effect.promise(async () => {
      for await (const { type } of connection.status()) if (type === "reconnect") return
    })
    servers.find(isAt)!.process.kill("SIGSTOP")
    // More than the kernel buffers for both ends.
    for (let i = 0; i < 32; i++) connection.publish("test", new Uint8Array(1_000_000))
    yield* Effect.promise(() => new Promise(setImmediate))
    // As the client itself does when its pings are not answered, which takes it 15 s.
    const { protocol } = connection as unknown as { readonly protocol: { readonly disconnect: () => void } }
    protocol.disconnect()
    yield* back.pipe(Effect.timeout("10 seconds"))
    assert.isTrue(isAt(other!))
  }).pipe(Effect.scoped)
)
