import { Cause, Effect, Fiber, Schema } from "effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { freePort, portTaken } from "../../testing/servers.ts"
import { runOperator } from "../run.ts"
import { databaseSecret, ensureDatabase, keptPassword } from "./database.ts"
import { releasePod, runDeployments } from "./deployments.ts"
import { fileLogger, setAsideLogs } from "./log-files.ts"
import { openManifests } from "./manifests.ts"
import { type PodRunner, runPods } from "./pods.ts"
import { openProcesses } from "./processes.ts"
import { keepNats, keepPostgres, type ServerOptions } from "./servers.ts"

/** The embedded platform: NATS, PostgreSQL, the operator and its writers, as processes of this machine. */

export interface PlatformOptions {
  /** Files and folders with manifests. */
  readonly manifests: ReadonlyArray<string>
  /** Folder in which everything is kept. */
  readonly data: string
  /** NATS to use. Unset: an own one. */
  readonly natsUrl?: string
  /** Database to use. Unset: an own one. */
  readonly postgresUrl?: string
  /** Port of the own NATS; 0 takes a free one. */
  readonly natsPort: number
  /** Told in a sentence what happens. */
  readonly notice: (text: string) => void
}

export interface Platform {
  readonly data: string
  readonly logs: string
  readonly natsUrl: string
  /** Folder with the file `uri` of the database that the Secret `pg-app` leads to. */
  readonly database: string
  readonly pods: PodRunner
  /** Where the operator serves /metrics. */
  readonly operatorUrl: string
  /** Fails if the operator ends, which it never should. */
  readonly broken: Effect.Effect<never, PlatformFailed>
}

/** The platform can't start as it was asked to, or can't go on. */
export class PlatformFailed extends Schema.TaggedError<PlatformFailed>()("PlatformFailed", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}

/** The only node of the in-memory API. */
const node = "local"

/** The repository's command line: what the image of the writers holds. */
const entryPoint = resolve(import.meta.dirname, "..", "..", "bin", "eventstream")

/** Names under which manifests know NATS in a cluster, by the chart's defaults. */
const natsNames = ["nats.nats.svc", "nats.nats.svc.cluster.local", "nats.nats"]

const hostMap = (natsUrl: string): string => {
  const { hostname, port } = new URL(natsUrl)
  return natsNames.map((name) => `${name}=${hostname}:${port || "4222"}`).join(",")
}

const makeFolder = (path: string) =>
  Effect.try({
    try: () => mkdirSync(path, { recursive: true, mode: 0o700 }),
    catch: (error) => new PlatformFailed({ detail: `wanted a folder for data at ${path}, found: ${String(error)}` })
  })

const ownNats = Effect.fnUntraced(function* (wanted: number, options: ServerOptions) {
  if (wanted !== 0 && (yield* portTaken(wanted))) {
    const detail = `wanted port ${wanted} of 127.0.0.1 for NATS, found it taken; stop what listens there, give another with --port, or use that one with --nats`
    return yield* new PlatformFailed({ detail })
  }
  const port = wanted === 0 ? yield* freePort : wanted
  return (yield* keepNats(port, options)).url
})

const ownPostgres = Effect.fnUntraced(function* (options: ServerOptions) {
  const superuserPassword = join(options.data, "superuser.password")
  const server = yield* keepPostgres(yield* freePort, keptPassword(superuserPassword), options)
  const appPassword = keptPassword(join(options.data, "app.password"))
  return yield* ensureDatabase(server.port, superuserPassword, appPassword)
})

const startOperator = Effect.fnUntraced(function* (natsUrl: string) {
  const port = yield* freePort
  const operator = yield* runOperator({
    writerImage: "eventstream",
    namespaces: [],
    election: undefined,
    pollIntervalMillis: 1_000,
    statusIntervalMillis: 1_000,
    workers: 4,
    http: { host: "127.0.0.1", port },
    hosts: hostMap(natsUrl),
    logLevel: "info"
  }).pipe(Effect.forkScoped)
  const broken = Fiber.join(operator).pipe(
    Effect.catchCause((cause) =>
      Effect.fail(new PlatformFailed({ detail: `the operator ended: ${Cause.pretty(cause)}` }))
    )
  )
  return { operatorUrl: `http://127.0.0.1:${port}`, broken }
})

/** Starts the platform; it stops with the scope, in order: writers drain, then the operator, the database and NATS. */
export const startPlatform = Effect.fnUntraced(function* (options: PlatformOptions) {
  const { notice } = options
  const manifests = yield* openManifests(options.manifests)
  const data = resolve(options.data)
  const logs = join(data, "logs")
  yield* makeFolder(data)
  const processes = yield* openProcesses(data, (count) =>
    notice(`stopped ${count} processes that a killed platform had left running`)
  )
  notice("starting NATS, PostgreSQL and the operator")
  setAsideLogs(logs)
  yield* makeFolder(logs)

  const servers: ServerOptions = { data, logs, processes, notice }
  const [natsUrl, postgresUrl] = yield* Effect.all(
    [
      options.natsUrl === undefined ? ownNats(options.natsPort, servers) : Effect.succeed(options.natsUrl),
      options.postgresUrl === undefined ? ownPostgres(servers) : Effect.succeed(options.postgresUrl)
    ],
    { concurrency: 2 }
  )
  const database = join(data, "database")
  yield* makeFolder(database)
  writeFileSync(join(database, "uri"), postgresUrl, { mode: 0o600 })

  const log = Effect.provide(fileLogger(join(logs, "operator.log")))
  const operator = yield* startOperator(natsUrl).pipe(log)
  yield* runDeployments(node).pipe(log)
  const pods = yield* runPods({ directory: data, entryPoint, processes, node, release: releasePod }).pipe(log)
  yield* manifests.follow({ defaults: (namespace) => [databaseSecret(postgresUrl, namespace)], notice })
  return { data, logs, natsUrl, database, pods, ...operator } satisfies Platform
})
