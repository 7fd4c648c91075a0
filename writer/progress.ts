import type { WriterStatus } from "./config.ts"
import type { Totals, Written } from "./store/store.ts"

type State = WriterStatus["state"]

/**
 * What the writer knows of itself, kept for `/readyz`, its NATS service and the log. One object that is changed in place: its
 * readers want the newest value, and it is touched once per batch.
 */
export interface Progress {
  /** A copy, as the NATS service answers it. */
  readonly status: () => WriterStatus
  /** Enters a state; true when that is a change worth a log line. `Draining` is the last one. */
  readonly enter: (state: State, reason?: string, message?: string) => boolean
  readonly set: (fields: Partial<Pick<WriterStatus, "incarnation" | "lane" | "database" | "server" | "lowestUncovered">>) => void
  /** Counts what was committed since the totals were read. */
  readonly written: (written: Written, at: Date) => void
  /** Totals read from the ledger. */
  readonly totals: (totals: Totals) => void
}

export const makeProgress = (durable: string): Progress => {
  let status: WriterStatus = {
    incarnation: "",
    durable,
    lane: null,
    database: null,
    server: null,
    lowestUncovered: null,
    written: 0,
    deadLettered: 0,
    dropped: 0,
    lastWriteTime: null,
    state: "Starting",
    reason: null,
    message: null
  }
  const change = (fields: Partial<WriterStatus>) => {
    status = { ...status, ...fields }
  }
  return {
    status: () => status,
    enter: (state, reason = undefined, message = undefined) => {
      if (status.state === "Draining") return false
      const changed = status.state !== state || status.reason !== (reason ?? null)
      change({ state, reason: reason ?? null, message: message ?? null })
      return changed
    },
    set: change,
    written: ({ messages, deadLettered, dropped }, at) =>
      change({
        written: status.written + messages,
        deadLettered: status.deadLettered + deadLettered,
        dropped: status.dropped + dropped,
        lastWriteTime: at.toISOString()
      }),
    totals: ({ messages, deadLettered, dropped, lastWriteTime }) =>
      change({ written: messages, deadLettered, dropped, lastWriteTime: lastWriteTime?.toISOString() ?? null })
  }
}
