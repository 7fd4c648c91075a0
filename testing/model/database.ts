import { recordsOf, rangesOf, refusedByHead, type Rules, sequencesOf } from "./rules.ts"
import type { Head, StoredRecord } from "../../writer/store/ledger.ts"
import type { Message } from "./jetstream.ts"
import { type Database, hasOutcome, type LaneState, type Transaction, Violation, type World } from "./world.ts"

/** The target database: what its transactions do, and what is lost when its server is. */

/** How many commits a failover to an asynchronous standby may lose. */
const historyLength = 4

export const newDatabase = (): Database => ({ session: 0, lanes: new Map(), history: [], inFlight: [] })

export const newLane = (start: Pick<Head, "startSeq" | "startTime">): LaneState => ({
  head: { ...start, prunedTo: 0, prunedTime: 0n, rollbacks: 0 },
  records: [],
  outcomes: [],
  settledTo: 0
})

/** Commits a change to a lane. */
export const putLane = (database: Database, lane: string, state: LaneState) => {
  database.history.push(new Map(database.lanes))
  if (database.history.length > historyLength) database.history.shift()
  database.lanes.set(lane, state)
}

const overlap = (a: StoredRecord, b: StoredRecord) => {
  const sequences = new Set(sequencesOf(a))
  return sequencesOf(b).some((seq) => sequences.has(seq))
}

/** Whether the ledger statement refuses the records of a transaction: the head row, then the exclusion constraint. */
const refused = (rules: Rules, state: LaneState, records: ReadonlyArray<StoredRecord>, rollbacks: number): boolean => {
  if (rules.has("HeadInTransaction") && state.head.rollbacks !== rollbacks) return true
  return records.some(
    (record) =>
      refusedByHead(rules, state, { id: -1, seq: record.ranges[0]![0], timeNanos: record.timeFrom }) ||
      (rules.has("LedgerRefuses") && state.records.some((other) => !other.setAside && overlap(other, record)))
  )
}

/** Runs a transaction that the server has received: rows and ledger together, or nothing. */
export const commit = (
  world: World,
  database: Database,
  transaction: Transaction
): "Committed" | "Refused" | "Failed" => {
  const { rules } = world
  const { lane, held, rollbacks, connection } = transaction
  const state = database.lanes.get(lane)
  if (!state || connection !== database.session) return "Failed"
  const messages = held.map(({ message }) => message)
  const records = recordsOf(rules, messages)
  if (refused(rules, state, records, rollbacks)) return "Refused"
  for (const { id } of messages) {
    // In whatever lane: the same tables hold the rows of both.
    const twice = [...database.lanes].find(([, { outcomes }]) => outcomes.includes(id))
    if (twice)
      throw new Violation("Double", `message ${id} has an outcome in lane ${twice[0]} and a second one in ${lane}`)
  }
  putLane(database, lane, {
    ...state,
    records: [...state.records, ...records],
    outcomes: [...state.outcomes, ...messages.map(({ id }) => id)]
  })
  return "Committed"
}

/** One transaction: what an older store recorded from the sequence of a message on is set aside, for that number is used again. */
export const setAside = (rules: Rules, database: Database, lane: string, message: Message) => {
  const state = database.lanes.get(lane)!
  const records = state.records.flatMap((record) => {
    const older = record.timeTo < message.timeNanos || !rules.has("SetAsideOlderOnly")
    const sequences = sequencesOf(record)
    if (record.setAside || !older || sequences.at(-1)! < message.seq) return [record]
    const kept = rangesOf(sequences.filter((seq) => seq < message.seq))
    const off = rangesOf(sequences.filter((seq) => seq >= message.seq))
    return [...(kept.length > 0 ? [{ ...record, ranges: kept }] : []), { ...record, ranges: off, setAside: true }]
  })
  const head = { ...state.head, rollbacks: state.head.rollbacks + 1 }
  putLane(database, lane, { ...state, head, records, settledTo: Math.min(state.settledTo, message.seq - 1) })
}

const earliest = (records: ReadonlyArray<StoredRecord>) =>
  records.reduce((low, { timeFrom }) => (timeFrom < low ? timeFrom : low), records[0]!.timeFrom)
const latest = (records: ReadonlyArray<StoredRecord>) =>
  records.reduce((high, { timeTo }) => (timeTo > high ? timeTo : high), records[0]!.timeTo)

/** One transaction: the records at or below the ack floor become one. */
export const compact = (database: Database, lane: string, ackFloor: number) => {
  const state = database.lanes.get(lane)
  if (!state) return
  const low = state.records.filter((record) => !record.setAside && sequencesOf(record).at(-1)! <= ackFloor)
  if (low.length < 2) return
  const merged: StoredRecord = {
    ranges: rangesOf(low.flatMap(sequencesOf)),
    timeFrom: earliest(low),
    timeTo: latest(low),
    setAside: false
  }
  putLane(database, lane, { ...state, records: [...state.records.filter((record) => !low.includes(record)), merged] })
}

/** One transaction: the lane is settled up to there. */
export const settle = (database: Database, lane: string, to: number) => {
  const state = database.lanes.get(lane)
  if (state && to > state.settledTo) putLane(database, lane, { ...state, settledTo: to })
}

/** One transaction: settled records below the stream's first sequence become two numbers of the head row. */
export const prune = (database: Database, lane: string, streamFirst: number) => {
  const state = database.lanes.get(lane)
  if (!state) return
  const firstSeq = Math.min(streamFirst, state.settledTo + 1)
  if (state.head.prunedTo >= firstSeq) return
  const gone = state.records.filter((record) => sequencesOf(record).at(-1)! < firstSeq)
  const { prunedTime: before } = state.head
  const high = gone.length > 0 ? latest(gone) : before
  const head = { ...state.head, prunedTo: firstSeq, prunedTime: high > before ? high : before }
  putLane(database, lane, { ...state, head, records: state.records.filter((record) => !gone.includes(record)) })
}

/** An asynchronous standby takes over: the newest commits are gone, rows and ledger alike, and every connection is broken. */
export const failOver = (world: World, database: Database, commits: number) => {
  const before = database.lanes
  for (let count = 0; count < commits; count++) database.lanes = database.history.pop() ?? database.lanes
  for (const [lane, { outcomes }] of before) {
    for (const id of outcomes) if (!hasOutcome(world, lane, id)) world.lost.add(`${lane}:${id}`)
  }
  database.history = []
  database.session++
}
