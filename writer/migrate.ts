import { Effect, Runtime, Schema } from "effect"
import { parseHosts } from "../platform/hosts.ts"
import { layer as logLayer, logFatal } from "../platform/log.ts"
import { configuredProcessor } from "./configured-processor.ts"
import { readConfiguration } from "./config-file.ts"
import type { Environment } from "./environment.ts"
import { migrate } from "./store/migrate.ts"

/** The tables could not be made or do not fit. The log has said why already. */
export class MigrateFailed extends Schema.TaggedError<MigrateFailed>()("MigrateFailed", { reason: Schema.String }) {
  override readonly [Runtime.errorReported] = false
}

const fail = (reason: string) => (error: { readonly message: string }) =>
  logFatal(reason, error.message).pipe(Effect.andThen(Effect.fail(new MigrateFailed({ reason }))))

/** The command `migrate`: brings the database to what the writer of this configuration, a file's or the environment's, needs. */
export const launchMigrate = (options: { readonly config: string | undefined; readonly environment: Environment }) =>
  Effect.gen(function* () {
    const { config: file, environment } = options
    const config = yield* readConfiguration(file, environment).pipe(Effect.catch(fail("InvalidConfiguration")))
    const { postgres, schema, ddl, chunkPolicies } = config.target
    const hosts = parseHosts(environment["EVENTSTREAM_HOSTS"])
    const processor = yield* configuredProcessor(config, hosts).pipe(Effect.catch((error) => fail(error.reason)(error)))
    const { server, tables, hypertables, policies } = yield* migrate({
      postgres,
      schema,
      tables: processor.tables,
      ddl,
      ...(chunkPolicies === undefined ? {} : { chunkPolicies }),
      hosts
    }).pipe(Effect.catch((error) => fail(error.reason)(error)))
    yield* tables.length === 0
      ? Effect.logInfo("tables are as they should be", { server })
      : Effect.logInfo("tables created", { server, tables, hypertables })
    if (policies.changed.length > 0) yield* Effect.logInfo("policies changed", { hypertables: policies.changed })
    for (const sentence of policies.missing) yield* Effect.logWarning(sentence)
  }).pipe(Effect.provide(logLayer("info")))
