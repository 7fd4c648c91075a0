import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream"
import { connect, type NatsConnection } from "@nats-io/transport-node"
import { Effect } from "effect"
import { Client } from "pg"
import { startNats, startPostgres } from "../testing/servers.ts"
import { parentOf } from "./processes.ts"

export interface Servers {
  readonly nats: NatsConnection
  readonly manager: JetStreamManager
  readonly natsUrl: string
  readonly natsPid: number
  readonly database: Client
  readonly databaseUrl: string
  /** PostgreSQL's first process, the parent of all its others. */
  readonly postmasterPid: number
  /** Product and version, for the headline of the report. */
  readonly databaseVersion: string
}

/** Durable as in production, with memory for a bulk load: nothing is gained by what a crash would lose. */
const settings = {
  fsync: "on",
  synchronous_commit: "on",
  shared_buffers: "2GB",
  wal_buffers: "64MB",
  max_wal_size: "16GB",
  checkpoint_timeout: "30min",
  track_commit_timestamp: "on",
  jit: "off"
}

const natsConnection = (url: string) =>
  Effect.acquireRelease(
    Effect.promise(() => connect({ servers: url })),
    (connection) => Effect.promise(() => connection.close())
  )

const databaseClient = (url: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new Client({ connectionString: url })
      await client.connect()
      return client
    }),
    (client) => Effect.promise(() => client.end())
  )

/**
 * A nats-server with file storage and a PostgreSQL that syncs every commit, in temporary folders.
 *
 * @param databaseUrl an own PostgreSQL on this machine instead, e.g. one with TimescaleDB
 */
export const startServers = Effect.fnUntraced(function* (databaseUrl: string | undefined) {
  const natsServer = yield* startNats()
  const url = databaseUrl ?? (yield* startPostgres({ settings })).url
  const nats = yield* natsConnection(natsServer.url)
  const manager = yield* Effect.promise(() => jetstreamManager(nats))
  const database = yield* databaseClient(url)
  const { rows } = yield* Effect.promise(() =>
    database.query<{ pid: number; version: string; timescale: string | null }>(
      `SELECT pg_backend_pid() AS pid, current_setting('server_version') AS version,
              (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS timescale`
    )
  )
  const { pid, version, timescale } = rows[0]!
  const postmasterPid = parentOf(pid)
  if (postmasterPid === undefined) {
    return yield* Effect.die(
      new Error(`wanted PostgreSQL on this machine, found no process ${pid}; its CPU can't be measured`)
    )
  }
  return {
    nats,
    manager,
    natsUrl: natsServer.url,
    natsPid: natsServer.pid,
    database,
    databaseUrl: url,
    postmasterPid,
    databaseVersion: `PostgreSQL ${version}${timescale ? `, TimescaleDB ${timescale}` : ""}`
  } satisfies Servers
})
