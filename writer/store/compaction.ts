import { Effect } from "effect"
import type { PostgresFailure, Session } from "../../platform/postgres.ts"
import { limited, transaction } from "./connection.ts"
import { blockSize, worthMerging } from "./ledger.ts"
import { laneTable, ledgerTable } from "./schema.ts"
import { qualified } from "./sql.ts"
import { setTimeouts, type Timeouts } from "./statements.ts"

/** Keeping the ledger small. Whatever is merged or folded away, coverage is the same before and after. */

/** Blocks looked at per call: a bound on the time it takes, and at a call a minute enough for 70,000 messages a second. */
const blocksPerCall = 64

/** One at a time per lane, so that two writers never merge the same records; false when another one is at it. */
const tryLock = (session: Session, lane: number) =>
  Effect.map(
    session.query("SELECT pg_try_advisory_xact_lock(hashtextextended('eventstream ledger', $1)) AS mine", [lane]),
    ([row]): boolean => row.mine
  )

/**
 * Folds records wholly below the stream's first sequence into the lane's row, which is locked first: a late writer either
 * has committed by then, or finds the new `pruned_to` and is refused.
 */
const prune = (schema: string) => `\
WITH head AS (SELECT id FROM ${qualified(schema, laneTable)} WHERE id = $1 AND pruned_to < $2 FOR UPDATE),
live AS (DELETE FROM ${qualified(schema, ledgerTable)}
  WHERE lane = $1 AND set_aside_at IS NULL AND seqs << int8range($2, NULL) AND EXISTS (SELECT FROM head) RETURNING *),
aside AS (DELETE FROM ${qualified(schema, ledgerTable)}
  WHERE lane = $1 AND set_aside_at IS NOT NULL AND seqs << int8range($2, NULL) AND EXISTS (SELECT FROM head) RETURNING *),
gone AS (SELECT max(t_hi) AS t_hi, coalesce(sum(messages), 0) AS messages, coalesce(sum(rows), 0) AS rows,
  coalesce(sum(dead), 0) AS dead, coalesce(sum(dropped), 0) AS dropped, max(committed_at) AS committed_at
  FROM (SELECT * FROM live UNION ALL SELECT * FROM aside) records)
UPDATE ${qualified(schema, laneTable)} lane SET
  pruned_to = $2,
  pruned_time = greatest(pruned_time, gone.t_hi),
  pruned_messages = pruned_messages + gone.messages,
  pruned_rows = pruned_rows + gone.rows,
  pruned_dead = pruned_dead + gone.dead,
  pruned_dropped = pruned_dropped + gone.dropped,
  pruned_committed_at = greatest(pruned_committed_at, gone.committed_at)
FROM head, gone WHERE lane.id = head.id`

const blocks = (schema: string) => `\
SELECT block, records, runs, (
  SELECT count(*) FROM unnest((
    SELECT range_agg(run) FROM ${qualified(schema, ledgerTable)}, unnest(seqs) AS run
    WHERE lane = $1 AND set_aside_at IS NULL
      AND seqs && int8range(block * ${blockSize}, (block + 1) * ${blockSize})))) AS merged_runs
FROM (
  SELECT lower(seqs) / ${blockSize} AS block, count(*) AS records, sum((SELECT count(*) FROM unnest(seqs))) AS runs
  FROM ${qualified(schema, ledgerTable)}
  WHERE lane = $1 AND set_aside_at IS NULL AND seqs && int8range($2, $3)
  GROUP BY 1 HAVING count(*) > 1
) several`

const merge = (schema: string) => `\
WITH old AS (DELETE FROM ${qualified(schema, ledgerTable)}
  WHERE lane = $1 AND set_aside_at IS NULL AND seqs && int8range($2, $3) RETURNING *)
INSERT INTO ${qualified(schema, ledgerTable)} (lane, seqs, t_lo, t_hi, messages, rows, dead, dropped, committed_at)
SELECT $1, (SELECT range_agg(run) FROM old, unnest(seqs) AS run), min(t_lo), max(t_hi),
  sum(messages), sum(rows), sum(dead), sum(dropped), max(committed_at)
FROM old HAVING count(*) > 0`

/** Merges the records of whole blocks below the ack floor, and folds away those the stream no longer has messages for. */
export const compact = (
  session: Session,
  schema: string,
  timeouts: Timeouts,
  lane: number,
  stream: { readonly ackFloor: number; readonly firstSequence: number }
): Effect.Effect<void, PostgresFailure> =>
  Effect.gen(function* () {
    const settings = setTimeouts(timeouts)
    const pruned = Effect.gen(function* () {
      if (yield* tryLock(session, lane)) yield* session.query(prune(schema), [lane, stream.firstSequence])
    })
    yield* transaction(session, settings, pruned)

    const { query } = limited(session, timeouts)
    const [head] = yield* query(
      `SELECT greatest(compacted_to, pruned_to) AS start FROM ${qualified(schema, laneTable)} WHERE id = $1`,
      [lane]
    )
    const start = Math.floor(Number(head?.start ?? 0) / blockSize)
    const end = Math.min(start + blocksPerCall, Math.floor((stream.ackFloor + 1) / blockSize))
    if (end <= start) return
    const found = yield* query(blocks(schema), [lane, start * blockSize, end * blockSize])
    for (const row of found) {
      const size = { records: Number(row.records), runs: Number(row.runs), mergedRuns: Number(row.merged_runs) }
      if (!worthMerging(size)) continue
      const from = Number(row.block) * blockSize
      const merged = Effect.gen(function* () {
        if (yield* tryLock(session, lane)) yield* session.query(merge(schema), [lane, from, from + blockSize])
      })
      yield* transaction(session, settings, merged)
    }
    yield* query(`UPDATE ${qualified(schema, laneTable)} SET compacted_to = greatest(compacted_to, $2) WHERE id = $1`, [
      lane,
      end * blockSize
    ])
  })
