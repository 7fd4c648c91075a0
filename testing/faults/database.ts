import { Effect, type Scope } from "effect"
import { join } from "node:path"
import { Client } from "pg"
import { postgresBinaries } from "../postgres-binaries.ts"
import { freePort, type PostgresInstallation, startPostgres, tempDirectory } from "../servers.ts"
import { startProxy } from "../proxy.ts"
import { startPair } from "../standby.ts"
import { restartable, type Restartable } from "./restartable.ts"

/** A PostgreSQL that faults may hit, and what is asked of it past all proxies. */
export interface Database extends Restartable {
  /** On a connection of its own, made anew when it broke; waits while the server is away. */
  readonly query: <Row extends object>(sql: string, parameters?: ReadonlyArray<unknown>) => Effect.Effect<Array<Row>>
  /** As `query`, in database `postgres`. */
  readonly maintain: (sql: string) => Effect.Effect<void>
  /** Another connection, e.g. to hold a lock. */
  readonly session: Effect.Effect<Client, never, Scope.Scope>
}

/** A server that is frozen does not answer; whoever asks it is to notice. */
const answerMillis = 20_000

export const connectClient = async (port: number, database: string): Promise<Client> => {
  const client = new Client({
    host: "127.0.0.1",
    port,
    database,
    user: "postgres",
    application_name: "faults",
    connectionTimeoutMillis: 2_000,
    query_timeout: answerMillis
  })
  client.on("error", () => undefined)
  await client.connect()
  return client
}

/** SQLSTATEs of a server or database that is away or in another state for now, and errors of the socket. */
const isAway = (error: unknown): boolean => {
  const { code, message } = error as { readonly code?: string; readonly message: string }
  if (code === undefined) return /connection|timeout|not queryable/i.test(message)
  return /^(08...|57P..|53300|25006|3D000|55000|E[A-Z]+)$/.test(code)
}

/** Connects as soon as the server takes it. */
const connectEventually = async (port: number, database: string): Promise<Client> => {
  for (;;) {
    try {
      return await connectClient(port, database)
    } catch (error) {
      if (!isAway(error)) throw error
      await new Promise((resolve) => void setTimeout(resolve, 100))
    }
  }
}

/** Asks on one connection, again and again until there is an answer. */
export const makeAsking = (port: number, database: string) => {
  let client: Promise<Client> | undefined
  let closed = false
  const disconnect = async () => {
    const old = client
    client = undefined
    await old?.then(
      (connected) => connected.end(),
      () => undefined
    )
  }
  const query = async <Row extends object>(
    sql: string,
    parameters: ReadonlyArray<unknown> = []
  ): Promise<Array<Row>> => {
    for (;;) {
      try {
        client ??= connectClient(port, database)
        return (await (await client).query(sql, [...parameters])).rows as Array<Row>
      } catch (error) {
        void disconnect().catch(() => undefined)
        if (closed || !isAway(error)) throw error
        await new Promise((resolve) => void setTimeout(resolve, 50))
      }
    }
  }
  const close = async () => {
    closed = true
    await disconnect().catch(() => undefined)
  }
  return { query, close }
}

/** What a case needs that is not the default. */
export interface DatabaseOptions {
  readonly settings?: Readonly<Record<string, string>>
  /** Size of a volume of its own, on which a tablespace `small` is. */
  readonly smallVolumeMegabytes?: number
}

/** A server that sees a volume in the folder, in memory and of a fixed size; nobody else sees it, and it ends with the server. */
const withVolume = (folder: string, megabytes: number): PostgresInstallation => ({
  bin: postgresBinaries(),
  command: () => ({
    prefix: `unshare --user --map-user=1000 --map-group=1000 --keep-caps --mount sh -ec`
      .split(" ")
      .concat(`mount -t tmpfs -o size=${megabytes}m tmpfs "$0"; exec "$@"`, folder),
    options: {}
  })
})

/** What a server is asked at a port. */
const asked = Effect.fnUntraced(function* (
  port: number
): Effect.fn.Return<Pick<Database, "query" | "maintain" | "session">, never, Scope.Scope> {
  const maintenance = makeAsking(port, "postgres")
  const asking = makeAsking(port, "faults")
  yield* Effect.addFinalizer(() => Effect.promise(() => Promise.all([asking.close(), maintenance.close()])))
  yield* Effect.promise(() => maintenance.query("CREATE DATABASE faults"))
  return {
    query: (sql, parameters) => Effect.promise(() => asking.query(sql, parameters)),
    maintain: (sql) => Effect.promise(() => maintenance.query(sql).then(() => undefined)),
    session: Effect.acquireRelease(
      Effect.promise(() => connectEventually(port, "faults")),
      (client) => Effect.promise(() => client.end().catch(() => undefined))
    )
  }
})

/** Starts it, with an empty database `faults`. */
export const startDatabase = Effect.fnUntraced(function* (
  options: DatabaseOptions = {}
): Effect.fn.Return<Database, never, Scope.Scope> {
  const port = yield* freePort
  const folder = yield* tempDirectory("eventstream-faults-postgres-")
  const { settings = {}, smallVolumeMegabytes: megabytes } = options
  const volume = yield* tempDirectory("eventstream-faults-volume-")
  const installation = megabytes === undefined ? {} : { installation: withVolume(volume, megabytes) }
  const server = yield* restartable(
    port,
    startPostgres({ settings, ...installation, dataDirectory: join(folder, "data"), port })
  )
  yield* server.start
  const database = yield* asked(port)
  if (megabytes !== undefined) yield* database.maintain(`CREATE TABLESPACE small LOCATION '${volume}'`)
  return { ...server, ...database }
})

/** A database with a standby, which commits wait for. */
export interface PairedDatabase extends Database {
  /** No more writes at the primary, then the standby takes over, then the primary is gone. */
  readonly switchOver: Effect.Effect<void>
}

/** Whoever asks for the database reaches the one that takes writes, by a name that moves. */
export const startPairedDatabase = Effect.gen(function* () {
  const { primary, standby } = yield* Effect.orDie(startPair)
  const moving = yield* startProxy(primary.port)
  const database = yield* asked(moving.port)
  const statement = (port: number, sql: string) =>
    Effect.promise(async () => {
      const client = await connectClient(port, "postgres")
      await client.query(sql)
      await client.end()
    })
  return {
    ...database,
    port: moving.port,
    pid: () => primary.pid,
    start: Effect.void,
    end: (signal) => Effect.sync(() => void primary.process.kill(signal)),
    signal: (signal) => void primary.process.kill(signal),
    switchOver: Effect.gen(function* () {
      yield* statement(primary.port, "ALTER SYSTEM SET default_transaction_read_only = on")
      yield* statement(primary.port, "SELECT pg_reload_conf()")
      yield* Effect.sleep("3 seconds")
      yield* statement(standby.port, "SELECT pg_promote()")
      moving.lead(standby.port)
      moving.cut()
      primary.process.kill("SIGKILL")
    })
  } satisfies PairedDatabase
})
