import { Effect, Runtime, Schema } from "effect"
import { parseHosts } from "../platform/hosts.ts"
import { layer as logLayer, logFatal } from "../platform/log.ts"
import type { WriterConfig } from "./config.ts"
import { readConfigFile } from "./config-file.ts"
import { type Environment, readEnvironment } from "./environment.ts"
import { makeProcessor } from "./processors/index.ts"
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
    const read: Effect.Effect<WriterConfig, { readonly message: string }> =
      file === undefined ? readEnvironment(environment) : readConfigFile(file)
    const config = yield* read.pipe(Effect.catch(fail("InvalidConfiguration")))
    const { postgres, schema, ddl } = config.target
    const processor = yield* Effect.try({
      try: () => makeProcessor(config.processor, config.target),
      catch: (error) => ({ message: error instanceof Error ? error.message : String(error) })
    }).pipe(Effect.catch(fail("InvalidSpec")))
    const { server, tables, hypertables } = yield* migrate({
      postgres,
      schema,
      tables: processor.tables,
      ddl,
      hosts: parseHosts(environment["EVENTSTREAM_HOSTS"])
    }).pipe(Effect.catch((error) => fail(error.reason)(error)))
    yield* tables.length === 0
      ? Effect.logInfo("tables are as they should be", { server })
      : Effect.logInfo("tables created", { server, tables, hypertables })
  }).pipe(Effect.provide(logLayer("info")))
