import type { Msg, NatsConnection } from "@nats-io/transport-node"
import { Effect, Schema } from "effect"
import { randomUUID } from "node:crypto"
import { apiOf, ConsumerUnavailable, nanosOf } from "./consumer.ts"
import { ackNumbersAt, PulledMessage, type ReceivedMessage } from "./delivery.ts"

/** Looking at what a stream holds, without taking anything from the durable and without payloads where that can be. */

/** A message in a stream. */
export interface StoredIdentity {
  readonly subject: string
  readonly seq: number
  /** Publish time in nanoseconds since 1970. */
  readonly timeNanos: bigint
}

export interface ScanRange {
  readonly stream: string
  readonly domain: string | undefined
  readonly retention: string
  /** Subjects to look at; empty: all. */
  readonly filter: ReadonlyArray<string>
  /** First and last sequence. */
  readonly from: number
  readonly to: number
}

const Answer = Schema.Struct({
  error: Schema.optionalKey(Schema.Struct({ err_code: Schema.optionalKey(Schema.Number), description: Schema.String })),
  message: Schema.optionalKey(Schema.Struct({ subject: Schema.String, seq: Schema.Number, time: Schema.String }))
})
const decodeAnswer = Schema.decodeUnknownEffect(Answer)

/** No message found. Source: errors.json of nats-server. */
const noMessageFound = 10_037

const unavailable = (stream: string, error: unknown) => {
  const detail = error instanceof Error ? error.message : String(error)
  return new ConsumerUnavailable({
    reason: /permission/i.test(detail) ? "Forbidden" : "NatsUnreachable",
    detail:
      `wanted to look at the messages of stream ${stream}, found: ${detail}; a writer needs $JS.API.STREAM.MSG.GET.${stream}, ` +
      `$JS.API.CONSUMER.CREATE.${stream}.> and $JS.API.CONSUMER.DELETE.${stream}.>`
  })
}

const ask = (connection: NatsConnection, stream: string, subject: string, body: object) =>
  Effect.tryPromise({
    try: () => connection.request(subject, JSON.stringify(body), { timeout: 5_000 }),
    catch: (error) => unavailable(stream, error)
  }).pipe(
    Effect.flatMap((answer) => Effect.orDie(decodeAnswer(answer.json()))),
    Effect.flatMap(({ error, message }) =>
      error !== undefined && error.err_code !== noMessageFound
        ? Effect.fail(unavailable(stream, error.description))
        : Effect.succeed(message)
    )
  )

const getMessage = (
  connection: NatsConnection,
  { stream, domain }: Pick<ScanRange, "stream" | "domain">,
  query: object
): Effect.Effect<StoredIdentity | undefined, ConsumerUnavailable> =>
  ask(connection, stream, `${apiOf(domain)}.STREAM.MSG.GET.${stream}`, query).pipe(
    Effect.map((message) => message && { subject: message.subject, seq: message.seq, timeNanos: nanosOf(message.time) })
  )

/** RFC 3339 with nine digits. */
const timeText = (nanos: bigint): string =>
  new Date(Number(nanos / 1_000_000n))
    .toISOString()
    .replace(/\d{3}Z$/, `${String(nanos % 1_000_000_000n).padStart(9, "0")}Z`)

/** The first message published at this time (ns since 1970) or later; nats-server 2.11 and newer can tell. */
export const firstMessageSince = (
  connection: NatsConnection,
  stream: Pick<ScanRange, "stream" | "domain">,
  nanos: bigint
): Effect.Effect<StoredIdentity | undefined, ConsumerUnavailable> =>
  getMessage(connection, stream, { start_time: timeText(nanos) })

/** Told the next messages, in order; answers whether to go on. */
type Take<E> = (messages: ReadonlyArray<StoredIdentity>) => Effect.Effect<boolean, E>

/**
 * One by one. A work queue refuses a second consumer, and under interest retention one more would keep messages; but there what
 * is acked is gone, so little is left to look at.
 */
const scanByGet = Effect.fnUntraced(function* <E>(connection: NatsConnection, range: ScanRange, take: Take<E>) {
  const { filter, to } = range
  const subjects = filter.length === 0 ? [">"] : filter
  for (let seq = range.from; seq <= to;) {
    const next = (subject: string) => getMessage(connection, range, { seq, next_by_subj: subject })
    const found = (yield* Effect.forEach(subjects, next, { concurrency: 10 })).filter((each) => each !== undefined)
    if (found.length === 0) return
    const first = found.reduce((a, b) => (b.seq < a.seq ? b : a))
    if (first.seq > to || !(yield* take([first]))) return
    seq = first.seq + 1
  }
})

/** Messages of one pull request; without their payloads they are small. */
const messagesPerPull = 5_000
const pullMillis = 5_000

/** Whether a pull request is over; what it brought is in `messages`. */
const received = (message: Msg, stream: string, messages: Array<PulledMessage>): boolean => {
  const reply = message.reply ?? ""
  const at = ackNumbersAt(reply)
  if (at === 0) return message.headers?.code !== 100 // a heartbeat
  messages.push(new PulledMessage(message as Msg & Pick<ReceivedMessage, "size">, stream, message.subject, reply, at))
  return messages.length === messagesPerPull || messages.at(-1)!.pending === 0
}

/** With a consumer of its own, which the server removes by itself should we not come to it. */
const scanByConsumer = <E>(connection: NatsConnection, range: ScanRange, take: Take<E>) => {
  const { stream, domain, filter, from, to } = range
  const name = `eventstream-audit-${randomUUID()}`
  const api = apiOf(domain)
  const config = {
    name,
    deliver_policy: "by_start_sequence",
    opt_start_seq: from,
    ack_policy: "none",
    filter_subjects: filter,
    headers_only: true,
    mem_storage: true,
    num_replicas: 1,
    inactive_threshold: 60e9
  }
  const create = ask(connection, stream, `${api}.CONSUMER.CREATE.${stream}.${name}`, {
    stream_name: stream,
    config,
    action: "create"
  })
  const pull = Effect.tryPromise({
    try: async () => {
      const messages: Array<PulledMessage> = []
      const request = { batch: messagesPerPull, no_wait: true }
      const answers = await connection.requestMany(
        `${api}.CONSUMER.MSG.NEXT.${stream}.${name}`,
        JSON.stringify(request),
        // Messages come under their own subjects, not under that of the request.
        { strategy: "count", maxMessages: messagesPerPull + 1, maxWait: pullMillis, noMux: true }
      )
      for await (const answer of answers) if (received(answer, stream, messages)) break
      return messages
    },
    catch: (error) => unavailable(stream, error)
  })
  const read = Effect.gen(function* () {
    while (true) {
      const messages = yield* pull
      const wanted = messages.filter(({ seq }) => seq <= to)
      if (wanted.length > 0 && !(yield* take(wanted))) return
      const last = messages.at(-1)
      if (last === undefined || last.pending === 0 || last.seq >= to) return
    }
  })
  const remove = ask(connection, stream, `${api}.CONSUMER.DELETE.${stream}.${name}`, {}).pipe(Effect.ignore)
  return Effect.acquireUseRelease(
    create,
    () => read,
    () => remove
  )
}

/** The messages of a range that are in the stream now, in order, until `take` has enough. */
export const scanStream = <E>(
  connection: NatsConnection,
  range: ScanRange,
  take: Take<E>
): Effect.Effect<void, ConsumerUnavailable | E> =>
  range.retention === "limits" ? scanByConsumer(connection, range, take) : scanByGet(connection, range, take)
