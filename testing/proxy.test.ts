import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import { connect, createServer, type Socket } from "node:net"
import { startProxy } from "./proxy.ts"
import { randomIntegers } from "./random.ts"
import type { Weather } from "./weather.ts"

/** A server that sends back what it gets, a proxy in front of it, and a connection through that. */
const through = Effect.gen(function* () {
  const server = createServer((socket) => socket.on("error", () => undefined).pipe(socket))
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () => Effect.sync(() => server.close())
  )
  const integers = randomIntegers(1)
  const proxy = yield* startProxy((server.address() as { port: number }).port, () => integers() / 2 ** 32)
  const client = yield* Effect.acquireRelease(
    Effect.sync(() => connect(proxy.port, "127.0.0.1").on("error", () => undefined)),
    (socket) => Effect.sync(() => socket.destroy())
  )
  return { proxy, client }
})

/** What comes back of what is sent, and how long that takes. */
const echo = (client: Socket, sent: Buffer) =>
  Effect.callback<{ readonly got: Buffer; readonly millis: number }>((resume) => {
    const began = performance.now()
    const chunks: Array<Buffer> = []
    let bytes = 0
    client.on("data", (chunk) => {
      chunks.push(chunk)
      bytes += chunk.length
      if (bytes === sent.length)
        resume(Effect.succeed({ got: Buffer.concat(chunks), millis: performance.now() - began }))
    })
    client.write(sent)
  })

const weathers: ReadonlyArray<readonly [name: string, weather: Weather, leastMillis: number]> = [
  ["none", {}, 0],
  ["latency", { latencyMillis: 40, jitterMillis: 30 }, 20],
  ["a narrow network", { bytesPerSecond: 2_000_000 }, 100],
  ["small pieces", { sliceBytes: 4_000 }, 40],
  ["all of it", { latencyMillis: 20, jitterMillis: 20, bytesPerSecond: 4_000_000, sliceBytes: 8_000 }, 50]
]

describe("proxy", () => {
  it.live.each(weathers)("brings every byte in its order, with %s", ([, weather, leastMillis]) =>
    Effect.gen(function* () {
      const { proxy, client } = yield* through
      proxy.weather(weather)
      const sent = randomBytes(200_000)
      const { got, millis } = yield* echo(client, sent)
      assert.isTrue(got.equals(sent))
      assert.isAtLeast(millis, leastMillis)
    }).pipe(Effect.scoped)
  )

  it.live.each(["up", "down", "both"] as const)("holds bytes that go %s until the weather changes", (hold) =>
    Effect.gen(function* () {
      const { proxy, client } = yield* through
      proxy.weather({ hold })
      // More than the proxy takes: the sender has to wait too.
      const sent = randomBytes(5_000_000)
      yield* Effect.sleep("100 millis").pipe(Effect.andThen(Effect.sync(() => proxy.weather({}))), Effect.forkScoped)
      const { got, millis } = yield* echo(client, sent)
      assert.isTrue(got.equals(sent))
      assert.isAtLeast(millis, 100)
    }).pipe(Effect.scoped)
  )

  it.live("does not tell the one side of the other's end while it is silent", () =>
    Effect.gen(function* () {
      const { proxy, client } = yield* through
      yield* echo(client, Buffer.from("connected"))
      proxy.weather({ hold: "both" })
      client.destroy()
      yield* Effect.sleep("50 millis")
      assert.strictEqual(proxy.connections(), 1)
      proxy.weather({})
      assert.strictEqual(proxy.connections(), 0)
    }).pipe(Effect.scoped)
  )

  it.live("resets connections", () =>
    Effect.gen(function* () {
      const { proxy, client } = yield* through
      yield* echo(client, Buffer.from("connected"))
      const error = Effect.callback<Error>(
        (resume) => void client.once("error", (error) => resume(Effect.succeed(error)))
      )
      proxy.reset()
      assert.include((yield* error).message, "ECONNRESET")
    }).pipe(Effect.scoped)
  )
})
