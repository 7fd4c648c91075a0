import type { Coverage } from "../../writer/store/store.ts"
import * as ledger from "../../writer/store/ledger.ts"
import type { Message } from "./jetstream.ts"
import type { LaneState } from "./world.ts"

/**
 * The rules of delivery, by name, so that each can be switched off to see that it is needed. Where the product has a pure
 * function for a rule, the model calls it, and switching off falsifies what the function is given.
 */
export const ruleNames = [
  /** Coverage holds the sequences that were decided, and never bridges the gaps between them. */
  "ExactSequences",
  /** A record covers a sequence only for messages of its time. */
  "RecordTimes",
  /** What is below `start_seq` or `pruned_to` is covered only if it is not newer than their time. */
  "HeadTimes",
  /** Only records older than the message are set aside. */
  "SetAsideOlderOnly",
  /** What was set aside still counts for its own time. */
  "AsideCounts",
  /** The ledger refuses a second outcome within the transaction. */
  "LedgerRefuses",
  /** The head row is checked in the same transaction. */
  "HeadInTransaction",
  /** An ack is sent after the commit was seen, or coverage was read. */
  "AckAfterCommit",
  /** What was pulled before a reconnect is neither committed nor acked. */
  "DropAfterReconnect",
  /** The durable's name and the coverage key carry the incarnation of the stream. */
  "Incarnation",
  /** The durable's name carries a nonce made at each creation. */
  "Nonce",
  /** After creating a durable the stream's `created` is read again before its name is published. */
  "CreatedReadAgain",
  /** A durable that is made again starts at the lowest uncovered sequence, not behind the ack floor. */
  "StartAtLowestUncovered",
  /** The lowest uncovered sequence counts only if a writer of the same lane reports it. */
  "ReportOfSameLane",
  /** A new lane gets a new durable from the start policy. */
  "NewLaneNewDurable",
  /** Nothing is pulled from a durable whose position means nothing any more, because the store lost messages behind it. */
  "Position",
  /** Uncovered messages at or below the ack floor are looked for, and the durable is replaced from the lowest. */
  "Audit"
] as const
export type RuleName = (typeof ruleNames)[number]

/** Which rules hold; the product's are all of them. */
export type Rules = ReadonlySet<RuleName>

export const allRules: Rules = new Set(ruleNames)
export const allRulesBut = (...names: ReadonlyArray<RuleName>): Rules => new Set(ruleNames).difference(new Set(names))

const never = 0n
const always = 1n << 62n

const headAsSeen = (rules: Rules, { head }: LaneState): ledger.Head =>
  rules.has("HeadTimes") ? head : { ...head, startTime: always, prunedTime: always }

/** What the ledger says about a message. */
export const coverageOf = (rules: Rules, lane: LaneState, message: Message): Coverage => {
  const records = lane.records
    .filter(({ setAside }) => !setAside || rules.has("AsideCounts"))
    .map((record) => (rules.has("RecordTimes") ? record : { ...record, timeFrom: never, timeTo: always }))
  return ledger.coverageOf(headAsSeen(rules, lane), records, message)
}

/** Whether the head row alone refuses a message. */
export const refusedByHead = (rules: Rules, lane: LaneState, message: Message): boolean =>
  rules.has("HeadInTransaction") && ledger.coverageOf(headAsSeen(rules, lane), [], message) === "Covered"

export const sequencesOf = ({ ranges }: Pick<ledger.StoredRecord, "ranges">): ReadonlyArray<number> =>
  ranges.flatMap(([from, to]) => Array.from({ length: to - from }, (_, index) => from + index))

/** @param sequences in any order, possibly several times */
export const rangesOf = (sequences: ReadonlyArray<number>): ledger.Ranges =>
  ledger.rangesOf([...new Set(sequences)].sort((a, b) => a - b))

/** The records that a transaction adds. */
export const recordsOf = (rules: Rules, messages: ReadonlyArray<Message>): ReadonlyArray<ledger.StoredRecord> => {
  const entries = messages.map(
    ({ seq, timeNanos }) => ({ seq, timeNanos, kind: "Rows", rows: 1, deadLetters: 0, dropped: 0 }) as const
  )
  return ledger.recordsOf(entries).map(({ ranges: exact, timeFrom, timeTo }) => {
    const ranges = rules.has("ExactSequences") ? exact : [[exact[0]![0], exact.at(-1)![1]] as const]
    return { ranges, timeFrom, timeTo, setAside: false }
  })
}
