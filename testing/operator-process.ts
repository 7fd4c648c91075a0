import { Effect, type Scope } from "effect"
import {
  type Answer,
  answerOf,
  eventstream,
  type LoggedProcess,
  type LogLine,
  type ProcessTimeout,
  startLogged
} from "./logged-process.ts"

export interface OperatorProcess extends Omit<LoggedProcess, "logged"> {
  /** Waits for a line that says so; looks at earlier ones too. */
  readonly logged: (message: string, seconds?: number) => Effect.Effect<LogLine, ProcessTimeout>
  /** Answer of its health server. */
  readonly get: (path: string) => Effect.Effect<Answer, ProcessTimeout>
}

const defaults = {
  EVENTSTREAM_WRITER_IMAGE: "eventstream",
  EVENTSTREAM_POLL_INTERVAL: "1s",
  EVENTSTREAM_STATUS_INTERVAL: "1s",
  EVENTSTREAM_HTTP_HOST: "127.0.0.1",
  EVENTSTREAM_HTTP_PORT: "0",
  EVENTSTREAM_LOG_LEVEL: "debug"
}

/**
 * Starts `bin/eventstream operator`; killed with the scope, if it has not ended before.
 *
 * @param environment over the test's own, short intervals and a log of every reconcile
 * @param prefix program and arguments to run it by, e.g. `unshare --mount`
 */
export const startOperator = Effect.fnUntraced(function* (
  environment: Readonly<Record<string, string>>,
  args: ReadonlyArray<string> = [],
  prefix: ReadonlyArray<string> = []
): Effect.fn.Return<OperatorProcess, never, Scope.Scope> {
  const [program = eventstream, ...rest] = [...prefix, eventstream, "operator", ...args]
  const running = yield* startLogged("operator", [program, ...rest], { ...defaults, ...environment })
  const logged: OperatorProcess["logged"] = (message, seconds) =>
    running.logged(message, (line) => line.message === message, seconds)
  return {
    ...running,
    logged,
    get: (path) => Effect.flatMap(logged("operator started"), ({ http }) => answerOf(`http://${String(http)}${path}`))
  }
})
