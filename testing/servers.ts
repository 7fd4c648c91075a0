import { Effect, Schema, type Scope } from "effect"
import { type ChildProcess, execFileSync, spawn, type SpawnOptions, spawnSync } from "node:child_process"
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
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

/** A port of 127.0.0.1 that is free now. */
export const freePort: Effect.Effect<number> = Effect.callback<number>((resume) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as { port: number }
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** Whether something listens on the port of 127.0.0.1 already. */
export const portTaken = (port: number): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const server = createServer()
    server.once("error", () => resume(Effect.succeed(true)))
    server.listen(port, "127.0.0.1", () => server.close(() => resume(Effect.succeed(false))))
  })

export interface Server {
  readonly process: ChildProcess
  readonly pid: number
}

/** Starts `command` and waits until its output matches `ready`; `stop` and wait on release. */
const server = (
  command: string,
  args: ReadonlyArray<string>,
  ready: RegExp,
  options: SpawnOptions = {},
  stop: NodeJS.Signals = "SIGTERM"
): Effect.Effect<Server, ServerFailed, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<ChildProcess, ServerFailed>((resume) => {
      // In a process group of its own: Ctrl-C reaches us alone, and we stop the servers in order.
      const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"], detached: true })
      let output = ""
      const read = (chunk: Buffer) => {
        if (output === "") child.unref()
        output = (output + chunk.toString()).slice(-20_000)
        if (ready.test(output)) resume(Effect.succeed(child))
      }
      child.stdout?.on("data", read)
      child.stderr?.on("data", read)
      child.on("error", (error) => resume(Effect.fail(new ServerFailed({ command, output: String(error) }))))
      child.on("exit", () => resume(Effect.fail(new ServerFailed({ command, output }))))
      return Effect.sync(() => void child.kill("SIGKILL"))
    }).pipe(
      Effect.timeoutOrElse({
        duration: "60 seconds",
        orElse: () => Effect.fail(new ServerFailed({ command, output: "not ready within 60 s" }))
      })
    ),
    (child) =>
      Effect.callback<void>((resume) => {
        if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
        const kill = setTimeout(() => child.kill("SIGKILL"), 10_000)
        child.once("exit", () => {
          clearTimeout(kill)
          resume(Effect.void)
        })
        child.kill(stop)
        child.kill("SIGCONT") // a server that a test has frozen can't stop otherwise
      })
  ).pipe(Effect.map((child) => ({ process: child, pid: child.pid! })))

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

export interface NatsOptions {
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
  const started = yield* server(binary, args, /Server is ready/, {}, "SIGTERM")
  return { ...started, url: `nats://127.0.0.1:${port}`, port, storeDirectory } satisfies NatsServer
})

export interface PostgresOptions {
  /** Data directory, kept; made by initdb when empty. Unset: a temporary one. */
  readonly dataDirectory?: string
  /** Unset: a free port. */
  readonly port?: number
  /** Further settings, e.g. `{ fsync: "on" }`. */
  readonly settings?: Readonly<Record<string, string>>
}

export interface PostgresServer extends Server {
  /** URL of database `postgres` as superuser `postgres`; loopback only, so no password. */
  readonly url: string
  readonly port: number
}

/**
 * PostgreSQL refuses to run as root. As root it is started in a user namespace in which it is somebody else, which also works
 * where its files are below a folder only root may enter; where namespaces are not allowed, as `nobody`.
 */
const asPostgres = (
  dataDirectory: string
): { readonly prefix: ReadonlyArray<string>; readonly options: SpawnOptions } => {
  if (process.getuid?.() !== 0) return { prefix: [], options: {} }
  const namespace = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
  if (spawnSync(namespace[0]!, [...namespace.slice(1), "true"]).status === 0) return { prefix: namespace, options: {} }
  const nobody = 65534
  chownSync(dataDirectory, nobody, nobody)
  return { prefix: [], options: { uid: nobody, gid: nobody } }
}

/** A PostgreSQL server on 127.0.0.1, durability off unless `settings` says otherwise. */
export const startPostgres = Effect.fnUntraced(function* (options: PostgresOptions = {}) {
  const bin = yield* Effect.try({
    try: postgresBinaries,
    catch: (error) => new ServerFailed({ command: "embedded Postgres", output: String(error) })
  })
  const dataDirectory = options.dataDirectory ?? (yield* tempDirectory("eventstream-postgres-"))
  const port = options.port ?? (yield* freePort)
  const { prefix, options: identity } = yield* Effect.sync(() => {
    mkdirSync(dataDirectory, { recursive: true })
    chmodSync(dataDirectory, 0o700)
    return asPostgres(dataDirectory)
  })
  const command = (program: string, args: ReadonlyArray<string>) => [...prefix, join(bin, program), ...args]
  if (!existsSync(join(dataDirectory, "PG_VERSION"))) {
    const [file, ...args] = command("initdb", [
      "-D",
      dataDirectory,
      "-U",
      "postgres",
      "-A",
      "trust",
      "-E",
      "UTF8",
      "--locale=C.UTF-8",
      "--no-sync"
    ])
    yield* Effect.try({
      try: () => execFileSync(file!, args, { ...identity, stdio: ["ignore", "ignore", "pipe"] }),
      catch: (error) =>
        new ServerFailed({ command: "initdb", output: String((error as { stderr?: Buffer }).stderr ?? error) })
    })
  }
  const settings = {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "",
    fsync: "off",
    jit: "off",
    ...options.settings
  }
  const [file, ...args] = command("postgres", [
    "-D",
    dataDirectory,
    "-p",
    String(port),
    ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])
  ])
  // SIGINT is the fast shutdown: sessions are ended, nothing is lost.
  const started = yield* server(file!, args, /ready to accept connections/, identity, "SIGINT")
  return { ...started, url: `postgres://postgres@127.0.0.1:${port}/postgres`, port } satisfies PostgresServer
})
