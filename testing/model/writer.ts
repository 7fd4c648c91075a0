import { incarnationOf } from "../../platform/incarnation.ts"
import type { WriterStatus } from "../../writer/config.ts"
import { wasUsed } from "../../writer/consumer.ts"
import { judge } from "../../writer/position.ts"
import { distinct } from "../../writer/store/ledger.ts"
import { commit, compact, newLane, prune, putLane, setAside, settle } from "./database.ts"
import { acknowledge, ackFloor, type Durable, pull, startOf } from "./jetstream.ts"
import { coverageOf, sequencesOf } from "./rules.ts"
import {
  type Assignment,
  createdOf,
  type Database,
  hasOutcome,
  laneKey,
  type LaneState,
  type Session,
  type Transaction,
  Violation,
  type World,
  type Writer
} from "./world.ts"

/** The steps of a writer. Between any two of them everything else may happen; not stepping for long is being frozen. */

export const newWriter = (index: number): Writer => ({
  index,
  life: 0,
  assignment: undefined,
  session: undefined,
  held: [],
  toAck: [],
  waiting: false,
  cautious: true,
  report: undefined
})

/** Forgets what was pulled; what was sent to the database runs on. */
const endSession = (writer: Writer) => {
  writer.life++
  writer.session = undefined
  writer.held = []
  writer.toAck = []
  writer.waiting = false
  writer.cautious = true
}

/** Ends the process. */
export const crash = (writer: Writer) => {
  endSession(writer)
  writer.assignment = undefined
  writer.report = undefined
}

/** Starts the process with the configuration of now, if it does not run with that already. */
export const start = (world: World, writer: Writer) => {
  if (writer.assignment === world.assignment) return
  crash(writer)
  writer.assignment = world.assignment
}

const statusOf = (assignment: Assignment, incarnation: string, fields: Partial<WriterStatus>): WriterStatus => ({
  incarnation,
  durable: assignment.durable,
  lane: null,
  database: String(assignment.database),
  server: null,
  lowestUncovered: null,
  missed: null,
  written: 0,
  deadLettered: 0,
  dropped: 0,
  lost: 0,
  lastWriteTime: null,
  state: "Running",
  reason: null,
  message: null,
  ...fields
})

/** What policy New leaves out of a lane; not of a stream that was born again since, which is read from its first message. */
const exempt = (world: World, lane: string, startSeq: number) => {
  if (world.policy === "All" || world.policyLife !== createdOf(world)) return
  for (const { message } of world.fates) if (message.seq < startSeq) world.exempt.add(`${lane}:${message.id}`)
}

/** Finds the lane or makes it; `undefined` when it has to be told that another durable is needed. */
const openLane = (world: World, writer: Writer, durable: Durable, database: Database, lane: string) => {
  const found = database.lanes.get(lane)
  if (found) return found
  const used = wasUsed({
    config: durable.config,
    delivered: { consumer_seq: durable.delivered - startOf(durable) + 1 },
    num_ack_pending: durable.pending.size
  })
  if (used && world.rules.has("NewLaneNewDurable")) return undefined
  const startSeq = used ? ackFloor(durable) + 1 : startOf(durable)
  putLane(database, lane, newLane({ startSeq, startTime: startSeq === 1 ? 0n : durable.createdNanos }))
  exempt(world, lane, startSeq)
  return database.lanes.get(lane)
}

/** The first sequence that the durable would pass over because the store lost it once, and uses it again. */
const lostPosition = (
  { stream, rules }: World,
  durable: Durable,
  { head, records, settledTo }: LaneState
): number | undefined => {
  if (!rules.has("Position")) return undefined
  const live = records.filter(({ setAside }) => !setAside)
  const newest = [head.startTime, head.prunedTime, ...live.map(({ timeTo }) => timeTo)].reduce((a, b) =>
    b > a ? b : a
  )
  const newer = [...stream.messages.values()].find(({ timeNanos }) => timeNanos > newest)?.seq
  const { delivered } = durable
  const found = judge({ delivered, startSequence: startOf(durable), lastSequence: stream.last, newer })
  if (found === undefined) return undefined
  const { restart, certain } = found
  const reached = () =>
    Math.max(head.startSeq, head.prunedTo, settledTo + 1) > restart ||
    live.some((record) => sequencesOf(record).at(-1)! >= restart)
  return certain || reached() ? restart : undefined
}

/** Looks at stream, durable and lane, as at the begin of a session. */
const openSession = (world: World, writer: Writer, assignment: Assignment, database: Database): Session | undefined => {
  const { stream } = world
  const durable = stream.durables.get(assignment.durable)
  if (!durable) return undefined
  const incarnation = incarnationOf("EVENTS", createdOf(world))
  const lane = laneKey(incarnation, assignment.database)
  const state = openLane(world, writer, durable, database, lane)
  if (!state) {
    writer.report = statusOf(assignment, incarnation, { state: "NeedsConsumer" })
    return undefined
  }
  const missed = lostPosition(world, durable, state)
  if (missed !== undefined) {
    writer.report = statusOf(assignment, incarnation, { state: "NeedsConsumer", missed })
    return undefined
  }
  return {
    epoch: stream.epoch,
    incarnation,
    lane,
    deliveredBefore: durable.delivered,
    connection: database.session,
    rollbacks: state.head.rollbacks
  }
}

interface Connected {
  readonly session: Session
  readonly database: Database
  readonly state: LaneState
}

/** The writer's session, a new one where the last has ended. `undefined` when it can't work now. */
const connected = (world: World, writer: Writer): Connected | undefined => {
  const { assignment } = writer
  if (!assignment) return undefined
  const database = world.databases[assignment.database]!
  if (writer.session && writer.session.epoch !== world.stream.epoch && world.rules.has("DropAfterReconnect")) {
    endSession(writer)
  }
  if (writer.session && writer.session.connection !== database.session) {
    // The database broke, not NATS: what is held stays, and is asked about again.
    writer.session = undefined
    writer.waiting = false
    writer.cautious = true
    for (const held of writer.held) held.openAt = undefined
  }
  writer.session ??= openSession(world, writer, assignment, database)
  const state = writer.session && database.lanes.get(writer.session.lane)
  return writer.session && state && { session: writer.session, database, state }
}

export const pullBatch = (world: World, writer: Writer, count: number) => {
  if (!connected(world, writer)) return
  const durable = world.stream.durables.get(writer.assignment!.durable)
  if (!durable) return endSession(writer) // the pull is answered with "no such consumer"
  const { epoch } = world.stream
  for (const { message, redelivered } of pull(world.stream, durable, count)) {
    writer.held.push({ message, durable: durable.config.name, epoch, redelivered, openAt: undefined })
  }
}

/** Asks the ledger about each delivery that was not asked about, and keeps those without an outcome. */
export const decide = (world: World, writer: Writer) => {
  const connection = connected(world, writer)
  if (!connection || writer.waiting) return
  const { database, session } = connection
  writer.held = writer.held.filter((held) => {
    if (held.openAt !== undefined) return true
    const coverage = coverageOf(world.rules, database.lanes.get(session.lane)!, held.message)
    if (coverage === "Covered") writer.toAck.push(held)
    if (coverage === "Covered" || coverage === "Stale") return false
    if (coverage === "Reused") setAside(world.rules, database, session.lane, held.message)
    session.rollbacks = database.lanes.get(session.lane)!.head.rollbacks
    held.openAt = session.rollbacks
    return true
  })
}

/** Once in trouble, coverage is read first; else a first delivery is taken for new, and the ledger refuses it if it is not. */
const takeForNew = (writer: Writer, session: Session) => {
  if (writer.cautious || session.rollbacks > 0) return
  for (const held of writer.held) if (!held.redelivered) held.openAt ??= session.rollbacks
}

/** Sends one transaction with all that is open. */
export const send = (world: World, writer: Writer) => {
  const connection = connected(world, writer)
  if (!connection || writer.waiting) return
  const { database, session } = connection
  takeForNew(writer, session)
  const open = writer.held.filter(({ openAt }) => openAt !== undefined)
  const messages = open.map(({ message }) => message)
  const wanted = distinct(messages, [...messages.keys()]).map((index) => open[index]!)
  const held = writer.cautious ? wanted.slice(0, 1) : wanted
  if (held.length === 0) return
  writer.waiting = true
  if (!world.rules.has("AckAfterCommit")) writer.toAck.push(...held)
  const { index, life } = writer
  const rollbacks = Math.min(...held.map(({ openAt }) => openAt!))
  database.inFlight.push({ writer: index, life, connection: database.session, lane: session.lane, rollbacks, held })
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
  writer.cautious = !answer || outcome !== "Committed"
  if (answer && outcome === "Committed") {
    const done = new Set(transaction.held.map(({ message }) => message.id))
    writer.held = writer.held.filter(({ message }) => !done.has(message.id))
    writer.toAck.push(...transaction.held)
  } else for (const held of writer.held) held.openAt = undefined
}

/** Sends the oldest ack that is due. */
export const ack = (world: World, writer: Writer, lost: boolean) => {
  const { stream, rules } = world
  const held = writer.toAck.shift()
  if (!held || !writer.session || lost) return
  if (rules.has("DropAfterReconnect") && held.epoch !== stream.epoch) return
  const settled = acknowledge(stream, held.durable, held.message.seq)
  if (!settled || world.fates[settled.id]!.goneFromStream) return
  const { lane } = writer.session
  const key = `${lane}:${settled.id}`
  if (hasOutcome(world, lane, settled.id) || world.lost.has(key) || world.exempt.has(key)) return
  throw new Violation("AckedUncovered", `message ${settled.id} was acked without an outcome in lane ${lane}`)
}

/** Looks for the lowest message at or below the ack floor without an outcome, and settles the lane up to there. */
const audit = (world: World, writer: Writer, { database, session, state }: Connected): number | null => {
  const durable = world.stream.durables.get(writer.assignment!.durable)
  if (!durable || !world.rules.has("Audit")) return null
  const covered = new Set(state.records.filter((record) => !record.setAside).flatMap(sequencesOf))
  const from = Math.max(state.head.startSeq, state.head.prunedTo, state.settledTo + 1)
  const floor = ackFloor(durable)
  for (const message of world.stream.messages.values()) {
    if (message.seq < from || message.seq > floor) continue
    if (message.seq > session.deliveredBefore && covered.has(message.seq)) continue
    const coverage = coverageOf(world.rules, state, message)
    if (coverage !== "Open" && coverage !== "Reused") continue
    settle(database, session.lane, message.seq - 1)
    return message.seq
  }
  settle(database, session.lane, floor)
  return null
}

/** Lowest sequence without an outcome. Times are not known here, so a number that was used again counts as covered. */
const lowestUncovered = ({ head, records, settledTo }: LaneState, lastSeq: number): number => {
  const covered = new Set(records.filter((record) => !record.setAside).flatMap(sequencesOf))
  let seq = Math.max(head.startSeq, head.prunedTo, settledTo + 1)
  while (covered.has(seq)) seq++
  return Math.min(seq, lastSeq + 1)
}

/** Publishes what only a writer can know. */
export const report = (world: World, writer: Writer) => {
  const connection = connected(world, writer)
  if (!connection) return
  const { state, session } = connection
  writer.report = statusOf(writer.assignment!, session.incarnation, {
    lowestUncovered: lowestUncovered(state, world.stream.last),
    missed: audit(world, writer, connection)
  })
}

export const compactLane = (world: World, writer: Writer) => {
  const connection = connected(world, writer)
  const durable = writer.assignment && world.stream.durables.get(writer.assignment.durable)
  if (connection && durable) compact(connection.database, connection.session.lane, ackFloor(durable))
}

export const pruneLane = (world: World, writer: Writer) => {
  const connection = connected(world, writer)
  if (!connection || !world.stream.durables.has(writer.assignment!.durable)) return
  audit(world, writer, connection)
  prune(connection.database, connection.session.lane, world.stream.first)
}
