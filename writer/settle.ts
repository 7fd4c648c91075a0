import { backoffMillis } from "../platform/backoff.ts"
import type { DatabaseError, LedgerConflict, RowRefused } from "./store/errors.ts"

/** Why a write of some messages of a batch was not committed. */
export type WriteFailure = DatabaseError | RowRefused | LedgerConflict

export interface Attempt {
  readonly failure: WriteFailure
  /** Failures of the database in a row before this one; refusals of a row don't count. */
  readonly failures: number
  /** Earlier refusals of this very selection, for those that may pass. */
  readonly refusals: number
  /** Ledger conflicts of this very selection before this one in which nothing turned out to be covered. */
  readonly conflicts: number
  /** Messages written together. */
  readonly size: number
}

export interface SettleRules {
  readonly onPoison: "DeadLetter" | "Halt" | "Drop"
  /** Attempts of a refusal that may pass. */
  readonly maxAttempts: number
  readonly backoffInitialMillis: number
  readonly backoffMaxMillis: number
}

/** What to do with the messages of a failed write. */
export type Decision =
  /** Write the same again after a while; nothing is acked or given back meanwhile. */
  | { readonly _tag: "Retry"; readonly afterMillis: number; readonly reason: string }
  /** As `Retry`, but a person has to change something before it can succeed. */
  | { readonly _tag: "Stall"; readonly afterMillis: number; readonly reason: string }
  /** Write the halves apart; the message of index `suspect` alone, when the database named one. */
  | { readonly _tag: "Split"; readonly suspect: number | null }
  /** Read coverage, ack what is covered, write the rest. */
  | { readonly _tag: "Subtract" }
  /** The ledger refuses although nothing is covered: the lane itself has changed. Open it anew, and pull anew. */
  | { readonly _tag: "Reopen" }
  /** The one message can never be written: one of these, by `errors.onPoison`. */
  | { readonly _tag: "DeadLetter"; readonly reason: string; readonly detail: string }
  | { readonly _tag: "Drop"; readonly reason: string }
  | { readonly _tag: "Halt"; readonly reason: string; readonly detail: string }

/** How long a person's repair takes at least: asking more often fills the database's log and finds nothing. */
export const stallMillis = 30_000

/**
 * Longest wait after a login that failed: Secret and role of a rotated password differ for a moment only, and a refused login
 * costs the server little.
 */
const loginMaxMillis = 10_000

/** Failures in a row after which a database is no longer tried but probed. */
const failuresToOpen = 5
/** Shortest and longest time between two probes: they are spread, so that many writers don't come at once. */
const probeMillis = [5_000, 6_000] as const

/**
 * Whether the circuit to the database is open after so many failures in a row: one attempt per probe interval, and nothing is
 * pulled, acked or given back.
 */
export const isOpen = (failures: number): boolean => failures >= failuresToOpen

/** When to ask the database again after `failures` earlier failures in a row, and whether it takes a person. */
export const retry = (
  failure: DatabaseError,
  failures: number,
  rules: SettleRules,
  random: () => number = Math.random
): Extract<Decision, { _tag: "Retry" | "Stall" }> => {
  const { reason } = failure
  if (failure._tag === "DatabaseMisconfigured") {
    const afterMillis =
      reason === "LoginFailed" || reason === "TargetUnreachable"
        ? backoffMillis(failures, rules.backoffInitialMillis, loginMaxMillis, random)
        : stallMillis
    return { _tag: "Stall", afterMillis, reason }
  }
  const [least, most] = probeMillis
  const afterMillis = isOpen(failures + 1)
    ? least + (most - least) * random()
    : backoffMillis(failures, rules.backoffInitialMillis, Math.min(rules.backoffMaxMillis, most), random)
  return { _tag: "Retry", afterMillis, reason }
}

const refused = (attempt: Attempt, refusal: RowRefused, rules: SettleRules, random: () => number): Decision => {
  if (attempt.size > 1) return { _tag: "Split", suspect: refusal.suspect }
  const reason = `db_rejected:${refusal.sqlstate}`
  if (refusal.mayPass && attempt.refusals + 1 < rules.maxAttempts) {
    const afterMillis = backoffMillis(attempt.refusals, rules.backoffInitialMillis, rules.backoffMaxMillis, random)
    return { _tag: "Retry", afterMillis, reason }
  }
  switch (rules.onPoison) {
    case "DeadLetter":
      // What the server quotes of the row belongs where the row's own bytes are, and nowhere else.
      return { _tag: "DeadLetter", reason, detail: [refusal.detail, refusal.rowData].filter(Boolean).join(" ") }
    case "Drop":
      return { _tag: "Drop", reason }
    case "Halt":
      return { _tag: "Halt", reason, detail: refusal.detail }
  }
}

/**
 * The reaction to a failed write. Only a refusal of a message that was written alone ends in a dead letter: failures of the database
 * never do, however many there were.
 */
export const decide = (attempt: Attempt, rules: SettleRules, random: () => number = Math.random): Decision => {
  const { failure } = attempt
  switch (failure._tag) {
    case "LedgerConflict":
      return attempt.conflicts === 0 ? { _tag: "Subtract" } : { _tag: "Reopen" }
    case "RowRefused":
      return refused(attempt, failure, rules, random)
    case "DatabaseUnavailable":
      if (failure.shrink && attempt.size > 1) return { _tag: "Split", suspect: null }
      return retry(failure, attempt.failures, rules, random)
    case "DatabaseMisconfigured":
      return retry(failure, attempt.failures, rules, random)
  }
}

/**
 * The groups to write one after the other instead of `selected`. Without a suspect the two halves. With one, what lies before
 * it, the suspect alone, and the halves of the rest: COPY stops at its first bad row, so what lies before was fine, and the
 * rest is halved so that a batch of nothing but bad rows costs n·log n and not n².
 */
export const split = (
  selected: ReadonlyArray<number>,
  suspect: number | null
): ReadonlyArray<ReadonlyArray<number>> => {
  const at = suspect === null ? -1 : selected.indexOf(suspect)
  const rest = at === -1 ? selected : selected.slice(at + 1)
  const middle = rest.length >> 1
  const halves = [rest.slice(0, middle), rest.slice(middle)]
  const groups = at === -1 ? halves : [selected.slice(0, at), [selected[at]!], ...halves]
  return groups.filter((group) => group.length > 0)
}
