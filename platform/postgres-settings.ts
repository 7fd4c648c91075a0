import { Redacted, Schema } from "effect"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { HostMap } from "./hosts.ts"
import { parseConnectionUri } from "./postgres-uri.ts"

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
    /** Unset: `sslmode` of the URI or the Secret, else VerifyFull with a CA, else Require. Plain text only when asked for. */
    readonly mode?: TlsMode
    /** CA bundle (PEM); unset: `ca.crt` of `secretDirectory`, else the system's. */
    readonly caFile?: string
    /** Client certificate and its key (PEM). */
    readonly certFile?: string
    readonly keyFile?: string
  }
}

/**
 * As libpq's sslmode: `Require` encrypts but verifies nothing, `VerifyCA` verifies the certificate, `VerifyFull` the name too.
 */
export type TlsMode = "Disable" | "Require" | "VerifyCA" | "VerifyFull"

export interface PostgresServerAddress {
  readonly host: string
  readonly port: number
  /** The host as it was given, before a host map: the name or address the server's certificate must carry. */
  readonly name: string
}

export type PostgresTls =
  | { readonly mode: "Disable" }
  | {
      readonly mode: Exclude<TlsMode, "Disable">
      /** PEM; undefined: the system's. */
      readonly ca: string | undefined
      readonly client: { readonly certificate: string; readonly key: string } | undefined
    }

/** What a connection is made with. Read anew for every connection, so that a rotated password or certificate needs no restart. */
export interface PostgresSettings {
  /** To be tried in this order until one of them takes writes; at least one. */
  readonly servers: ReadonlyArray<PostgresServerAddress>
  readonly database: string
  readonly user: string
  readonly password: string
  readonly tls: PostgresTls
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

/** What a URI or a Secret says, before it is judged. */
interface Parts {
  readonly hosts: ReadonlyArray<{ readonly host: string; readonly port: string | undefined }>
  readonly database: string | undefined
  readonly user: string | undefined
  readonly password: string | undefined
  readonly sslmode: string | undefined
  /** Paths of PEM files, `system` for the system's CAs. */
  readonly sslrootcert?: string | undefined
  readonly sslcert?: string | undefined
  readonly sslkey?: string | undefined
}

const readText = (path: string): string | undefined =>
  existsSync(path) ? readFileSync(path, "utf8").replace(/\r?\n$/, "") : undefined

const invalid = (detail: string) => new PostgresSettingsInvalid({ detail })

/** Kinds of servers that `target_session_attrs` may ask for: with any of these, one that takes writes will do. */
const writable = ["any", "read-write", "primary"]

/** @param place where the URI was found, for messages */
const readUri = (uri: string, place: string): Parts => {
  const found = parseConnectionUri(uri)
  if (found === undefined) {
    throw invalid(
      `wanted a URI like postgresql://user:password@host:5432/database in ${place}, found something else; ` +
        `percent-encode special characters of the password`
    )
  }
  const { parameters } = found
  const wants = (name: string) => parameters.get(name) ?? ""
  if (parameters.has("target_session_attrs") && !writable.includes(wants("target_session_attrs"))) {
    throw invalid(
      `wanted a target_session_attrs of ${writable.join(", ")} in ${place}, found ${JSON.stringify(wants("target_session_attrs"))}; ` +
        `rows are written to a primary only`
    )
  }
  if (wants("channel_binding") === "require") {
    throw invalid(
      `wanted a URI without channel_binding=require in ${place}: the driver can't insist on it; ` +
        `leave it out and use sslmode=verify-full, which tells another server apart as well`
    )
  }
  const { hosts, database, user, password } = found
  const parameter = (name: string) => parameters.get(name)
  return {
    hosts,
    database,
    user,
    password,
    sslmode: parameter("sslmode"),
    sslrootcert: parameter("sslrootcert"),
    sslcert: parameter("sslcert"),
    sslkey: parameter("sslkey")
  }
}

const readSecret = (folder: string, name: string, uriKey: string): Parts => {
  // Kubernetes mounts keys as links beside its own dot-files.
  const keys = existsSync(folder) ? readdirSync(folder).filter((name) => !name.startsWith(".")) : []
  const uri = keys.includes(uriKey) ? readText(join(folder, uriKey)) : undefined
  if (uri !== undefined) {
    const place = `key ${uriKey} of the Secret ${name}`
    const parts = readUri(uri.trim(), place)
    const files = (["sslrootcert", "sslcert", "sslkey"] as const).filter(
      (key) => parts[key] !== undefined && parts[key] !== "system"
    )
    if (files.length > 0) {
      throw invalid(
        `wanted a URI without ${files.join(" and ")} in ${place}: a file of the machine it was written on is not here; ` +
          `use target.postgres.tls.caSecretRef and clientSecretRef`
      )
    }
    return parts
  }
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
    hosts: [{ host: file("host") ?? "", port: file("port") }],
    database: file("dbname"),
    user: file("username"),
    password: file("password"),
    sslmode: file("sslmode")
  }
}

/** The content of a file that is to be there. */
const requireText = (path: string, what: string): string => {
  const text = readText(path)
  if (text === undefined) {
    throw invalid(`wanted ${what} in file ${path}, found no such file; create the Secret or fix target.postgres`)
  }
  return text
}

const readInline = ({ host, port, database, user, passwordFile }: PostgresOptions): Parts => ({
  hosts: host === undefined ? [] : [{ host, port: port?.toString() }],
  database,
  user,
  password: passwordFile === undefined ? undefined : requireText(passwordFile, "the database password"),
  sslmode: undefined
})

const readClient = (certFile: string | undefined, keyFile: string | undefined) => {
  if (certFile === undefined && keyFile === undefined) return undefined
  if (certFile === undefined || keyFile === undefined) {
    throw invalid(
      `wanted a client certificate together with its key for the database, found only the ${keyFile === undefined ? "certificate" : "key"}; give both`
    )
  }
  return {
    certificate: requireText(certFile, "the client certificate for the database"),
    key: requireText(keyFile, "the key of the client certificate for the database")
  }
}

const readTls = (options: PostgresOptions, parts: Parts): PostgresTls => {
  const { tls, secretDirectory: folder } = options
  if (parts.sslmode !== undefined && !Object.hasOwn(sslModes, parts.sslmode)) {
    throw invalid(`wanted an sslmode of ${Object.keys(sslModes).join(", ")}, found ${JSON.stringify(parts.sslmode)}`)
  }
  const fromParts = parts.sslmode === undefined ? undefined : sslModes[parts.sslmode]
  const givenCa = tls?.caFile ?? (parts.sslrootcert === "system" ? undefined : parts.sslrootcert)
  const client = readClient(tls?.certFile ?? parts.sslcert, tls?.keyFile ?? parts.sslkey)
  if (tls?.mode === "Disable" || (tls?.mode === undefined && fromParts === "Disable")) {
    if (givenCa !== undefined || client !== undefined) {
      throw invalid(
        `wanted either certificates or a connection in plain text to the database, found both; ` +
          `remove sslmode=disable or target.postgres.tls`
      )
    }
    return { mode: "Disable" }
  }
  const ca =
    givenCa !== undefined
      ? requireText(givenCa, "the database's CA")
      : folder === undefined
        ? undefined
        : readText(join(folder, "ca.crt"))
  const verifies = ca !== undefined || parts.sslrootcert === "system"
  // As in libpq, whoever has a CA wants it to be used. Source: PostgreSQL, "SSL Support", sslmode require.
  const asked = fromParts === "Require" && verifies ? "VerifyCA" : fromParts
  return { mode: tls?.mode ?? asked ?? (verifies ? "VerifyFull" : "Require"), ca, client }
}

const readServer = (host: string, port: string | undefined, hosts: HostMap): PostgresServerAddress => {
  const number = port === undefined ? 5432 : Number(port)
  if (!Number.isInteger(number) || number < 1 || number > 65_535) {
    throw invalid(`wanted a port from 1 to 65535 for the database, found ${JSON.stringify(port)}`)
  }
  return { ...(hosts.get(host) ?? { host, port: number }), name: host }
}

/**
 * Reads the settings from the files as they are now.
 *
 * @throws PostgresSettingsInvalid naming what is missing
 */
export const readSettings = (options: PostgresOptions, hosts: HostMap): PostgresSettings => {
  const { secretDirectory: folder, secretName, uriKey, uri } = options
  const parts =
    uri !== undefined
      ? readUri(Redacted.value(uri), "uri")
      : folder === undefined
        ? readInline(options)
        : readSecret(folder, secretName ?? `in ${folder}`, uriKey ?? "uri")
  const { user } = parts
  const given = parts.hosts.filter(({ host }) => host !== "")
  if (given.length === 0 || !user) {
    throw invalid(
      `wanted a ${given.length === 0 ? "host" : "user"} to connect to the database with, found none; complete target.postgres or its Secret`
    )
  }
  return {
    servers: given.map(({ host, port }) => readServer(host, port, hosts)),
    database: parts.database ?? user,
    user,
    password: parts.password ?? "",
    tls: readTls(options, parts)
  }
}
