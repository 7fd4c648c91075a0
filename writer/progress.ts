import type { WriterStatus } from "./config.ts"
import type { Totals } from "./store/store.ts"

type State = WriterStatus["state"]

/**
 * What the writer knows of itself, for `/readyz`, its NATS service and the log. One object that is changed in place: its readers
 * want the newest value.
 */
export interface Progress {
  readonly status: () => WriterStatus
  /** Enters a state; true when that is a change worth a log line. `Draining` is the last one. */
  readonly enter: (state: State, reason?: string, message?: string) => boolean
  readonly set: (
    fields: Partial<
      Pick<
        WriterStatus,
        | "incarnation"
        | "lane"
        | "database"
        | "server"
        | "timescale"
        | "lowestUncovered"
        | "deadLetters"
        | "missed"
        | "lost"
        | "certificateNotAfter"
      >
    >
  ) => void
  /** Something was committed at this time (ms since 1970), so the totals are to be read again. */
  readonly committed: (at: number) => void
  /** Whether something was committed since this was asked last. */
  readonly takeNews: () => boolean
  /** What was to be read could not be read: it stays news. */
  readonly keepNews: () => void
  /** Totals of the lane as the ledger has them. */
  readonly totals: (totals: Totals) => void
}

export const makeProgress = (durable: string): Progress => {
  let news = true
  let status: WriterStatus = {
    incarnation: "",
    durable,
    lane: null,
    database: null,
    server: null,
    lowestUncovered: null,
    missed: null,
    written: 0,
    deadLettered: 0,
    dropped: 0,
    lost: 0,
    lastWriteTime: null,
    certificateNotAfter: null,
    state: "Starting",
    reason: null,
    message: null
  }
  const change = (fields: Partial<WriterStatus>) => {
    status = { ...status, ...fields }
  }
  return {
    status: () => status,
    enter: (state, reason, message) => {
      if (status.state === "Draining") return false
      const changed = status.state !== state || status.reason !== (reason ?? null)
      change({ state, reason: reason ?? null, message: message ?? null })
      return changed
    },
    set: change,
    committed: (at) => {
      news = true
      change({ lastWriteTime: new Date(at).toISOString() })
    },
    takeNews: () => {
      const had = news
      news = false
      return had
    },
    keepNews: () => {
      news = true
    },
    totals: ({ messages, deadLettered, dropped, lastWriteTime }) =>
      change({ written: messages, deadLettered, dropped, lastWriteTime: lastWriteTime?.toISOString() ?? null })
  }
}
