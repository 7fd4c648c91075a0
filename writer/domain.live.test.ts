import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { freePort, startNats, startPostgres } from "../testing/servers.ts"
import { connectTo, makeBench, Servers } from "../testing/writer-bench.ts"
import { startWriter } from "../testing/writer-process.ts"

it.live(
  "writes the stream of a leaf node's JetStream domain, by way of its hub",
  () =>
    Effect.gen(function* () {
      const leafPort = yield* freePort
      const hub = yield* startNats({
        config: ["server_name: hub", "jetstream { domain: hub }", `leafnodes { listen: "127.0.0.1:${leafPort}" }`]
      })
      const leaf = yield* startNats({
        config: [
          "server_name: leaf",
          "jetstream { domain: leaf }",
          `leafnodes { remotes: [{ url: "nats-leaf://127.0.0.1:${leafPort}" }] }`
        ]
      })
      const postgres = yield* startPostgres()
      const connection = yield* connectTo(leaf.url)
      const bench = yield* makeBench().pipe(Effect.provideService(Servers, { nats: leaf, postgres, connection }))
      yield* bench.publish(0, 500)
      const nats = { servers: [hub.url], jetstreamDomain: "leaf" }
      const writer = yield* startWriter({ config: { ...bench.config, nats } })
      yield* writer.writing
      yield* bench.publish(500, 1_000)
      yield* bench.drained()
      const all = { rows: 1_000, distinct: 1_000, deadLetters: 0, covered: 1_000 }
      assert.deepStrictEqual(yield* bench.outcomes, all)
    }).pipe(Effect.scoped),
  60_000
)
