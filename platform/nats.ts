import {
  type Authenticator,
  connect,
  credsAuthenticator,
  type NatsConnection,
  type NodeConnectionOptions,
  usernamePasswordAuthenticator
} from "@nats-io/transport-node"
import { Effect, Redacted, Schema, type Scope } from "effect"
import { readFileSync } from "node:fs"
import { backoffMillis } from "./backoff.ts"
import { type HostMap, mapUrl } from "./hosts.ts"

export interface NatsOptions {
  /** Seed URLs. */
  readonly servers: ReadonlyArray<string>
  readonly tls?: {
    readonly mode: "Disabled" | "Auto" | "Required" | "HandshakeFirst"
    /** PEM files, read again at every connect. */
    readonly caFile?: string
    readonly certFile?: string
    readonly keyFile?: string
    readonly serverName?: string
  }
  readonly credsFile?: string
  readonly user?: string
  readonly passwordFile?: string
  /** The password itself, where there is no file. */
  readonly password?: Redacted.Redacted
}

/** No connection, with what to look at. */
export class NatsUnavailable extends Schema.TaggedError<NatsUnavailable>()("NatsUnavailable", {
  servers: Schema.Array(Schema.String),
  detail: Schema.String
}) {
  override get message() {
    return `wanted a connection to NATS at ${this.servers.join(", ")}, found: ${this.detail}`
  }
}

/** The client's two silent TLS failures, as a sentence that names the setting to change. */
const explain = (error: unknown): string => {
  const text = error instanceof Error ? error.message : String(error)
  if (/WRONG_VERSION_NUMBER/.test(text)) {
    return `${text}: the server answered in plain text to a TLS handshake; set tls.mode to Auto or Required instead of HandshakeFirst`
  }
  if (/timeout/i.test(text)) {
    return `${text}: nothing answered; check address and port, and set tls.mode to HandshakeFirst if the server expects TLS before its INFO line`
  }
  return text
}

const tlsOptions = (options: NatsOptions): NodeConnectionOptions["tls"] => {
  const { tls } = options
  // Without a tls object a `tls://` URL is dialled in plain text, and the credentials are sent (measured).
  const wanted = options.servers.some((url) => url.startsWith("tls://"))
  if (!tls) return wanted ? {} : undefined
  const asksForTls = tls.mode !== "Auto" || tls.caFile || tls.certFile || tls.serverName || wanted
  if (tls.mode === "Disabled" || !asksForTls) return wanted ? {} : undefined
  return {
    handshakeFirst: tls.mode === "HandshakeFirst",
    ...(tls.caFile ? { caFile: tls.caFile } : {}),
    ...(tls.certFile ? { certFile: tls.certFile } : {}),
    ...(tls.keyFile ? { keyFile: tls.keyFile } : {}),
    ...(tls.serverName ? { servername: tls.serverName } : {})
  }
}

/** Files are read at every connect: what was rotated is taken without a restart. */
const authenticator = (options: NatsOptions): Authenticator | undefined => {
  const { credsFile, user, passwordFile, password } = options
  if (credsFile) return credsAuthenticator(() => readFileSync(credsFile))
  if (!user) return undefined
  return usernamePasswordAuthenticator(user, () =>
    passwordFile ? readFileSync(passwordFile, "utf8").trim() : password ? Redacted.value(password) : ""
  )
}

/**
 * Ends the socket of a connection whose pings were not answered. The client would first send what is still to be sent, which a
 * machine that lost its power never takes: it would reconnect when TCP gives up, after a quarter of an hour (measured).
 */
const destroySocket = (connection: NatsConnection) => {
  const { protocol } = connection as unknown as {
    readonly protocol: { readonly transport: { readonly socket?: { readonly destroy: () => void } } }
  }
  protocol.transport.socket?.destroy()
}

/**
 * A connection that lives as long as the scope and reconnects for ever (the client profile: pings every 5 s, at most 2 lost).
 * Fails only when the first connect fails.
 *
 * @param name shown by `nats server report connections`
 */
export const connectNats = (
  options: NatsOptions,
  settings: { readonly name: string; readonly hosts: HostMap }
): Effect.Effect<NatsConnection, NatsUnavailable, Scope.Scope> => {
  const servers = options.servers.map((url) => mapUrl(url, settings.hosts))
  const tls = tlsOptions(options)
  const login = authenticator(options)
  let attempt = 0
  return Effect.acquireRelease(
    Effect.tryPromise({
      try: async () => {
        const connection = await connect({
          servers,
          name: settings.name,
          timeout: 5_000,
          pingInterval: 5_000,
          maxPingOut: 2,
          maxReconnectAttempts: -1,
          // Without it two equal refusals close the connection for good, even after the permission is back (measured).
          ignoreAuthErrorAbort: true,
          ignoreClusterUpdates: true,
          reconnectDelayHandler: () => backoffMillis(attempt++, 100, 5_000),
          ...(tls ? { tls } : {}),
          ...(login ? { authenticator: login } : {})
        })
        void (async () => {
          for await (const { type } of connection.status()) {
            if (type === "reconnect") attempt = 0
            if (type === "staleConnection") destroySocket(connection)
          }
        })()
        return connection
      },
      catch: (error) => new NatsUnavailable({ servers: [...options.servers], detail: explain(error) })
    }),
    (connection) =>
      // What a broken connection has to send waits for its next reconnect, which may never come.
      Effect.tryPromise(() => connection.drain()).pipe(
        Effect.timeout("2 seconds"),
        Effect.catch(() => Effect.promise(() => connection.close()))
      )
  )
}
