import { createHash } from "node:crypto"
import type { Table } from "../tables/table.ts"
import type { Coverage } from "./store.ts"

/**
 * The rules of the ledger. A lane's ledger holds the stream sequences that have an outcome, exactly: never bridged over gaps,
 * and each with the time span of the messages, because a stream whose store was rolled back uses its numbers again.
 */

/** Sequences of one block share a record, so that compaction works block by block. */
export const blockSize = 65_536

/** Sequences looked through at once: bounded, because the union of a whole lane of lone sequences takes seconds. */
export const coverageWindow = 16 * blockSize

/**
 * What an EventStream writes to, as 16 hex digits. A lane goes on under another EventStream of the same name only while
 * these are the same; otherwise the stream is written anew.
 *
 * @param processor type of the processor, with its output where it has a choice
 */
export const targetFingerprint = (processor: string, schema: string, tables: ReadonlyArray<Table>): string =>
  createHash("sha256")
    .update([processor, ...tables.map((table) => `${table.schema ?? schema}\n${table.name}`)].join("\n\n"))
    .digest("hex")
    .slice(0, 16)

/** A message's outcome as the ledger records it. */
export interface Entry {
  readonly seq: number
  readonly timeNanos: bigint
  readonly kind: "Rows" | "DeadLetter" | "Dropped"
  readonly rows: number
  readonly deadLetters: number
  readonly dropped: number
}

/** Runs of consecutive sequences, ascending and disjoint, ends excluded: the content of an int8multirange. */
export type Ranges = ReadonlyArray<readonly [from: number, to: number]>

/** Exactly these sequences, which are ascending and distinct. */
export const rangesOf = (sequences: ReadonlyArray<number>): Ranges => {
  const ranges: Array<readonly [number, number]> = []
  let i = 0
  while (i < sequences.length) {
    const from = sequences[i]!
    let to = from + 1
    while (++i < sequences.length && sequences[i] === to) to++
    ranges.push([from, to])
  }
  return ranges
}

/** A row of `eventstream_ledger`: outcomes of one block. */
export interface LedgerRecord {
  readonly ranges: Ranges
  readonly timeFrom: bigint
  readonly timeTo: bigint
  /** Messages whose rows were written. */
  readonly messages: number
  readonly rows: number
  readonly deadLetters: number
  readonly dropped: number
}

const recordOf = (entries: ReadonlyArray<Entry>): LedgerRecord => {
  let timeFrom = entries[0]!.timeNanos
  let timeTo = timeFrom
  let messages = 0
  let rows = 0
  let deadLetters = 0
  let dropped = 0
  for (const entry of entries) {
    if (entry.timeNanos < timeFrom) timeFrom = entry.timeNanos
    if (entry.timeNanos > timeTo) timeTo = entry.timeNanos
    if (entry.kind === "Rows") messages++
    rows += entry.rows
    deadLetters += entry.deadLetters
    dropped += entry.dropped
  }
  return { ranges: rangesOf(entries.map(({ seq }) => seq)), timeFrom, timeTo, messages, rows, deadLetters, dropped }
}

/**
 * One record per block of sequences, ascending: writers that overlap then wait for each other in the same order and never
 * deadlock.
 *
 * @param entries with distinct sequences, in any order
 */
export const recordsOf = (entries: ReadonlyArray<Entry>): ReadonlyArray<LedgerRecord> => {
  const ordered = entries.every((entry, i) => i === 0 || entry.seq > entries[i - 1]!.seq)
    ? entries
    : [...entries].sort((a, b) => a.seq - b.seq)
  const records: Array<LedgerRecord> = []
  let start = 0
  for (let i = 1; i <= ordered.length; i++) {
    const block = Math.floor(ordered[start]!.seq / blockSize)
    if (i < ordered.length && Math.floor(ordered[i]!.seq / blockSize) === block) continue
    records.push(recordOf(ordered.slice(start, i)))
    start = i
  }
  return records
}

/** A time (ns since 1970) that no message is newer than: the largest int8. */
export const anyTime = 2n ** 63n - 1n

/** The lane's row in `eventstream_lane`, as far as coverage depends on it. */
export interface Head {
  /** Lower sequences are none of this lane's business, unless newer than `startTime`: then the number was used again. */
  readonly startSeq: number
  readonly startTime: bigint
  /** Records below were dropped, because the stream no longer has the messages; newer ones are not meant. */
  readonly prunedTo: number
  readonly prunedTime: bigint
  /** How many times records were set aside. */
  readonly rollbacks: number
}

/** A stored record, cut to the sequences that were asked for. */
export interface StoredRecord {
  readonly ranges: Ranges
  readonly timeFrom: bigint
  readonly timeTo: bigint
  /** Of a store that was rolled back: counts for messages of its time only. */
  readonly setAside: boolean
}

/** Ranges of a multirange of int8 as PostgreSQL writes it: canonical, so `[from,to)`. */
export const parseMultirange = (text: string): Ranges =>
  [...text.matchAll(/\[(\d+),(\d+)\)/g)].map((match) => [Number(match[1]), Number(match[2])] as const)

const holds = (record: StoredRecord, seq: number): boolean => {
  let low = 0
  let high = record.ranges.length - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    const [from, to] = record.ranges[middle]!
    if (seq < from) high = middle - 1
    else if (seq >= to) low = middle + 1
    else return true
  }
  return false
}

const inTime = (record: StoredRecord, time: bigint): boolean => time >= record.timeFrom && time <= record.timeTo

/** A pulled message as the ledger knows it. */
export interface Identity {
  readonly seq: number
  readonly timeNanos: bigint
}

/** What the lane's records say about a message; `Reused` means that records are to be set aside before it is written. */
export const coverageOf = (head: Head, records: ReadonlyArray<StoredRecord>, message: Identity): Coverage => {
  const { seq, timeNanos } = message
  if (seq < head.startSeq && timeNanos <= head.startTime) return "Covered"
  if (seq < head.prunedTo && timeNanos <= head.prunedTime) return "Covered"
  let other: StoredRecord | undefined
  for (const record of records) {
    if (!holds(record, seq)) continue
    if (inTime(record, timeNanos)) return "Covered"
    if (!record.setAside) other = record
  }
  if (other === undefined) return "Open"
  return timeNanos > other.timeTo ? "Reused" : "Stale"
}

/**
 * Indices of the deliveries to write, each sequence once: the newest of those with the same number, because an older one is
 * of a store that was rolled back, or the same message delivered again.
 *
 * @param selected ascending
 */
export const distinct = (
  deliveries: ReadonlyArray<Identity>,
  selected: ReadonlyArray<number>
): ReadonlyArray<number> => {
  const ascending = selected.every((index, i) => i === 0 || deliveries[index]!.seq > deliveries[selected[i - 1]!]!.seq)
  if (ascending) return selected
  const newest = new Map<number, number>()
  for (const index of selected) {
    const { seq, timeNanos } = deliveries[index]!
    const known = newest.get(seq)
    if (known === undefined || timeNanos > deliveries[known]!.timeNanos) newest.set(seq, index)
  }
  return [...newest.values()].sort((a, b) => a - b)
}

/** Records of a block before and after merging, for the decision whether merging pays. */
export interface BlockSize {
  readonly records: number
  /** Runs of consecutive sequences in the records, and in their union. */
  readonly runs: number
  readonly mergedRuns: number
}

/**
 * Whether to merge a block's records. Lone sequences stay as many as they are and only make a larger value to read, so there
 * merging is for blocks of many small records.
 */
export const worthMerging = ({ records, runs, mergedRuns }: BlockSize): boolean =>
  records > 1 && (mergedRuns * 2 <= runs || records >= 128)
