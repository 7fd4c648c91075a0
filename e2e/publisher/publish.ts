import { jetstream } from "@nats-io/jetstream"
import type { NatsConnection } from "@nats-io/transport-node"
import { Clock, Effect, Schedule, Schema, Stream } from "effect"

/** Numbered messages, each published again under the same id until JetStream has acknowledged it. */

export interface Publication {
  readonly subject: string
  /** Makes the ids (`Nats-Msg-Id`) of this run's messages its own. */
  readonly run: string
  /** First number. */
  readonly from: number
  readonly count: number
  /** Messages per second. */
  readonly rate: number
  readonly payload: (n: number) => string | Uint8Array
  /** Asked before each message: whether it is time to end before `count`. */
  readonly ended: () => boolean
}

/** What came of it; times are the publisher's clock, RFC 3339. */
export interface Figures {
  /** Messages acknowledged: the numbers from `from` on, without a hole. */
  readonly published: number
  /** Attempts that no acknowledgement came for. */
  readonly retried: number
  readonly seconds: number
  readonly firstAt: string | null
  readonly lastAt: string | null
  /** Longest time without an acknowledgement, between the first and the last one. */
  readonly longestGapMs: number
}

export class NotAcknowledged extends Schema.TaggedError<NotAcknowledged>()("NotAcknowledged", {
  id: Schema.String,
  subject: Schema.String,
  lastError: Schema.String
}) {
  override get message() {
    return `message ${this.id} on ${this.subject}: no PubAck within ${giveUpSeconds} s, last: ${this.lastError}`
  }
}

/** Below the two minutes that a stream remembers ids for: a later attempt could be stored a second time. */
const giveUpSeconds = 100
const ackTimeoutMillis = 2_000
const maxInFlight = 256

export const publish = Effect.fnUntraced(function* (nats: NatsConnection, publication: Publication) {
  const { subject, run, from, count, rate, payload, ended } = publication
  const client = jetstream(nats)
  const started = yield* Clock.currentTimeMillis
  let published = 0
  let retried = 0
  let firstAt: number | undefined
  let lastAt: number | undefined
  let longestGapMs = 0

  const due = (n: number) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.sleep(Math.max(0, started + ((n - from) * 1000) / rate - now))
    )

  const send = Effect.fnUntraced(function* (n: number) {
    const id = `${run}-${n}`
    let lastError = ""
    yield* Effect.tryPromise({
      try: () => client.publish(subject, payload(n), { msgID: id, timeout: ackTimeoutMillis }),
      catch: String
    }).pipe(
      Effect.tapError((error) =>
        Effect.sync(() => {
          retried++
          lastError = error
        })
      ),
      Effect.retry(Schedule.spaced("250 millis")),
      Effect.timeoutOrElse({
        duration: `${giveUpSeconds} seconds`,
        orElse: () => Effect.fail(new NotAcknowledged({ id, subject, lastError }))
      })
    )
    const now = yield* Clock.currentTimeMillis
    published++
    firstAt ??= now
    longestGapMs = Math.max(longestGapMs, now - (lastAt ?? now))
    lastAt = now
  })

  yield* Stream.range(from, from + count - 1).pipe(
    Stream.tap(due),
    Stream.takeWhile(() => !ended()),
    Stream.mapEffect(send, { concurrency: maxInFlight, unordered: true }),
    Stream.runDrain
  )
  const time = (millis: number | undefined) => (millis === undefined ? null : new Date(millis).toISOString())
  const seconds = ((yield* Clock.currentTimeMillis) - started) / 1000
  const figures: Figures = { published, retried, seconds, firstAt: time(firstAt), lastAt: time(lastAt), longestGapMs }
  return figures
})
