import { assert, describe, it } from "@effect/vitest"
import type { Msg, NatsConnection } from "@nats-io/transport-node"
import { Effect } from "effect"
import { afterEach, beforeEach, vi } from "vitest"
import { openSource, type SourceOptions } from "./source.ts"

/** A connection that keeps what is published, and a server's answers to the pull requests. */
const makeServer = () => {
  let receive: (error: Error | null, message: Msg) => void = () => {}
  let seq = 0
  const requests: Array<{ readonly reply: string; readonly batch: number }> = []
  const connection = {
    isClosed: () => false,
    reconnect: () => Promise.resolve(),
    publish: (_subject: string, body: string, { reply }: { readonly reply: string }) =>
      void requests.push({ reply, batch: (JSON.parse(body) as { batch: number }).batch }),
    subscribe: (_subject: string, options: { readonly callback: typeof receive }) => {
      receive = options.callback
      return { unsubscribe: () => {} }
    }
  } as unknown as NatsConnection
  return {
    connection,
    requests,
    message: () => {
      const reply = `$JS.ACK.S.C.1.${++seq}.${seq}.1700000000000000000.1`
      receive(null, { subject: "s", data: new Uint8Array(1), reply, size: () => 0 } as unknown as Msg)
    },
    /** The request's time is up, with so many messages of it not sent. */
    expired: (request: number, left: number) =>
      receive(null, {
        subject: requests[request]!.reply,
        headers: { code: 408, description: "Request Timeout", get: () => String(left) }
      } as unknown as Msg)
  }
}

const options = {
  stream: "S",
  consumer: "C",
  domain: undefined,
  request: { messages: 10, bytes: 1 },
  deliver: () => {},
  room: () => ({ messages: 20, bytes: 100 }),
  verify: Effect.void,
  acknowledged: () => {}
} satisfies SourceOptions

describe("source", () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it.live("never asks for more than there is room for", () =>
    Effect.gen(function* () {
      const server = makeServer()
      const source = yield* openSource(server.connection, options)
      let answered = 0
      const asked = () => server.requests.reduce((sum, { batch }) => sum + batch, 0) - answered
      source.pull()
      assert.strictEqual(asked(), 20)
      for (let i = 0; i < 10; i++, answered++) server.message() // all that the first wanted: it ends without a word
      source.pull()
      assert.strictEqual(asked(), 20)
      vi.advanceTimersByTime(5_000)
      for (const request of [1, 2]) {
        answered += 10
        server.expired(request, 10)
      }
      assert.strictEqual(asked(), 20)
      vi.advanceTimersByTime(3_000) // what is known of the first is forgotten
      assert.strictEqual(asked(), 20)
    }).pipe(Effect.scoped)
  )

  it.live("asks again when requests were lost", () =>
    Effect.gen(function* () {
      const server = makeServer()
      const source = yield* openSource(server.connection, options)
      source.pull()
      assert.lengthOf(server.requests, 2)
      vi.advanceTimersByTime(8_000)
      assert.lengthOf(server.requests, 4)
    }).pipe(Effect.scoped)
  )

  it.live("ends when the connection broke before it could subscribe", () =>
    Effect.gen(function* () {
      const connection = {
        subscribe: () => {
          throw new Error("closed connection")
        }
      } as unknown as NatsConnection
      const ended = yield* Effect.flip(openSource(connection, options))
      assert.deepInclude(ended, { _tag: "SourceEnded", reason: "Disconnected" })
    }).pipe(Effect.scoped)
  )

  it.live("waits for no answer of a connection that is lost", () =>
    Effect.gen(function* () {
      const connection = { ...makeServer().connection, flush: () => new Promise(() => {}) } as unknown as NatsConnection
      const source = yield* openSource(connection, options)
      source.end("Disconnected", "lost")
      assert.strictEqual((yield* Effect.flip(source.flush)).detail, "lost")
    }).pipe(Effect.scoped)
  )
})
