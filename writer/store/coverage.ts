import { Effect } from "effect"
import type { PostgresFailure, Session } from "../../platform/postgres.ts"
import { limited, transaction } from "./connection.ts"
import { DatabaseMisconfigured } from "./errors.ts"
import {
  coverageOf,
  coverageWindow,
  type Head,
  type Identity,
  parseMultirange,
  rangesOf,
  type StoredRecord
} from "./ledger.ts"
import { laneTable, ledgerTable } from "./schema.ts"
import { qualified } from "./sql.ts"
import { setTimeouts, type Timeouts } from "./statements.ts"
import type { Coverage } from "./store.ts"

/** What the ledger holds, read with one snapshot; and the setting aside of a rolled back store's records. */

// Two branches, so that either finds its own partial index.
const overlapping = (schema: string) => `\
WITH asked AS (SELECT range_agg(int8range(a, b)) AS seqs FROM unnest($2::int8[], $3::int8[]) run (a, b)),
record AS (
  SELECT seqs * (SELECT seqs FROM asked) AS seqs, t_lo, t_hi, false AS set_aside FROM ${qualified(schema, ledgerTable)}
  WHERE lane = $1 AND set_aside_at IS NULL AND seqs && (SELECT seqs FROM asked)
  UNION ALL
  SELECT seqs * (SELECT seqs FROM asked), t_lo, t_hi, true FROM ${qualified(schema, ledgerTable)}
  WHERE lane = $1 AND set_aside_at IS NOT NULL AND seqs && (SELECT seqs FROM asked))
SELECT start_seq, start_time, pruned_to, pruned_time, rollbacks, seqs::text, t_lo, t_hi, set_aside
FROM ${qualified(schema, laneTable)} head LEFT JOIN record ON true WHERE head.id = $1`

const readRecords = (
  session: Session,
  schema: string,
  timeouts: Timeouts,
  lane: number,
  messages: ReadonlyArray<Identity>
) =>
  Effect.gen(function* () {
    const sequences = [...new Set(messages.map(({ seq }) => seq))].sort((a, b) => a - b)
    const ranges = rangesOf(sequences)
    const rows = yield* limited(session, timeouts).query(overlapping(schema), [
      lane,
      ranges.map(([from]) => from),
      ranges.map(([, to]) => to)
    ])
    const first = rows[0]
    if (first === undefined) {
      return yield* new DatabaseMisconfigured({
        reason: "SchemaMismatch",
        sqlstate: null,
        detail: `wanted lane ${lane} in ${laneTable}, found none: its row was deleted; restart the writer`
      })
    }
    const head: Head = {
      startSeq: Number(first.start_seq),
      startTime: BigInt(first.start_time),
      prunedTo: Number(first.pruned_to),
      prunedTime: BigInt(first.pruned_time),
      rollbacks: Number(first.rollbacks)
    }
    const records = rows
      .filter((row) => row.seqs !== null)
      .map((row): StoredRecord => ({
        ranges: parseMultirange(row.seqs),
        timeFrom: BigInt(row.t_lo),
        timeTo: BigInt(row.t_hi),
        setAside: row.set_aside
      }))
    return { head, records }
  })

/** Coverage of each message, and the lane's `rollbacks` it holds for. */
export interface CoverageRead {
  readonly coverage: ReadonlyArray<Coverage>
  readonly rollbacks: number
}

export const readCoverage = (
  session: Session,
  schema: string,
  timeouts: Timeouts,
  lane: number,
  messages: ReadonlyArray<Identity>
): Effect.Effect<CoverageRead, PostgresFailure | DatabaseMisconfigured> =>
  Effect.map(readRecords(session, schema, timeouts, lane, messages), ({ head, records }) => ({
    coverage: messages.map((message) => coverageOf(head, records, message)),
    rollbacks: head.rollbacks
  }))

/**
 * Sets aside what a stream's store forgot: from the reused sequence on, the records older than the message that has the
 * number now. The lane's row is locked first, so that a writer that read coverage before can't commit by it, and the
 * ledger's maintenance waits.
 */
const setAside = (
  session: Session,
  schema: string,
  timeouts: Timeouts,
  lane: number,
  reused: Identity
): Effect.Effect<void, PostgresFailure> => {
  const ledger = qualified(schema, ledgerTable)
  const parameters = [lane, reused.seq, reused.timeNanos.toString()]
  const older = "lane = $1 AND set_aside_at IS NULL AND t_hi < $3 AND seqs && int8range($2, NULL)"
  return transaction(
    session,
    setTimeouts(timeouts),
    Effect.gen(function* () {
      yield* session.query("SELECT pg_advisory_xact_lock(hashtextextended('eventstream ledger', $1))", [lane])
      yield* session.query(
        `UPDATE ${qualified(schema, laneTable)} SET rollbacks = rollbacks + 1, settled_to = least(settled_to, $2::int8 - 1) WHERE id = $1`,
        [lane, reused.seq]
      )
      yield* session.query(`UPDATE ${ledger} SET set_aside_at = now() WHERE ${older} AND lower(seqs) >= $2`, parameters)
      // What is left straddles the sequence: its later part becomes a record of its own, the counts stay with the earlier.
      yield* session.query(
        `INSERT INTO ${ledger} (lane, seqs, t_lo, t_hi, messages, rows, dead, dropped, writer, committed_at, set_aside_at)
         SELECT lane, seqs * int8multirange(int8range($2, NULL)), t_lo, t_hi, 0, 0, 0, 0, writer, committed_at, now()
         FROM ${ledger} WHERE ${older}`,
        parameters
      )
      yield* session.query(
        `UPDATE ${ledger} SET seqs = seqs - int8multirange(int8range($2, NULL)) WHERE ${older}`,
        parameters
      )
    })
  )
}

/** Coverage of each message after the records of a rolled back store, if there are any, were set aside. */
export const resolveCoverage = (
  session: Session,
  schema: string,
  timeouts: Timeouts,
  lane: number,
  messages: ReadonlyArray<Identity>
): Effect.Effect<CoverageRead, PostgresFailure | DatabaseMisconfigured> =>
  Effect.gen(function* () {
    const reused = new Set<number>()
    while (true) {
      const { coverage, rollbacks } = yield* readCoverage(session, schema, timeouts, lane, messages)
      const found = messages.map((_, i) => i).filter((i) => coverage[i] === "Reused")
      if (found.length === 0) {
        return {
          coverage: coverage.map((state, i) => (state === "Open" && reused.has(i) ? "Reused" : state)),
          rollbacks
        }
      }
      for (const i of found) reused.add(i)
      const lowest = found.reduce((a, b) => (messages[b]!.seq < messages[a]!.seq ? b : a))
      yield* setAside(session, schema, timeouts, lane, messages[lowest]!)
    }
  })

const searchStart = (schema: string) => `\
SELECT greatest(start_seq, pruned_to, settled_to + 1) AS start FROM ${qualified(schema, laneTable)} WHERE id = $1`

const firstGap = (schema: string) => `\
SELECT min(lower(gap)) AS gap FROM (
  SELECT unnest(int8multirange(int8range($2, $3)) - coalesce(range_agg(run), '{}'::int8multirange)) AS gap
  FROM ${qualified(schema, ledgerTable)}, unnest(seqs) AS run
  WHERE lane = $1 AND set_aside_at IS NULL AND seqs && int8range($2, $3) AND run && int8range($2, $3)
) gaps`

/** The lowest sequence without an outcome above what the audit has settled, `lastSequence + 1` when there is none up to there. */
export const lowestUncovered = (
  session: Session,
  schema: string,
  timeouts: Timeouts,
  lane: number,
  lastSequence: number
): Effect.Effect<number, PostgresFailure> =>
  Effect.gen(function* () {
    const { query } = limited(session, timeouts)
    const end = lastSequence + 1
    const [head] = yield* query(searchStart(schema), [lane])
    const start = Number(head?.start ?? 1)
    let lowest = end
    for (let from = start; from < lowest; from += coverageWindow) {
      const [row] = yield* query(firstGap(schema), [lane, from, Math.min(from + coverageWindow, end)])
      if (row.gap !== null) lowest = Number(row.gap)
    }
    return lowest
  })
