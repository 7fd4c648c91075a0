import type { Batch, Delivery } from "../batch.ts"
import { makeMessageEncoder } from "../encode.ts"
import type { Message, Outcome, Processor, RowSink } from "../processors/processor.ts"
import type { BaseLane, DeadMessage } from "../store/replay-store.ts"
import { storedMessage } from "../stored-message.ts"

/** Messages of a replay, decoded and encoded, in the order of their sequences. */
export interface ReplayBatch {
  /** Where they had their first outcome. */
  readonly base: BaseLane
  readonly batch: Batch
  /** By message: why it can't be written; undefined when it can. */
  readonly faults: ReadonlyArray<string | undefined>
  /** By message: ids of its dead letters; empty for messages of a stream. */
  readonly letters: ReadonlyArray<ReadonlyArray<number>>
  /** Indices of the messages that were asked for. */
  readonly chosen: ReadonlyArray<number>
  /** How far the source has looked with this batch. */
  readonly cursor: { readonly lane: number; readonly seq: number }
  /** Messages that are still to be looked at, more or less. */
  readonly remaining: number
}

const rows: Outcome = { _tag: "Rows" }

/** Passes on the rows of some parts of a message only; `told` says whether the processor told its parts. */
const onlyElements = (elements: ReadonlyArray<number>) => {
  const wanted = new Set(elements)
  let passing = false
  let told = false
  const through = (sink: RowSink): RowSink => ({
    row: (table, values) => {
      if (passing) sink.row(table, values)
    },
    element: (index) => {
      told = true
      passing = wanted.has(index)
    }
  })
  return { through, told: () => told }
}

/** Why a message, of which these elements were dead letters, still can't be written as a whole. */
const faultOf = (outcome: Outcome, elements: ReadonlyArray<number>): string | undefined => {
  if (outcome._tag === "Dropped") return undefined
  if (outcome._tag === "DeadLetter") return outcome.reason
  // Elements that were written already are none of the replay's business, whatever is thought of them now.
  const among = outcome.elements?.filter(({ index }) => elements.length === 0 || elements.includes(index))
  return among?.[0]?.reason
}

/** The messages of dead letters as they would be written now. A message whose elements were dead letters goes with all of them. */
export const deadMessageBatch = (
  processor: Processor,
  messages: ReadonlyArray<DeadMessage>
): Pick<ReplayBatch, "batch" | "faults" | "letters"> => {
  const encoder = makeMessageEncoder(processor)
  const deliveries: Array<Delivery & Message> = []
  const outcomes: Array<Outcome> = []
  const faults: Array<string | undefined> = []
  for (const message of messages) {
    const { elements, payload } = message
    const delivery = storedMessage({ ...message, data: payload ?? new Uint8Array() })
    const some = elements.length === 0 ? undefined : onlyElements(elements)
    const outcome = encoder.encode(delivery, some?.through)
    const untold = some !== undefined && !some.told() && outcome._tag === "Rows"
    const fault =
      payload === undefined ? "payload_not_kept" : untold ? "elements_not_separable" : faultOf(outcome, elements)
    deliveries.push(delivery)
    outcomes.push(outcome._tag === "Rows" ? rows : outcome)
    faults.push(fault)
  }
  return { batch: { deliveries, outcomes, tables: encoder.take() }, faults, letters: messages.map(({ ids }) => ids) }
}

/** The batch as it would be written now; good elements of a message go without the others. */
export const streamBatch = (batch: Batch): Pick<ReplayBatch, "batch" | "faults" | "letters"> => ({
  batch: { ...batch, outcomes: batch.outcomes.map((outcome) => (outcome._tag === "Rows" ? rows : outcome)) },
  faults: batch.outcomes.map((outcome) => (outcome._tag === "DeadLetter" ? outcome.reason : undefined)),
  letters: batch.outcomes.map(() => [])
})
