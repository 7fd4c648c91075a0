import type { NatsConnection } from "@nats-io/transport-node"
import { Effect, Schema } from "effect"
import type { Delivery } from "./batch.ts"
import { apiOf, nanosOf } from "./consumer.ts"
import type { Message } from "./processors/processor.ts"
import { matchesAny } from "./processors/routing.ts"
import { parseHeaders, storedMessage } from "./stored-message.ts"

/** The newest messages of a stream could not be read. */
export class NewestUnread extends Schema.TaggedError<NewestUnread>()("NewestUnread", { detail: Schema.String }) {
  override get message() {
    return `the newest messages of the stream were not read: ${this.detail}`
  }
}

export interface NewestRequest {
  readonly stream: string
  readonly domain: string | undefined
  /** Subjects to look at; empty: all. */
  readonly subjects: ReadonlyArray<string>
  /** Sequence of the stream's last message. */
  readonly lastSequence: number
  /** Most messages to return. */
  readonly count: number
}

const Answer = Schema.Struct({
  error: Schema.optionalKey(Schema.Struct({ code: Schema.Number, description: Schema.String })),
  message: Schema.optionalKey(
    Schema.Struct({
      subject: Schema.String,
      seq: Schema.Number,
      time: Schema.String,
      hdrs: Schema.optionalKey(Schema.String),
      data: Schema.optionalKey(Schema.String)
    })
  )
})
const decode = Schema.decodeUnknownEffect(Answer)

/** Sequences that are tried: some of them were deleted, or are of other subjects. */
const most = 200

/** Requests under way at once. */
const concurrency = 10

/**
 * The newest messages that are still in the stream, newest first, read without a consumer: what is looked at stays as it is.
 * Of a stream that holds few messages of the subjects among many others, the newest of each subject.
 */
export const newestMessages = (
  connection: NatsConnection,
  options: NewestRequest
): Effect.Effect<ReadonlyArray<Delivery & Message>, NewestUnread> => {
  const { stream, domain, subjects, lastSequence, count } = options
  const get = (query: object) =>
    Effect.tryPromise({
      try: () =>
        connection.request(`${apiOf(domain)}.STREAM.MSG.GET.${stream}`, JSON.stringify(query), { timeout: 5_000 }),
      catch: (error) => new NewestUnread({ detail: error instanceof Error ? error.message : String(error) })
    }).pipe(
      Effect.flatMap((answer) => Effect.orDie(decode(answer.json()))),
      Effect.flatMap(({ error, message }) => {
        if (error !== undefined && error.code !== 404)
          return Effect.fail(new NewestUnread({ detail: error.description }))
        if (message === undefined) return Effect.succeed(undefined)
        return Effect.succeed(
          storedMessage({
            stream,
            subject: message.subject,
            seq: message.seq,
            timeNanos: nanosOf(message.time),
            data: Buffer.from(message.data ?? "", "base64"),
            headers: message.hdrs === undefined ? undefined : parseHeaders(Buffer.from(message.hdrs, "base64"))
          })
        )
      })
    )
  return Effect.gen(function* () {
    const wanted = matchesAny(subjects)
    const found = new Map<number, Delivery & Message>()
    const take = (messages: ReadonlyArray<(Delivery & Message) | undefined>) => {
      for (const message of messages) {
        if (message !== undefined && found.size < count && wanted(message.subject)) found.set(message.seq, message)
      }
    }
    const lowest = Math.max(1, lastSequence - most + 1)
    for (let seq = lastSequence; seq >= lowest && found.size < count; seq -= concurrency) {
      const sequences = Array.from({ length: Math.min(concurrency, seq - lowest + 1) }, (_, i) => seq - i)
      take(yield* Effect.forEach(sequences, (seq) => get({ seq }), { concurrency }))
    }
    if (found.size < count)
      take(yield* Effect.forEach(subjects, (subject) => get({ last_by_subj: subject }), { concurrency }))
    return [...found.values()].sort((a, b) => b.seq - a.seq)
  })
}
