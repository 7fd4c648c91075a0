import { Effect } from "effect"
import { PostgresFailure, type Script, type Session } from "../../platform/postgres.ts"
import type { PostgresSettingsInvalid } from "../../platform/postgres-settings.ts"
import type { Batch } from "../batch.ts"
import { die, due } from "../failpoints.ts"
import type { Table } from "../tables/table.ts"
import { type BatchPlan, deliveryAtLine, planBatch, type Step, type Target } from "./batch-plan.ts"
import type { Slot } from "./connection.ts"
import { type DatabaseError, LedgerConflict, RowRefused } from "./errors.ts"
import { databaseError, describe } from "./failure.ts"
import { reactionTo } from "./sqlstate.ts"
import type { Timeouts } from "./statements.ts"
import type { Lane, Written } from "./store.ts"

/** Carrying out a batch's transaction. */

const scriptOf = (plan: BatchPlan): Script => {
  const copies = plan.steps.flatMap((step) => (step.data === undefined ? [] : [step.data]))
  return {
    sql: `${plan.steps.map((step) => step.sql).join(";\n")};`,
    copies,
    ...(copies.length > 0 && due("rows-before-commit") ? { crash: die } : {})
  }
}

/** A failed attempt, and the statement that failed; none when there was no connection. */
interface Failed {
  readonly failure: PostgresFailure | PostgresSettingsInvalid
  readonly step: Step | undefined
}

/** The rows of a table where the same key is expected met one: only such a table is worth a second attempt. */
const metSameKey = ({ failure, step }: Failed, stageable: ReadonlySet<number>): boolean =>
  failure instanceof PostgresFailure &&
  failure.sqlstate === "23505" &&
  step?.part === "Copy" &&
  stageable.has(step.table!)

const errorOf = (
  { failure, step }: Failed,
  lane: Lane,
  batch: Batch,
  chosen: ReadonlyArray<number>
): DatabaseError | RowRefused | LedgerConflict => {
  if (!(failure instanceof PostgresFailure)) return databaseError(failure)
  const { sqlstate, constraint } = failure
  const reaction = reactionTo({ sqlstate, constraint, ledger: step?.part === "Ledger" })
  if (reaction._tag === "LedgerConflict") return new LedgerConflict({ lane: lane.id })
  // A deferred constraint speaks up at commit, with the last statement.
  if (reaction._tag !== "Row" || sqlstate === null || step?.part === "DeadLetters") return databaseError(failure)
  const line = step?.part === "Copy" ? /, line (\d+)/.exec(failure.context ?? "")?.[1] : undefined
  return new RowRefused({
    sqlstate,
    detail: describe(failure),
    rowData: failure.rowData,
    mayPass: reaction.mayPass,
    suspect: line === undefined ? null : deliveryAtLine(batch, step!.table!, chosen, Number(line))
  })
}

/**
 * Ends sessions of this EventStream whose client froze in the middle of a COPY: before PostgreSQL 17 no timeout does, and
 * what they inserted blocks whoever writes the same keys.
 */
const endFrozen = (session: Session, timeouts: Timeouts) =>
  session.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE application_name = current_setting('application_name') AND usename = current_user AND datname = current_database()
       AND pid <> pg_backend_pid() AND state = 'active' AND wait_event = 'ClientRead'
       AND xact_start < now() - make_interval(secs => $1)`,
    [timeouts.statementTimeoutMillis / 1000]
  )

/** Indices of the tables whose conflict handling has one of the modes. */
const tablesOf = (tables: ReadonlyArray<Table>, ...modes: ReadonlyArray<Table["conflict"]["mode"]>): ReadonlySet<number> =>
  new Set(tables.flatMap(({ conflict }, i) => (modes.includes(conflict.mode) ? [i] : [])))

/**
 * Writes batches of a target.
 *
 * @param batches connection for the batches
 * @param upkeep another one
 */
export const makeWrite = (target: Target, batches: Slot, upkeep: Slot) => {
  const alwaysStaged = tablesOf(target.tables, "Upsert")
  const stageable = tablesOf(target.tables, "Upsert", "InsertIgnore")

  const attempt = (
    lane: Lane,
    rollbacks: number,
    batch: Batch,
    chosen: ReadonlyArray<number>,
    staged: ReadonlySet<number>
  ): Effect.Effect<Written, Failed> => {
    const plan = planBatch(target, { ...lane, rollbacks }, batch, chosen, staged)
    return batches.use((session) => session.run(scriptOf(plan))).pipe(
      Effect.map((counts) => {
        const merged = plan.steps.reduce((sum, step, i) => (step.part === "Merge" ? sum + counts[i]! : sum), 0)
        return { ...plan.written, conflicts: plan.stagedRows - merged }
      }),
      Effect.mapError((failure) => ({
        failure,
        step: failure instanceof PostgresFailure ? plan.steps[failure.statement] : undefined
      }))
    )
  }

  /**
   * @param rollbacks the lane's `rollbacks` under which coverage was read
   * @param chosen indices of the deliveries, each sequence once; not empty
   */
  return (
    lane: Lane,
    rollbacks: number,
    batch: Batch,
    chosen: ReadonlyArray<number>
  ): Effect.Effect<Written, DatabaseError | RowRefused | LedgerConflict> =>
    attempt(lane, rollbacks, batch, chosen, alwaysStaged).pipe(
      Effect.catchIf(
        (failed) => metSameKey(failed, stageable),
        () => attempt(lane, rollbacks, batch, chosen, stageable)
      ),
      Effect.tapError(({ failure }) =>
        failure instanceof PostgresFailure && failure.sqlstate === "55P03"
          ? Effect.ignore(upkeep.use((session) => endFrozen(session, target.timeouts)))
          : Effect.void
      ),
      Effect.mapError((failed) => errorOf(failed, lane, batch, chosen))
    )
}
