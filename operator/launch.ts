import { Effect, Runtime, Schema } from "effect"
import { layer as logLayer, logFatal } from "../platform/log.ts"
import { readOperatorConfig } from "./config.ts"
import { layerServer } from "./kube/server.ts"
import { runOperator } from "./run.ts"

/** The operator can't start. It has said why in the log already. */
export class OperatorFailed extends Schema.TaggedError<OperatorFailed>()("OperatorFailed", {}) {
  override readonly [Runtime.errorReported] = false
}

const fail = (error: { readonly message: string }) =>
  logFatal("InvalidConfiguration", error.message).pipe(Effect.andThen(Effect.fail(new OperatorFailed())))

/**
 * The command `operator`: over the API server of the current kubeconfig context or of the Pod it runs in, configured by
 * environment. Ends when interrupted, or with {@link OperatorFailed} after a last log line that says what to change.
 *
 * @param namespace the only one to look after; undefined leaves it to EVENTSTREAM_NAMESPACE
 */
export const launchOperator = Effect.fnUntraced(function* (options: {
  readonly namespace: string | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
}) {
  const config = yield* readOperatorConfig(options.environment).pipe(
    Effect.catch(fail),
    Effect.provide(logLayer("info"))
  )
  yield* runOperator({ ...config, namespace: options.namespace ?? config.namespace }).pipe(
    Effect.provide(layerServer()),
    Effect.catch(fail),
    Effect.provide(logLayer(config.logLevel))
  )
})
