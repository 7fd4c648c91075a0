import type { NatsConnection } from "@nats-io/transport-node"
import { Effect, Schema } from "effect"
import { StartMark } from "./config.ts"

/** What the writer needs to know of its durable and its stream. Sequences are stream sequences, times nanoseconds since 1970. */
export interface ConsumerDescription {
  /** The stream's `created`, exactly as the server writes it. */
  readonly streamCreated: string
  readonly firstSequence: number
  readonly lastSequence: number
  /** Lowest sequence the consumer was made to deliver. */
  readonly startSequence: number
  readonly createdNanos: bigint
  /** {@link wasUsed} */
  readonly used: boolean
  readonly ackFloor: number
  readonly ackWaitMillis: number
  /** Limits of one pull request that the consumer sets; undefined where it sets none. */
  readonly maxRequestMessages: number | undefined
  readonly maxRequestBytes: number | undefined
  /** Subjects it delivers; empty: all of the stream's. */
  readonly filterSubjects: ReadonlyArray<string>
  /** Last sequence it has delivered, 0 before the first. */
  readonly delivered: number
}

/** The consumer can't be described now. */
export class ConsumerUnavailable extends Schema.TaggedError<ConsumerUnavailable>()("ConsumerUnavailable", {
  reason: Schema.Literals(["ConsumerMissing", "NatsUnreachable", "Forbidden"]),
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

const Refusal = Schema.Struct({
  error: Schema.Struct({ err_code: Schema.optionalKey(Schema.Number), description: Schema.String })
})

const StreamInfo = Schema.Struct({
  created: Schema.String,
  config: Schema.Struct({ retention: Schema.String }),
  state: Schema.Struct({ first_seq: Schema.Number, last_seq: Schema.Number })
})

const ConsumerInfo = Schema.Struct({
  created: Schema.String,
  config: Schema.Struct({
    deliver_policy: Schema.optionalKey(Schema.String),
    opt_start_seq: Schema.optionalKey(Schema.Number),
    deliver_subject: Schema.optionalKey(Schema.String),
    ack_policy: Schema.optionalKey(Schema.String),
    ack_wait: Schema.optionalKey(Schema.Number),
    max_deliver: Schema.optionalKey(Schema.Number),
    headers_only: Schema.optionalKey(Schema.Boolean),
    max_batch: Schema.optionalKey(Schema.Number),
    max_bytes: Schema.optionalKey(Schema.Number),
    filter_subject: Schema.optionalKey(Schema.String),
    filter_subjects: Schema.optionalKey(Schema.Array(Schema.String)),
    metadata: Schema.optionalKey(Schema.Record(Schema.String, Schema.String))
  }),
  delivered: Schema.Struct({ consumer_seq: Schema.Number, stream_seq: Schema.Number }),
  ack_floor: Schema.Struct({ stream_seq: Schema.Number }),
  num_ack_pending: Schema.Number
})
type ConsumerInfo = typeof ConsumerInfo.Type

/** Nanoseconds since 1970 of an RFC 3339 time as Go writes it: up to nine digits of a second, any offset. */
export const nanosOf = (time: string): bigint => {
  const match = /^(.*T\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/.exec(time)
  if (!match) throw new RangeError(`wanted an RFC 3339 time, found ${JSON.stringify(time)}`)
  return BigInt(Date.parse(`${match[1]}${match[3]}`)) * 1_000_000n + BigInt((match[2] ?? "").padEnd(9, "0"))
}

const startOf = ({ config, ack_floor }: ConsumerInfo): number => {
  if (config.deliver_policy === "by_start_sequence") return config.opt_start_seq ?? 1
  if (config.deliver_policy === undefined || config.deliver_policy === "all") return 1
  // The other policies are turned into a sequence when the consumer is made; before a first ack the floor stands below it.
  return ack_floor.stream_seq + 1
}

/**
 * Whether a lane that begins with this consumer would miss messages: it has delivered some and does not wait for the acks of all
 * of them, or it was made to go on where an earlier one of its EventStream had come to, in a lane that is another.
 */
export const wasUsed = ({
  config,
  delivered,
  num_ack_pending: pending
}: {
  readonly config: Pick<ConsumerInfo["config"], "opt_start_seq" | "metadata">
  readonly delivered: Pick<ConsumerInfo["delivered"], "consumer_seq">
  readonly num_ack_pending: number
}): boolean =>
  // Each delivery has a number; a message that waits for its ack and was delivered twice has two.
  delivered.consumer_seq > pending || (config.opt_start_seq ?? 1) > Number(config.metadata?.[StartMark] ?? Infinity)

/**
 * What keeps every message of a consumer from getting an outcome; undefined when nothing does. With `max_deliver` a message that
 * was delivered so often, e.g. while the database was away, stays in the stream and is silently delivered no more; with
 * `headers_only` it comes without its payload. Source: NATS, consumer configuration.
 */
export const misfitOf = (config: Partial<ConsumerInfo["config"]>): string | undefined => {
  if (config.deliver_subject !== undefined) return "a push consumer"
  if (config.ack_policy !== "explicit") return `ack policy ${config.ack_policy ?? "none"}`
  if ((config.max_deliver ?? -1) > 0)
    return `max_deliver ${config.max_deliver}, after which messages are never delivered again`
  if (config.headers_only) return "headers_only, which leaves out the payloads"
  return undefined
}

const positive = (value: number | undefined) => (value !== undefined && value > 0 ? value : undefined)

const request = (connection: NatsConnection, subject: string, what: string) =>
  Effect.tryPromise({
    try: () => connection.request(subject, undefined, { timeout: 5_000 }),
    catch: (error) =>
      new ConsumerUnavailable({
        reason: /permission/i.test(String(error)) ? "Forbidden" : "NatsUnreachable",
        detail: `wanted the info of ${what} from JetStream, found: ${error instanceof Error ? error.message : String(error)}`
      })
  }).pipe(
    Effect.flatMap((message) => {
      const answer = message.json<unknown>()
      if (!Schema.is(Refusal)(answer)) return Effect.succeed(answer)
      const { err_code: code, description } = answer.error
      // 10014 consumer not found, 10059 stream not found. Source: errors.json of nats-server.
      const reason = code === 10_014 || code === 10_059 ? "ConsumerMissing" : "NatsUnreachable"
      return Effect.fail(
        new ConsumerUnavailable({ reason, detail: `wanted ${what}, found: ${description}; create it, or name another` })
      )
    })
  )

const decodeStream = Schema.decodeUnknownEffect(StreamInfo)
const decodeConsumer = Schema.decodeUnknownEffect(ConsumerInfo)

/** What the subjects of the JetStream API begin with. */
export const apiOf = (domain: string | undefined) => `$JS.${domain === undefined ? "" : `${domain}.`}API`

/** Asks JetStream for the stream; `created` is exactly as the server writes it. */
export const describeStream = (
  connection: NatsConnection,
  { stream, domain }: { readonly stream: string; readonly domain: string | undefined }
): Effect.Effect<typeof StreamInfo.Type, ConsumerUnavailable> =>
  request(connection, `${apiOf(domain)}.STREAM.INFO.${stream}`, `stream ${stream}`).pipe(
    Effect.flatMap((answer) => Effect.orDie(decodeStream(answer)))
  )

/** Asks JetStream for the consumer and its stream. */
export const describeConsumer = Effect.fnUntraced(function* (
  connection: NatsConnection,
  options: { readonly stream: string; readonly consumer: string; readonly domain: string | undefined }
): Effect.fn.Return<ConsumerDescription, ConsumerUnavailable> {
  const { stream, consumer, domain } = options
  const streamInfo = yield* describeStream(connection, options)
  const what = `consumer ${consumer} of stream ${stream}`
  const info = yield* request(connection, `${apiOf(domain)}.CONSUMER.INFO.${stream}.${consumer}`, what).pipe(
    Effect.flatMap((answer) => Effect.orDie(decodeConsumer(answer)))
  )
  const { config } = info
  const misfit = misfitOf(config)
  if (misfit !== undefined) {
    return yield* new ConsumerUnavailable({
      reason: "ConsumerMissing",
      detail: `wanted ${what} as a pull consumer with explicit acks, no max_deliver and whole messages, found ${misfit}; create another one`
    })
  }
  return {
    streamCreated: streamInfo.created,
    firstSequence: streamInfo.state.first_seq,
    lastSequence: streamInfo.state.last_seq,
    startSequence: startOf(info),
    createdNanos: nanosOf(info.created),
    used: wasUsed(info),
    ackFloor: info.ack_floor.stream_seq,
    ackWaitMillis: (config.ack_wait ?? 30e9) / 1e6,
    maxRequestMessages: positive(config.max_batch),
    maxRequestBytes: positive(config.max_bytes),
    filterSubjects: config.filter_subjects ?? (config.filter_subject ? [config.filter_subject] : []),
    delivered: info.delivered.stream_seq
  }
})
