import { type Service, Svcm } from "@nats-io/services"
import type { NatsConnection } from "@nats-io/transport-node"
import { Deferred, Effect, Schema, type Scope } from "effect"
import packageJson from "../package.json" with { type: "json" }
import { type WriterConfig, WriterServiceName, WriterStatus, writerStatusSubject } from "./config.ts"

const encode = Schema.encodeSync(Schema.fromJsonString(WriterStatus))

/** When to serve again what NATS refused: permissions are changed by people. */
const retryWait = "1 minute"

/** With a connection that was lost its service ends too; by then the scope has ended, and nothing is to be said of the service. */
const connectionEnds = "1 second"

/** Serves until the scope ends; done when the service ends before, with its error if there was one. */
const serve = Effect.fnUntraced(function* (
  connection: NatsConnection,
  { namespace, name }: WriterConfig["eventStream"],
  status: Effect.Effect<WriterStatus>
) {
  const run = Effect.runPromiseWith(yield* Effect.context())
  const service = yield* Effect.acquireRelease(
    Effect.tryPromise(() =>
      // The services package brings types of another client version; it only publishes and subscribes.
      new Svcm(connection as unknown as ConstructorParameters<typeof Svcm>[0]).add({
        name: WriterServiceName,
        version: packageJson.version,
        description: "Writes a JetStream stream into PostgreSQL, one outcome per message.",
        metadata: { namespace, eventstream: name },
        queue: ""
      })
    ),
    (service: Service) =>
      // What a broken connection has to send waits for its next reconnect; a closed one has ended the service already.
      Effect.promise(() => service.stop().catch(() => null)).pipe(Effect.timeoutOption("1 second"))
  )
  service.addEndpoint("status", {
    subject: writerStatusSubject(namespace, name),
    handler: (error, message) => {
      if (error) return
      const answered = run(status).then((answer) => message.respond(encode(answer)))
      answered.catch(() => undefined) // the connection was closed meanwhile: whoever asked has heard of that
    }
  })
  return yield* Effect.promise(() => service.stopped)
})

export interface StatusService {
  /** To be told each error of the connection: the client does not tell the service when NATS refuses its subscriptions. */
  readonly connectionFailed: (error: Error) => void
}

/**
 * Answers the writer's status over NATS until the scope ends, as a service that `nats micro ls` lists. Every writer of an
 * EventStream answers, not one of them: whoever asks wants to hear of the one that is stuck. Where NATS does not allow it the
 * writer works without: that is logged once, and tried again.
 */
export const serveStatus = Effect.fnUntraced(function* (
  connection: NatsConnection,
  { eventStream }: WriterConfig,
  status: Effect.Effect<WriterStatus>
): Effect.fn.Return<StatusService, never, Scope.Scope> {
  const subject = writerStatusSubject(eventStream.namespace, eventStream.name)
  let said: string | undefined
  const report = ({ message }: Error) => {
    if (message === said) return Effect.void
    said = message
    return Effect.logWarning(
      `the writer's status is not served over NATS: ${message}; allow this user to subscribe to $SRV.> and ${subject}`
    ).pipe(Effect.delay(connectionEnds))
  }
  let refused = Deferred.makeUnsafe<Error>()
  const turn = Effect.suspend(() => {
    refused = Deferred.makeUnsafe()
    return Effect.scoped(Effect.raceFirst(serve(connection, eventStream, status), Deferred.await(refused)))
  }).pipe(
    Effect.flatMap((error) => (error === null ? Effect.void : report(error))),
    Effect.catch(report)
  )
  yield* Effect.forkScoped(turn.pipe(Effect.andThen(Effect.sleep(retryWait)), Effect.forever))
  return {
    connectionFailed: (error) => {
      const [, denied] = /permissions violation for subscription to "([^"]*)"/i.exec(error.message) ?? []
      if (denied?.startsWith("$SRV.") || denied === subject) Deferred.doneUnsafe(refused, Effect.succeed(error))
    }
  }
})
