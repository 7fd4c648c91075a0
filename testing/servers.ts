import { Effect, Schema, type Scope } from "effect"
import { type ChildProcess, execFileSync, spawn, type SpawnOptions, spawnSync } from "node:child_process"
import { randomInt } from "node:crypto"
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"
import { postgresBinaries } from "./postgres-binaries.ts"

/** Real servers, started on loopback and stopped with their scope: nats-server with JetStream, and PostgreSQL. */

export class ServerFailed extends Schema.TaggedError<ServerFailed>()("ServerFailed", {
  command: Schema.String,
  output: Schema.String
}) {
  override get message() {
    return `${this.command} did not start: ${this.output.trim().split("\n").slice(-5).join(" | ")}`
  }
}

/** A folder that goes with the scope. */
export const tempDirectory = (prefix: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), prefix))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )

/** Whether something listens on the port of 127.0.0.1 already. */
export const portTaken = (port: number): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const server = createServer()
    server.once("error", () => resume(Effect.succeed(true)))
    server.listen(port, "127.0.0.1", () => server.close(() => resume(Effect.succeed(false))))
  })

/** Below what Linux gives to outgoing connections (ip_local_port_range begins at 32768), which could take it before a server does. */
const firstPort = 10_000
const lastPort = 32_000

let lookedAt = randomInt(firstPort, lastPort)

/** A port of 127.0.0.1 that is free now; another one each time, because the last one may not be in use yet. */
export const freePort: Effect.Effect<number> = Effect.sync(() => {
  lookedAt = lookedAt < lastPort ? lookedAt + 1 : firstPort
  return lookedAt
}).pipe(
  Effect.flatMap((port) => Effect.map(portTaken(port), (taken) => ({ port, taken }))),
  Effect.repeat({ while: ({ taken }) => taken }),
  Effect.map(({ port }) => port)
)

export interface Server {
  readonly process: ChildProcess
  readonly pid: number
}

/** How every server here is run. */
export interface RunOptions {
  /** File its output is appended to. Unset: a temporary one. */
  readonly logFile?: string
  /** Told the process id in the moment it is there, before the server is ready; who asks for it sees to it that it ends. */
  readonly onSpawn?: (pid: number) => void
  /** Told when it has ended, for whatever reason. */
  readonly onExit?: (pid: number) => void
}

/** Linux ends what is started so when we are killed: a test run that is cut off leaves no servers behind. */
const endedWithUs = existsSync("/usr/bin/setpriv") ? ["/usr/bin/setpriv", "--pdeathsig", "KILL"] : []

/** Starts `command` and waits until its output matches `ready`; `stop` and wait on release. */
export const server = Effect.fnUntraced(function* (
  command: string,
  args: ReadonlyArray<string>,
  ready: RegExp,
  run: RunOptions,
  options: SpawnOptions = {},
  stop: NodeJS.Signals = "SIGTERM"
) {
  const logFile = run.logFile ?? join(yield* tempDirectory("eventstream-log-"), "output.log")
  const offset = existsSync(logFile) ? statSync(logFile).size : 0
  const output = () => readFileSync(logFile).subarray(offset).toString()
  const child = yield* Effect.acquireRelease(
    Effect.callback<ChildProcess, ServerFailed>((resume) => {
      // Output goes to a file and not through a pipe: a server must not die of a broken pipe, nor wait for a stopped reader.
      const log = openSync(logFile, "a", 0o600)
      // In a process group of its own: Ctrl-C reaches us alone, and we stop the servers in order.
      const [file, ...rest] = [...(run.onSpawn ? [] : endedWithUs), command, ...args]
      const child = spawn(file!, rest, { ...options, stdio: ["ignore", log, log], detached: true })
      closeSync(log)
      const { pid } = child
      if (pid !== undefined) {
        run.onSpawn?.(pid)
        child.once("exit", () => run.onExit?.(pid))
      }
      const failed = (detail: string) => resume(Effect.fail(new ServerFailed({ command, output: detail })))
      const look = setInterval(() => {
        if (!ready.test(output())) return
        clearInterval(look)
        child.unref()
        resume(Effect.succeed(child))
      }, 15)
      const stopLooking = () => clearInterval(look)
      child.once("error", (error) => {
        stopLooking()
        failed(String(error))
      })
      child.once("exit", () => {
        stopLooking()
        failed(output())
      })
      return Effect.sync(() => {
        stopLooking()
        child.kill("SIGKILL")
      })
    }).pipe(
      Effect.timeoutOrElse({
        duration: "60 seconds",
        orElse: () => Effect.fail(new ServerFailed({ command, output: `not ready within 60 s | ${output()}` }))
      })
    ),
    (child) =>
      Effect.callback<void>((resume) => {
        if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
        child.ref()
        const kill = setTimeout(() => child.kill("SIGKILL"), 10_000)
        child.once("exit", () => {
          clearTimeout(kill)
          resume(Effect.void)
        })
        child.kill(stop)
        child.kill("SIGCONT") // a server that a test has frozen can't stop otherwise
      })
  )
  return { process: child, pid: child.pid! } satisfies Server
})

/** JetStream's API of this version is what the operator is written against; older ones refuse fields we send. */
const oldestNats = [2, 11] as const

const natsVersion = (binary: string): ReadonlyArray<number> | undefined => {
  const { stdout, status } = spawnSync(binary, ["--version"], { encoding: "utf8" })
  const match = status === 0 ? /v(\d+)\.(\d+)/.exec(stdout) : null
  return match ? [Number(match[1]), Number(match[2])] : undefined
}

/**
 * The nats-server to run: `NATS_SERVER`, else one on PATH of version 2.11 or newer, else the one that `tools/build.sh
 * nats-server` keeps in `.bin/`, which is built now if it is not there.
 */
export const natsServerBinary: Effect.Effect<string, ServerFailed> = Effect.sync(() => {
  const root = join(import.meta.dirname, "..")
  if (process.env["NATS_SERVER"]) return process.env["NATS_SERVER"]
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    const candidate = join(folder, "nats-server")
    if (!existsSync(candidate)) continue
    const [major, minor] = natsVersion(candidate) ?? [0, 0]
    if (major! > oldestNats[0] || (major === oldestNats[0] && minor! >= oldestNats[1])) return candidate
  }
  return join(root, ".bin", "nats-server")
}).pipe(
  Effect.tap((binary) =>
    existsSync(binary)
      ? Effect.void
      : Effect.try({
          try: () =>
            execFileSync(join(import.meta.dirname, "..", "tools", "build.sh"), ["nats-server"], {
              stdio: ["ignore", "ignore", "inherit"]
            }),
          catch: (error) => new ServerFailed({ command: "tools/build.sh nats-server", output: String(error) })
        })
  )
)

export interface NatsOptions extends RunOptions {
  /** Folder of the file store, kept. Unset: a temporary one. */
  readonly storeDirectory?: string
  /** Unset: a free port. */
  readonly port?: number
  /** Further lines of nats-server's configuration file, e.g. a leaf or TLS block. */
  readonly config?: ReadonlyArray<string>
}

export interface NatsServer extends Server {
  readonly url: string
  readonly port: number
  readonly storeDirectory: string
}

/** A nats-server with JetStream on 127.0.0.1. */
export const startNats = Effect.fnUntraced(function* (options: NatsOptions = {}) {
  const binary = yield* natsServerBinary
  const storeDirectory = options.storeDirectory ?? (yield* tempDirectory("eventstream-nats-"))
  const port = options.port ?? (yield* freePort)
  const config = options.config
    ? [
        "--config",
        yield* Effect.acquireRelease(
          Effect.sync(() => {
            const path = join(storeDirectory, "..", `nats-${port}.conf`)
            writeFileSync(path, options.config!.join("\n"))
            return path
          }),
          (path) => Effect.sync(() => rmSync(path, { force: true }))
        )
      ]
    : []
  const args = [...config, "--jetstream", "--store_dir", storeDirectory, "--addr", "127.0.0.1", "--port", String(port)]
  const started = yield* server(binary, args, /Server is ready/, options)
  return { ...started, url: `nats://127.0.0.1:${port}`, port, storeDirectory } satisfies NatsServer
})

/** Programs of a PostgreSQL, and how they are started. */
export interface PostgresInstallation {
  /** Folder of `initdb` and `postgres`, as what they are started with sees it. */
  readonly bin: string
  /** What goes before a program, and how that is spawned, to work in a data directory that is there already. */
  readonly command: (dataDirectory: string) => {
    readonly prefix: ReadonlyArray<string>
    readonly options: SpawnOptions
  }
}

export interface PostgresOptions extends RunOptions {
  /** Unset: the npm package's. */
  readonly installation?: PostgresInstallation
  /** Data directory, kept; made by initdb when empty. Unset: a temporary one. */
  readonly dataDirectory?: string
  /** Unset: a free port. */
  readonly port?: number
  /** Password of superuser `postgres`, asked for from every client. Unset: none is asked for. Decided when the data is made. */
  readonly password?: string
  /** Further settings, e.g. `{ fsync: "on" }`. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface PostgresServer extends Server {
  /** URL of database `postgres` as superuser `postgres`. */
  readonly url: string
  readonly port: number
}

/**
 * PostgreSQL refuses to run as root. As root it is started in a user namespace in which it is somebody else, which also works
 * where its files are below a folder only root may enter; where namespaces are not allowed, as `nobody`.
 */
const asPostgres: PostgresInstallation["command"] = (dataDirectory) => {
  if (process.getuid?.() !== 0) return { prefix: [], options: {} }
  const namespace = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
  if (spawnSync(namespace[0]!, [...namespace.slice(1), "true"]).status === 0) return { prefix: namespace, options: {} }
  const nobody = 65534
  chownSync(dataDirectory, nobody, nobody)
  return { prefix: [], options: { uid: nobody, gid: nobody } }
}

/** A temporary folder that `nobody` may pass through but not read. */
const passableDirectory = tempDirectory("eventstream-postgres-").pipe(
  Effect.tap((path) => Effect.sync(() => chmodSync(path, 0o711)))
)

/** Makes the data directory beside its place first: an interrupted initdb leaves nothing that looks finished. */
const initdb = (
  { bin, command }: PostgresInstallation,
  dataDirectory: string,
  password: string | undefined
): Effect.Effect<void, ServerFailed> =>
  Effect.try({
    try: () => {
      const unfinished = `${dataDirectory}.new`
      const passwordFile = `${dataDirectory}.password`
      rmSync(unfinished, { recursive: true, force: true })
      mkdirSync(unfinished, { recursive: true, mode: 0o700 })
      const { prefix, options } = command(unfinished)
      const authentication =
        password === undefined ? ["-A", "trust"] : ["-A", "scram-sha-256", "--pwfile", passwordFile]
      if (password !== undefined) writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 })
      if (password !== undefined && options.uid !== undefined) chownSync(passwordFile, options.uid, options.gid!)
      try {
        const place = ["-D", unfinished, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        const [file, ...args] = [...prefix, join(bin, "initdb"), ...place, ...authentication]
        execFileSync(file!, args, { ...options, stdio: ["ignore", "ignore", "pipe"] })
      } finally {
        rmSync(passwordFile, { force: true })
      }
      rmSync(dataDirectory, { recursive: true, force: true })
      renameSync(unfinished, dataDirectory)
    },
    catch: (error) =>
      new ServerFailed({ command: "initdb", output: String((error as { stderr?: Buffer }).stderr ?? error) })
  })

/** PostgreSQL reads only data of its own major version. */
const sameMajor = (
  { bin, command }: PostgresInstallation,
  dataDirectory: string
): Effect.Effect<void, ServerFailed> => {
  const found = readFileSync(join(dataDirectory, "PG_VERSION"), "utf8").trim()
  const [file, ...args] = [...command(dataDirectory).prefix, join(bin, "postgres"), "--version"]
  const version = execFileSync(file, args, { encoding: "utf8" })
  const wanted = /\b(\d+)[.\d]*/.exec(version)?.[1]
  if (found === wanted) return Effect.void
  const output = `${dataDirectory} holds data of PostgreSQL ${found}, this is PostgreSQL ${wanted}; use another folder, or dump and restore`
  return Effect.fail(new ServerFailed({ command: "postgres", output }))
}

/** A PostgreSQL server on 127.0.0.1, durability off unless `settings` says otherwise. */
export const startPostgres = Effect.fnUntraced(function* (options: PostgresOptions = {}) {
  const installation =
    options.installation ??
    (yield* Effect.try({
      try: (): PostgresInstallation => ({ bin: postgresBinaries(), command: asPostgres }),
      catch: (error) => new ServerFailed({ command: "embedded Postgres", output: String(error) })
    }))
  const dataDirectory = options.dataDirectory ?? join(yield* passableDirectory, "data")
  const port = options.port ?? (yield* freePort)
  if (!existsSync(join(dataDirectory, "PG_VERSION"))) yield* initdb(installation, dataDirectory, options.password)
  yield* sameMajor(installation, dataDirectory)
  const { prefix, options: identity } = yield* Effect.sync(() => {
    chmodSync(dataDirectory, 0o700)
    return installation.command(dataDirectory)
  })
  const settings = {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    fsync: "off",
    jit: "off",
    ...options.settings
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])
  const [file, ...args] = [
    ...prefix,
    join(installation.bin, "postgres"),
    "-D",
    dataDirectory,
    "-p",
    String(port),
    ...flags
  ]
  // SIGINT is the fast shutdown: sessions are ended, nothing is lost.
  const started = yield* server(
    file!,
    args,
    /ready to accept (read-only )?connections/,
    options,
    identity,
    "SIGINT"
  ).pipe(Effect.mapError(({ output }) => new ServerFailed({ command: "postgres", output })))
  const login = options.password === undefined ? "postgres" : `postgres:${encodeURIComponent(options.password)}`
  return { ...started, url: `postgres://${login}@127.0.0.1:${port}/postgres`, port } satisfies PostgresServer
})
