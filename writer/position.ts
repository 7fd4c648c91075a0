import type { NatsConnection } from "@nats-io/transport-node"
import { Effect, Schema } from "effect"
import { type ConsumerDescription, type ConsumerUnavailable, describeStream } from "./consumer.ts"
import { firstMessageSince } from "./scan.ts"
import type { DatabaseError } from "./store/errors.ts"
import type { Lane, Store } from "./store/store.ts"

/**
 * The stream's store came back without its newest messages, and their sequences are used again, while the durable stands where
 * it stood: it would pass over what is new. Nothing may be pulled from it: once newer messages have an outcome, nobody could
 * tell any more.
 */
export class PositionLost extends Schema.TaggedError<PositionLost>()("PositionLost", {
  durable: Schema.String,
  /** Last sequence that it has delivered. */
  delivered: Schema.Number,
  /** First sequence that is used again. */
  restart: Schema.Number
}) {
  override get message() {
    return (
      `the stream's store lost its newest messages and uses sequences again from ${this.restart} on, but durable ${this.durable} ` +
      `stands at ${this.delivered}; a new durable from ${this.restart} is needed`
    )
  }
}

/** What is known of a durable, its stream and its lane; sequences are stream sequences. */
export interface Position {
  /** Last sequence that the durable has delivered; one below its start before the first. */
  readonly delivered: number
  /** Lowest sequence the durable was made to deliver. */
  readonly startSequence: number
  readonly lastSequence: number
  /** The first message that is newer than every one with an outcome. */
  readonly newer: number | undefined
}

/** From which sequence on the durable would pass over messages; undefined when it would not. */
export type Verdict = { readonly restart: number; readonly certain: boolean } | undefined

/**
 * What the position alone tells. Where it is not certain, a sequence from there on that has an outcome makes it so: otherwise
 * the durable was made to start beyond the end of the stream, or the message only waits for its outcome.
 */
export const judge = ({ delivered, startSequence, lastSequence, newer }: Position): Verdict => {
  const passed = newer !== undefined && newer <= delivered ? newer : undefined
  if (delivered > lastSequence) return { restart: passed ?? lastSequence + 1, certain: delivered >= startSequence }
  return passed === undefined ? undefined : { restart: passed, certain: false }
}

/** Fails when the durable's position means nothing any more. To be asked before anything is pulled. */
export const requirePosition = Effect.fnUntraced(function* (
  connection: NatsConnection,
  options: { readonly stream: string; readonly consumer: string; readonly domain: string | undefined },
  { delivered, startSequence }: Pick<ConsumerDescription, "delivered" | "startSequence">,
  store: Store["Service"],
  lane: Lane
): Effect.fn.Return<void, PositionLost | ConsumerUnavailable | DatabaseError> {
  const newest = yield* store.audit.newestTime(lane)
  // After the consumer: a stream that grew in between is not behind it.
  const { state } = yield* describeStream(connection, options)
  const newer = yield* firstMessageSince(connection, options, newest + 1n)
  const found = judge({ delivered, startSequence, lastSequence: state.last_seq, newer: newer?.seq })
  if (found === undefined) return
  const { restart, certain } = found
  if (certain || (yield* store.audit.reaches(lane, restart))) {
    return yield* new PositionLost({ durable: options.consumer, delivered, restart })
  }
})
