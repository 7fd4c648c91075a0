import { Schema } from "effect"
import { duration, int, quantity, withDefault } from "../field.ts"

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
    "Waits between attempts; they double."
  )
})
