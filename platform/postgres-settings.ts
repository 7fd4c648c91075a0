import { Redacted, Schema } from "effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { isIP } from "node:net"
import { join } from "node:path"
import type { HostMap } from "./hosts.ts"

/** Where the database is and how to log in: a mounted Secret, or the parts. */
export interface PostgresOptions {
  /** Folder with one file per key: `uri`, or host, port, dbname, username, password; `ca.crt` if there is one. */
  readonly secretDirectory?: string
  /** Name of the Secret that is mounted there, for messages. */
  readonly secretName?: string
  /** File of `secretDirectory` with the connection URI. */
  readonly uriKey?: string
  /** Connection URI; excludes `secretDirectory` and the parts. */
  readonly uri?: Redacted.Redacted
  readonly host?: string
  readonly port?: number
  readonly database?: string
  readonly user?: string
  readonly passwordFile?: string
  readonly tls?: {
    /** Unset: `sslmode` of the URI, else VerifyFull with a CA, else Require. Never falls back to plain text by itself. */
    readonly mode?: TlsMode
    /** CA bundle (PEM); unset: `ca.crt` of `secretDirectory`, else the system's. */
    readonly caFile?: string
  }
}

/**
 * As libpq's sslmode: `Require` encrypts but verifies nothing, `VerifyCA` verifies the certificate, `VerifyFull` the name too.
 */
export type TlsMode = "Disable" | "Require" | "VerifyCA" | "VerifyFull"

/** What a connection is made with. Read anew for every connection, so that a rotated password needs no restart. */
export interface PostgresSettings {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password: string
  readonly tls:
    | { readonly mode: "Disable" }
    | {
        readonly mode: Exclude<TlsMode, "Disable">
        readonly ca: string | undefined
        /** The name the certificate must carry; undefined for an address, which is checked by itself. */
        readonly serverName: string | undefined
      }
}

/** The configuration or the Secret says too little to connect. The message never holds what it says. */
export class PostgresSettingsInvalid extends Schema.TaggedError<PostgresSettingsInvalid>()("PostgresSettingsInvalid", {
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

const sslModes: Readonly<Record<string, TlsMode>> = {
  disable: "Disable",
  // libpq falls back to plain text with these two; a password must not depend on who answers.
  allow: "Require",
  prefer: "Require",
  require: "Require",
  "verify-ca": "VerifyCA",
  "verify-full": "VerifyFull"
}

type Parts = { -readonly [K in "host" | "port" | "database" | "user" | "password" | "sslmode"]?: string | undefined }

const readText = (path: string): string | undefined =>
  existsSync(path) ? readFileSync(path, "utf8").replace(/\r?\n$/, "") : undefined

const invalid = (detail: string) => new PostgresSettingsInvalid({ detail })

/** @param place where the URI was found, for the message */
const parseUri = (uri: string, place: string): Parts => {
  const url = /^postgres(ql)?:\/\//.test(uri) ? URL.parse(uri) : null
  const wrong = () =>
    invalid(
      `wanted a URI like postgresql://user:password@host:5432/database in ${place}, found something else; ` +
        `write one host, and percent-encode special characters of the password`
    )
  if (!url) throw wrong()
  const part = (text: string) => {
    try {
      return text === "" ? undefined : decodeURIComponent(text)
    } catch {
      throw wrong() // a percent sign that encodes nothing
    }
  }
  const query = url.searchParams
  return {
    host: part(url.hostname.replace(/^\[(.*)\]$/, "$1")) ?? query.get("host") ?? undefined,
    port: part(url.port) ?? query.get("port") ?? undefined,
    database: part(url.pathname.slice(1)) ?? query.get("dbname") ?? undefined,
    user: part(url.username) ?? query.get("user") ?? undefined,
    password: part(url.password) ?? query.get("password") ?? undefined,
    sslmode: query.get("sslmode") ?? undefined
  }
}

const readSecret = (folder: string, name: string, uriKey: string): Parts => {
  // Kubernetes mounts keys as links beside its own dot-files.
  const keys = existsSync(folder) ? readdirSync(folder).filter((name) => !name.startsWith(".")) : []
  const uri = keys.includes(uriKey) ? readText(join(folder, uriKey)) : undefined
  if (uri !== undefined) return parseUri(uri.trim(), `key ${uriKey} of the Secret ${name}`)
  const missing = ["host", "dbname", "username"].filter((key) => !keys.includes(key))
  if (missing.length > 0) {
    const found = keys.length === 0 ? "no such Secret" : `keys ${keys.sort().join(", ")}`
    throw invalid(
      `wanted key ${uriKey}, or keys host, dbname, username and password, of the Secret ${name}, found ${found}; ` +
        `create it or fix target.postgres.secretRef`
    )
  }
  const file = (key: string) => readText(join(folder, key))
  return {
    host: file("host"),
    port: file("port"),
    database: file("dbname"),
    user: file("username"),
    password: file("password"),
    sslmode: file("sslmode")
  }
}

const readInline = (options: PostgresOptions): Parts => {
  const password = options.passwordFile === undefined ? undefined : readText(options.passwordFile)
  if (options.passwordFile !== undefined && password === undefined) {
    throw invalid(
      `wanted the database password in file ${options.passwordFile}, found no such file; create the Secret or fix target.postgres`
    )
  }
  return {
    host: options.host,
    port: options.port?.toString(),
    database: options.database,
    user: options.user,
    password
  }
}

/**
 * Reads the settings from the files as they are now.
 *
 * @throws PostgresSettingsInvalid naming what is missing
 */
export const readSettings = (options: PostgresOptions, hosts: HostMap): PostgresSettings => {
  const folder = options.secretDirectory
  const parts =
    options.uri !== undefined
      ? parseUri(Redacted.value(options.uri), "uri")
      : folder === undefined
        ? readInline(options)
        : readSecret(folder, options.secretName ?? `in ${folder}`, options.uriKey ?? "uri")
  const { host, user } = parts
  if (!host || !user) {
    throw invalid(
      `wanted a ${host ? "user" : "host"} to connect to the database with, found none; complete target.postgres or its Secret`
    )
  }
  if (parts.sslmode !== undefined && !Object.hasOwn(sslModes, parts.sslmode)) {
    throw invalid(`wanted an sslmode of ${Object.keys(sslModes).join(", ")}, found ${JSON.stringify(parts.sslmode)}`)
  }
  const caFile = options.tls?.caFile ?? (folder === undefined ? undefined : join(folder, "ca.crt"))
  const ca = caFile === undefined ? undefined : readText(caFile)
  if (options.tls?.caFile !== undefined && ca === undefined) {
    throw invalid(`wanted the database's CA in file ${options.tls.caFile}, found no such file`)
  }
  const fromUri = parts.sslmode === undefined ? undefined : sslModes[parts.sslmode]
  const mode = options.tls?.mode ?? fromUri ?? (ca === undefined ? "Require" : "VerifyFull")
  const port = parts.port === undefined ? 5432 : Number(parts.port)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw invalid(`wanted a port from 1 to 65535 for the database, found ${JSON.stringify(parts.port)}`)
  }
  return {
    ...(hosts.get(host) ?? { host, port }),
    database: parts.database ?? user,
    user,
    password: parts.password ?? "",
    tls: mode === "Disable" ? { mode } : { mode, ca, serverName: isIP(host) === 0 ? host : undefined }
  }
}
