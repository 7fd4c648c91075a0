import { Effect } from "effect"
import type { PostgresFailure, Session } from "../../platform/postgres.ts"
import { limited } from "./connection.ts"
import { readCoverage } from "./coverage.ts"
import type { DatabaseError, DatabaseMisconfigured } from "./errors.ts"
import { anyTime, type Identity } from "./ledger.ts"
import { laneTable, ledgerTable, lossTable } from "./schema.ts"
import { qualified } from "./sql.ts"
import type { Timeouts } from "./statements.ts"
import type { Lane } from "./store.ts"

/** What the ledger knows for the audit: which sequences lack an outcome, and up to where everything has been settled. */

/** Up to where a lane is settled: nothing at or below it that the filter takes is without an outcome and still in the stream. */
export interface Settled {
  /** 0 before the first audit. */
  readonly to: number
  /** Text of the consumer's filter that it holds for; null before the first audit. */
  readonly filter: string | null
  /** First sequence above it that is the lane's business. */
  readonly next: number
  /** The lane's `rollbacks` under which it was read. */
  readonly rollbacks: number
}

/** Messages that were gone before they had an outcome. */
export interface Loss {
  readonly messages: number
  /** Their sequences as a multirange, cut to a thousand characters. */
  readonly sequences: string
}

/** The audit's requests; sequences are stream sequences, both ends included. */
export interface LedgerAudit {
  /** The newest publish time (ns since 1970) that the lane knows of: of a message with an outcome, or its own start; else 0. */
  readonly newestTime: (lane: Lane) => Effect.Effect<bigint, DatabaseError>
  /**
   * Whether any sequence from this one on has an outcome, lies below the lane's start, or was found missing in the stream while
   * the consumer had no filter.
   */
  readonly reaches: (lane: Lane, sequence: number) => Effect.Effect<boolean, DatabaseError>
  readonly settled: (lane: Lane) => Effect.Effect<Settled, DatabaseError>
  /** The lowest and the highest sequence of a window without an outcome; null when all have theirs. */
  readonly gap: (
    lane: Lane,
    from: number,
    to: number
  ) => Effect.Effect<{ readonly lowest: number; readonly highest: number } | null, DatabaseError>
  /** Those of the messages that have no outcome, by sequence and publish time. */
  readonly uncovered: (
    lane: Lane,
    messages: ReadonlyArray<Identity>
  ) => Effect.Effect<ReadonlyArray<Identity>, DatabaseError>
  /**
   * Notes that the lane is settled up to `to`, unless another writer or a rollback was quicker.
   *
   * @param lossFrom every sequence from here up to `to` without an outcome is counted as lost; undefined: nothing is
   */
  readonly settle: (
    lane: Lane,
    before: Settled,
    to: number,
    filter: string,
    lossFrom: number | undefined
  ) => Effect.Effect<Loss, DatabaseError>
  /** Messages counted as lost in the lane's whole life. */
  readonly lost: (lane: Lane) => Effect.Effect<number, DatabaseError>
}

/** Of a lane that was made to start beyond the end of the stream, the start tells nothing. */
const newestTime = (schema: string) => `\
SELECT greatest(CASE WHEN start_time < ${anyTime} THEN start_time END, pruned_time,
  (SELECT max(t_hi) FROM ${qualified(schema, ledgerTable)} WHERE lane = id AND set_aside_at IS NULL)) AS time
FROM ${qualified(schema, laneTable)} WHERE id = $1`

const reaches = (schema: string) => `\
SELECT (start_seq > $2 AND start_time < ${anyTime}) OR pruned_to > $2 OR (settled_to >= $2 AND settled_filter = '[]') OR EXISTS (
  SELECT FROM ${qualified(schema, ledgerTable)} WHERE lane = $1 AND set_aside_at IS NULL AND seqs && int8range($2, NULL)) AS reaches
FROM ${qualified(schema, laneTable)} WHERE id = $1`

const settled = (schema: string) => `\
SELECT settled_to, settled_filter, greatest(start_seq, pruned_to, settled_to + 1) AS next, rollbacks
FROM ${qualified(schema, laneTable)} WHERE id = $1`

const gap = (schema: string) => `\
SELECT lower(range_merge(gaps)) AS lowest, upper(range_merge(gaps)) - 1 AS highest FROM (
  SELECT int8multirange(int8range($2, $3, '[]')) - coalesce(range_agg(run), '{}'::int8multirange) AS gaps
  FROM ${qualified(schema, ledgerTable)}, unnest(seqs) AS run
  WHERE lane = $1 AND set_aside_at IS NULL AND seqs && int8range($2, $3, '[]') AND run && int8range($2, $3, '[]')
) window_gaps WHERE NOT isempty(gaps)`

/** The lane's row is compared and changed: of several writers one settles. */
const note = (schema: string) => `\
UPDATE ${qualified(schema, laneTable)} SET settled_to = $2, settled_filter = $3
WHERE id = $1 AND settled_to = $4 AND rollbacks = $5`

/** Notes it, and counts what has no outcome from $6 on. What was set aside had its outcome too, so it is no loss. */
const noteLoss = (schema: string) => `\
WITH head AS (${note(schema)} RETURNING id),
record AS (SELECT run FROM ${qualified(schema, ledgerTable)}, unnest(seqs) AS run
  WHERE lane = $1 AND set_aside_at IS NULL AND seqs && int8range($6, $2, '[]') AND run && int8range($6, $2, '[]')
  UNION ALL SELECT run FROM ${qualified(schema, ledgerTable)}, unnest(seqs) AS run
  WHERE lane = $1 AND set_aside_at IS NOT NULL AND run && int8range($6, $2, '[]')),
gone AS (SELECT int8multirange(int8range($6, $2, '[]')) - coalesce(range_agg(run), '{}'::int8multirange) AS seqs FROM record)
INSERT INTO ${qualified(schema, lossTable)} (lane, seqs, messages)
SELECT id, seqs, (SELECT sum(upper(run) - lower(run)) FROM unnest(seqs) AS run) FROM gone, head
WHERE NOT isempty(seqs) RETURNING messages, left(seqs::text, 1000) AS sequences`

const lost = (schema: string) =>
  `SELECT coalesce(sum(messages), 0) AS messages FROM ${qualified(schema, lossTable)} WHERE lane = $1`

const nothing: Loss = { messages: 0, sequences: "{}" }

type Request<A> = Effect.Effect<A, PostgresFailure | DatabaseMisconfigured>

/** @param use runs a request on a connection, with the store's errors */
export const makeLedgerAudit = (
  schema: string,
  timeouts: Timeouts,
  use: <A>(work: (session: Session) => Request<A>) => Effect.Effect<A, DatabaseError>
): LedgerAudit => {
  const query = (text: string, values: ReadonlyArray<unknown>) =>
    use((session) => limited(session, timeouts).query(text, values))
  return {
    newestTime: ({ id }) => Effect.map(query(newestTime(schema), [id]), ([row]) => BigInt(row?.time ?? 0)),
    reaches: ({ id }, sequence) =>
      Effect.map(query(reaches(schema), [id, sequence]), ([row]): boolean => row?.reaches ?? false),
    settled: ({ id }) =>
      Effect.map(query(settled(schema), [id]), ([row]) => ({
        to: Number(row?.settled_to ?? 0),
        filter: row?.settled_filter ?? null,
        next: Number(row?.next ?? 1),
        rollbacks: Number(row?.rollbacks ?? 0)
      })),
    gap: ({ id }, from, to) =>
      Effect.map(query(gap(schema), [id, from, to]), ([row]) =>
        row === undefined ? null : { lowest: Number(row.lowest), highest: Number(row.highest) }
      ),
    uncovered: ({ id }, messages) =>
      Effect.map(
        use((session) => readCoverage(session, schema, timeouts, id, messages)),
        ({ coverage }) => messages.filter((_, i) => coverage[i] === "Open" || coverage[i] === "Reused")
      ),
    settle: ({ id }, before, to, filter, lossFrom) => {
      const values = [id, to, filter, before.to, before.rollbacks]
      return lossFrom === undefined
        ? Effect.as(query(note(schema), values), nothing)
        : Effect.map(query(noteLoss(schema), [...values, lossFrom]), ([row]): Loss =>
            row === undefined ? nothing : { messages: Number(row.messages), sequences: row.sequences }
          )
    },
    lost: ({ id }) => Effect.map(query(lost(schema), [id]), ([row]) => Number(row?.messages ?? 0))
  }
}
