import { createInbox, type Msg, type NatsConnection, type Subscription } from "@nats-io/transport-node"
import { Cause, Deferred, Effect, Exit, Schema, type Scope } from "effect"
import type { Delivery } from "./batch.ts"
import { ackNumbersAt, PulledMessage, type ReceivedMessage } from "./delivery.ts"

/**
 * Messages of a durable pull consumer, over a plain subscription with our own pull requests: the client's own `consume` makes
 * several objects per message and costs twice as much per message (measured).
 */

/**
 * Whatever was pulled is void from here on: it must be neither committed nor acked, because the stream may have been restored
 * or made anew meanwhile and its sequences used again. What is still wanted comes again.
 */
export class SourceEnded extends Schema.TaggedError<SourceEnded>()("SourceEnded", {
  reason: Schema.Literals([
    "Disconnected",
    "LeaderChanged",
    "StreamChanged",
    "ConsumerMissing",
    "Forbidden",
    "Refused",
    "LaneChanged"
  ]),
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

export interface SourceOptions {
  readonly stream: string
  /** Durable name. */
  readonly consumer: string
  /** JetStream domain behind a leaf node. */
  readonly domain: string | undefined
  /** Most messages and payload bytes of one pull request. */
  readonly request: { readonly messages: number; readonly bytes: number }
  /** Takes a message; called from the socket's data event, so it must not throw. */
  readonly deliver: (message: PulledMessage) => void
  /** How many more messages and bytes may be held; requests never ask for more than this in total. */
  readonly room: () => { readonly messages: number; readonly bytes: number }
  /** Asks JetStream whether the stream is still the one that was looked at before; fails when it is not, or can't be known. */
  readonly verify: Effect.Effect<void, SourceEnded>
  /** Told how many acknowledgements of a kind were sent, and how many not because the connection was closed. */
  readonly acknowledged: (kind: keyof typeof acknowledgements, sent: number, unsent: number) => void
}

export interface Source {
  /** Asks for what fits into the room, unless enough is asked for already. To be called when there is room again. */
  readonly pull: () => void
  /** Whether requested messages may still come. */
  readonly expecting: () => boolean
  /** Pull requests made so far. */
  readonly requests: () => number
  /**
   * Waits until the answers to so many pull requests are known to be of the stream that was looked at. A stream may have been
   * deleted and made again before a request came to it, with a consumer of the same name, and nothing in a message tells.
   */
  readonly verified: (requests: number) => Effect.Effect<void, SourceEnded>
  /** Settles messages `from` up to `to`, exclusive; plain publishes, confirmed by {@link flush}. */
  readonly ack: (deliveries: ReadonlyArray<Delivery>, from: number, to: number) => void
  /** Restarts the ack wait of messages that are still being worked on. */
  readonly working: (deliveries: ReadonlyArray<Delivery>) => void
  /** Gives messages back, to be redelivered at once. For shutdown only: otherwise they come back while the fault lasts. */
  readonly nak: (deliveries: ReadonlyArray<Delivery>) => void
  /** Waits until the server has everything published so far. */
  readonly flush: Effect.Effect<void, SourceEnded>
  /** Asks for no more; when this is done, no further message is delivered. */
  readonly stop: Effect.Effect<void>
  readonly end: (reason: SourceEnded["reason"], detail: string) => void
  /** Whether what was pulled may still be committed and acked. */
  readonly alive: () => boolean
  /** Fails when what was pulled is void. */
  readonly ended: Effect.Effect<never, SourceEnded>
}

/** What is published to an ack subject, by its name in metrics. Source: ADR-15 of NATS. */
const acknowledgements = { ack: "+ACK", progress: "+WPI", nak: "-NAK" }

/** A pull request waits this long for messages before the server answers that there are none. */
const expiresMillis = 5_000
const heartbeatMillis = 1_000
/** Missed heartbeats in a row after which the connection is taken for dead although its socket is open. */
const heartbeatsMissed = 5

/** Acknowledgements published in one piece; a piece is some 100 kB. */
const acksPerPiece = 1_000

/**
 * The part of the client behind `publish`: takes bytes of the protocol as they are. One call for a thousand acknowledgements
 * costs a fifth of as many calls of `publish` (measured), which is a tenth of the writer's work. Not in the client's types.
 */
interface Wire {
  readonly protocol: { readonly sendCommand: (bytes: Uint8Array) => void }
}

/** Subject of pull requests. Source: JetStream wire API. */
const pullSubject = (stream: string, consumer: string, domain: string | undefined): string =>
  `$JS.${domain === undefined ? "" : `${domain}.`}API.CONSUMER.MSG.NEXT.${stream}.${consumer}`

/** Subscribes; pulls nothing before {@link Source.pull}. Everything ends with the scope. */
export const openSource = (
  connection: NatsConnection,
  options: SourceOptions
): Effect.Effect<Source, SourceEnded, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({
      try: () => subscribe(connection, options),
      // It may have broken while the lane was opened.
      catch: (error) =>
        new SourceEnded({ reason: "Disconnected", detail: `the connection to NATS was lost: ${String(error)}` })
    }),
    ({ close }) => Effect.sync(close)
  ).pipe(Effect.map(({ source }) => source))

const subscribe = (connection: NatsConnection, options: SourceOptions) => {
  const { stream, consumer, request } = options
  const subject = pullSubject(stream, consumer, options.domain)
  const inbox = createInbox()
  const ended = Deferred.makeUnsafe<never, SourceEnded>()
  /** When each open request is given up, by its inbox; the server may have lost it together with its leader. */
  const open = new Map<string, number>()
  /** Messages requested and not yet come. */
  let outstanding = 0
  let requests = 0
  /** How many requests came before the stream was last found to be the same: whatever answers them is of this stream. */
  let verifiedRequests = 0
  let verifying = false
  let waiting: { readonly requests: number; readonly resume: () => void } | undefined
  let closed = false
  let stopped = false
  let retryAt = 0
  /** The next message is larger than `request.bytes`: only a request without that limit brings it. */
  let oversize = false
  let heard = true
  let silentFor = 0
  let lastConsumerSeq = 0
  let numbersAt = 0
  let prefix = ""
  /** One string for messages of the same subject, instead of one each. */
  let subjectOfLast = ""

  const end = (reason: SourceEnded["reason"], detail: string) => {
    if (closed) return
    close()
    Deferred.doneUnsafe(ended, Effect.fail(new SourceEnded({ reason, detail })))
  }

  const connected = (publish: () => void) => {
    try {
      publish()
    } catch (error) {
      end("Disconnected", `the connection to NATS was lost: ${String(error)}`)
    }
  }

  const settle = (
    kind: keyof typeof acknowledgements,
    deliveries: ReadonlyArray<Delivery>,
    from = 0,
    to = deliveries.length
  ) => {
    const body = acknowledgements[kind]
    let start = from
    while (start < to && !connection.isClosed()) {
      const end = Math.min(to, start + acksPerPiece)
      let text = ""
      for (; start < end; start++) text += `PUB ${deliveries[start]!.reply} ${body.length}\r\n${body}\r\n`
      ;(connection as unknown as Wire).protocol.sendCommand(Buffer.from(text))
    }
    options.acknowledged(kind, start - from, to - start)
  }

  const send = (body: object, messages: number) => {
    const reply = `${inbox}.${++requests}`
    open.set(reply, Date.now() + expiresMillis + 2 * heartbeatMillis)
    outstanding += messages
    const nanos = { expires: expiresMillis * 1e6, idle_heartbeat: heartbeatMillis * 1e6 }
    connected(() => connection.publish(subject, JSON.stringify({ batch: messages, ...nanos, ...body }), { reply }))
  }

  const pull = () => {
    if (closed || stopped || Date.now() < retryAt) return
    const room = options.room()
    if (oversize) {
      if (open.size === 0 && room.messages >= 1) send({}, 1)
      return
    }
    while (outstanding + request.messages <= room.messages && (open.size + 1) * request.bytes <= room.bytes) {
      send({ max_bytes: request.bytes }, request.messages)
    }
  }

  /** A request is over; `left` of its messages were never sent. */
  const finish = (reply: string, left: number) => {
    if (!open.delete(reply)) return
    outstanding = open.size === 0 ? 0 : Math.max(0, outstanding - left)
  }

  /** Asked when a message has come, and not at every request: on a stream at rest nobody asks. */
  const verify = async () => {
    verifying = true
    const asked = requests
    const exit = await Effect.runPromiseExit(options.verify)
    verifying = false
    if (Exit.isFailure(exit)) {
      const error = Cause.squash(exit.cause)
      return error instanceof SourceEnded ? end(error.reason, error.detail) : end("Disconnected", String(error))
    }
    verifiedRequests = asked
    if (waiting === undefined) return
    if (waiting.requests <= verifiedRequests) waiting.resume()
    else void verify()
  }

  const status = (message: Msg) => {
    const code = message.headers?.code ?? 0
    const description = message.headers?.description ?? ""
    const text = description.toLowerCase()
    if (code === 100) return // heartbeat
    if (code === 503) return end("ConsumerMissing", `consumer ${consumer} of stream ${stream} does not answer`)
    if (text === "consumer deleted") return end("ConsumerMissing", `consumer ${consumer} was deleted`)
    if (text === "consumer is push based") {
      return end("ConsumerMissing", `wanted a pull consumer, found that ${consumer} is push based`)
    }
    if (text === "leadership change" || text === "server shutdown") {
      return end("LeaderChanged", `the server that leads consumer ${consumer} changed`)
    }
    const left = Number(message.headers?.get("Nats-Pending-Messages") || 0)
    finish(message.subject, left)
    if (text === "message size exceeds maxbytes") oversize ||= left === request.messages
    else if (text === "exceeded maxwaiting") retryAt = Date.now() + heartbeatMillis // other writers have asked
    else if (code !== 408 && code !== 404 && text !== "batch completed") {
      return end(
        "Refused",
        `consumer ${consumer} of stream ${stream} refuses pull requests: ${code} ${description}; change its limits, or name another consumer`
      )
    }
    pull()
  }

  const received = (error: Error | null, message: Msg) => {
    if (closed) return
    if (error) return end("Forbidden", `NATS refuses the subscription ${inbox}.*: ${error.message}`)
    heard = true
    const reply = message.reply ?? ""
    if (prefix === "" || !reply.startsWith(prefix)) {
      const at = ackNumbersAt(reply)
      if (at === 0) return status(message)
      numbersAt = at
      prefix = reply.slice(0, at)
    }
    if (message.subject !== subjectOfLast) subjectOfLast = message.subject
    const pulled = new PulledMessage(
      message as Msg & Pick<ReceivedMessage, "size">,
      stream,
      subjectOfLast,
      reply,
      numbersAt
    )
    if (pulled.consumerSeq <= lastConsumerSeq) {
      return end(
        "LeaderChanged",
        `consumer ${consumer} went back from delivery ${lastConsumerSeq} to ${pulled.consumerSeq}`
      )
    }
    lastConsumerSeq = pulled.consumerSeq
    if (--outstanding <= 0) {
      outstanding = 0
      open.clear() // a request without a byte limit ends without a word
      oversize = false
    }
    if (verifiedRequests < requests && !verifying) void verify()
    options.deliver(pulled)
  }

  const watch = () => {
    const now = Date.now()
    // How much of it came nobody knows, perhaps all: what is still outstanding is known again when no request is open.
    for (const [reply, deadline] of open) if (now > deadline) finish(reply, 0)
    silentFor = heard || open.size === 0 ? 0 : silentFor + 1
    heard = false
    if (silentFor >= heartbeatsMissed) {
      silentFor = 0
      void connection.reconnect().catch(() => undefined) // a closed connection has ended this source already
    }
    pull()
  }

  const subscription: Subscription = connection.subscribe(`${inbox}.*`, { callback: received })
  const timer = setInterval(watch, heartbeatMillis)
  const close = () => {
    if (closed) return
    closed = true
    clearInterval(timer)
    subscription.unsubscribe()
  }

  const flush = Effect.tryPromise({
    try: () => connection.flush(),
    catch: (error) => new SourceEnded({ reason: "Disconnected", detail: String(error) })
    // A connection that is lost for good leaves its flushes open (nats-core 3.4).
  }).pipe(Effect.raceFirst(Deferred.await(ended)))

  const source: Source = {
    pull,
    expecting: () => outstanding > 0,
    requests: () => requests,
    verified: (wanted) =>
      Effect.callback<void>((resume) => {
        if (wanted <= verifiedRequests) return resume(Effect.void)
        waiting = { requests: wanted, resume: () => resume(Effect.void) }
        if (!verifying) void verify()
        return Effect.sync(() => {
          waiting = undefined
        })
      }).pipe(Effect.raceFirst(Deferred.await(ended))),
    ack: (deliveries, from, to) => settle("ack", deliveries, from, to),
    working: (deliveries) => settle("progress", deliveries),
    nak: (deliveries) => settle("nak", deliveries),
    flush,
    stop: Effect.suspend(() => {
      stopped = true
      return Effect.tryPromise(() => subscription.drain()).pipe(Effect.timeoutOption("2 seconds"), Effect.ignore)
    }),
    end,
    alive: () => !Deferred.isDoneUnsafe(ended),
    ended: Deferred.await(ended)
  }
  return { source, close }
}
