import { Duration } from "effect"
import type { EventStreamSpec } from "../../crds/eventstream.ts"
import type { ObjectKey } from "../kube.ts"
import { StartMark } from "../../writer/config.ts"
import { GenerationMark, OwnerMark, ownerOf } from "./names.ts"

/**
 * What the operator sets of a durable pull consumer, in the words of JetStream's API. Times are nanoseconds. Fields that the
 * operator keeps at their default because another value would lose or change messages are here too.
 */
export interface ConsumerConfig {
  readonly name: string
  readonly durable_name: string
  readonly deliver_policy: "all" | "by_start_sequence"
  readonly opt_start_seq?: number
  readonly ack_policy: "explicit"
  readonly ack_wait: number
  /** -1: a message that was delivered too often would stay in the stream and never be delivered again. */
  readonly max_deliver: -1
  readonly max_ack_pending: number
  readonly max_waiting: number
  readonly replay_policy: "instant"
  /** Always the plural form, also for one subject or none: the server refuses a change of form (10136). */
  readonly filter_subjects: ReadonlyArray<string>
  readonly headers_only: false
  /** 0: the server never removes an idle durable. */
  readonly inactive_threshold: 0
  readonly metadata: Readonly<Record<string, string>>
}

/** What an update changes in place. */
export type MutableConsumerConfig = Pick<
  ConsumerConfig,
  "ack_wait" | "max_deliver" | "max_ack_pending" | "filter_subjects" | "headers_only" | "inactive_threshold"
>

/** Where a durable starts and what is remembered of the first one. Sequences are stream sequences, from 1. */
export interface Start {
  /** First sequence this durable delivers; 1 delivers all. */
  readonly at: number
  /** First sequence the first durable of the EventStream delivered. */
  readonly first: number
}

/** Prefix of a Managed durable's name: what is before the incarnation. */
export const durablePrefix = (key: ObjectKey, spec: EventStreamSpec) => spec.consumer.name ?? key.name

/** Name of a new durable; the incarnation keeps acks of an earlier stream of the same name away, the nonce those of an earlier durable. */
export const durableName = (key: ObjectKey, spec: EventStreamSpec, incarnation: string, nonce: string) =>
  `${durablePrefix(key, spec)}-${incarnation}-${nonce}`

/** Whether a durable was made for this life of the stream. */
export const isOfIncarnation = (key: ObjectKey, spec: EventStreamSpec, name: string, incarnation: string) =>
  name.startsWith(`${durablePrefix(key, spec)}-${incarnation}-`)

/** Four batches for each writer, so that a writer has its next batches while one is being written; at least JetStream's default. */
const maxAckPending = (spec: EventStreamSpec) =>
  spec.consumer.maxAckPending ?? Math.max(1_000, 4 * spec.batch.maxMessages * Math.max(spec.writer.replicas, 1))

export const mutableConsumerConfig = (spec: EventStreamSpec): MutableConsumerConfig => ({
  ack_wait: Number(Duration.toNanosUnsafe(spec.consumer.ackWait)),
  max_deliver: -1,
  max_ack_pending: maxAckPending(spec),
  filter_subjects: spec.consumer.filterSubjects ?? [],
  headers_only: false,
  inactive_threshold: 0
})

/** What the server never changes of an existing consumer (10012): another value means another durable. */
export const fixedConsumerConfig = {
  ack_policy: "explicit",
  max_waiting: 512,
  replay_policy: "instant"
} as const

/**
 * The configuration of a durable that does not exist yet.
 *
 * @param generation higher than that of every durable of the EventStream that is still there
 */
export const newConsumer = (
  key: ObjectKey,
  spec: EventStreamSpec,
  name: string,
  start: Start,
  generation: number
): ConsumerConfig => ({
  name,
  durable_name: name,
  ...(start.at <= 1
    ? { deliver_policy: "all" as const }
    : { deliver_policy: "by_start_sequence" as const, opt_start_seq: start.at }),
  ...fixedConsumerConfig,
  ...mutableConsumerConfig(spec),
  metadata: {
    [OwnerMark]: ownerOf(key),
    [StartMark]: String(start.first),
    [GenerationMark]: String(generation)
  }
})
