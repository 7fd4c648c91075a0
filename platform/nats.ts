import {
  type Authenticator,
  connect,
  credsAuthenticator,
  type NatsConnection,
  nkeyAuthenticator,
  tokenAuthenticator,
  usernamePasswordAuthenticator
} from "@nats-io/transport-node"
import { Effect, Redacted, Result, Schema, type Scope } from "effect"
import { readFileSync } from "node:fs"
import { type ReadFile, readIdentity } from "./certificates.ts"
import { type HostMap, mapUrl } from "./hosts.ts"
import { type Attempt, explain } from "./nats-failure.ts"
import { type NatsTls, readTls, tlsFor } from "./nats-tls.ts"

export interface NatsOptions {
  /** Seed URLs. */
  readonly servers: ReadonlyArray<string>
  readonly tls?: NatsTls
  /** At most one way to log in: JWT and seed in a .creds file, */
  readonly credsFile?: string
  /** the seed of an NKey, */
  readonly nkeyFile?: string
  /** a token, */
  readonly tokenFile?: string
  /** or a user, whose name may be in a file too. */
  readonly user?: string
  readonly userFile?: string
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

/** The files of the settings: when one changes, a new connection is to be made. */
export const filesOf = ({
  tls,
  credsFile,
  nkeyFile,
  tokenFile,
  userFile,
  passwordFile
}: NatsOptions): ReadonlyArray<string> =>
  [tls?.caFile, tls?.certFile, tls?.keyFile, credsFile, nkeyFile, tokenFile, userFile, passwordFile].filter(
    (file) => file !== undefined
  )

/** When the client certificate in the files ends; `undefined` where there is none, or none that can be read. */
export const certificateEnd = ({ tls }: NatsOptions, read: ReadFile = readFileSync): Date | undefined => {
  const { mode, certFile, keyFile } = tls ?? {}
  if (mode === "Disabled" || certFile === undefined || keyFile === undefined) return undefined
  try {
    return readIdentity({ certFile, keyFile }, read).certificate.validToDate
  } catch {
    return undefined
  }
}

const timeoutMillis = 5_000

interface Login {
  /** Who that is, for messages. */
  readonly who: string
  readonly authenticator: Authenticator
}

const readLogin = (options: NatsOptions, read: ReadFile): Login | undefined => {
  const { credsFile, nkeyFile, tokenFile, userFile, passwordFile, password } = options
  const text = (file: string) => read(file).toString().trim()
  if (credsFile !== undefined) {
    return { who: `the user of ${credsFile}`, authenticator: credsAuthenticator(read(credsFile)) }
  }
  if (nkeyFile !== undefined) {
    return {
      who: `the NKey of ${nkeyFile}`,
      authenticator: nkeyAuthenticator(new TextEncoder().encode(text(nkeyFile)))
    }
  }
  if (tokenFile !== undefined) {
    return { who: `the token of ${tokenFile}`, authenticator: tokenAuthenticator(text(tokenFile)) }
  }
  const user = userFile === undefined ? options.user : text(userFile)
  if (user === undefined) return undefined
  const secret = passwordFile === undefined ? password && Redacted.value(password) : text(passwordFile)
  return { who: `user ${user} with its password`, authenticator: usernamePasswordAuthenticator(user, secret) }
}

/** Everything that is in files, read anew for each connection: what was rotated is taken without a restart. */
const readMaterial = (options: NatsOptions, read: ReadFile) => {
  const { mode = "Auto", caFile, certFile } = options.tls ?? {}
  const material = readTls(options.tls, read)
  const login = readLogin(options, read)
  try {
    login?.authenticator("nonce")
  } catch {
    throw new Error(`wanted ${login!.who}, found something else there`)
  }
  const certificate = material.identity?.certificate
  const attempt: Attempt = {
    mode,
    login: login?.who,
    caFile,
    identity: certificate && { file: certFile!, notAfter: certificate.validToDate },
    timeoutMillis
  }
  const servers = options.servers.map((url) => ({ url, tls: tlsFor(options.tls, material, url) }))
  return { attempt, login, servers }
}

/**
 * Ends the socket of a connection whose pings were not answered, for as long as there is one. The client would first send what is
 * still to be sent, which a machine that lost its power never takes: it would notice when TCP gives up, after a quarter of an hour
 * (measured).
 */
export const endWhenStale = async (connection: NatsConnection): Promise<void> => {
  for await (const { type } of connection.status()) {
    if (type !== "staleConnection") continue
    const { protocol } = connection as unknown as {
      readonly protocol: { readonly transport: { readonly socket?: { readonly destroy: () => void } } }
    }
    protocol.transport.socket?.destroy()
  }
}

const dial = async (url: string, options: Parameters<typeof connect>[0]) => {
  const connection = await connect({
    ...options,
    servers: url,
    timeout: timeoutMillis,
    pingInterval: 5_000,
    maxPingOut: 2,
    reconnect: false,
    ignoreClusterUpdates: true
  })
  void endWhenStale(connection)
  return connection
}

const close = (connection: NatsConnection) =>
  // What a broken connection has to send is never sent.
  Effect.tryPromise(() => connection.drain()).pipe(
    Effect.timeout("2 seconds"),
    Effect.catch(() => Effect.promise(() => connection.close()))
  )

const shuffled = <A>(items: ReadonlyArray<A>): ReadonlyArray<A> =>
  items
    .map((item) => ({ item, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item)

export interface ConnectSettings {
  /** Shown by `nats server report connections`. */
  readonly name: string
  readonly hosts: HostMap
  /** How the files of the options are read. Unset: from the file system. */
  readonly read?: ReadFile
}

/**
 * A connection to one of the servers, which lasts until it breaks or the scope ends. It does not come back by itself: of what
 * was under way on it nobody knows what became, and the client does not tell why it could not connect again. Whoever needs one
 * makes another. Pings every 5 s, at most 2 unanswered.
 */
export const connectNats = (
  options: NatsOptions,
  { name, hosts, read = readFileSync }: ConnectSettings
): Effect.Effect<NatsConnection, NatsUnavailable, Scope.Scope> => {
  const unavailable = (detail: string) => new NatsUnavailable({ servers: [...options.servers], detail })
  return Effect.gen(function* () {
    const { attempt, login, servers } = yield* Effect.try({
      try: () => readMaterial(options, read),
      catch: (error) => unavailable((error as Error).message)
    })
    const failures = new Map<string, string>()
    for (const { url, tls } of shuffled(servers)) {
      const server = mapUrl(url, hosts)
      const client = {
        name,
        ...(tls === undefined ? {} : { tls }),
        ...(login ? { authenticator: login.authenticator } : {})
      }
      const dialled = Effect.tryPromise({
        try: () => dial(server, client),
        catch: (error) => explain(error, attempt, Boolean(tls))
      })
      const opened = yield* Effect.result(Effect.acquireRelease(dialled, close))
      if (Result.isSuccess(opened)) return opened.success
      failures.set(opened.failure, url)
    }
    const [first] = failures.keys()
    const each = Array.from(failures, ([detail, url]) => `${url}: ${detail}`).join("; ")
    return yield* unavailable(failures.size === 1 ? first! : each)
  })
}
