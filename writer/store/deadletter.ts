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

const headersOf = (delivery: Delivery): JsonObject | null => {
  const headers = delivery.headers()
  if (headers === undefined) return null
  return Object.fromEntries(Object.entries(headers).map(([name, values]) => [storable(name), values.map(storable)]))
}

/**
 * Rows of `eventstream_dead_letter`, in its columns' order. Whatever the message holds, they can be stored: text is made
 * storable and the payload is bytes.
 */
export const deadLetterRows = (
  lane: number,
  stream: string,
  delivery: Delivery,
  outcome: Outcome
): ReadonlyArray<Row> => {
  const detail = outcome._tag === "DeadLetter" && outcome.detail !== undefined ? storable(outcome.detail) : null
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
    i === 0 ? headersOf(delivery) : null,
    i === 0 ? delivery.data : null
  ])
}
