import { Effect, Schema, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, openSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { tempDirectory } from "./servers.ts"

/** A program of ours as a process of its own, whose log tests read. */

/** The process did not do in time what a test waited for. */
export class ProcessTimeout extends Schema.TaggedError<ProcessTimeout>()("ProcessTimeout", {
  process: Schema.String,
  waitedFor: Schema.String,
  output: Schema.String
}) {
  override get message() {
    return `the ${this.process} process did not come to ${this.waitedFor}; it said:\n${this.output}`
  }
}

export interface LogLine {
  readonly time: string
  readonly level: string
  readonly message: string
  readonly [field: string]: unknown
}

export interface Answer {
  readonly status: number
  readonly text: string
}

export interface LoggedProcess {
  readonly pid: number
  readonly child: ChildProcess
  /** Every line so far. */
  readonly lines: () => ReadonlyArray<LogLine>
  /** Waits for a line; looks at earlier ones too. */
  readonly logged: (
    what: string,
    matches: (line: LogLine) => boolean,
    seconds?: number
  ) => Effect.Effect<LogLine, ProcessTimeout>
  readonly signal: (signal: NodeJS.Signals) => void
  /** Waits for the end of the process. */
  readonly exit: Effect.Effect<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }, ProcessTimeout>
}

/** Our command line program, from this checkout. */
export const eventstream = join(import.meta.dirname, "..", "bin", "eventstream")

const parseLine = (text: string): LogLine => {
  try {
    return JSON.parse(text) as LogLine
  } catch {
    return { time: "", level: "none", message: text } // what is no log line, e.g. a stack trace of Node
  }
}

/** Looks every 10 ms until there is something. */
const poll = <A>(look: () => A | undefined, seconds: number, otherwise: () => ProcessTimeout) =>
  Effect.gen(function* () {
    while (true) {
      const found = look()
      if (found !== undefined) return found
      yield* Effect.sleep("10 millis")
    }
  }).pipe(Effect.timeoutOrElse({ duration: seconds * 1000, orElse: () => Effect.fail(otherwise()) }))

/**
 * Starts a program; killed with the scope, if it has not ended before.
 *
 * @param name what it is, for messages
 * @param environment over the test's own
 */
export const startLogged = Effect.fnUntraced(function* (
  name: string,
  [program, ...args]: readonly [string, ...ReadonlyArray<string>],
  environment: Readonly<Record<string, string>>
): Effect.fn.Return<LoggedProcess, never, Scope.Scope> {
  const output = join(yield* tempDirectory(`eventstream-${name}-`), "output.log")
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const log = openSync(output, "a")
      const child = spawn(program, args, { stdio: ["ignore", log, log], env: { ...process.env, ...environment } })
      closeSync(log)
      return child
    }),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  const text = () => readFileSync(output, "utf8")
  const lines = () =>
    text()
      .split("\n")
      .filter((line) => line !== "")
      .map(parseLine)
  const timeout = (waitedFor: string) => () =>
    new ProcessTimeout({ process: name, waitedFor, output: text().slice(-4000) })
  return {
    pid: child.pid!,
    child,
    lines,
    logged: (what, matches, seconds = 20) => poll(() => lines().find(matches), seconds, timeout(what)),
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

/** What a health server answers. */
export const answerOf = (url: string): Effect.Effect<Answer> =>
  Effect.promise(async () => {
    const response = await fetch(url)
    return { status: response.status, text: await response.text() }
  })
