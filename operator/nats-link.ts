import type { NatsConnection } from "@nats-io/transport-node"
import { Deferred, Effect, type Scope } from "effect"
import { backoffMillis } from "../platform/backoff.ts"
import type { ReadFile } from "../platform/certificates.ts"
import type { HostMap } from "../platform/hosts.ts"
import { connectNats, type NatsOptions, NatsUnavailable } from "../platform/nats.ts"
import type { NatsFiles } from "./credentials.ts"

/** The operator's connections to NATS. */

/** What a connection is made of, as text: the key of the connections. */
export const settingsOf = (transport: NatsOptions, files: NatsFiles): string =>
  JSON.stringify({ transport, files: Array.from(files, ([path, bytes]) => [path, bytes.toString("base64")]) })

/** {@link settingsOf} backwards: the options, and how their files are read. */
const readSettings = (settings: string): { readonly transport: NatsOptions; readonly read: ReadFile } => {
  const { transport, files } = JSON.parse(settings) as {
    readonly transport: NatsOptions
    readonly files: ReadonlyArray<readonly [string, string]>
  }
  const contents = new Map(files)
  return { transport, read: (path) => Buffer.from(contents.get(path)!, "base64") }
}

/** A connection that is made anew when it breaks. */
export interface Link {
  /** Undefined while there is none: requests would wait for it. */
  connection: NatsConnection | undefined
  /** Why there is none, or why there was none last. */
  problem: NatsUnavailable | undefined
}

const reconnectBackoff = { initialMillis: 100, maxMillis: 5_000 }

/**
 * Fails when the first connection can't be made; later ones are tried for as long as the scope is open.
 *
 * @param settings by {@link settingsOf}
 */
export const openLink = Effect.fnUntraced(function* (
  settings: string,
  hosts: HostMap
): Effect.fn.Return<Link, NatsUnavailable, Scope.Scope> {
  const { transport, read } = readSettings(settings)
  const connect = connectNats(transport, { name: "eventstream-operator", hosts, read })
  const link: Link = { connection: undefined, problem: undefined }
  const opened = Deferred.makeUnsafe<Link, NatsUnavailable>()
  let failures = 0
  const turn = Effect.gen(function* () {
    const connection = yield* connect
    failures = 0
    link.connection = connection
    Deferred.doneUnsafe(opened, Effect.succeed(link))
    yield* Effect.promise(() => connection.closed())
    link.connection = undefined
    return yield* new NatsUnavailable({ servers: transport.servers, detail: "the connection was lost" })
  })
  yield* Effect.scoped(turn).pipe(
    Effect.catch((problem) => {
      link.problem = problem
      Deferred.doneUnsafe(opened, Effect.fail(problem))
      return Effect.sleep(backoffMillis(failures++, reconnectBackoff.initialMillis, reconnectBackoff.maxMillis))
    }),
    Effect.forever,
    Effect.forkScoped
  )
  return yield* Deferred.await(opened)
})
