import { Effect, Exit, Scope } from "effect"
import { cpSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { freePort, type PostgresServer, startPostgres, tempDirectory } from "./servers.ts"

/** A primary and a standby, which commits wait for: whatever was acknowledged is on both. */
export interface Pair {
  readonly primary: PostgresServer
  readonly standby: PostgresServer
}

const standbyName = "standby"

/** Starts the pair. The standby begins as a copy of the primary's files, taken while that does not run. */
export const startPair = Effect.gen(function* () {
  const folder = yield* tempDirectory("eventstream-pair-")
  const dataDirectory = (name: string) => join(folder, name)
  const port = yield* freePort
  const life = yield* Scope.make()
  yield* startPostgres({ dataDirectory: dataDirectory("primary"), port }).pipe(Scope.provide(life))
  yield* Scope.close(life, Exit.void)
  cpSync(dataDirectory("primary"), dataDirectory("standby"), { recursive: true, preserveTimestamps: true })
  writeFileSync(join(dataDirectory("standby"), "standby.signal"), "")
  const [primary, standby] = yield* Effect.all(
    [
      startPostgres({
        dataDirectory: dataDirectory("primary"),
        port,
        settings: { synchronous_standby_names: standbyName }
      }),
      startPostgres({
        dataDirectory: dataDirectory("standby"),
        settings: {
          primary_conninfo: `host=127.0.0.1 port=${port} user=postgres application_name=${standbyName}`,
          wal_retrieve_retry_interval: "100ms"
        }
      })
    ],
    { concurrency: 2 }
  )
  return { primary, standby } satisfies Pair
})
