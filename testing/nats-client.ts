import { connect, type NatsConnection } from "@nats-io/transport-node"
import { Effect, Schema, type Scope } from "effect"
import { endWhenStale } from "../platform/nats.ts"

export class NoConnection extends Schema.TaggedError<NoConnection>()("NoConnection", {
  url: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `wanted a connection to ${this.url}, found: ${this.detail}`
  }
}

/** A connection that comes back by itself, for whoever publishes while servers come and go; it ends with the scope. */
export const lastingConnection = (
  url: string,
  name: string
): Effect.Effect<NatsConnection, NoConnection, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: async () => {
        const connection = await connect({
          servers: url,
          name,
          timeout: 5_000,
          pingInterval: 5_000,
          maxPingOut: 2,
          maxReconnectAttempts: -1,
          reconnectTimeWait: 100,
          ignoreClusterUpdates: true
        })
        void endWhenStale(connection)
        return connection
      },
      catch: (error) => new NoConnection({ url, detail: String(error) })
    }),
    (connection) => Effect.promise(() => connection.close())
  )
