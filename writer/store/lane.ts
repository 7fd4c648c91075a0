import { Effect } from "effect"
import type { PostgresFailure, Session } from "../../platform/postgres.ts"
import { transaction } from "./connection.ts"
import { DatabaseMisconfigured, LaneMissing } from "./errors.ts"
import { type ServerFacts, timescaleText } from "./catalog.ts"
import { laneTable, schemaVersion } from "./schema.ts"
import { qualified } from "./sql.ts"
import { setTimeouts, type Timeouts } from "./statements.ts"
import type { Lane, OpenRequest } from "./store.ts"

/** The newest lane of an EventStream for an incarnation of its stream. */
interface StoredLane {
  readonly id: number
  readonly uid: string
  readonly fingerprint: string
  readonly rollbacks: number
  readonly database: string
  readonly timeline: number
  readonly schemaVersion: number
}

/**
 * Whether a stored lane goes on. With the same uid it does whatever was edited; with another uid (deleted and applied again,
 * restored into a new cluster) only for the same target, so that a stream is never written twice into it.
 */
const goesOn = (
  stored: Pick<StoredLane, "uid" | "fingerprint">,
  request: Pick<OpenRequest, "uid" | "fingerprint">
): boolean => stored.uid === request.uid || stored.fingerprint === request.fingerprint

const newest = (schema: string) => `\
SELECT id, uid, fingerprint, rollbacks, database, timeline, schema_version FROM ${qualified(schema, laneTable)}
WHERE namespace = $1 AND name = $2 AND incarnation = $3 AND generation = 0 ORDER BY id DESC LIMIT 1`

const take = (schema: string) => `\
UPDATE ${qualified(schema, laneTable)} SET uid = $2, fingerprint = $3, database = $4, timeline = $5
WHERE id = $1 AND (uid, fingerprint, database, timeline) IS DISTINCT FROM ($2, $3, $4, $5)`

const insert = (schema: string) => `\
INSERT INTO ${qualified(schema, laneTable)}
  (namespace, name, uid, fingerprint, stream, incarnation, start_seq, start_time, database, timeline, schema_version)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, ${schemaVersion}) RETURNING id`

export interface OpenedLane {
  readonly lane: Lane
  readonly rollbacks: number
}

/** Finds the lane or makes it. Writers of one EventStream take turns, so that they find the same. */
export const openLane = (
  session: Session,
  schema: string,
  timeouts: Timeouts,
  server: ServerFacts,
  request: OpenRequest
): Effect.Effect<OpenedLane, PostgresFailure | DatabaseMisconfigured | LaneMissing> =>
  transaction(
    session,
    setTimeouts(timeouts),
    Effect.gen(function* () {
      const { namespace, name, uid, fingerprint, stream, incarnation, start } = request
      yield* session.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [
        `eventstream lane ${namespace}/${name}`
      ])
      const [row] = yield* session.query(newest(schema), [namespace, name, incarnation])
      const stored: StoredLane | undefined = row && {
        id: Number(row.id),
        uid: row.uid,
        fingerprint: row.fingerprint,
        rollbacks: Number(row.rollbacks),
        database: row.database,
        timeline: Number(row.timeline),
        schemaVersion: row.schema_version
      }
      if (stored !== undefined && stored.schemaVersion > schemaVersion) {
        return yield* new DatabaseMisconfigured({
          reason: "SchemaMismatch",
          sqlstate: null,
          detail:
            `wanted a ledger of version ${schemaVersion} at most, found version ${stored.schemaVersion}; ` +
            `a newer writer was here: use that version`
        })
      }
      if (stored !== undefined && goesOn(stored, request)) {
        yield* session.query(take(schema), [stored.id, uid, fingerprint, server.database, server.timeline])
        const databaseChanged = stored.database !== server.database || stored.timeline !== server.timeline
        return {
          lane: {
            id: stored.id,
            stream,
            isNew: false,
            database: server.database,
            timeline: server.timeline,
            databaseChanged,
            server: server.product,
            timescale: server.timescale && timescaleText(server.timescale)
          },
          rollbacks: stored.rollbacks
        }
      }
      if (request.consumerUsed) return yield* new LaneMissing({ namespace, name, incarnation })
      const [made] = yield* session.query(insert(schema), [
        namespace,
        name,
        uid,
        fingerprint,
        stream,
        incarnation,
        start.sequence,
        start.timeNanos.toString(),
        server.database,
        server.timeline
      ])
      return {
        lane: {
          id: Number(made.id),
          stream,
          isNew: true,
          database: server.database,
          timeline: server.timeline,
          databaseChanged: false,
          server: server.product,
          timescale: server.timescale && timescaleText(server.timescale)
        },
        rollbacks: 0
      }
    })
  )
