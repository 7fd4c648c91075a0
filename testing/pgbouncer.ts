import { Effect } from "effect"
import { chmodSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { inTree, type Tree } from "./debian.ts"
import { freePort, type RunOptions, server, tempDirectory } from "./servers.ts"

export interface PgBouncerOptions extends RunOptions {
  readonly tree: Tree
  /** Port of the PostgreSQL behind it, where everybody becomes `postgres`. */
  readonly target: number
  /** Unset: a free one. */
  readonly port?: number
  /** Connections to each database. */
  readonly poolSize: number
}

/** A PgBouncer in transaction mode on 127.0.0.1; its console is the database `pgbouncer`, for user `postgres`. */
export const startPgBouncer = Effect.fnUntraced(function* (options: PgBouncerOptions) {
  const port = options.port ?? (yield* freePort)
  const folder = yield* tempDirectory("eventstream-pgbouncer-")
  const config = join(folder, "pgbouncer.ini")
  const lines = [
    "[databases]",
    `* = host=127.0.0.1 port=${options.target} user=postgres`,
    "[pgbouncer]",
    "listen_addr = 127.0.0.1",
    `listen_port = ${port}`,
    "unix_socket_dir =",
    "auth_type = any",
    "admin_users = postgres",
    "pool_mode = transaction",
    `default_pool_size = ${options.poolSize}`,
    // Else it waits 15 s after a failed login before it connects again.
    "server_login_retry = 1"
  ]
  chmodSync(folder, 0o711)
  writeFileSync(config, `${lines.join("\n")}\n`)
  const [file, ...args] = [...inTree(options.tree), "pgbouncer", config]
  const started = yield* server(file, args, /process up: PgBouncer/, options)
  return { ...started, port }
})
