import { Effect, Schema } from "effect"
import type { PostgresFailure, Session } from "../../platform/postgres.ts"
import type { Headers } from "../stored-message.ts"
import { limited, type Slot, transaction } from "./connection.ts"
import type { DatabaseError } from "./errors.ts"
import { translated } from "./failure.ts"
import { deadLetterTable, laneTable, ledgerTable, replayTable } from "./schema.ts"
import { qualified } from "./sql.ts"
import { setTimeouts, type Timeouts } from "./statements.ts"

/** A replay of this id was begun with other parameters: going on would mix two replays under one name. */
export class ReplayChanged extends Schema.TaggedError<ReplayChanged>()("ReplayChanged", { id: Schema.String }) {
  override get message() {
    return `wanted to go on with replay ${this.id}, found that it was begun with other parameters; give them again, or another id`
  }
}

/** How far a replay has come. Sequences are stream sequences. */
export interface ReplayProgress {
  /** The lane and the sequence behind which to go on. */
  readonly cursor: { readonly lane: number; readonly seq: number }
  /** Messages looked at, written, and not written because something in them still can't be. */
  readonly read: number
  readonly written: number
  readonly failed: number
}

export interface Replay extends ReplayProgress {
  readonly id: string
  /** Part of the coverage key of everything it writes. */
  readonly generation: number
  /** Last sequence of a range of the stream, fixed when it began; null from dead letters. */
  readonly endSequence: number | null
  readonly finished: boolean
  /** Messages the ledger has for it: more than `written` when it was interrupted between a commit and saying so. */
  readonly covered: number
}

/** A lane of the EventStream: each incarnation of its stream has one. */
export interface BaseLane {
  readonly id: number
  readonly stream: string
  readonly incarnation: string
}

/** The dead letters of one message. */
export interface DeadMessage {
  readonly ids: ReadonlyArray<number>
  /** Elements of an array; empty when the whole message is a dead letter. */
  readonly elements: ReadonlyArray<number>
  readonly reasons: ReadonlyArray<string>
  readonly stream: string
  readonly subject: string
  readonly seq: number
  readonly timeNanos: bigint
  readonly headers: Headers | undefined
  /** Undefined when payloads are redacted. */
  readonly payload: Uint8Array | undefined
}

export interface DeadMessageQuery {
  readonly lane: number
  /** Only sequences behind this one. */
  readonly behind: number
  readonly limit: number
  readonly startSequence?: number | undefined
  readonly endSequence?: number | undefined
  /** RFC 3339. */
  readonly startTime?: string | undefined
  readonly endTime?: string | undefined
}

/** Replays of one EventStream. */
export interface ReplayStore {
  /** Begins a replay, or finds the one of this id. `parameters`: what makes it this replay and no other. */
  readonly begin: (
    id: string,
    parameters: string,
    endSequence: number | null
  ) => Effect.Effect<Replay, DatabaseError | ReplayChanged>
  /** The EventStream's own lanes, oldest first; replays have theirs. */
  readonly lanes: Effect.Effect<ReadonlyArray<BaseLane>, DatabaseError>
  /** Finds or makes the lane in which a replay covers what it writes of a lane; returns its id. */
  readonly laneOf: (base: BaseLane, generation: number) => Effect.Effect<number, DatabaseError>
  /** Dead letters by message, in the order of their sequences; all of a sequence or none. */
  readonly deadMessages: (query: DeadMessageQuery) => Effect.Effect<ReadonlyArray<DeadMessage>, DatabaseError>
  /** How many messages of a lane have dead letters in the range, from behind a sequence on. */
  readonly countDeadMessages: (query: Omit<DeadMessageQuery, "limit">) => Effect.Effect<number, DatabaseError>
  readonly save: (id: string, progress: ReplayProgress, finished: boolean) => Effect.Effect<void, DatabaseError>
}

const replayOf = (row: any): Replay => ({
  id: row.id,
  generation: row.generation,
  endSequence: row.end_seq === null ? null : Number(row.end_seq),
  finished: row.finished_at !== null,
  covered: Number(row.covered ?? 0),
  cursor: { lane: Number(row.cursor_lane), seq: Number(row.cursor_seq) },
  read: Number(row.read),
  written: Number(row.written),
  failed: Number(row.failed)
})

/** Values are those of {@link rangeOf}. */
const chosen = `lane = $1 AND seq > $2 AND seq >= coalesce($3, seq) AND seq <= coalesce($4, seq)
    AND message_time >= coalesce($5::timestamptz, message_time) AND message_time <= coalesce($6::timestamptz, message_time)`

const rangeOf = (query: Omit<DeadMessageQuery, "limit">): ReadonlyArray<unknown> => {
  const { lane, behind, startSequence = null, endSequence = null, startTime = null, endTime = null } = query
  return [lane, behind, startSequence, endSequence, startTime, endTime]
}

/** Payload bytes read at once, the last message's apart. */
const mostBytes = 8 * 1024 * 1024

const deadMessages = (schema: string) => {
  const table = qualified(schema, deadLetterTable.name)
  return `\
SELECT stream, subject, seq, (extract(epoch FROM message_time) * 1000000)::int8 AS micros,
  array_agg(id ORDER BY id) AS ids, array_remove(array_agg(element ORDER BY id), NULL) AS elements,
  array_agg(reason ORDER BY id) AS reasons,
  (array_agg(headers ORDER BY id) FILTER (WHERE headers IS NOT NULL))[1] AS headers,
  (array_agg(payload ORDER BY id) FILTER (WHERE payload IS NOT NULL))[1] AS payload
FROM ${table}
WHERE ${chosen} AND seq <= (
  SELECT max(seq) FROM (
    SELECT seq, bytes, sum(bytes) OVER (ORDER BY seq) AS total FROM (
      SELECT seq, coalesce(sum(octet_length(payload)), 0) AS bytes FROM ${table} WHERE ${chosen}
      GROUP BY seq ORDER BY seq LIMIT $7) few) summed
  WHERE total - bytes < ${mostBytes})
GROUP BY seq, message_time, stream, subject ORDER BY seq, message_time`
}

export const makeReplayStore = (
  slot: Slot,
  schema: string,
  timeouts: Timeouts,
  eventStream: { readonly namespace: string; readonly name: string }
): ReplayStore => {
  const replays = qualified(schema, replayTable)
  const lanes = qualified(schema, laneTable)
  const letters = qualified(schema, deadLetterTable.name)
  const own = [eventStream.namespace, eventStream.name]
  const query = (text: string, values: ReadonlyArray<unknown>) =>
    translated(slot.use((session) => limited(session, timeouts).query(text, values)))
  /** Under the lock that writers take turns by when they look for their lane. */
  const inTurn = <A, E>(work: (session: Session) => Effect.Effect<A, E | PostgresFailure>) =>
    translated(
      slot.use((session) =>
        transaction(
          session,
          setTimeouts(timeouts),
          session
            .query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [`eventstream lane ${own.join("/")}`])
            .pipe(Effect.andThen(work(session)))
        )
      )
    )
  const covered = `SELECT sum(upper(run) - lower(run)) FROM ${qualified(schema, ledgerTable)} record, unnest(seqs) AS run
    WHERE record.lane = ANY (ARRAY(SELECT head.id FROM ${lanes} head WHERE head.namespace = $1 AND head.name = $2
      AND head.generation = replay.generation)) AND set_aside_at IS NULL`
  const select = `SELECT *, (${covered}) AS covered FROM ${replays} replay WHERE namespace = $1 AND name = $2 AND id = $3`
  return {
    begin: (id, parameters, endSequence) =>
      inTurn((session) =>
        Effect.gen(function* () {
          const [found] = yield* session.query(select, [...own, id])
          if (found !== undefined) {
            return found.parameters === parameters ? replayOf(found) : yield* new ReplayChanged({ id })
          }
          const [made] = yield* session.query(
            `INSERT INTO ${replays} (namespace, name, id, parameters, end_seq, generation)
             SELECT $1, $2, $3, $4, $5, 1 + greatest(
               (SELECT max(generation) FROM ${replays} WHERE namespace = $1 AND name = $2),
               (SELECT max(generation) FROM ${lanes} WHERE namespace = $1 AND name = $2), 0) RETURNING *`,
            [...own, id, parameters, endSequence]
          )
          return replayOf(made)
        })
      ),
    lanes: Effect.map(
      query(
        `SELECT id, stream, incarnation FROM ${lanes} WHERE namespace = $1 AND name = $2 AND generation = 0 ORDER BY id`,
        own
      ),
      (rows) => rows.map(({ id, stream, incarnation }): BaseLane => ({ id: Number(id), stream, incarnation }))
    ),
    laneOf: (base, generation) =>
      inTurn((session) =>
        Effect.gen(function* () {
          // The lane it is of, where other lanes have the hash of their target: that one changes when the EventStream is edited.
          const fingerprint = `replay of lane ${base.id}`
          const [found] = yield* session.query(
            `SELECT id FROM ${lanes} WHERE namespace = $1 AND name = $2 AND generation = $3 AND fingerprint = $4`,
            [...own, generation, fingerprint]
          )
          if (found !== undefined) return Number(found.id)
          const [made] = yield* session.query(
            `INSERT INTO ${lanes} (namespace, name, uid, fingerprint, stream, incarnation, generation,
               start_seq, start_time, database, timeline, schema_version)
             SELECT namespace, name, uid, $3, stream, incarnation, $2, 1, 0, database, timeline, schema_version
             FROM ${lanes} WHERE id = $1 RETURNING id`,
            [base.id, generation, fingerprint]
          )
          return Number(made.id)
        })
      ),
    countDeadMessages: (asked) =>
      Effect.map(
        query(`SELECT count(DISTINCT seq) AS count FROM ${letters} WHERE ${chosen}`, rangeOf(asked)),
        ([row]) => Number(row.count)
      ),
    deadMessages: (asked) =>
      Effect.map(query(deadMessages(schema), [...rangeOf(asked), asked.limit]), (rows) =>
        rows.map((row): DeadMessage => ({
          ids: row.ids.map(Number),
          elements: row.elements,
          reasons: row.reasons,
          stream: row.stream,
          subject: row.subject,
          seq: Number(row.seq),
          timeNanos: BigInt(row.micros) * 1000n,
          headers: row.headers ?? undefined,
          payload: row.payload ?? undefined
        }))
      ),
    save: (id, { cursor, read, written, failed }, finished) =>
      Effect.asVoid(
        query(
          `UPDATE ${replays} SET cursor_lane = $4, cursor_seq = $5, read = $6, written = $7, failed = $8, updated_at = now(),
             finished_at = CASE WHEN $9 THEN now() END WHERE namespace = $1 AND name = $2 AND id = $3`,
          [...own, id, cursor.lane, cursor.seq, read, written, failed, finished]
        )
      )
  }
}
