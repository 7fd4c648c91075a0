import { headers, type Msg, type MsgHdrs, type NatsConnection } from "@nats-io/transport-node"
import { Effect, Schema } from "effect"
import { hit } from "./failpoints.ts"
import type { PublishableDeadLetter } from "./store/dead-letter-store.ts"
import type { DatabaseError } from "./store/errors.ts"
import type { Store } from "./store/store.ts"

/**
 * Dead letters on their way from the table to JetStream. Each has a subject of its own on which the server is told to expect no
 * message yet, so one that was published and not marked, because the writer died between, is refused the second time: there is
 * one entry for as long as the stream keeps it.
 */

/** The dead letters could not be published. */
export class RelayFailed extends Schema.TaggedError<RelayFailed>()("RelayFailed", {
  subject: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `wanted to publish dead letters on ${this.subject}, found: ${this.detail}`
  }
}

/** Published at once: each may be as large as a message can be, and is in memory twice. */
const atOnce = 16
const timeoutMillis = 5_000

/** `<prefix>.<lane>.<incarnation>.<generation>.<seq>[.<element>]` */
export const relaySubject = (
  prefix: string,
  letter: Pick<PublishableDeadLetter, "lane" | "incarnation" | "generation" | "seq" | "element">
): string => {
  const { lane, incarnation, generation, seq, element } = letter
  return [prefix, lane, incarnation, generation, seq, ...(element === null ? [] : [element])].join(".")
}

/** What the letter is about, without the message's own headers. */
const factsOf = (letter: PublishableDeadLetter): MsgHdrs => {
  const facts = headers()
  // A header's value is one line; the server cuts none, so we do.
  const set = (name: string, value: string) => facts.set(name, value.replaceAll(/[\r\n]+/g, " ").slice(0, 4_096))
  set("Nats-Expected-Last-Subject-Sequence", "0")
  set("Dlq-Reason", letter.reason)
  if (letter.detail !== null) set("Dlq-Detail", letter.detail)
  set("Dlq-Subject", letter.subject)
  set("Dlq-Stream", letter.stream)
  set("Dlq-Seq", String(letter.seq))
  if (letter.element !== null) set("Dlq-Element", String(letter.element))
  set("Dlq-Deliveries", String(letter.deliveries))
  return facts
}

/** Printable ASCII without a colon. Source: ADR-4 of NATS. Headers that begin with Nats- would be orders to the server. */
const isForwarded = (name: string) => /^[!-9;-~]+$/.test(name) && !/^(nats|dlq)-/i.test(name)

const sizeOf = (carried: MsgHdrs) => {
  let size = "NATS/1.0\r\n\r\n".length
  for (const name of carried.keys()) {
    for (const value of carried.values(name)) size += Buffer.byteLength(name) + Buffer.byteLength(value) + 4
  }
  return size
}

/** What is sent: the message with its headers and ours, without its own headers or even its payload where that is too large. */
const envelope = (letter: PublishableDeadLetter, maxPayload: number) => {
  const payload = letter.payload ?? new Uint8Array()
  const carried = factsOf(letter)
  for (const [name, values] of Object.entries(letter.headers ?? {})) {
    if (isForwarded(name)) for (const value of values) carried.append(name, value.replaceAll(/[\r\n]+/g, " "))
  }
  if (sizeOf(carried) + payload.length <= maxPayload) return { carried, payload }
  const facts = factsOf(letter)
  facts.set("Dlq-Left-Out", "headers")
  if (sizeOf(facts) + payload.length <= maxPayload) return { carried: facts, payload }
  facts.set("Dlq-Left-Out", "headers, payload")
  return { carried: facts, payload: new Uint8Array() }
}

const Answer = Schema.Struct({
  error: Schema.optionalKey(
    Schema.Struct({ err_code: Schema.optionalKey(Schema.Number), description: Schema.optionalKey(Schema.String) })
  )
})
const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Answer))

/** wrong last sequence; maximum messages per subject exceeded: it is there already. Source: errors.json of nats-server. */
const repeated = [10_071, 10_077]

const whyFailed = (error: unknown): string => {
  const text = error instanceof Error ? error.message : String(error)
  return /no responders/i.test(text) ? "no stream captures it; create one, or correct errors.deadLetter.publish" : text
}

const publish = (connection: NatsConnection, prefix: string, letter: PublishableDeadLetter) => {
  const subject = relaySubject(prefix, letter)
  const { carried, payload } = envelope(letter, connection.info?.max_payload ?? Infinity)
  return Effect.tryPromise({
    try: (): Promise<Msg> => connection.request(subject, payload, { headers: carried, timeout: timeoutMillis }),
    catch: (error) => new RelayFailed({ subject, detail: whyFailed(error) })
  }).pipe(
    Effect.flatMap((answer) => {
      const decoded = decode(answer.string())
      const error = decoded._tag === "Some" ? decoded.value.error : { description: "no answer of JetStream" }
      if (error === undefined || repeated.includes(error.err_code ?? 0)) return Effect.void
      return Effect.fail(new RelayFailed({ subject, detail: error.description ?? "refused by JetStream" }))
    })
  )
}

/** Publishes the oldest dead letters that were not published yet, and marks them; returns how many. */
export const relayDeadLetters = Effect.fnUntraced(function* (
  connection: NatsConnection,
  { deadLetters }: Store["Service"],
  prefix: string
): Effect.fn.Return<number, RelayFailed | DatabaseError> {
  const letters = yield* deadLetters.unpublished(atOnce)
  if (letters.length === 0) return 0
  yield* Effect.forEach(letters, (letter) => publish(connection, prefix, letter), { concurrency: "unbounded" })
  hit("relay-before-mark")
  yield* deadLetters.markPublished(letters.map(({ id }) => id))
  return letters.length
})
