import type { WriterStatus } from "../../writer/config.ts"
import type { Head, StoredRecord } from "../../writer/store/ledger.ts"
import type { EventStreamStatus } from "../../crds/eventstream.ts"
import type { ConsumerState, StreamState } from "../../operator/jetstream.ts"
import type { Message, Stream } from "./jetstream.ts"
import type { Rules } from "./rules.ts"

/**
 * The whole of the model's state. Everything here changes in steps that are atomic in the real systems too (a transaction, an
 * API call, a pull); a history is an order of such steps.
 */

/** What one lane is in the database. Never changed in place, so that a snapshot of the database is a copy of its map. */
export interface LaneState {
  readonly head: Head
  readonly records: ReadonlyArray<StoredRecord>
  /** Ids of the messages whose rows, dead letter or drop are committed. */
  readonly outcomes: ReadonlyArray<number>
  /** Nothing at or below it is in the stream without an outcome, as the last audit found. */
  readonly settledTo: number
}

/** A statement that the server has received: it will run whatever becomes of the client that sent it. */
export interface Transaction {
  readonly writer: number
  readonly life: number
  /** {@link Database.session} it came by. */
  readonly connection: number
  readonly lane: string
  /** {@link Head.rollbacks} under which coverage was read. */
  readonly rollbacks: number
  readonly held: ReadonlyArray<Held>
}

export interface Database {
  /** Grows when every connection breaks. */
  session: number
  lanes: Map<string, LaneState>
  /** States before the newest commits, oldest first: what a failover that loses them goes back to. */
  history: Array<Map<string, LaneState>>
  inFlight: Array<Transaction>
}

/** A delivery in a writer's hands. */
export interface Held {
  readonly message: Message
  readonly durable: string
  /** {@link Stream.epoch} when it was pulled. */
  readonly epoch: number
  /** It was delivered before, so that its outcome may be there already. */
  readonly redelivered: boolean
  /** {@link Head.rollbacks} when coverage said that it has no outcome; undefined until then. */
  openAt: number | undefined
}

/** What the operator tells writers through their configuration. */
export interface Assignment {
  readonly configHash: string
  readonly durable: string
  /** Index into {@link World.databases}. */
  readonly database: number
}

/** What a writer found when it last looked at its stream, durable and lane. */
export interface Session {
  /** {@link Stream.epoch} then. */
  readonly epoch: number
  readonly incarnation: string
  readonly lane: string
  /** Last sequence that the durable had delivered then. */
  readonly deliveredBefore: number
  /** {@link Database.session} of its connection. */
  readonly connection: number
  /** {@link Head.rollbacks} when coverage was last read. */
  rollbacks: number
}

export interface Writer {
  readonly index: number
  /** Grows with every session: answers to an earlier one reach nobody. */
  life: number
  assignment: Assignment | undefined
  session: Session | undefined
  held: Array<Held>
  toAck: Array<Held>
  /** A transaction is on its way. */
  waiting: boolean
  /** The last one was refused: coverage is read before the next, and what is open goes one by one until one is through. */
  cautious: boolean
  report: WriterStatus | undefined
}

/** What the operator saw, possibly a while ago. */
export interface Observation {
  readonly stream: StreamState
  readonly consumers: ReadonlyArray<ConsumerState>
  readonly writers: ReadonlyArray<WriterStatus>
  /** Of the configurations that writers run. */
  readonly runningHashes: ReadonlySet<string>
}

/** A message's fate outside the database. */
export interface Fate {
  readonly message: Message
  /** The stream itself removed it: age, purge, deletion, lost store. */
  goneFromStream: boolean
}

export interface World {
  readonly rules: Rules
  readonly policy: "All" | "New"
  clockNanos: bigint
  nextNonce: number
  readonly stream: Stream
  readonly databases: ReadonlyArray<Database>
  readonly writers: ReadonlyArray<Writer>
  /** Index of the database the EventStream names as its target. */
  target: number
  status: EventStreamStatus["consumer"]
  assignment: Assignment | undefined
  observation: Observation | undefined
  /** Every message ever published; index is its id. */
  readonly fates: Array<Fate>
  /** `lane:id` of outcomes that a failover lost after they were committed. */
  readonly lost: Set<string>
  /** `created` of the stream for which the start policy was looked at last. */
  policyLife: string
  /** `lane:id` of messages that policy New leaves out. */
  readonly exempt: Set<string>
  /** Told what happens, when someone wants to read a history. */
  readonly note: (text: string) => void
}

export type ViolationKind = "Double" | "AckedUncovered" | "Lost" | "Stuck"

/** A broken promise. */
export class Violation extends Error {
  readonly kind: ViolationKind

  constructor(kind: ViolationKind, message: string) {
    super(message)
    this.kind = kind
  }
}

/** The stream's `created` as everyone sees it; without the rule, every life of the stream looks the same. */
export const createdOf = ({ rules, stream }: World) => (rules.has("Incarnation") ? stream.created : "always")

export const tick = (world: World): bigint => (world.clockNanos += 1n)

/** Another incarnation or another database is another lane. */
export const laneKey = (incarnation: string, database: number) => `${incarnation}@${database}`

/** Whether a message has a committed outcome in a lane. */
export const hasOutcome = (world: World, lane: string, id: number): boolean =>
  world.databases.some((database) => database.lanes.get(lane)?.outcomes.includes(id) ?? false)
