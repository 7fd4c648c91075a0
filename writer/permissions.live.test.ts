import { assert, describe, layer } from "@effect/vitest"
import { jetstreamManager } from "@nats-io/jetstream"
import { connect, credsAuthenticator } from "@nats-io/transport-node"
import { Effect, Schema } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { makeOperator } from "../testing/nats-accounts.ts"
import { startNats, tempDirectory } from "../testing/servers.ts"
import { makeBench, Servers } from "../testing/writer-bench.ts"
import { startWriter } from "../testing/writer-process.ts"
import { WriterStatus } from "./config.ts"

const manual = readFileSync(join(import.meta.dirname, "../docs/nats.md"), "utf8")

/** Subjects that the manual says a writer's user must be allowed, with the names in place of its placeholders. */
const documented = (kind: "publish" | "subscribe", names: Readonly<Record<string, string>>) =>
  [...manual.matchAll(new RegExp(`^${kind} +(\\S+)`, "gm"))].map(([, subject]) => {
    const [api, placeholders] = /^(\$JS\.API\.[A-Z]+)?(.*)$/.exec(subject!)!.slice(1) as [string | undefined, string]
    return (api ?? "") + placeholders.replaceAll(/\b[A-Z]+\b/g, (word) => names[word] ?? word)
  })

const decodeStatus = Schema.decodeUnknownSync(WriterStatus)

describe("the writer's user of NATS", () => {
  layer(Servers.layer, { excludeTestServices: true, timeout: 60_000 })((it) => {
    it.effect("needs no more than the manual says: to write, to relay dead letters, to look for what was lost", () =>
      Effect.gen(function* () {
        const { postgres } = yield* Servers
        const operator = makeOperator()
        const nats = yield* startNats({ config: operator.config })
        const everything = new TextEncoder().encode(operator.creds())
        const connection = yield* Effect.acquireRelease(
          Effect.promise(() => connect({ servers: nats.url, authenticator: credsAuthenticator(everything) })),
          (open) => Effect.promise(() => open.close())
        )
        const bench = yield* makeBench().pipe(Effect.provideService(Servers, { nats, postgres, connection }))
        const { eventStream, stream, consumer } = bench.config
        const { namespace, name } = eventStream
        const names = { STREAM: stream, DURABLE: consumer, NAMESPACE: namespace, NAME: name }
        const credsFile = join(yield* tempDirectory("eventstream-creds-"), "nats.creds")
        const permissions = {
          pub: { allow: documented("publish", names) },
          sub: { allow: documented("subscribe", names) }
        }
        assert.include(permissions.pub.allow, `$JS.API.STREAM.MSG.GET.${stream}`)
        writeFileSync(credsFile, operator.creds({ permissions }))
        const manager = yield* Effect.promise(() => jetstreamManager(connection))
        const subjectPrefix = `dlq.${namespace}.${name}`
        yield* Effect.promise(() => manager.streams.add({ name: "LETTERS", subjects: [`${subjectPrefix}.>`] }))

        const config = {
          ...bench.config,
          nats: { ...bench.config.nats, credsFile },
          errors: { deadLetter: { publish: { subjectPrefix } } }
        }
        const first = yield* startWriter({ config })
        yield* bench.publish(0, 200, (id) => (id === 7 ? "not json" : JSON.stringify({ id })))
        yield* bench.drained()
        yield* Effect.promise(() => manager.streams.info("LETTERS")).pipe(
          Effect.repeat({ until: ({ state }) => state.messages === 1 }),
          Effect.timeout("20 seconds")
        )
        first.signal("SIGTERM")
        yield* first.exit

        // What a failover of the database takes back.
        yield* bench.query("DELETE FROM eventstream_ledger")
        const second = yield* startWriter({ config })
        yield* second.logged("a missed message", ({ message }) => message.includes("behind the durable's ack floor"))
        const status = yield* Effect.promise(() => connection.request(`status.${namespace}.${name}`))
        assert.strictEqual(decodeStatus(status.json()).missed, 1)
        const refused = [...first.lines(), ...second.lines()].filter(({ message }) =>
          /permissions violation/i.test(message)
        )
        assert.isEmpty(refused)
      }).pipe(Effect.scoped)
    )
  })
})
