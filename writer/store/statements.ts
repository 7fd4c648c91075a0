import type { Table } from "../tables/table.ts"
import type { LedgerRecord, Ranges } from "./ledger.ts"
import { deadLetterTable, laneTable, ledgerTable } from "./schema.ts"
import { ident, qualified } from "./sql.ts"

/** SQL texts of a batch's transaction. They go out in one message, which takes no parameters: they hold names and integers only. */

export interface Timeouts {
  readonly statementTimeoutMillis: number
  readonly lockTimeoutMillis: number
}

/** What a transaction may take in all beyond one statement's timeout. */
const transactionSlackMillis = 2_000

/**
 * Timeouts of the current transaction: a connection pooler may give the next transaction to another session.
 * `transaction_timeout` (PostgreSQL 17 and newer) also ends a transaction whose client froze in the middle of a COPY, which
 * the other timeouts don't.
 */
export const setTimeouts = ({ statementTimeoutMillis, lockTimeoutMillis }: Timeouts): string =>
  `SELECT set_config('statement_timeout', '${statementTimeoutMillis}', true), ` +
  `set_config('lock_timeout', '${lockTimeoutMillis}', true), ` +
  `set_config('idle_in_transaction_session_timeout', '${statementTimeoutMillis}', true), ` +
  `CASE WHEN current_setting('transaction_timeout', true) IS NOT NULL ` +
  `THEN set_config('transaction_timeout', '${statementTimeoutMillis + transactionSlackMillis}', true) END`

/**
 * A message is acked once its transaction is committed, which must be on disk then, whatever the role or the database is set to.
 * Source: PostgreSQL, `synchronous_commit`.
 */
export const setDurability = `SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'`

const names = (columns: ReadonlyArray<string>) => columns.map(ident).join(", ")
const columnNames = (table: Table) => names(table.columns.map((column) => column.name))

const copyInto = (name: string, table: Table) => `COPY ${name} (${columnNames(table)}) FROM STDIN (FORMAT binary)`

/** @param schema of tables that name none */
export const copyStatement = (table: Table, schema: string): string =>
  copyInto(qualified(table.schema ?? schema, table.name), table)

/**
 * The lock that COPY and INSERT take anyway, taken before the table is looked at. Without its partitions: chunks of a
 * hypertable are many.
 *
 * @param schema of tables that name none
 */
export const lockStatement = (table: Table, schema: string): string =>
  `LOCK TABLE ONLY ${qualified(table.schema ?? schema, table.name)} IN ROW EXCLUSIVE MODE`

/** A table for the rows of a batch that may meet rows with the same key. */
export interface Stage {
  readonly create: string
  readonly copy: string
  /** Its row count is the number of rows inserted or updated. */
  readonly merge: string
}

/**
 * The batch's rows as if they had come one by one: with a key that comes several times, columns that an update takes are
 * those of the last row (with `newerWins`, of the first among the newest), all others those of the first. One statement
 * could not update a row twice (21000).
 */
const reduced = (table: Table, stage: string): string => {
  const { conflict } = table
  if (conflict.mode !== "Upsert") return `SELECT ${columnNames(table)} FROM ${stage} ORDER BY ctid`
  const { keys, newerWins } = conflict
  const updated = new Set(updatedColumns(conflict))
  const columns = table.columns.map(({ name }) =>
    updated.has(name) || keys.includes(name)
      ? ident(name)
      : `first_value(${ident(name)}) OVER (PARTITION BY ${names(keys)} ORDER BY ctid)`
  )
  const order = newerWins === undefined ? "ctid DESC" : `${ident(newerWins)} DESC NULLS LAST, ctid`
  return `SELECT DISTINCT ON (${names(keys)}) ${columns.join(", ")} FROM ${stage} ORDER BY ${names(keys)}, ${order}`
}

const updatedColumns = ({
  update,
  newerWins
}: Extract<Table["conflict"], { mode: "Upsert" }>): ReadonlyArray<string> =>
  newerWins === undefined || update.includes(newerWins) ? update : [...update, newerWins]

const onConflict = (table: Table): string => {
  const { conflict } = table
  if (conflict.mode === "Append") return ""
  const target = `ON CONFLICT (${names(conflict.keys)})`
  if (conflict.mode === "InsertIgnore") return `${target} DO NOTHING`
  const set = updatedColumns(conflict).map((name) => `${ident(name)} = EXCLUDED.${ident(name)}`)
  if (set.length === 0) return `${target} DO NOTHING`
  const newer = conflict.newerWins === undefined ? undefined : ident(conflict.newerWins)
  const guard =
    newer === undefined
      ? ""
      : ` WHERE stored.${newer} < EXCLUDED.${newer} OR (stored.${newer} IS NULL AND EXCLUDED.${newer} IS NOT NULL)`
  return `${target} DO UPDATE SET ${set.join(", ")}${guard}`
}

/**
 * @param index tells apart the tables of a transaction
 * @param schema of tables that name none
 */
export const stageStatements = (table: Table, index: number, schema: string): Stage => {
  const name = `eventstream_stage_${index}`
  const stage = qualified("pg_temp", name)
  const target = qualified(table.schema ?? schema, table.name)
  return {
    create: `CREATE TEMP TABLE ${ident(name)} ON COMMIT DROP AS SELECT ${columnNames(table)} FROM ${target} WITH NO DATA`,
    copy: copyInto(stage, table),
    merge: `INSERT INTO ${target} AS stored (${columnNames(table)}) ${reduced(table, stage)} ${onConflict(table)}`
  }
}

const list = (numbers: ReadonlyArray<number>) => `'{${numbers.join(",")}}'::int8[]`

/** The ranges as a multirange. Reading two arrays takes PostgreSQL a quarter of the time of reading a multirange (measured). */
const multirange = (ranges: Ranges) =>
  `(SELECT range_agg(int8range(a, b)) FROM unnest(${list(ranges.map(([from]) => from))}, ${list(ranges.map(([, to]) => to))}) run (a, b))`

/**
 * Records the outcomes, or fails with 22012 (division by zero) when it may not: a sequence of the batch has an outcome, was
 * pruned meanwhile, or the lane's row changed or is gone. The row is locked against pruning and setting aside until commit.
 * Neither a plain INSERT nor an error of the constraint itself would do: the one deadlocks when writers overlap, the other
 * writes the whole multirange into the server's log.
 *
 * @param rollbacks the lane's `rollbacks` under which coverage was read
 * @param writer number that tells writers apart in the ledger, for people
 */
export const ledgerStatement = (
  schema: string,
  lane: number,
  rollbacks: number,
  records: ReadonlyArray<LedgerRecord>,
  writer: number
): string => {
  const values = records.map(
    (record) =>
      `(${multirange(record.ranges)}, ${record.timeFrom}, ${record.timeTo}, ` +
      `${record.messages}, ${record.rows}, ${record.deadLetters}, ${record.dropped})`
  )
  return `\
WITH head AS (SELECT start_seq, start_time, pruned_to, pruned_time FROM ${qualified(schema, laneTable)}
  WHERE id = ${lane} AND rollbacks = ${rollbacks} FOR SHARE),
record (seqs, t_lo, t_hi, messages, rows, dead, dropped) AS (VALUES ${values.join(", ")}),
recorded AS (INSERT INTO ${qualified(schema, ledgerTable)} (lane, seqs, t_lo, t_hi, messages, rows, dead, dropped, writer)
  SELECT ${lane}, record.*, ${writer} FROM record, head
  WHERE NOT (lower(seqs) < start_seq AND t_lo <= start_time) AND NOT (lower(seqs) < pruned_to AND t_lo <= pruned_time)
  ON CONFLICT DO NOTHING RETURNING 1)
SELECT 1 / (count(*) = ${records.length})::int FROM recorded`
}

/**
 * Deletes dead letters, or fails with 22012 (division by zero) when one of them is gone: somebody else has replayed or removed
 * it meanwhile.
 *
 * @param ids not empty, each once
 */
export const removalStatement = (schema: string, ids: ReadonlyArray<number>): string => `\
WITH gone AS (DELETE FROM ${qualified(schema, deadLetterTable.name)} WHERE id IN (${ids.join(", ")}) RETURNING 1)
SELECT 1 / (count(*) = ${ids.length})::int FROM gone`
