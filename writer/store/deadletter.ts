import { createHash } from "node:crypto"
import type { Delivery } from "../batch.ts"
import { storable } from "../decode/text.ts"
import type { ElementFault, Outcome } from "../processors/processor.ts"
import type { JsonObject, Row, Value } from "../tables/table.ts"

const refusal = "db_rejected:"

/** The dead letters of a message: one for each of its elements that is one, or one for the message. */
export const deadLettersOf = (
  outcome: Outcome
): ReadonlyArray<ElementFault | { readonly index: null; readonly reason: string }> => {
  if (outcome._tag === "Dropped") return []
  if (outcome.elements !== undefined && outcome.elements.length > 0) return outcome.elements
  return outcome._tag === "DeadLetter" ? [{ index: null, reason: outcome.reason }] : []
}

/** What is left out on purpose: the message, or those of its elements that would be dead letters. */
export const droppedOf = (outcome: Outcome): ReadonlyArray<{ readonly reason: string }> => {
  if (outcome._tag === "DeadLetter") return []
  return outcome.dropped ?? (outcome._tag === "Dropped" ? [outcome] : [])
}

/** What is kept of a message that became a dead letter. */
export interface DeadLetterRules {
  /** Names of headers whose values are not kept, compared without case. */
  readonly redactHeaders: ReadonlyArray<string>
  /** `Redact`: size and hash instead of the payload, and nothing that may quote it. */
  readonly payload: "Keep" | "Redact"
}

export const keepEverything: DeadLetterRules = { redactHeaders: [], payload: "Keep" }

const redacted = ["[redacted]"]

const headersOf = (delivery: Delivery, redactHeaders: ReadonlyArray<string>): JsonObject | null => {
  const headers = delivery.headers()
  if (headers === undefined) return null
  const secret = new Set(redactHeaders.map((name) => name.toLowerCase()))
  return Object.fromEntries(
    Object.entries(headers).map(([name, values]) => [
      storable(name),
      secret.has(name.toLowerCase()) ? redacted : values.map(storable)
    ])
  )
}

/** What is said about a message: details quote the values that they are about. */
const detailOf = (delivery: Delivery, outcome: Outcome, payload: DeadLetterRules["payload"]): string | null => {
  if (payload === "Redact") {
    const hash = createHash("sha256").update(delivery.data).digest("hex")
    return `the payload of ${delivery.data.length} bytes was not kept; its SHA-256 is ${hash}`
  }
  return outcome._tag === "DeadLetter" && outcome.detail !== undefined ? storable(outcome.detail) : null
}

/**
 * Rows of `eventstream_dead_letter`, in its columns' order. Whatever the message holds, they can be stored: text is made
 * storable and the payload is bytes.
 */
export const deadLetterRows = (
  lane: number,
  stream: string,
  delivery: Delivery,
  outcome: Outcome,
  rules: DeadLetterRules
): ReadonlyArray<Row> => {
  const detail = detailOf(delivery, outcome, rules.payload)
  return deadLettersOf(outcome).map(({ index, reason }, i): ReadonlyArray<Value> => [
    lane,
    storable(stream),
    delivery.seq,
    index,
    storable(delivery.subject),
    delivery.timeNanos / 1000n,
    delivery.deliveryCount,
    storable(reason),
    detail,
    reason.startsWith(refusal) ? reason.slice(refusal.length) : null,
    i === 0 ? headersOf(delivery, rules.redactHeaders) : null,
    i === 0 && rules.payload === "Keep" ? delivery.data : null
  ])
}
