import { Effect } from "effect"
import type { PostgresFailure, Session } from "../../platform/postgres.ts"
import { type FoundTable, tableProblems } from "../tables/check.ts"
import type { Table } from "../tables/table.ts"
import { type DatabaseError, DatabaseMisconfigured, DatabaseUnavailable } from "./errors.ts"
import { storeTables } from "./schema.ts"
import { literal, qualified } from "./sql.ts"

/** What the database's catalogs say: the server, and the tables as they are. */

export interface Timescale {
  readonly version: string
  /** As the setting `timescaledb.license` names it: `apache`, or `timescale` for the community edition. */
  readonly edition: string
  /** Of its functions. */
  readonly schema: string
}

/** E.g. `2.19.3 (apache)`. */
export const timescaleText = ({ version, edition }: Timescale): string => `${version} (${edition})`

export interface ServerFacts {
  /** E.g. `PostgreSQL 18.4, TimescaleDB 2.19.3 (apache)`. */
  readonly product: string
  /** System identifier: another one is another database, wherever the name leads. */
  readonly database: string
  /** Grows with every promotion and point-in-time recovery. */
  readonly timeline: number
  /** Null without the extension. */
  readonly timescale: Timescale | null
  readonly hasGist: boolean
  readonly hasLz4: boolean
}

const facts = `\
SELECT current_setting('server_version') AS version,
  (SELECT system_identifier::text FROM pg_control_system()) AS database,
  -- The control file still has the old timeline shortly after a promotion; the name of the current WAL file has the new one.
  CASE WHEN NOT pg_is_in_recovery() THEN ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int8 END AS timeline,
  current_setting('client_encoding') AS encoding,
  (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS timescale,
  (SELECT nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'timescaledb') AS timescale_schema,
  coalesce(current_setting('timescaledb.license', true), 'unknown') AS timescale_edition,
  EXISTS (SELECT FROM pg_extension WHERE extname = 'btree_gist') AS has_gist,
  (SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression') AS has_lz4`

/** Fails for a standby, and for a database of another encoding than the texts of binary COPY have. */
export const readServer = (session: Session): Effect.Effect<ServerFacts, PostgresFailure | DatabaseError> =>
  Effect.gen(function* () {
    const [row] = yield* session.query(facts)
    if (row.timeline === null) {
      return yield* new DatabaseUnavailable({
        reason: "TargetUnreachable",
        sqlstate: "25006",
        detail: "a standby that only reads, wanted the primary: a failover is under way, or the address is wrong",
        shrink: false
      })
    }
    if (row.encoding !== "UTF8") {
      return yield* new DatabaseMisconfigured({
        reason: "SchemaMismatch",
        sqlstate: null,
        detail: `wanted a database of encoding UTF8, found ${row.encoding}; create the database with encoding UTF8`
      })
    }
    const version = /^[\d.]+\w*/.exec(row.version)?.[0] ?? row.version
    const timescale: Timescale | null =
      row.timescale === null
        ? null
        : { version: row.timescale, edition: row.timescale_edition, schema: row.timescale_schema }
    return {
      product: `PostgreSQL ${version}${timescale ? `, TimescaleDB ${timescaleText(timescale)}` : ""}`,
      database: row.database,
      timeline: Number(row.timeline),
      timescale,
      hasGist: row.has_gist,
      hasLz4: row.has_lz4 ?? false
    }
  })

/** Another number for other columns or types. */
const columnsHash = "sum(hashtextextended(attname::text, atttypid::int8))"

const tables = `\
SELECT n.nspname AS schema, c.relname AS name,
  (SELECT ${columnsHash} FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0)::text AS hash,
  (SELECT json_agg(json_build_object(
      'name', a.attname,
      'type', format_type(CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE a.atttypid END, NULL),
      'notNull', a.attnotnull,
      'filled', a.atthasdef OR a.attidentity <> ''))
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
  (SELECT coalesce(json_agg((SELECT json_agg(a.attname) FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) k
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k)), '[]')
    FROM pg_index i
    WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL) AS unique_keys
FROM unnest($1::text[], $2::text[]) AS wanted (schema, name)
JOIN pg_namespace n ON n.nspname = wanted.schema
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.name AND c.relkind IN ('r', 'p')`

/** What a table looked like when it was found to fit. */
export interface Shape {
  readonly hash: string
}

/**
 * Fails with 22012 (division by zero) when the table has other columns than when it was checked: binary COPY would store
 * nonsense in a column of another type. To be run with the table locked, which keeps the columns as they are until commit.
 * Looks the table up by its name, as COPY does: another one may have taken it.
 *
 * @param schema of tables that name none
 */
export const shapeStatement = (table: Table, schema: string, { hash }: Shape): string =>
  `SELECT 1 / (${columnsHash} = ${hash})::int FROM pg_attribute ` +
  `WHERE attrelid = ${literal(qualified(table.schema ?? schema, table.name))}::regclass AND attnum > 0`

/** Full name of a table. */
export interface Name {
  readonly schema: string
  readonly name: string
}

const keyOf = ({ schema, name }: Name) => JSON.stringify([schema, name])

/** Which of the tables exist, and how they look. */
export const readTables = (
  session: Session,
  names: ReadonlyArray<Name>
): Effect.Effect<(name: Name) => (FoundTable & Shape) | undefined, PostgresFailure> =>
  Effect.map(session.query(tables, [names.map(({ schema }) => schema), names.map(({ name }) => name)]), (rows) => {
    const found = new Map<string, FoundTable & Shape>(
      rows.map((row) => [keyOf(row), { columns: row.columns, uniqueKeys: row.unique_keys, hash: row.hash }])
    )
    return (name) => found.get(keyOf(name))
  })

/** How far the database is from what the writer needs. */
export interface Inspection {
  /** Of the target tables that exist, in their order. */
  readonly shapes: ReadonlyArray<Shape>
  /** Target tables that do not exist. */
  readonly absent: ReadonlyArray<Table>
  /** Names of the store's tables that do not exist. */
  readonly absentOfStore: ReadonlyArray<string>
  /** Sentences about tables that exist and do not fit. */
  readonly problems: ReadonlyArray<string>
}

/** @param schema of the store's tables, and of target tables that name none */
export const inspect = (
  session: Session,
  schema: string,
  target: ReadonlyArray<Table>
): Effect.Effect<Inspection, PostgresFailure> =>
  Effect.gen(function* () {
    const nameOf = (table: Table): Name => ({ schema: table.schema ?? schema, name: table.name })
    const names = [...target.map(nameOf), ...storeTables.map(({ name }) => ({ schema, name }))]
    const find = yield* readTables(session, names)
    const storeProblems = storeTables.flatMap(({ name, columns }) => {
      const found = find({ schema, name })
      const missing = columns.filter((column) => found?.columns.every((there) => there.name !== column))
      return found === undefined || missing.length === 0 ? [] : [`table ${name} lacks columns ${missing.join(", ")}`]
    })
    const present = target.filter((table) => find(nameOf(table)) !== undefined)
    return {
      shapes: present.map((table) => find(nameOf(table))!),
      absent: target.filter((table) => !present.includes(table)),
      absentOfStore: storeTables.map(({ name }) => name).filter((name) => find({ schema, name }) === undefined),
      problems: [...storeProblems, ...present.flatMap((table) => tableProblems(table, find(nameOf(table))))]
    }
  })

/** Fails unless everything is there and fits. */
export const requireFit = (schema: string, inspection: Inspection): Effect.Effect<void, DatabaseMisconfigured> => {
  const absent = [...inspection.absentOfStore, ...inspection.absent.map(({ name }) => name)]
  const problems = [
    ...(absent.length === 0 ? [] : [`tables ${absent.join(", ")} do not exist`]),
    ...inspection.problems
  ]
  return problems.length === 0
    ? Effect.void
    : Effect.fail(
        new DatabaseMisconfigured({
          reason: "SchemaMismatch",
          sqlstate: null,
          detail:
            `wanted the tables of the processor and of the ledger in schema ${schema}, found: ${problems.join("; ")}; ` +
            (absent.length === 0
              ? "alter the tables or the mapping"
              : "run `eventstream migrate` with target.ddl CreateIfMissing, or create them")
        })
      )
}
