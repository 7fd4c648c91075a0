/**
 * What a failed request means for a batch.
 *
 * `Unreachable`: connect again, then the same batch. `Busy`: the same batch again; `shrink`: rather a smaller one.
 * `Stalled`: nothing can be written until a person changes something. `Row`: a row of the batch is at fault; `mayPass`: perhaps
 * only for now. `LedgerConflict`: something of the batch has an outcome already.
 */
export type Reaction =
  | { readonly _tag: "Unreachable" }
  | { readonly _tag: "Busy"; readonly shrink: boolean }
  | {
      readonly _tag: "Stalled"
      readonly reason: "SchemaMismatch" | "PermissionDenied" | "LoginFailed" | "TargetFull" | "TargetUnreachable"
    }
  | { readonly _tag: "Row"; readonly mayPass: boolean }
  | { readonly _tag: "LedgerConflict" }

export interface Fault {
  /** Null for what the client saw by itself: no connection, no answer. */
  readonly sqlstate: string | null
  readonly constraint: string | null
  /** The failed statement is the ledger's. */
  readonly ledger: boolean
}

const unreachable: Reaction = { _tag: "Unreachable" }
const busy: Reaction = { _tag: "Busy", shrink: false }
const row: Reaction = { _tag: "Row", mayPass: false }
const stalled = (reason: Extract<Reaction, { _tag: "Stalled" }>["reason"]): Reaction => ({ _tag: "Stalled", reason })

const byCode: Readonly<Record<string, Reaction>> = {
  // statement_timeout, or someone cancelled it.
  "57014": { _tag: "Busy", shrink: true },
  // transaction_timeout ends the session; a smaller batch takes less.
  "25P04": { _tag: "Busy", shrink: true },
  "55P03": busy,
  "55006": busy,
  // A primary that was demoted accepts connections and refuses writes: the name may lead elsewhere by now.
  "25006": unreachable,
  "53100": stalled("TargetFull"),
  "42501": stalled("PermissionDenied"),
  "3D000": stalled("TargetUnreachable"),
  // "incorrect binary data format": the encoder's form is right for the declared type, so the column has another one.
  "22P03": stalled("SchemaMismatch"),
  "23503": { _tag: "Row", mayPass: true },
  // WITH CHECK OPTION of a view, more than one row per key, and what triggers raise about a row.
  "44000": row,
  "21000": row,
  P0001: row,
  P0004: row
}

/** By the first two characters of the SQLSTATE, its class. Source: PostgreSQL, appendix "Error Codes". */
const byClass: Readonly<Record<string, Reaction>> = {
  "08": unreachable,
  "22": row,
  "23": row,
  "25": unreachable,
  "28": stalled("LoginFailed"),
  "40": busy,
  "53": busy,
  // Limits that depend on the value: nesting of JSON (54001), size of a row or an index entry (54000).
  "54": row,
  "57": unreachable,
  "58": unreachable,
  "72": busy,
  XX: busy
}

/** Anything unknown stalls: a dead letter is for faults of the message, and only known ones are. */
export const reactionTo = (fault: Fault): Reaction => {
  const { sqlstate } = fault
  if (sqlstate === null) return unreachable
  if (fault.ledger && sqlstate === "22012") return { _tag: "LedgerConflict" }
  // Without a constraint's name it is no CHECK: the table has no partition for the row.
  if (sqlstate === "23514" && !fault.constraint) return stalled("SchemaMismatch")
  return byCode[sqlstate] ?? byClass[sqlstate.slice(0, 2)] ?? stalled("SchemaMismatch")
}
