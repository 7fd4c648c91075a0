import { Effect, type Scope } from "effect"
import { connect, createServer, type Socket } from "node:net"
import { makePipe, type Pipe, type Weather } from "./weather.ts"

/**
 * What becomes of bytes on their way: sent on, swallowed, replaced by others, or the connection is cut, before or after some last
 * words.
 */
export type Verdict = "pass" | "drop" | "cut" | { readonly lastWords: Buffer } | { readonly instead: Buffer }

export interface Proxy {
  readonly port: number
  /** Connections now open. */
  readonly connections: () => number
  /** Connections that came so far, refused ones included. */
  readonly attempts: () => number
  /** Decides about every chunk from now on; called anew for each connection, so that it may remember what it saw. */
  readonly intercept: (make: () => (direction: "up" | "down", chunk: Buffer) => Verdict) => void
  /** How all connections are treated from now on. */
  readonly weather: (next: Weather) => void
  /** Cuts all connections. */
  readonly cut: () => void
  /** Cuts all connections with a reset. */
  readonly reset: () => void
  /** Leads new connections to another port of 127.0.0.1. */
  readonly lead: (target: number) => void
  /** Refuses new connections, or takes them again. */
  readonly refuse: (refusing: boolean) => void
}

interface Link {
  readonly client: Socket
  readonly server: Socket
  readonly pipes: Array<Pipe>
}

/**
 * A TCP proxy on 127.0.0.1 in front of another port of it, for faults of the network. Transparent until told otherwise.
 *
 * @param random decides about jitter
 */
export const startProxy = (
  first: number,
  random: () => number = Math.random
): Effect.Effect<Proxy, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<{ readonly proxy: Proxy; readonly close: () => void }>((resume) => {
      const links = new Set<Link>()
      let make: Parameters<Proxy["intercept"]>[0] = () => () => "pass"
      let weather: Weather = {}
      let refusing = false
      let attempts = 0
      let target = first

      const cutLink = (link: Link) => {
        links.delete(link)
        link.client.destroy()
        link.server.destroy()
      }
      const cut = () => links.forEach(cutLink)
      /** Of one side; the other hears of it when bytes pass again. */
      const ended = new Set<Link>()
      const end = (link: Link) => (weather.hold === undefined ? cutLink(link) : void ended.add(link))

      const server = createServer((client) => {
        attempts++
        if (refusing) return void client.destroy()
        const link: Link = { client, server: connect(target, "127.0.0.1"), pipes: [] }
        for (const socket of [link.client, link.server]) socket.setNoDelay(true)
        links.add(link)
        let made = make
        let decide = make()
        const carry = (direction: "up" | "down", from: Socket, to: Socket) => {
          const pipe = makePipe(direction, from, to, () => weather, random)
          link.pipes.push(pipe)
          from.on("data", (chunk: Buffer) => {
            if (made !== make) {
              made = make
              decide = make()
            }
            const verdict = decide(direction, chunk)
            if (verdict === "cut") return cutLink(link)
            if (verdict === "pass") return pipe.push(chunk)
            if (verdict === "drop") return
            if ("instead" in verdict) return pipe.push(verdict.instead)
            to.write(verdict.lastWords, () => cutLink(link))
          })
          from.on("error", () => end(link))
          from.on("close", () => end(link))
        }
        carry("up", client, link.server)
        carry("down", link.server, client)
      })
      server.listen(0, "127.0.0.1", () =>
        resume(
          Effect.succeed({
            proxy: {
              port: (server.address() as { readonly port: number }).port,
              connections: () => links.size,
              attempts: () => attempts,
              intercept: (next) => {
                make = next
              },
              weather: (next) => {
                weather = next
                if (next.hold === undefined) {
                  ended.forEach(cutLink)
                  ended.clear()
                }
                for (const { pipes } of links) for (const pipe of pipes) pipe.look()
              },
              cut,
              reset: () => {
                for (const { client, server } of links) for (const socket of [client, server]) socket.resetAndDestroy()
              },
              lead: (next) => {
                target = next
              },
              refuse: (value) => {
                refusing = value
              }
            },
            close: () => {
              cut()
              server.close()
            }
          })
        )
      )
    }),
    ({ close }) => Effect.sync(close)
  ).pipe(Effect.map(({ proxy }) => proxy))

/** CopyDone and ReadyForQuery of PostgreSQL's protocol; a batch ends with the one, its answer with the other. */
const copyDone = Buffer.from([0x63, 0, 0, 0, 4])
const readyForQuery = Buffer.from([0x5a, 0, 0, 0, 5])

/**
 * Breaks the commit of batches: `before` the server has all of it, `after` it has committed and before it could say so, or
 * `never` lets its answer through. `when` decides for each batch, counted from 1 over all connections.
 */
export const breakCommits = (proxy: Proxy, when: (batch: number) => "before" | "after" | "never" | undefined): void => {
  let batches = 0
  proxy.intercept(() => {
    let inBatch = false
    let fault: ReturnType<typeof when>
    return (direction, chunk) => {
      if (direction === "up") {
        if (!inBatch && chunk.includes("COPY ") && chunk.includes("eventstream_ledger")) {
          inBatch = true
          fault = when(++batches)
        }
        const ends = chunk.subarray(-copyDone.length).equals(copyDone)
        return inBatch && fault === "before" && ends ? { lastWords: chunk.subarray(0, -copyDone.length) } : "pass"
      }
      if (!inBatch || !chunk.includes(readyForQuery)) return fault === "never" && inBatch ? "drop" : "pass"
      if (fault === "never") return "drop"
      inBatch = false
      return fault === "after" ? "cut" : "pass"
    }
  })
}
