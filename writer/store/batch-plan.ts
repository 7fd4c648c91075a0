import type { Batch, TableRows } from "../batch.ts"
import type { Table } from "../tables/table.ts"
import { type Shape, shapeStatement } from "./catalog.ts"
import { makeBatchEncoder } from "./copy.ts"
import { type DeadLetterRules, deadLetterRows, deadLettersOf, droppedOf } from "./deadletter.ts"
import { type Entry, recordsOf } from "./ledger.ts"
import { deadLetterTable } from "./schema.ts"
import {
  copyStatement,
  ledgerStatement,
  lockStatement,
  removalStatement,
  setDurability,
  setTimeouts,
  stageStatements,
  type Timeouts
} from "./statements.ts"
import type { Written } from "./store.ts"

/** What stays the same from batch to batch, until a table changes. */
export interface Target {
  /** Of tables that name none, and of the store's own. */
  readonly schema: string
  readonly tables: ReadonlyArray<Table>
  /** Parallel to `tables`. */
  readonly shapes: ReadonlyArray<Shape>
  readonly timeouts: Timeouts
  readonly deadLetters: DeadLetterRules
  /** Number of this writer in the ledger, for people. */
  readonly writer: number
}

/** One statement of a batch's transaction, with its part in it. */
export interface Step {
  readonly sql: string
  readonly part: "Settings" | "Lock" | "Shape" | "Stage" | "Copy" | "Merge" | "DeadLetters" | "Remove" | "Ledger"
  /** Index of the target table. */
  readonly table?: number
  /** Data of a COPY. */
  readonly data?: ReadonlyArray<Uint8Array>
}

export interface BatchPlan {
  readonly steps: ReadonlyArray<Step>
  /** What is committed if all of it succeeds, but for conflicts. */
  readonly written: Omit<Written, "conflicts">
  /** Rows that go through a stage; together with the counts of the Merge steps they tell the conflicts. */
  readonly stagedRows: number
}

/** Header and trailer of binary COPY. Source: PostgreSQL, COPY, "Binary Format". */
const copyHeader = Buffer.concat([Buffer.from("PGCOPY\n\xff\r\n\0", "latin1"), Buffer.alloc(8)])
const copyTrailer = Buffer.from([0xff, 0xff])

const withFrame = (tuples: ReadonlyArray<Uint8Array>): ReadonlyArray<Uint8Array> => [copyHeader, ...tuples, copyTrailer]

const startOf = (rows: TableRows, index: number): number => (index === 0 ? 0 : rows.ends[index - 1]!)

/** The tuples of the chosen deliveries as few slices, neighbours joined. */
export const slices = (rows: TableRows, chosen: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const parts: Array<Uint8Array> = []
  let start = 0
  let end = 0
  for (const index of chosen) {
    const from = startOf(rows, index)
    const to = rows.ends[index]!
    if (from === to) continue
    if (from !== end) {
      if (end > start) parts.push(rows.bytes.subarray(start, end))
      start = from
    }
    end = to
  }
  if (end > start) parts.push(rows.bytes.subarray(start, end))
  return parts
}

const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((total, n) => total + n, 0)

/** The statements that store the rows, behind the transaction's settings, and how many rows go through a stage. */
export const planRows = (
  target: Target,
  batch: Batch,
  chosen: ReadonlyArray<number>,
  staged: ReadonlySet<number>
): { readonly steps: Array<Step>; readonly stagedRows: number } => {
  const { schema, tables } = target
  const withRows = chosen.filter((index) => batch.outcomes[index]!._tag === "Rows")
  const steps: Array<Step> = [
    { sql: setTimeouts(target.timeouts), part: "Settings" },
    { sql: setDurability, part: "Settings" }
  ]
  let stagedRows = 0
  for (const [i, table] of tables.entries()) {
    const rows = batch.tables[i]!
    const data = slices(rows, withRows)
    if (data.length === 0) continue
    steps.push(
      { sql: lockStatement(table, schema), part: "Lock", table: i },
      { sql: shapeStatement(table, schema, target.shapes[i]!), part: "Shape", table: i }
    )
    if (!staged.has(i)) {
      steps.push({ sql: copyStatement(table, schema), part: "Copy", table: i, data: withFrame(data) })
      continue
    }
    const stage = stageStatements(table, i, schema)
    stagedRows += sum(withRows.map((index) => rows.counts[index]!))
    steps.push(
      { sql: stage.create, part: "Stage", table: i },
      { sql: stage.copy, part: "Copy", table: i, data: withFrame(data) },
      { sql: stage.merge, part: "Merge", table: i }
    )
  }
  return { steps, stagedRows }
}

/**
 * The statements that write the chosen deliveries.
 *
 * @param chosen indices, each sequence once
 * @param staged tables whose rows may meet rows with the same key
 * @param rollbacks the lane's `rollbacks` under which coverage was read
 * @param removed ids of dead letters that go with the commit
 */
export const planBatch = (
  target: Target,
  lane: { readonly id: number; readonly stream: string; readonly rollbacks: number },
  batch: Batch,
  chosen: ReadonlyArray<number>,
  staged: ReadonlySet<number>,
  removed: ReadonlyArray<number> = []
): BatchPlan => {
  const { schema } = target
  const { steps, stagedRows } = planRows(target, batch, chosen, staged)

  const deadLetters = makeBatchEncoder([deadLetterTable])
  deadLetters.beginMessage()
  for (const index of chosen) {
    const outcome = batch.outcomes[index]!
    if (deadLettersOf(outcome).length === 0) continue
    for (const row of deadLetterRows(lane.id, lane.stream, batch.deliveries[index]!, outcome, target.deadLetters))
      deadLetters.sink.row(0, row)
  }
  if (deadLetters.byteLength() > 0) {
    const data = withFrame([deadLetters.take()[0]!.bytes])
    steps.push({ sql: copyStatement(deadLetterTable, schema), part: "DeadLetters", data })
  }

  const entries = chosen.map((index): Entry => {
    const outcome = batch.outcomes[index]!
    const { seq, timeNanos } = batch.deliveries[index]!
    const rows = outcome._tag === "Rows" ? sum(batch.tables.map((table) => table.counts[index]!)) : 0
    const deadLetters = deadLettersOf(outcome).length
    return { seq, timeNanos, kind: outcome._tag, rows, deadLetters, dropped: droppedOf(outcome).length }
  })
  const records = recordsOf(entries)
  if (removed.length > 0) steps.push({ sql: removalStatement(schema, removed), part: "Remove" })
  steps.push({ sql: ledgerStatement(schema, lane.id, lane.rollbacks, records, target.writer), part: "Ledger" })
  return {
    steps,
    written: {
      messages: sum(records.map((record) => record.messages)),
      rows: sum(records.map((record) => record.rows)),
      deadLettered: sum(records.map((record) => record.deadLetters)),
      dropped: sum(records.map((record) => record.dropped))
    },
    stagedRows
  }
}

/**
 * The delivery whose rows hold a line of a table's COPY.
 *
 * @param line from 1
 */
export const deliveryAtLine = (
  batch: Batch,
  table: number,
  chosen: ReadonlyArray<number>,
  line: number
): number | null => {
  let before = 0
  for (const index of chosen) {
    if (batch.outcomes[index]!._tag === "Rows") before += batch.tables[table]!.counts[index]!
    if (line <= before) return index
  }
  return null
}
