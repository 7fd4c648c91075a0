import { Effect } from "effect"
import { PostgresFailure, type Script, type Session } from "../../platform/postgres.ts"
import type { PostgresSettingsInvalid } from "../../platform/postgres-settings.ts"
import type { Batch } from "../batch.ts"
import { die, due } from "../failpoints.ts"
import type { Table } from "../tables/table.ts"
import { type BatchPlan, deliveryAtLine, planBatch, planRows, type Step, type Target } from "./batch-plan.ts"
import { inspect, requireFit } from "./catalog.ts"
import { limited, type Slot } from "./connection.ts"
import { type DatabaseError, DatabaseMisconfigured, LedgerConflict, RowRefused } from "./errors.ts"
import { databaseError, describe, translated } from "./failure.ts"
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
  readonly failure: PostgresFailure | PostgresSettingsInvalid | DatabaseMisconfigured
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
  lane: Pick<Lane, "id">,
  batch: Batch,
  chosen: ReadonlyArray<number>
): DatabaseError | RowRefused | LedgerConflict => {
  if (failure instanceof DatabaseMisconfigured) return failure
  if (!(failure instanceof PostgresFailure)) return databaseError(failure)
  const { sqlstate, constraint } = failure
  const ledger = step?.part === "Ledger" || step?.part === "Remove"
  const reaction = reactionTo({ sqlstate, constraint, ledger })
  if (reaction._tag === "LedgerConflict") return new LedgerConflict({ lane: lane.id })
  // Other steps hold no value of a row; but the last one commits, which is when a deferred constraint speaks up.
  const ofRow = step?.part === "Copy" || step?.part === "Merge" || step?.part === "Ledger"
  if (reaction._tag !== "Row" || sqlstate === null || !ofRow) return databaseError(failure)
  const table = step?.part === "Copy" ? step.table : undefined
  const line = /, line (\d+)/.exec(failure.context ?? "")?.[1]
  return new RowRefused({
    sqlstate,
    detail: describe(failure),
    rowData: failure.rowData,
    mayPass: reaction.mayPass,
    suspect: table === undefined || line === undefined ? null : deliveryAtLine(batch, table, chosen, Number(line))
  })
}

/**
 * Ends sessions of this EventStream whose client froze in the middle of a COPY: before PostgreSQL 17 no timeout does, and
 * what they inserted blocks whoever writes the same keys.
 */
const endFrozen = (session: Session, timeouts: Timeouts) =>
  limited(session, timeouts).query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE application_name = current_setting('application_name') AND usename = current_user AND datname = current_database()
       AND pid <> pg_backend_pid() AND state = 'active' AND wait_event = 'ClientRead'
       AND xact_start < now() - make_interval(secs => $1)`,
    [timeouts.statementTimeoutMillis / 1000]
  )

/** Indices of the tables whose conflict handling has one of the modes. */
const tablesOf = (
  tables: ReadonlyArray<Table>,
  ...modes: ReadonlyArray<Table["conflict"]["mode"]>
): ReadonlySet<number> => new Set(tables.flatMap(({ conflict }, i) => (modes.includes(conflict.mode) ? [i] : [])))

/** The table is not as it was when it was last checked. */
const tableChanged = ({ failure, step }: Failed): boolean =>
  failure instanceof PostgresFailure && failure.sqlstate === "22012" && step?.part === "Shape"

/** Writing of batches, over one connection. */
export interface BatchWriter {
  /** Checks that the tables are what the processor writes; to be called once before the first batch. */
  readonly verify: (session: Session) => Effect.Effect<void, PostgresFailure | DatabaseMisconfigured>
  /**
   * @param rollbacks the lane's `rollbacks` under which coverage was read
   * @param chosen indices of the deliveries, each sequence once; not empty
   * @param removed ids of dead letters that go with the commit
   */
  readonly write: (
    lane: Pick<Lane, "id" | "stream">,
    rollbacks: number,
    batch: Batch,
    chosen: ReadonlyArray<number>,
    removed?: ReadonlyArray<number>
  ) => Effect.Effect<Written, DatabaseError | RowRefused | LedgerConflict>
  /** Whether the tables would take the rows of the chosen deliveries now; nothing of it stays. */
  readonly accepts: (batch: Batch, chosen: ReadonlyArray<number>) => Effect.Effect<boolean, DatabaseError>
}

/**
 * @param batches connection for the batches
 * @param upkeep another one
 */
export const makeBatchWriter = (fixed: Omit<Target, "shapes">, batches: Slot, upkeep: Slot): BatchWriter => {
  const { schema, tables, timeouts } = fixed
  const alwaysStaged = tablesOf(tables, "Upsert")
  const stageable = tablesOf(tables, "Upsert", "InsertIgnore")
  let target: Target = { ...fixed, shapes: [] }

  const verify: BatchWriter["verify"] = (session) =>
    Effect.gen(function* () {
      const inspection = yield* inspect(limited(session, timeouts), schema, tables)
      yield* requireFit(schema, inspection)
      target = { ...fixed, shapes: inspection.shapes }
    })

  const write: BatchWriter["write"] = (lane, rollbacks, batch, chosen, removed) => {
    const attempt = (staged: ReadonlySet<number>): Effect.Effect<Written, Failed> =>
      Effect.suspend(() => {
        const plan = planBatch(target, { ...lane, rollbacks }, batch, chosen, staged, removed)
        return batches
          .use((session) => session.run(scriptOf(plan)))
          .pipe(
            Effect.map((counts) => {
              const merged = plan.steps.reduce((sum, step, i) => (step.part === "Merge" ? sum + counts[i]! : sum), 0)
              return { ...plan.written, conflicts: plan.stagedRows - merged }
            }),
            Effect.mapError((failure) => ({
              failure,
              step: failure instanceof PostgresFailure ? plan.steps[failure.statement] : undefined
            }))
          )
      })
    return attempt(alwaysStaged).pipe(
      Effect.catchIf(tableChanged, () =>
        batches.use(verify).pipe(
          Effect.mapError((failure) => ({ failure, step: undefined })),
          Effect.andThen(attempt(alwaysStaged))
        )
      ),
      Effect.catchIf(
        (failed) => metSameKey(failed, stageable),
        () => attempt(stageable)
      ),
      Effect.tapError(({ failure }) =>
        failure instanceof PostgresFailure && failure.sqlstate === "55P03"
          ? Effect.ignore(upkeep.use((session) => endFrozen(session, timeouts)))
          : Effect.void
      ),
      Effect.mapError((failed) => errorOf(failed, lane, batch, chosen))
    )
  }

  const accepts: BatchWriter["accepts"] = (batch, chosen) =>
    Effect.suspend(() => {
      const { steps } = planRows(target, batch, chosen, stageable)
      const copies = steps.flatMap((step) => (step.data === undefined ? [] : [step.data]))
      const statements = ["BEGIN", ...steps.map(({ sql }) => sql), "SET CONSTRAINTS ALL IMMEDIATE", "ROLLBACK"]
      return upkeep.use((session) =>
        session.run({ sql: `${statements.join(";\n")};`, copies }).pipe(
          Effect.as(true),
          Effect.catch((failure) => {
            const { sqlstate, constraint, statement } = failure
            const refused =
              statement > 0 &&
              steps[statement - 1]?.part !== "Shape" &&
              reactionTo({ sqlstate, constraint, ledger: false })._tag === "Row"
            return Effect.ignore(session.query("ROLLBACK")).pipe(
              Effect.andThen(refused ? Effect.succeed(false) : Effect.fail(failure))
            )
          })
        )
      )
    }).pipe(translated)
  return { verify, write, accepts }
}
