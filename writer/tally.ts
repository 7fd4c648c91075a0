import { Effect } from "effect"
import type { Written } from "./store/store.ts"

/** What became of a batch, over all its transactions. */
export interface Tally extends Omit<Written, "messages"> {
  readonly transactions: number
  /** Those that got an outcome, whichever. */
  readonly messages: number
  /** How often which kind of reason led to a dead letter or a drop. */
  readonly reasons: ReadonlyMap<string, number>
}

export const emptyTally: Tally = {
  transactions: 0,
  messages: 0,
  rows: 0,
  conflicts: 0,
  deadLettered: 0,
  dropped: 0,
  reasons: new Map()
}

export const addTo = (
  tally: Tally,
  messages: number,
  written: Written,
  reasons: ReadonlyMap<string, number>
): Tally => ({
  transactions: tally.transactions + 1,
  messages: tally.messages + messages,
  rows: tally.rows + written.rows,
  conflicts: tally.conflicts + written.conflicts,
  deadLettered: tally.deadLettered + written.deadLettered,
  dropped: tally.dropped + written.dropped,
  reasons: new Map([
    ...tally.reasons,
    ...[...reasons].map(([kind, n]) => [kind, n + (tally.reasons.get(kind) ?? 0)] as const)
  ])
})

/** One line per batch, also when it was halved until a hundred bad messages were alone. */
export const logTally = (
  { transactions, messages, rows, conflicts, deadLettered, dropped, reasons }: Tally,
  millis: number
) => {
  if (transactions === 0) return Effect.void
  const log = deadLettered > 0 || conflicts > 0 ? Effect.logInfo : Effect.logDebug
  return log("batch written", {
    messages,
    rows,
    ...(conflicts > 0 ? { conflicts } : {}),
    ...(deadLettered > 0 ? { deadLettered } : {}),
    ...(dropped > 0 ? { dropped } : {}),
    ...(reasons.size > 0 ? { reasons: Object.fromEntries(reasons) } : {}),
    ...(transactions > 1 ? { transactions } : {}),
    millis: Math.round(millis)
  })
}
