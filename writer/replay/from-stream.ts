import type { NatsConnection } from "@nats-io/transport-node"
import { Effect, Result, Schema } from "effect"
import { backoffMillis } from "../../platform/backoff.ts"
import { incarnationOf } from "../../platform/incarnation.ts"
import { makeCollector } from "../collector.ts"
import type { WriterConfig } from "../config.ts"
import { apiOf, type ConsumerUnavailable, describeStream, nanosOf } from "../consumer.ts"
import type { Processor } from "../processors/processor.ts"
import { openSource, SourceEnded } from "../source.ts"
import type { BaseLane } from "../store/replay-store.ts"
import { type ReplayBatch, streamBatch } from "./batch.ts"

/** The range of the stream can't be read. */
export class RangeUnreadable extends Schema.TaggedError<RangeUnreadable>()("RangeUnreadable", {
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

export interface StreamRange {
  readonly base: BaseLane
  /** First and last sequence. */
  readonly from: number
  readonly to: number
  /** RFC 3339. */
  readonly startTime: string | undefined
  readonly endTime: string | undefined
  /** Empty: all. */
  readonly subjects: ReadonlyArray<string>
}

const Made = Schema.Struct({
  name: Schema.optionalKey(Schema.String),
  num_pending: Schema.optionalKey(Schema.Number),
  error: Schema.optionalKey(Schema.Struct({ description: Schema.String }))
})
const decodeMade = Schema.decodeUnknownEffect(Made)

const retry = { initialMillis: 250, maxMillis: 5_000 }
const batchBytes = 8 * 1024 * 1024
const latencyMillis = 100
/** How long the server keeps the consumer of a replay that was killed. */
const inactiveNanos = 60e9

/** A consumer that acknowledges nothing: what the replay reads stays as it is for everybody else. */
const makeConsumer = (
  connection: NatsConnection,
  { stream, domain }: { readonly stream: string; readonly domain: string | undefined },
  { from, startTime, subjects }: StreamRange
) =>
  Effect.tryPromise({
    try: () =>
      connection.request(
        `${apiOf(domain)}.CONSUMER.CREATE.${stream}`,
        JSON.stringify({
          stream_name: stream,
          config: {
            ack_policy: "none",
            ...(from > 1 || startTime === undefined
              ? { deliver_policy: "by_start_sequence", opt_start_seq: from }
              : { deliver_policy: "by_start_time", opt_start_time: startTime }),
            ...(subjects.length > 0 ? { filter_subjects: subjects } : {}),
            inactive_threshold: inactiveNanos,
            mem_storage: true,
            num_replicas: 1
          }
        }),
        { timeout: 5_000 }
      ),
    catch: (error) => new SourceEnded({ reason: "Disconnected", detail: String(error) })
  }).pipe(
    Effect.flatMap((answer) => Effect.orDie(decodeMade(answer.json()))),
    Effect.flatMap(({ name, num_pending, error }) =>
      name === undefined
        ? Effect.fail(
            new RangeUnreadable({
              detail:
                `wanted to read stream ${stream} once more, found: ${error?.description ?? "no consumer"}; ` +
                `a WorkQueue stream can't be read twice, others need a user who may make consumers`
            })
          )
        : Effect.succeed({ name, pending: num_pending ?? 0 })
    )
  )

/**
 * Batches of the stream's messages in the range, for `handle`. A lost connection or a consumer that is gone is replaced, from
 * the last message that was handled on.
 *
 * @param limit most messages of a batch
 */
export const fromStream = Effect.fnUntraced(function* <E>(
  connection: NatsConnection,
  config: Pick<WriterConfig, "stream" | "nats">,
  processor: Processor,
  range: StreamRange,
  limit: number,
  handle: (batch: ReplayBatch) => Effect.Effect<void, E>
): Effect.fn.Return<void, E | RangeUnreadable | ConsumerUnavailable> {
  const { stream, nats } = config
  const domain = nats.jetstreamDomain
  const { base, to } = range
  const lowestTime = range.startTime === undefined ? 0n : nanosOf(range.startTime)
  const highestTime = range.endTime === undefined ? undefined : nanosOf(range.endTime)
  let from = range.from

  const verify = describeStream(connection, { stream, domain }).pipe(
    Effect.mapError(({ detail }) => new SourceEnded({ reason: "Disconnected", detail })),
    Effect.flatMap(({ created }) =>
      incarnationOf(stream, created) === base.incarnation
        ? Effect.void
        : Effect.fail(new SourceEnded({ reason: "StreamChanged", detail: `stream ${stream} was made anew` }))
    )
  )

  const read = Effect.gen(function* () {
    yield* verify
    const made = yield* makeConsumer(connection, { stream, domain }, { ...range, from })
    if (made.pending === 0) return
    const source = yield* openSource(connection, {
      stream,
      consumer: made.name,
      domain,
      request: { messages: limit, bytes: batchBytes },
      deliver: (message) => collector.add(message),
      room: () => collector.room(),
      verify,
      acknowledged: () => {}
    })
    const limits = { maxMessages: limit, maxBytes: batchBytes, maxLatencyMillis: latencyMillis }
    const collector = makeCollector(processor, limits, source)
    source.pull()
    for (;;) {
      const batch = yield* Effect.raceFirst(collector.next, source.ended)
      const last = batch.deliveries.at(-1)!
      const chosen = batch.deliveries.flatMap(({ seq, timeNanos }, index) =>
        seq <= to && timeNanos >= lowestTime && (highestTime === undefined || timeNanos <= highestTime) ? [index] : []
      )
      const replay = streamBatch(batch)
      const cursor = { lane: base.id, seq: last.seq }
      yield* handle({ ...replay, base, cursor, chosen, remaining: Math.max(0, Math.min(last.pending, to - last.seq)) })
      from = last.seq + 1
      if (last.pending === 0 || last.seq >= to || (highestTime !== undefined && last.timeNanos > highestTime)) return
      collector.release(batch)
      source.pull()
    }
  }).pipe(Effect.scoped)

  for (let failures = 0; ; failures++) {
    const before = from
    if (before > to) return
    const result = yield* Effect.result(read)
    if (Result.isSuccess(result)) return
    const { failure } = result
    if (!(failure instanceof SourceEnded)) return yield* Effect.fail(failure)
    if (failure.reason === "StreamChanged") return yield* new RangeUnreadable({ detail: failure.detail })
    if (from > before) failures = 0
    if (failures === 0) yield* Effect.logWarning(failure.message)
    yield* Effect.sleep(backoffMillis(failures, retry.initialMillis, retry.maxMillis))
  }
})
