import { Svcm } from "@nats-io/services"
import type { NatsConnection } from "@nats-io/transport-node"
import { Effect, Schema, type Scope } from "effect"
import packageJson from "../package.json" with { type: "json" }
import { type WriterConfig, WriterServiceName, WriterStatus, writerStatusSubject } from "./config.ts"

const encode = Schema.encodeSync(Schema.fromJsonString(WriterStatus))

/**
 * Answers the writer's status over NATS until the scope ends, as a service that `nats micro ls` lists. Every writer of an
 * EventStream answers, not one of them: whoever asks wants to hear of the one that is stuck.
 */
export const serveStatus = (
  connection: NatsConnection,
  config: WriterConfig,
  status: Effect.Effect<WriterStatus>
): Effect.Effect<void, never, Scope.Scope> => {
  const { namespace, name } = config.eventStream
  return Effect.acquireRelease(
    Effect.promise(async () => {
      // The services package brings types of another client version; it only publishes and subscribes.
      const service = await new Svcm(connection as unknown as ConstructorParameters<typeof Svcm>[0]).add({
        name: WriterServiceName,
        version: packageJson.version,
        description: "Writes a JetStream stream into PostgreSQL, one outcome per message.",
        metadata: { namespace, eventstream: name },
        queue: ""
      })
      service.addEndpoint("status", {
        subject: writerStatusSubject(namespace, name),
        handler: (error, message) => {
          if (error) return
          const answered = Effect.runPromise(status).then((answer) => message.respond(encode(answer)))
          answered.catch(() => undefined) // the connection was closed meanwhile: whoever asked has heard of that
        }
      })
      return service
    }),
    (service) => Effect.promise(() => service.stop().catch(() => null)) // a closed connection has ended it already
  )
}
