import { Schema } from "effect"
import { duration, int, optional, quantity, set, text, withDefault } from "../field.ts"
import { JetStreamName, SubjectPrefix } from "../names.ts"

/** `spec.batch`. */
export const BatchSpec = Schema.Struct({
  maxMessages: withDefault(int(1, 100_000), 5000, "Most messages of one transaction."),
  maxBytes: withDefault(quantity("1Ki", "256Mi"), "16Mi", "Most payload bytes of one transaction."),
  maxLatency: withDefault(
    duration("0s", "1m"),
    "50ms",
    "The longest a message waits for its batch; a batch leaves at once when the connection is idle."
  )
})

/** `spec.errors.deadLetter`. */
const DeadLetterSpec = Schema.Struct({
  maxAge: withDefault(duration("1m", "876000h"), "336h", "How long a dead letter is kept."),
  redactHeaders: optional(
    set(text(/^[!-9;-~]+$/u, 128, "a header's name: printable ASCII without colon and spaces"), 64),
    "Headers whose values are not kept, in any case."
  ),
  payload: withDefault(
    Schema.Literals(["Keep", "Redact"]),
    "Keep",
    "Redact: only size and SHA-256 of a payload are kept, and such a dead letter cannot be replayed from the table."
  ),
  publish: optional(
    Schema.Struct({
      subjectPrefix: optional(
        SubjectPrefix,
        "Subjects are <prefix>.<lane>.<incarnation>.<generation>.<sequence>[.<element>]. Unset: dlq.<namespace>.<name>."
      ),
      streamName: optional(
        JetStreamName(255),
        "JetStream name of the stream. Unset: upper-cased DLQ_<namespace>_<name>."
      ),
      maxAge: withDefault(duration("0s", "876000h"), "336h", "Longest the stream keeps an entry; 0 is unlimited."),
      maxBytes: withDefault(quantity("1", "4Pi"), "1Gi", "Most bytes the stream holds; then its oldest entries go."),
      replicas: optional(Schema.Literals([1, 3, 5]), "Copies of the stream in the NATS cluster. Unset: 1."),
      deletionPolicy: withDefault(
        Schema.Literals(["Retain", "Delete"]),
        "Retain",
        "Whether the stream is deleted together with this object."
      )
    }),
    "Also publish every dead letter to a stream of its own, once for as long as that stream keeps the entry."
  )
})

/** `spec.errors`. */
export const ErrorsSpec = Schema.Struct({
  onPoison: withDefault(
    Schema.Literals(["DeadLetter", "Halt", "Drop"]),
    "DeadLetter",
    "What happens to a message that can never be written: kept in eventstream_dead_letter, the writer halts, or it is dropped and counted."
  ),
  maxAttempts: withDefault(
    int(1, 1000),
    5,
    "Attempts before a refusal that may pass makes a message poison. Failures of the database itself never count."
  ),
  backoff: withDefault(
    Schema.Struct({
      initial: withDefault(duration("1ms", "1h"), "250ms", "First wait."),
      max: withDefault(duration("1ms", "1h"), "30s", "Longest wait.")
    }),
    {},
    "Waits between attempts; they double. After five failures of the database in a row it is asked every 5 s instead."
  ),
  haltThreshold: withDefault(
    Schema.Struct({
      percent: withDefault(int(1, 100), 50, "Share of poison among the messages of the window from which on it halts."),
      window: withDefault(duration("1s", "1h"), "1m", "How far back messages are counted."),
      minMessages: withDefault(
        int(1, 1_000_000_000),
        100,
        "Messages in the window below which nothing is halted; a very large number never halts."
      )
    }),
    {},
    "Halt instead of dead-lettering when most of the traffic is poison: a bad deploy, not a bad message. Goes on by itself when the newest messages can be written again, or with another configuration. Only with onPoison DeadLetter."
  ),
  deadLetter: withDefault(DeadLetterSpec, {}, "Dead letters: rows of eventstream_dead_letter.")
})
