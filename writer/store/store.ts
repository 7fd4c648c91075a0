import { Context, type Effect } from "effect"
import type { Batch, Delivery } from "../batch.ts"
import type { DeadLetterStore } from "./dead-letter-store.ts"
import type { LedgerAudit } from "./audit.ts"
import type { DatabaseError, LaneMissing, LedgerConflict, RowRefused } from "./errors.ts"
import type { ReplayStore } from "./replay-store.ts"

/** Who writes, and where the stream's first message for it is: what a lane is found or made by. */
export interface OpenRequest {
  readonly namespace: string
  readonly name: string
  /** `metadata.uid` of the EventStream. */
  readonly uid: string
  /** Hash of the target: {@link import("./ledger.ts").targetFingerprint}. */
  readonly fingerprint: string
  /** JetStream name of the stream. */
  readonly stream: string
  /** 8 hex digits: {@link import("../../platform/incarnation.ts").incarnationOf}. */
  readonly incarnation: string
  /** From where on a new lane counts: lower sequences that are not newer than the time (ns since 1970) are none of it. */
  readonly start: { readonly sequence: number; readonly timeNanos: bigint }
  /** Whether the durable has delivered anything: then a lane that is not there was lost, or is in another database. */
  readonly consumerUsed: boolean
}

/** An EventStream's place in one database: one outcome per message of the stream's incarnation. */
export interface Lane {
  readonly id: number
  /** JetStream name of the stream, for dead letters. */
  readonly stream: string
  /** Made by this call. */
  readonly isNew: boolean
  /** System identifier of the database cluster. */
  readonly database: string
  /** Its timeline, which grows with every promotion and point-in-time recovery. */
  readonly timeline: number
  /** The lane was last used under another system identifier or timeline: what was acked since may be missing here. */
  readonly databaseChanged: boolean
  /** Product and version, e.g. `PostgreSQL 18.4, TimescaleDB 2.19.3`. */
  readonly server: string
  /** Version and edition, e.g. `2.19.3 (apache)`; null without it. */
  readonly timescale: string | null
}

/**
 * What the ledger says about a message:
 * `Open`: no outcome yet; write it. `Covered`: it has its outcome; ack it.
 * `Reused`: its number belonged to an older message, the stream's store was rolled back; the old records are set aside now:
 * write it, and warn. `Stale`: its number belongs to a newer message, it is no longer in the stream: neither write nor ack.
 */
export type Coverage = "Open" | "Covered" | "Reused" | "Stale"

/** What a transaction has committed. */
export interface Written {
  /** Messages whose rows are stored. */
  readonly messages: number
  /** Rows, over all tables. */
  readonly rows: number
  /** Those of `rows` that gave way to another with the same key: ignored, older, or overtaken within the batch. */
  readonly conflicts: number
  /** Dead letters: one per message, or one per refused element of an array. */
  readonly deadLettered: number
  /** Dropped on purpose: messages, or elements of an array one by one. */
  readonly dropped: number
}

/** Sums over the lane's whole life: they survive restarts, compaction and pruning. */
export interface Totals {
  readonly messages: number
  readonly rows: number
  readonly deadLettered: number
  readonly dropped: number
  /** Null before the first commit. */
  readonly lastWriteTime: Date | null
}

/**
 * The target database: rows, dead letters and the ledger of outcomes, written together or not at all.
 *
 * Every call takes a connection that is opened when needed and dropped after a failure, so a call after a failure is a new
 * attempt; no call retries by itself.
 */
export class Store extends Context.Service<
  Store,
  {
    /** Finds the lane or makes it, and checks that the target tables are what the processor writes. */
    readonly open: (request: OpenRequest) => Effect.Effect<Lane, DatabaseError | LaneMissing>
    /** Checks that the target tables are what the processor writes; part of `open`. */
    readonly verify: Effect.Effect<void, DatabaseError>
    /** Coverage of each delivery, by sequence and message time; sets aside the records of a rolled back store. */
    readonly covered: (
      lane: Pick<Lane, "id">,
      deliveries: ReadonlyArray<Delivery>
    ) => Effect.Effect<ReadonlyArray<Coverage>, DatabaseError>
    /**
     * One transaction: rows, dead letters, and last the ledger's record of them. When it fails, nothing is written; when the
     * connection broke, whether it was committed is unknown: the ledger refuses a second time, so the same call may be repeated.
     *
     * @param selected indices of the deliveries to write, ascending
     * @param removed ids of dead letters that go with the commit
     */
    readonly write: (
      lane: Pick<Lane, "id" | "stream">,
      batch: Batch,
      selected: ReadonlyArray<number>,
      removed?: ReadonlyArray<number>
    ) => Effect.Effect<Written, DatabaseError | RowRefused | LedgerConflict>
    /** Whether the tables would take the rows of these deliveries now, all of them; nothing of it stays. */
    readonly accepts: (batch: Batch, selected: ReadonlyArray<number>) => Effect.Effect<boolean, DatabaseError>
    /** Lowest sequence without an outcome, at most `lastSequence + 1`. Whether it matches the consumer's filter is not known here. */
    readonly lowestUncovered: (lane: Lane, lastSequence: number) => Effect.Effect<number, DatabaseError>
    /**
     * Keeps the ledger small, some blocks per call: merges records below the ack floor, folds those below the stream's first
     * sequence into the head row. Coverage stays the same.
     */
    readonly compact: (
      lane: Lane,
      stream: { readonly ackFloor: number; readonly firstSequence: number }
    ) => Effect.Effect<void, DatabaseError>
    /** What the audit asks of the ledger. */
    readonly audit: LedgerAudit
    /** Done when the connection for batches is made again after it broke: perhaps to a server that took over. */
    readonly reconnected: Effect.Effect<void>
    /** The database that answers now, by system identifier and timeline. */
    readonly server: Effect.Effect<Pick<Lane, "database" | "timeline">, DatabaseError>
    /** How many connections are in use and not, and how many requests wait for one. */
    readonly connections: () => { readonly idle: number; readonly used: number; readonly waiting: number }
    readonly totals: (lane: Lane) => Effect.Effect<Totals, DatabaseError>
    readonly deadLetters: DeadLetterStore
    readonly replays: ReplayStore
  }
>()("writer/Store") {}
