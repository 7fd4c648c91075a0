import { type ConnectionOptions, connect, type MsgHdrs, type NatsConnection } from "@nats-io/transport-node"
import { Effect, type Scope } from "effect"
import { jetstream, type JetStreamClient } from "@nats-io/jetstream"
import { createHash } from "node:crypto"

/** What a message must end as; of some it only matters that it is one of them. */
export type Outcome = "row" | "dead letter" | "row or dead letter" | "nothing"

export interface Message {
  readonly payload: Buffer
  readonly outcome: Outcome
  readonly headers?: MsgHdrs
  /** Unset: the producer's. */
  readonly subject?: string
}

/** Makes the message of an id. */
export type MakeMessage = (id: number) => Message

/** Of one message that JetStream has confirmed. */
export interface Confirmed {
  readonly id: number
  readonly seq: number
  readonly outcome: Outcome
  /** SHA-256 of the payload, in hex, of what may become a dead letter. */
  readonly digest: string | undefined
}

export interface Producer {
  /** Messages per second from now on; 0 is silence. What JetStream refuses is published until it takes it. */
  readonly rate: (perSecond: number) => void
  /** Publishes so many at once, beside the stream of the others; resolves when all are confirmed. */
  readonly burst: (count: number) => Effect.Effect<void>
  /** Publishes one of each, whatever they are; resolves when all are confirmed. */
  readonly send: (makes: ReadonlyArray<MakeMessage>) => Effect.Effect<void>
  /** How messages are made from now on. */
  readonly make: (make: MakeMessage) => void
  /** Silence, and waits until all that was published is confirmed. */
  readonly settled: Effect.Effect<void>
  readonly confirmed: () => number
  /** Ids are 0 up to this one, exclusive. */
  readonly published: () => number
  /** By id; a hole is a message that nobody confirmed. */
  readonly each: () => Iterable<Confirmed>
}

/** One in so many messages is of a kind that no decoder takes. */
const poisonEvery = 999 // odd, so that all kinds come

const bodies: ReadonlyArray<(id: number) => string> = [
  (id) => `{"id":${id}, `,
  (id) => `{"id":${id}} {`,
  (id) => `{"id":${id}.5}`,
  (id) => `{"ID":null,"was":{"id":${id}}}`
]

const sha256 = (data: string | Buffer) => createHash("sha256").update(data).digest("hex")

/** A text that checks itself: the row holds the text and its SHA-256, made here. */
export const selfChecking = (id: number, text: string, more: object = {}): Buffer =>
  Buffer.from(JSON.stringify({ id, note: text, sum: sha256(text), ...more }))

/** A message that no decoder takes; its id can be read in it nevertheless. */
export const undecodable: MakeMessage = (id) => ({
  payload: Buffer.from(bodies[id % bodies.length]!(id)),
  outcome: "dead letter"
})

/** @param bytes about so long is a payload */
export const numbered =
  (bytes = 250): MakeMessage =>
  (id) => {
    if (id % poisonEvery === poisonEvery - 1) return undecodable(id)
    const text = `message ${id} of the campaign, ü€ and all; `
    return { payload: selfChecking(id, text.repeat(Math.ceil(bytes / text.length / 2))), outcome: "row" }
  }

/** More are not under way: JetStream may be away for minutes. */
const mostUnconfirmed = 4_000
const tickMillis = 10
/** What was due before, while the machine was busy with something else, is left out. */
const mostBehindMillis = 500
/** A publish that got no answer is repeated; JetStream knows it by its id, within the duplicate window. */
const answerMillis = 3_000

export const producerConnection: ConnectionOptions = {
  maxReconnectAttempts: -1,
  reconnectTimeWait: 200,
  pingInterval: 2_000,
  maxPingOut: 1,
  waitOnFirstConnect: true,
  ignoreClusterUpdates: true
}

/**
 * Publishes numbered messages and remembers each that was confirmed. It has a connection to every node, past the proxies, and
 * publishes through one that answers.
 */
export const startProducer = Effect.fnUntraced(function* (options: {
  readonly urls: ReadonlyArray<string>
  readonly login: ConnectionOptions
  readonly subject: string
  /** In front of message ids, so that two producers of one stream are not taken for one. */
  readonly name: string
  readonly make: MakeMessage
}): Effect.fn.Return<Producer, never, Scope.Scope> {
  const clients = yield* Effect.forEach(options.urls, (servers) =>
    Effect.acquireRelease(
      Effect.promise(async () => {
        const connection = await connect({ ...producerConnection, ...options.login, servers })
        return { connection, js: jetstream(connection) }
      }),
      ({ connection }: { readonly connection: NatsConnection; readonly js: JetStreamClient }) =>
        Effect.promise(() => connection.close())
    )
  )
  const outcomes: Array<Outcome> = []
  const sequences: Array<number | undefined> = []
  const digests = new Map<number, string>()
  let make = options.make
  let perSecond = 0
  const state = { underWay: 0, confirmed: 0, next: 0, stopped: false }

  const publish = async (id: number, { payload, outcome, headers, subject = options.subject }: Message) => {
    outcomes[id] = outcome
    if (outcome !== "row") digests.set(id, sha256(payload))
    state.underWay++
    for (let attempt = id; !state.stopped; attempt++) {
      const { js } = clients[attempt % clients.length]!
      try {
        const { seq } = await js.publish(subject, payload, {
          msgID: `${options.name}-${id}`,
          timeout: answerMillis,
          ...(headers ? { headers } : {})
        })
        sequences[id] = seq
        state.confirmed++
        break
      } catch {
        await new Promise((resolve) => void setTimeout(resolve, 100))
      }
    }
    state.underWay--
  }

  const produce = (one: MakeMessage = make) => {
    const id = state.next++
    return publish(id, one(id))
  }

  /** When the next message is due. */
  let due = performance.now()
  const tick = setInterval(() => {
    if (perSecond === 0) return
    const now = performance.now()
    due = Math.max(due, now - mostBehindMillis)
    for (; due <= now; due += 1_000 / perSecond) {
      if (state.underWay < mostUnconfirmed) void produce()
    }
  }, tickMillis)
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      state.stopped = true
      clearInterval(tick)
    })
  )

  return {
    rate: (value) => {
      perSecond = value
      due = performance.now()
    },
    burst: (count) =>
      Effect.promise(async () => {
        const last = state.next + count
        const worker = async () => {
          while (state.next < last) await produce()
        }
        await Promise.all(Array.from({ length: Math.min(count, 1_000) }, worker))
      }),
    send: (makes) =>
      Effect.promise(async () => {
        await Promise.all(makes.map(produce))
      }),
    make: (value) => {
      make = value
    },
    settled: Effect.gen(function* () {
      perSecond = 0
      while (state.underWay > 0) yield* Effect.sleep("20 millis")
    }),
    confirmed: () => state.confirmed,
    published: () => state.next,
    each: function* () {
      for (let id = 0; id < state.next; id++) {
        const seq = sequences[id]
        if (seq !== undefined) yield { id, seq, outcome: outcomes[id]!, digest: digests.get(id) }
      }
    }
  }
})
