import { Effect } from "effect"
import { PostgresFailure } from "../../platform/postgres.ts"
import { PostgresSettingsInvalid } from "../../platform/postgres-settings.ts"
import { type DatabaseError, DatabaseMisconfigured, DatabaseUnavailable } from "./errors.ts"
import { reactionTo } from "./sqlstate.ts"

/** The server's message with the names it gave; no values of rows. */
export const describe = (failure: PostgresFailure): string => {
  const names = [
    ...(failure.table === null ? [] : [`table ${failure.table}`]),
    ...(failure.column === null ? [] : [`column ${failure.column}`]),
    ...(failure.constraint === null ? [] : [`constraint ${failure.constraint}`])
  ]
  return names.length === 0 ? failure.detail : `${failure.detail} (${names.join(", ")})`
}

/** The error of a request in which no row can be at fault. */
export const databaseError = (failure: PostgresFailure | PostgresSettingsInvalid): DatabaseError => {
  if (failure._tag === "PostgresSettingsInvalid") {
    return new DatabaseMisconfigured({ reason: "TargetUnreachable", sqlstate: null, detail: failure.detail })
  }
  const { sqlstate } = failure
  const detail = sqlstate === null ? describe(failure) : `${sqlstate} ${describe(failure)}`
  const reaction = reactionTo({ sqlstate, constraint: failure.constraint, ledger: false })
  switch (reaction._tag) {
    case "Unreachable":
      return new DatabaseUnavailable({ reason: "TargetUnreachable", sqlstate, detail, shrink: false })
    case "Busy":
      return new DatabaseUnavailable({ reason: "TargetBusy", sqlstate, detail, shrink: reaction.shrink })
    case "Stalled":
      return new DatabaseMisconfigured({ reason: reaction.reason, sqlstate, detail })
    case "Row":
    case "LedgerConflict":
      return new DatabaseMisconfigured({ reason: "SchemaMismatch", sqlstate, detail })
  }
}

/** The request with the driver's errors as the store's. */
export const translated = <A, E>(
  request: Effect.Effect<A, E>
): Effect.Effect<A, Exclude<E, PostgresFailure | PostgresSettingsInvalid> | DatabaseError> =>
  Effect.mapError(request, (error) =>
    error instanceof PostgresFailure || error instanceof PostgresSettingsInvalid
      ? databaseError(error)
      : (error as Exclude<E, PostgresFailure | PostgresSettingsInvalid>)
  )
