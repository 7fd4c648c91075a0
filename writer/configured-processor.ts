import { Effect } from "effect"
import type { HostMap } from "../platform/hosts.ts"
import { connectPostgres } from "../platform/postgres.ts"
import type { WriterConfig } from "./config.ts"
import type { JsonConfig } from "./processor-config.ts"
import { columnFaults, makeProcessor } from "./processors/index.ts"
import type { Processor } from "./processors/processor.ts"
import { type Name, readTables } from "./store/catalog.ts"
import { limited } from "./store/connection.ts"
import { type DatabaseError, DatabaseMisconfigured } from "./store/errors.ts"
import { translated } from "./store/failure.ts"
import { withFoundColumns } from "./tables/found-columns.ts"
import { jsonRoutes, tableName } from "./tables/mapped.ts"

/** Why there is no processor; `reason` is one of a condition's. */
export interface NoProcessor {
  readonly reason: string
  readonly message: string
}

/** Lists the columns of tables that exist, where the configuration lists none. */
const withTableColumns = (
  json: JsonConfig,
  { postgres, schema }: WriterConfig["target"],
  hosts: HostMap
): Effect.Effect<JsonConfig, DatabaseError> =>
  Effect.gen(function* () {
    const session = yield* connectPostgres(
      postgres,
      { applicationName: "eventstream/columns", hosts, requestTimeoutMillis: 2 * postgres.statementTimeoutMillis },
      () => {}
    )
    const nameOf = (table: string): Name => ({ schema, ...tableName(table) })
    const tables = jsonRoutes(json).flatMap(({ mapping }) => mapping?.table ?? [])
    const find = yield* readTables(limited(session, postgres), tables.map(nameOf))
    const complete = withFoundColumns(json, (table) => find(nameOf(table)))
    if (!Array.isArray(complete)) return complete as JsonConfig
    return yield* new DatabaseMisconfigured({
      reason: "SchemaMismatch",
      sqlstate: null,
      detail: `wanted the columns of tables that exist, because processor.json lists none, found: ${complete.join("; ")}`
    })
  }).pipe(Effect.scoped, translated)

/** The processor that a configuration asks for. The database is only asked where a Json table's columns are not listed. */
export const configuredProcessor = (config: WriterConfig, hosts: HostMap): Effect.Effect<Processor, NoProcessor> =>
  Effect.gen(function* () {
    const { processor, target } = config
    const { json } = processor
    const complete =
      json === undefined || columnFaults(processor).length === 0
        ? processor
        : { ...processor, json: yield* withTableColumns(json, target, hosts) }
    return yield* Effect.try({
      try: () => makeProcessor(complete, target),
      catch: (error) => ({ reason: "InvalidSpec", message: error instanceof Error ? error.message : String(error) })
    })
  })
