import { Effect, Runtime, Schema } from "effect"
import { layer as logLayer, logFatal } from "../platform/log.ts"
import { type Environment, readOperatorConfig } from "./config.ts"
import { layerServer } from "./kube/server.ts"
import { runOperator } from "./run.ts"

/** The operator can't start or go on. It has said why in the log already. */
export class OperatorFailed extends Schema.TaggedError<OperatorFailed>()("OperatorFailed", {}) {
  override readonly [Runtime.errorReported] = false
}

const fail = (error: { readonly _tag: string; readonly message: string }) =>
  logFatal(error._tag === "LeaseLost" ? "LeaseLost" : "InvalidConfiguration", error.message).pipe(
    Effect.andThen(Effect.fail(new OperatorFailed()))
  )

/**
 * The command `operator`: over the API server of the current kubeconfig context or of the Pod it runs in, configured by
 * environment. Ends when interrupted, or with {@link OperatorFailed} after a last log line that says what to change.
 */
export const launchOperator = Effect.fnUntraced(function* (environment: Environment) {
  const config = yield* readOperatorConfig(environment).pipe(Effect.catch(fail), Effect.provide(logLayer("info")))
  yield* runOperator(config).pipe(
    Effect.provide(layerServer()),
    Effect.catch(fail),
    Effect.provide(logLayer(config.logLevel))
  )
})
