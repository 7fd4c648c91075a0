import { Deferred, Effect, Fiber, Layer, Runtime, Schema } from "effect"
import { parseHosts } from "../platform/hosts.ts"
import { layer as logLayer, logFatal } from "../platform/log.ts"
import { Metrics } from "../platform/metrics.ts"
import type { WriterConfig } from "./config.ts"
import { configuredProcessor } from "./configured-processor.ts"
import { readConfiguration } from "./config-file.ts"
import { type Environment, isDisabled } from "./environment.ts"
import { runWriter } from "./run.ts"
import { storeLayer } from "./store/layer.ts"

/** The writer can't start, and never will as it is configured. It has said why in the log already. */
export class WriterFailed extends Schema.TaggedError<WriterFailed>()("WriterFailed", { reason: Schema.String }) {
  override readonly [Runtime.errorReported] = false
}

const fail = (reason: string) => (error: { readonly message: string }) =>
  logFatal(reason, error.message).pipe(Effect.andThen(Effect.fail(new WriterFailed({ reason }))))

/** Runs until interrupted; then it finishes what is in flight, within the configured time. */
const untilInterrupted = <E, R>(
  run: (stop: Deferred.Deferred<void>) => Effect.Effect<void, E, R>,
  drainTimeoutMillis: number
): Effect.Effect<void, E, R> =>
  Effect.gen(function* () {
    const stop = yield* Deferred.make<void>()
    // Not a child of this fiber, whose interruption only asks it to stop.
    const writer = yield* Effect.forkDetach(run(stop))
    const drain = Effect.gen(function* () {
      yield* Deferred.succeed(stop, undefined)
      const ended = yield* Fiber.await(writer).pipe(Effect.timeoutOption(drainTimeoutMillis))
      if (ended._tag === "Some") return
      yield* Effect.logWarning("what was in flight did not end in time; it will be delivered again", {
        drainTimeoutMillis
      })
      yield* Fiber.interrupt(writer).pipe(Effect.timeoutOption("1 second"))
    })
    yield* Fiber.join(writer).pipe(Effect.onInterrupt(() => drain))
  })

const configuration = (
  file: string | undefined,
  environment: Environment
): Effect.Effect<WriterConfig, { readonly message: string }> =>
  Effect.map(readConfiguration(file, environment), (config) => ({
    ...config,
    http: httpAddress(config.http, environment)
  }))

/**
 * Where several writers share one machine each must listen somewhere else: then the address comes from the environment,
 * and only from there.
 */
const httpAddress = (http: WriterConfig["http"], environment: Environment): WriterConfig["http"] => {
  const port = Number(environment["EVENTSTREAM_HTTP_PORT"] || http.port)
  return {
    host: environment["EVENTSTREAM_HTTP_HOST"] || http.host,
    port: Number.isInteger(port) && port >= 0 && port <= 65_535 ? port : http.port
  }
}

/**
 * The command `writer`: configured by the file, else by environment. Ends when interrupted, or with {@link WriterFailed} after a
 * last log line that says what to change.
 */
export const launchWriter = (options: { readonly config: string | undefined; readonly environment: Environment }) =>
  Effect.gen(function* () {
    const { config: file, environment } = options
    if (file === undefined && isDisabled(environment)) {
      return yield* Effect.logInfo("EVENT_WRITER_ENABLED says that no writer is wanted here: nothing to do")
    }
    const config = yield* configuration(file, environment).pipe(Effect.catch(fail("InvalidConfiguration")))
    const hosts = parseHosts(environment["EVENTSTREAM_HOSTS"])
    const { namespace, name } = config.eventStream
    const processor = yield* configuredProcessor(config, hosts).pipe(Effect.catch((error) => fail(error.reason)(error)))
    const store = storeLayer({
      postgres: config.target.postgres,
      schema: config.target.schema,
      tables: processor.tables,
      eventStream: config.eventStream,
      hosts,
      deadLetters: config.errors.deadLetter
    })
    const services = Layer.mergeAll(store, Metrics.layer({ eventstream: name }))
    yield* untilInterrupted(
      (stop) => Effect.scoped(runWriter({ config, processor, hosts, stop })).pipe(Effect.provide(services)),
      config.drainTimeoutMillis
    ).pipe(
      Effect.catchTag("PortTaken", fail("InvalidConfiguration")),
      Effect.catchDefect((defect) =>
        fail("InternalError")({ message: defect instanceof Error ? (defect.stack ?? defect.message) : String(defect) })
      ),
      Effect.annotateLogs({ namespace, eventstream: name }),
      Effect.provide(logLayer(config.logLevel))
    )
  }).pipe(Effect.provide(logLayer("info")))
