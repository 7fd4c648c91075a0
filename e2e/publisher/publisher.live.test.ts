import { assert, describe, it } from "@effect/vitest"
import { jetstreamManager } from "@nats-io/jetstream"
import { Deferred, Effect, Fiber } from "effect"
import { createServer } from "node:net"
import { lastingConnection } from "../../testing/nats-client.ts"
import { freePort, startNats, tempDirectory } from "../../testing/servers.ts"
import { forward } from "./proxy.ts"
import { publish } from "./publish.ts"
import { streamReport } from "./streams.ts"

/** What the scenarios' figures rest on: every number is in the stream once, whatever happens to the server meanwhile. */

const connect = (url: string) => lastingConnection(url, "test")

const publication = {
  subject: "numbers.a",
  run: "r1",
  from: 1,
  count: 300,
  rate: 300,
  payload: (n: number) => JSON.stringify({ n }),
  ended: () => false
}

const makeStream = Effect.fnUntraced(function* (url: string) {
  const nats = yield* connect(url)
  const manager = yield* Effect.promise(() => jetstreamManager(nats))
  yield* Effect.promise(() => manager.streams.add({ name: "NUMBERS", subjects: ["numbers.>"] }))
  return nats
})

describe("publish", () => {
  it.live("publishes every number once, while its server is killed and comes back", () =>
    Effect.gen(function* () {
      const storeDirectory = yield* tempDirectory("eventstream-publisher-")
      const port = yield* freePort
      const halfway = yield* Deferred.make<void>()
      const publishing = yield* Effect.gen(function* () {
        const { url, process } = yield* startNats({ storeDirectory, port })
        const nats = yield* makeStream(url)
        const payload = (n: number) => {
          if (n === 150) Deferred.doneUnsafe(halfway, Effect.void)
          return publication.payload(n)
        }
        const fiber = yield* publish(nats, { ...publication, payload }).pipe(Effect.forkScoped)
        yield* Deferred.await(halfway)
        process.kill("SIGKILL")
        yield* Effect.callback<void>((resume) => void process.once("exit", () => resume(Effect.void)))
        yield* startNats({ storeDirectory, port })
        const figures = yield* Fiber.join(fiber)
        return { figures, report: yield* streamReport(nats, "NUMBERS", undefined) }
      }).pipe(Effect.scoped)
      const { figures, report } = publishing
      assert.strictEqual(figures.published, 300)
      assert.isAbove(figures.retried, 0)
      assert.isAbove(figures.longestGapMs, 0)
      assert.deepInclude(report, { messages: 300, lastSequence: 300, replicas: 1, current: 1 })
    }).pipe(Effect.scoped)
  )

  it.live("keeps its pace, and ends early when told", () =>
    Effect.gen(function* () {
      const { url } = yield* startNats()
      const nats = yield* makeStream(url)
      let asked = 0
      const figures = yield* publish(nats, { ...publication, rate: 100, ended: () => ++asked > 50 })
      assert.strictEqual(figures.published, 50)
      assert.isAtLeast(figures.seconds, 0.49)
      assert.isBelow(figures.seconds, 5)
      assert.strictEqual((yield* streamReport(nats, "NUMBERS", undefined))?.messages, 50)
    }).pipe(Effect.scoped)
  )
})

it.live("a stream that is not there is null, a server without JetStream an error", () =>
  Effect.gen(function* () {
    const { url } = yield* startNats()
    const nats = yield* connect(url)
    assert.isNull(yield* streamReport(nats, "NUMBERS", undefined))
    const error = yield* Effect.flip(streamReport(nats, "NUMBERS", "elsewhere"))
    assert.strictEqual(error.stream, "NUMBERS")
  }).pipe(Effect.scoped)
)

it.live("the proxy carries a connection until it is stopped", () =>
  Effect.gen(function* () {
    const { port: target, url: direct } = yield* startNats()
    const port = yield* freePort
    yield* Effect.gen(function* () {
      yield* forward(port, { host: "127.0.0.1", port: target })
      const nats = yield* connect(`nats://127.0.0.1:${port}`)
      yield* Effect.promise(() => nats.flush())
    }).pipe(Effect.scoped)
    const refused = yield* Effect.flip(connect(`nats://127.0.0.1:${port}`).pipe(Effect.scoped))
    assert.match(refused.message, /ECONNREFUSED|refused/i)
    yield* connect(direct)
    const taken = yield* Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const server = createServer().listen(port, () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    ).pipe(Effect.andThen(Effect.flip(forward(port, { host: "127.0.0.1", port: target }).pipe(Effect.scoped))))
    assert.strictEqual(taken._tag, "PortTaken")
  }).pipe(Effect.scoped)
)
