import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { connectPostgres, type PostgresFailure } from "../../platform/postgres.ts"
import type { PostgresSettingsInvalid } from "../../platform/postgres-settings.ts"
import type { KubeObject } from "../kube.ts"

/** The database `app` with its owner `app`, as CloudNativePG makes it, and the Secret that leads there. */

/** Name of the Secret that manifests refer to. */
const secretName = "pg-app"

/** A password kept in a file that only its owner reads; hexadecimal, so that it needs no quoting anywhere. */
export const keptPassword = (path: string): string => {
  if (!existsSync(path)) writeFileSync(path, randomBytes(16).toString("hex"), { mode: 0o600 })
  return readFileSync(path, "utf8")
}

/** Makes role and database if they are not there, and gives the URL of the database. */
export const ensureDatabase = (
  port: number,
  superuserPasswordFile: string,
  password: string
): Effect.Effect<string, PostgresFailure | PostgresSettingsInvalid> =>
  Effect.gen(function* () {
    const session = yield* connectPostgres(
      {
        host: "127.0.0.1",
        port,
        database: "postgres",
        user: "postgres",
        passwordFile: superuserPasswordFile,
        tls: { mode: "Disable" }
      },
      { applicationName: "eventstream local", hosts: new Map(), requestTimeoutMillis: 30_000 },
      () => {}
    )
    const roles = yield* session.query("SELECT 1 FROM pg_roles WHERE rolname = 'app'")
    if (roles.length === 0) yield* session.query("CREATE ROLE app LOGIN")
    yield* session.query(`ALTER ROLE app PASSWORD '${password}'`)
    const databases = yield* session.query("SELECT 1 FROM pg_database WHERE datname = 'app'")
    if (databases.length === 0) yield* session.query("CREATE DATABASE app OWNER app")
    return `postgresql://app:${password}@127.0.0.1:${port}/app?sslmode=disable`
  }).pipe(Effect.scoped)

/** The Secret `pg-app`, in the shape of CloudNativePG's. */
export const databaseSecret = (url: string, namespace: string): KubeObject => {
  const { hostname, port, pathname, username, password } = new URL(url)
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: secretName, namespace },
    type: "kubernetes.io/basic-auth",
    stringData: {
      uri: url,
      host: hostname,
      port: port || "5432",
      dbname: decodeURIComponent(pathname.slice(1)),
      username: decodeURIComponent(username),
      password: decodeURIComponent(password)
    }
  }
}
