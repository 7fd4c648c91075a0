import { Effect, Schema, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, openSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { tempDirectory } from "./servers.ts"

/** The process did not do in time what a test waited for. */
export class OperatorTimeout extends Schema.TaggedError<OperatorTimeout>()("OperatorTimeout", {
  waitedFor: Schema.String,
  output: Schema.String
}) {
  override get message() {
    return `the operator process did not come to ${this.waitedFor}; it said:\n${this.output}`
  }
}

export interface LogLine {
  readonly time: string
  readonly level: string
  readonly message: string
  readonly [field: string]: unknown
}

export interface OperatorProcess {
  readonly pid: number
  /** Every line so far. */
  readonly lines: () => ReadonlyArray<LogLine>
  /** Waits for a line that says so; looks at earlier ones too. */
  readonly logged: (message: string, seconds?: number) => Effect.Effect<LogLine, OperatorTimeout>
  /** Answer of its health server. */
  readonly get: (path: string) => Effect.Effect<{ readonly status: number; readonly text: string }, OperatorTimeout>
  readonly signal: (signal: NodeJS.Signals) => void
  /** Waits for the end of the process. */
  readonly exit: Effect.Effect<
    { readonly code: number | null; readonly signal: NodeJS.Signals | null },
    OperatorTimeout
  >
}

const root = join(import.meta.dirname, "..")

/** Looks every 10 ms until there is something. */
const poll = <A>(look: () => A | undefined, seconds: number, otherwise: () => OperatorTimeout) =>
  Effect.gen(function* () {
    while (true) {
      const found = look()
      if (found !== undefined) return found
      yield* Effect.sleep("10 millis")
    }
  }).pipe(Effect.timeoutOrElse({ duration: seconds * 1000, orElse: () => Effect.fail(otherwise()) }))

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
  const output = join(yield* tempDirectory("eventstream-operator-"), "output.log")
  const child: ChildProcess = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const log = openSync(output, "a")
      const [program, ...rest] = [...prefix, join(root, "bin", "eventstream"), "operator", ...args]
      const env = { ...process.env, ...defaults, ...environment }
      const child = spawn(program!, rest, { env, stdio: ["ignore", log, log] })
      closeSync(log)
      return child
    }),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const text = () => readFileSync(output, "utf8")
  const lines = () =>
    text()
      .split("\n")
      .filter((line) => line.startsWith("{") && line.endsWith("}")) // not the one that is being written, nor a stack trace
      .map((line) => JSON.parse(line) as LogLine)
  const timeout = (waitedFor: string) => () => new OperatorTimeout({ waitedFor, output: text().slice(-4000) })
  const logged: OperatorProcess["logged"] = (message, seconds = 20) =>
    poll(() => lines().find((line) => line.message === message), seconds, timeout(message))
  return {
    pid: child.pid!,
    lines,
    logged,
    get: (path) =>
      Effect.flatMap(logged("operator started"), ({ http }) =>
        Effect.promise(async () => {
          const response = await fetch(`http://${String(http)}${path}`)
          return { status: response.status, text: await response.text() }
        })
      ),
    signal: (signal) => void child.kill(signal),
    exit: poll(
      () =>
        child.exitCode === null && child.signalCode === null
          ? undefined
          : { code: child.exitCode, signal: child.signalCode },
      30,
      timeout("its end")
    )
  }
})
