import { StartMark } from "../../operator/specs/names.ts"
import { distinct } from "../../writer/store/ledger.ts"
import { commit, compact, newLane, prune, putLane, setAside } from "./database.ts"
import { acknowledge, ackFloor, pull, startOf } from "./jetstream.ts"
import { coverageOf, sequencesOf } from "./rules.ts"
import {
  type Assignment,
  type Database,
  hasOutcome,
  laneKey,
  type LaneState,
  type Report,
  type Transaction,
  Violation,
  type World,
  type Writer
} from "./world.ts"

/** The steps of a writer. Between any two of them everything else may happen; not stepping for long is being frozen. */

interface Connected {
  readonly database: Database
  readonly lane: string
  readonly state: LaneState
}

/** Ends the process; what it has sent to the database runs on. */
export const crash = (writer: Writer) => {
  writer.life++
  writer.assignment = undefined
  writer.session = -1
  writer.held = []
  writer.toAck = []
  writer.waiting = false
  writer.single = false
  writer.report = undefined
}

export const start = (world: World, writer: Writer) => {
  if (writer.assignment === world.assignment) return
  crash(writer)
  writer.assignment = world.assignment
}

const statusOf = (world: World, assignment: Assignment, fields: Partial<Report>): Report => ({
  incarnation: assignment.incarnation,
  durable: assignment.durable,
  lane: null,
  database: String(assignment.database),
  server: null,
  lowestUncovered: null,
  written: 0,
  deadLettered: 0,
  dropped: 0,
  lastWriteTime: null,
  state: "Running",
  reason: null,
  message: null,
  hole: null,
  ...fields
})

/** A lane that is not there is made from a durable that was not read; from any other, messages would be missed. */
const openLane = (world: World, writer: Writer, assignment: Assignment, database: Database): LaneState | undefined => {
  const lane = laneKey(assignment)
  const found = database.lanes.get(lane)
  const durable = world.stream.durables.get(assignment.durable)
  if (found || !durable) return found
  const used = durable.delivered >= startOf(durable) || startOf(durable) > Number(durable.config.metadata[StartMark])
  if (used && world.rules.has("NewLaneNewDurable")) {
    writer.report = statusOf(world, assignment, { state: "NeedsConsumer" })
    return undefined
  }
  putLane(database, lane, newLane({ startSeq: used ? ackFloor(durable) + 1 : startOf(durable), startTime: durable.createdNanos }))
  world.promisedTo.set(lane, world.promised)
  return database.lanes.get(lane)
}

/** The writer's lane, after a new connection if the old one broke. `undefined` when it can't work. */
const connected = (world: World, writer: Writer): Connected | undefined => {
  const { assignment } = writer
  if (!assignment) return undefined
  const database = world.databases[assignment.database]!
  const lane = laneKey(assignment)
  if (writer.session !== database.session) {
    writer.waiting = false
    for (const held of writer.held) held.openAt = undefined
    if (!openLane(world, writer, assignment, database)) return undefined
    writer.session = database.session
  }
  const state = database.lanes.get(lane)
  return state && { database, lane, state }
}

/** After a reconnect, what was pulled before it comes again; until then it belongs to nobody. */
const dropStale = (world: World, writer: Writer) => {
  if (!world.rules.has("DropAfterReconnect")) return
  const { epoch } = world.stream
  if (!writer.waiting) writer.held = writer.held.filter((held) => held.epoch === epoch)
  writer.toAck = writer.toAck.filter((held) => held.epoch === epoch)
}

export const pullBatch = (world: World, writer: Writer, count: number) => {
  if (!connected(world, writer)) return
  const durable = world.stream.durables.get(writer.assignment!.durable)
  if (!durable) return
  for (const message of pull(world.stream, durable, count)) {
    const { epoch } = world.stream
    writer.held.push({ message, durable: durable.config.name, epoch, openAt: undefined })
  }
}

/** Asks the ledger about each delivery that was not asked about, and keeps those without an outcome. */
export const decide = (world: World, writer: Writer) => {
  const connection = connected(world, writer)
  if (!connection || writer.waiting) return
  dropStale(world, writer)
  const { database, lane } = connection
  writer.held = writer.held.filter((held) => {
    if (held.openAt !== undefined) return true
    const state = database.lanes.get(lane)!
    const coverage = coverageOf(world.rules, state, held.message)
    if (coverage === "Covered") writer.toAck.push(held)
    if (coverage === "Covered" || coverage === "Stale") return false
    if (coverage === "Reused") setAside(world.rules, database, lane, held.message)
    held.openAt = database.lanes.get(lane)!.head.rollbacks
    return true
  })
}

/** Sends one transaction with all that is open. */
export const send = (world: World, writer: Writer) => {
  const connection = connected(world, writer)
  if (!connection || writer.waiting) return
  dropStale(world, writer)
  const open = writer.held.filter(({ openAt }) => openAt !== undefined)
  const messages = open.map(({ message }) => message)
  const wanted = distinct(messages, [...messages.keys()]).map((index) => open[index]!)
  const held = writer.single ? wanted.slice(0, 1) : wanted
  if (held.length === 0) return
  const { database, lane } = connection
  writer.waiting = true
  if (!world.rules.has("AckAfterCommit")) writer.toAck.push(...held)
  const rollbacks = Math.min(...held.map(({ openAt }) => openAt!))
  database.inFlight.push({ writer: writer.index, life: writer.life, session: database.session, lane, rollbacks, held })
}

/**
 * The database runs a transaction it has received.
 *
 * @param answer whether the writer hears of it: a connection can break before and after the commit
 */
export const runTransaction = (world: World, database: Database, transaction: Transaction, answer: boolean) => {
  database.inFlight = database.inFlight.filter((other) => other !== transaction)
  const outcome = commit(world, database, transaction)
  world.note(`  writer ${transaction.writer} ${transaction.held.map(({ message }) => message.seq).join()}: ${outcome}`)
  const writer = world.writers[transaction.writer]!
  if (writer.life !== transaction.life || !writer.waiting) return
  writer.waiting = false
  if (!answer) {
    writer.session = -1 // the next step connects, and asks about everything again
    return
  }
  writer.single = outcome === "Refused"
  if (outcome === "Committed") {
    const done = new Set(transaction.held.map(({ message }) => message.id))
    writer.held = writer.held.filter(({ message }) => !done.has(message.id))
    writer.toAck.push(...transaction.held)
  } else for (const held of writer.held) held.openAt = undefined
}

/** Sends the oldest ack that is due. */
export const ack = (world: World, writer: Writer, lost: boolean) => {
  dropStale(world, writer)
  const held = writer.toAck.shift()
  if (!held || !writer.assignment || lost) return
  const settled = acknowledge(world.stream, held.durable, held.message.seq)
  if (!settled) return
  const lane = laneKey(writer.assignment)
  if (world.fates[settled.id]!.goneFromStream) return
  if (hasOutcome(world, lane, settled.id) || world.lost.has(`${lane}:${settled.id}`)) return
  if (settled.id < (world.promisedTo.get(lane) ?? world.promised)) return
  throw new Violation("AckedUncovered", `message ${settled.id} was acked without an outcome in lane ${lane}`)
}

/** Lowest message behind the durable's position that is not covered and not pending either: nobody would deliver it again. */
const hole = (world: World, writer: Writer, state: LaneState): number | null => {
  const durable = world.stream.durables.get(writer.assignment!.durable)
  if (!durable || !world.rules.has("Audit")) return null
  for (const message of world.stream.messages.values()) {
    if (message.seq > durable.delivered) break
    if (durable.pending.has(message.seq)) continue
    const coverage = coverageOf(world.rules, state, message)
    if (coverage === "Open" || coverage === "Reused") return message.seq
  }
  return null
}

/** Lowest sequence without an outcome. Times are not known here, so a number that was used again counts as covered. */
const lowestUncovered = ({ head, records }: LaneState, lastSeq: number): number => {
  const covered = new Set(records.filter((record) => !record.setAside).flatMap(sequencesOf))
  let seq = Math.max(head.startSeq, head.prunedTo)
  while (covered.has(seq)) seq++
  return Math.min(seq, lastSeq + 1)
}

/** Publishes what only a writer can know. */
export const report = (world: World, writer: Writer) => {
  const connection = connected(world, writer)
  if (!connection) return
  const { state } = connection
  writer.report = statusOf(world, writer.assignment!, {
    lowestUncovered: lowestUncovered(state, world.stream.last),
    hole: hole(world, writer, state)
  })
}

export const compactLane = (world: World, writer: Writer) => {
  const connection = connected(world, writer)
  const durable = writer.assignment && world.stream.durables.get(writer.assignment.durable)
  if (connection && durable) compact(connection.database, connection.lane, ackFloor(durable))
}

export const pruneLane = (world: World, writer: Writer) => {
  const connection = connected(world, writer)
  if (connection && world.stream.durables.has(writer.assignment!.durable)) {
    prune(connection.database, connection.lane, world.stream.first)
  }
}

export const newWriter = (index: number): Writer => ({
  index,
  life: 0,
  assignment: undefined,
  session: -1,
  held: [],
  toAck: [],
  waiting: false,
  single: false,
  report: undefined
})
