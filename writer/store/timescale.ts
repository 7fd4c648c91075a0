import { Effect } from "effect"
import type { PostgresFailure, Session } from "../../platform/postgres.ts"
import type { ChunkPolicies } from "../config.ts"
import { type FoundPolicies, missingColumns, policyStatements } from "../tables/policies.ts"
import type { Table } from "../tables/table.ts"
import type { ServerFacts } from "./catalog.ts"
import { DatabaseMisconfigured } from "./errors.ts"

/** What became of the policies. */
export interface AppliedPolicies {
  /** Names of the hypertables whose policies were changed. */
  readonly changed: ReadonlyArray<string>
  /** Sentences about what could not be had here. */
  readonly missing: ReadonlyArray<string>
}

/** In both editions these views exist. Source: TimescaleDB, "Informational views". */
const policiesOf = `\
SELECT
  (SELECT extract(epoch FROM (config->>'compress_after')::interval) * 1000 FROM timescaledb_information.jobs
    WHERE hypertable_schema = $1 AND hypertable_name = $2 AND proc_name = 'policy_compression')::float8 AS compress_after,
  (SELECT extract(epoch FROM (config->>'drop_after')::interval) * 1000 FROM timescaledb_information.jobs
    WHERE hypertable_schema = $1 AND hypertable_name = $2 AND proc_name = 'policy_retention')::float8 AS drop_after,
  (SELECT coalesce(json_agg(attname ORDER BY segmentby_column_index), '[]') FROM timescaledb_information.compression_settings
    WHERE hypertable_schema = $1 AND hypertable_name = $2 AND segmentby_column_index IS NOT NULL) AS segment_by,
  (SELECT coalesce(json_agg(json_build_object('name', attname, 'descending', NOT orderby_asc, 'nullsFirst', orderby_nullsfirst)
      ORDER BY orderby_column_index), '[]') FROM timescaledb_information.compression_settings
    WHERE hypertable_schema = $1 AND hypertable_name = $2 AND orderby_column_index IS NOT NULL) AS order_by
FROM timescaledb_information.hypertables WHERE hypertable_schema = $1 AND hypertable_name = $2`

/** Undefined when the table is no hypertable. */
export const readPolicies = (
  session: Session,
  schema: string,
  table: string
): Effect.Effect<FoundPolicies | undefined, PostgresFailure> =>
  Effect.map(session.query(policiesOf, [schema, table]), ([row]) =>
    row === undefined
      ? undefined
      : {
          compressAfterMillis: row.compress_after,
          dropAfterMillis: row.drop_after,
          segmentBy: row.segment_by,
          orderBy: row.order_by
        }
  )

const wantedFeatures = ({ compressAfterMillis, dropAfterMillis }: ChunkPolicies) =>
  [
    ...(compressAfterMillis === undefined ? [] : ["compressed"]),
    ...(dropAfterMillis === undefined ? [] : ["dropped by age"])
  ].join(" or ")

/** Brings the policies of the hypertables among the tables to what is wanted, where the edition of the extension has them. */
export const applyPolicies = (
  session: Session,
  server: ServerFacts,
  schema: string,
  tables: ReadonlyArray<Table>,
  policies: ChunkPolicies
): Effect.Effect<AppliedPolicies, PostgresFailure | DatabaseMisconfigured> =>
  Effect.gen(function* () {
    const timed = tables.filter(({ timeColumn }) => timeColumn !== undefined)
    if (server.timescale?.edition !== "timescale") {
      const sentence =
        `target.timeseries wants old chunks to be ${wantedFeatures(policies)}, which takes the community edition of TimescaleDB; ` +
        `found ${server.product}: they stay as they are`
      return { changed: [], missing: [sentence] }
    }
    const { schema: extensionSchema } = server.timescale
    const changed: Array<string> = []
    const missing: Array<string> = []
    for (const table of timed) {
      const absent = missingColumns(table, policies)
      if (absent.length > 0) {
        return yield* new DatabaseMisconfigured({
          reason: "SchemaMismatch",
          sqlstate: null,
          detail:
            `wanted columns ${absent.join(", ")} of target.timeseries.segmentBy and orderBy in table ${table.name}, ` +
            `found only ${table.columns.map(({ name }) => name).join(", ")}; name some of those`
        })
      }
      const found = yield* readPolicies(session, table.schema ?? schema, table.name)
      if (found === undefined) {
        missing.push(
          `table ${table.name} is no hypertable, so its rows are not ${wantedFeatures(policies)}; ` +
            `it was there before the extension, or before target.timeseries.timeColumn`
        )
        continue
      }
      const statements = policyStatements(table, schema, extensionSchema, policies, found)
      for (const statement of statements) yield* session.query(statement)
      if (statements.length > 0) changed.push(table.name)
    }
    return { changed, missing }
  })
