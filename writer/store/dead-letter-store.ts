import { Effect } from "effect"
import type { Headers } from "../stored-message.ts"
import { limited, type Slot } from "./connection.ts"
import type { DatabaseError } from "./errors.ts"
import { translated } from "./failure.ts"
import { deadLetterTable, laneTable } from "./schema.ts"
import { qualified } from "./sql.ts"
import type { Timeouts } from "./statements.ts"

/** A dead letter as it is published: an element's has the payload of its whole message. */
export interface PublishableDeadLetter {
  readonly id: number
  readonly lane: number
  readonly incarnation: string
  readonly generation: number
  readonly stream: string
  readonly seq: number
  readonly element: number | null
  readonly subject: string
  readonly deliveries: number
  readonly reason: string
  readonly detail: string | null
  readonly headers: Headers | null
  /** Null when payloads are redacted. */
  readonly payload: Uint8Array | null
}

/** The dead letters of one EventStream, of all its lanes. */
export interface DeadLetterStore {
  /** How many there are, and when the oldest was written. */
  readonly count: Effect.Effect<{ readonly count: number; readonly oldest: Date | null }, DatabaseError>
  /**
   * Deletes some of those older than that; returns how many.
   *
   * @param onlyPublished leave those that were not published yet
   */
  readonly expire: (maxAgeMillis: number, onlyPublished: boolean) => Effect.Effect<number, DatabaseError>
  /** The oldest of those that were not published yet. */
  readonly unpublished: (limit: number) => Effect.Effect<ReadonlyArray<PublishableDeadLetter>, DatabaseError>
  readonly markPublished: (ids: ReadonlyArray<number>) => Effect.Effect<void, DatabaseError>
}

/** Rows deleted at once: a short transaction, whatever has piled up. */
export const expiredAtOnce = 1_000

export const makeDeadLetterStore = (
  slot: Slot,
  schema: string,
  timeouts: Timeouts,
  eventStream: { readonly namespace: string; readonly name: string }
): DeadLetterStore => {
  const table = qualified(schema, deadLetterTable.name)
  const lanes = qualified(schema, laneTable)
  const ofEventStream = `lane = ANY (ARRAY(SELECT id FROM ${lanes} WHERE namespace = $1 AND name = $2))`
  const own = [eventStream.namespace, eventStream.name]
  const query = (text: string, values: ReadonlyArray<unknown> = []) =>
    translated(slot.use((session) => limited(session, timeouts).query(text, [...own, ...values])))
  return {
    count: Effect.map(
      query(`SELECT count(*) AS count, min(created_at) AS oldest FROM ${table} WHERE ${ofEventStream}`),
      ([row]) => ({ count: Number(row.count), oldest: row.oldest })
    ),
    expire: (maxAgeMillis, onlyPublished) =>
      Effect.map(
        query(
          `WITH old AS (SELECT id FROM ${table} WHERE ${ofEventStream}
             AND created_at < now() - make_interval(secs => $3) AND (relayed_at IS NOT NULL OR NOT $4)
             ORDER BY created_at LIMIT ${expiredAtOnce}),
           gone AS (DELETE FROM ${table} WHERE id IN (SELECT id FROM old) RETURNING 1)
           SELECT count(*) AS count FROM gone`,
          [maxAgeMillis / 1000, onlyPublished]
        ),
        ([row]) => Number(row.count)
      ),
    unpublished: (limit) =>
      Effect.map(
        query(
          `SELECT letter.id, lane, incarnation, generation, letter.stream, seq, element, subject, deliveries, reason, detail,
             coalesce(headers, (SELECT headers FROM ${table} whole WHERE whole.lane = letter.lane AND whole.seq = letter.seq
               AND whole.message_time = letter.message_time AND headers IS NOT NULL ORDER BY id LIMIT 1)) AS headers,
             coalesce(payload, (SELECT payload FROM ${table} whole WHERE whole.lane = letter.lane AND whole.seq = letter.seq
               AND whole.message_time = letter.message_time AND payload IS NOT NULL ORDER BY id LIMIT 1)) AS payload
           FROM ${table} letter JOIN ${lanes} head ON head.id = lane
           WHERE ${ofEventStream} AND relayed_at IS NULL ORDER BY letter.id LIMIT $3`,
          [limit]
        ),
        (rows) =>
          rows.map((row): PublishableDeadLetter => ({
            ...row,
            id: Number(row.id),
            lane: Number(row.lane),
            seq: Number(row.seq)
          }))
      ),
    markPublished: (ids) =>
      Effect.asVoid(query(`UPDATE ${table} SET relayed_at = now() WHERE ${ofEventStream} AND id = ANY ($3)`, [ids]))
  }
}
