import { Effect } from "effect"
import type { HostMap } from "../../platform/hosts.ts"
import { connectPostgres, type Session } from "../../platform/postgres.ts"
import type { PostgresOptions } from "../../platform/postgres-settings.ts"
import type { ChunkPolicies } from "../config.ts"
import { createHypertable, createTable } from "../tables/ddl.ts"
import type { Table } from "../tables/table.ts"
import { type Inspection, inspect, readServer, requireFit, type ServerFacts } from "./catalog.ts"
import { limited, transaction } from "./connection.ts"
import { type DatabaseError, DatabaseMisconfigured } from "./errors.ts"
import { translated } from "./failure.ts"
import { storeTables } from "./schema.ts"
import { ident } from "./sql.ts"
import { setTimeouts, type Timeouts } from "./statements.ts"
import { type AppliedPolicies, applyPolicies } from "./timescale.ts"

export interface MigrateOptions {
  readonly postgres: PostgresOptions & Timeouts
  /** `target.schema`. */
  readonly schema: string
  /** The processor's tables. */
  readonly tables: ReadonlyArray<Table>
  readonly ddl: "None" | "CreateIfMissing"
  /** What becomes of old chunks. Unset: what is set up in the database is left as it is. */
  readonly chunkPolicies?: ChunkPolicies
  readonly hosts: HostMap
}

/** What was made; nothing on a second run. */
export interface Migrated {
  /** Product and version of the server. */
  readonly server: string
  readonly tables: ReadonlyArray<string>
  readonly hypertables: ReadonlyArray<string>
  readonly policies: AppliedPolicies
}

/** Statements that may not be permitted, each with what to do then. */
const permitted = (session: Session, sql: string, remedy: string) =>
  session.query(sql).pipe(
    Effect.mapError((failure) =>
      failure.sqlstate === "42501" || failure.sqlstate === "0A000" || failure.sqlstate === "58P01"
        ? new DatabaseMisconfigured({
            reason: "PermissionDenied",
            sqlstate: failure.sqlstate,
            detail: `wanted to run \`${sql}\`, found: ${failure.detail}; ${remedy}`
          })
        : failure
    )
  )

const create = (session: Session, options: MigrateOptions, server: ServerFacts, inspection: Inspection) =>
  Effect.gen(function* () {
    const { schema, tables } = options
    const absentOfStore = storeTables.filter(({ name }) => inspection.absentOfStore.includes(name))
    const schemas = new Set([
      ...inspection.absent.map((table) => table.schema ?? schema),
      ...(absentOfStore.length > 0 ? [schema] : [])
    ])
    for (const name of schemas) {
      // IF NOT EXISTS asks for the permission to create also where the schema exists.
      const found = yield* session.query("SELECT FROM pg_namespace WHERE nspname = $1", [name])
      if (found.length > 0) continue
      yield* permitted(session, `CREATE SCHEMA ${ident(name)}`, `create the schema, or let the role create it`)
    }
    if (absentOfStore.length > 0 && !server.hasGist) {
      yield* permitted(
        session,
        "CREATE EXTENSION IF NOT EXISTS btree_gist",
        "the database's owner or a superuser may run it (on Debian and RHEL it is in the package postgresql-contrib)"
      )
    }
    for (const table of absentOfStore) {
      for (const statement of table.create(schema, server.hasLz4)) yield* session.query(statement)
    }
    const hypertables: Array<string> = []
    for (const table of inspection.absent) {
      for (const statement of createTable(table, schema)) yield* session.query(statement)
      if (server.timescale === null) continue
      const hypertable = createHypertable(table, schema, server.timescale.schema)
      if (hypertable === undefined) continue
      yield* session.query(hypertable)
      hypertables.push(table.name)
    }
    yield* requireFit(schema, yield* inspect(session, schema, tables))
    return {
      tables: [...absentOfStore.map(({ name }) => name), ...inspection.absent.map(({ name }) => name)],
      hypertables
    }
  })

const nothing: Pick<Migrated, "tables" | "hypertables"> = { tables: [], hypertables: [] }
const noPolicies: AppliedPolicies = { changed: [], missing: [] }

/**
 * Makes the tables that are missing, in one transaction, checks those that exist, and sees to the policies of hypertables; with
 * `ddl: None` it only checks. Runs that happen at the same time wait for each other.
 */
export const migrate = (options: MigrateOptions): Effect.Effect<Migrated, DatabaseError> =>
  Effect.gen(function* () {
    const { postgres, schema, tables, chunkPolicies } = options
    const session = yield* connectPostgres(
      postgres,
      {
        applicationName: "eventstream/migrate",
        hosts: options.hosts,
        requestTimeoutMillis: 2 * postgres.statementTimeoutMillis
      },
      () => {}
    )
    const server = yield* readServer(limited(session, postgres))
    const before = yield* inspect(limited(session, postgres), schema, tables)
    const complete = before.absent.length === 0 && before.absentOfStore.length === 0
    if (complete || options.ddl === "None") yield* requireFit(schema, before)
    if (options.ddl === "None" || (complete && chunkPolicies === undefined)) {
      return { server: server.product, ...nothing, policies: noPolicies }
    }
    const made = yield* transaction(
      session,
      setTimeouts(postgres),
      Effect.gen(function* () {
        yield* session.query("SELECT pg_advisory_xact_lock(hashtextextended('eventstream migrate', 0))")
        // Another run may have made them while this one waited.
        const server = yield* readServer(session)
        const made = complete
          ? nothing
          : yield* create(session, options, server, yield* inspect(session, schema, tables))
        const policies =
          chunkPolicies === undefined
            ? noPolicies
            : yield* applyPolicies(session, server, schema, tables, chunkPolicies)
        return { ...made, policies }
      })
    )
    return { server: server.product, ...made }
  }).pipe(Effect.scoped, translated)
