import { Effect, Schema, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { EncodedWriterConfig } from "../writer/config.ts"
import type { Failpoint } from "../writer/failpoints.ts"
import { tempDirectory } from "./servers.ts"

/** The process did not do in time what a test waited for. */
export class WriterTimeout extends Schema.TaggedError<WriterTimeout>()("WriterTimeout", {
  waitedFor: Schema.String,
  output: Schema.String
}) {
  override get message() {
    return `the writer process did not come to ${this.waitedFor}; it said:\n${this.output}`
  }
}

export interface LogLine {
  readonly time: string
  readonly level: string
  readonly message: string
  readonly [field: string]: unknown
}

export interface WriterProcess {
  readonly pid: number
  readonly child: ChildProcess
  /** Every line so far. */
  readonly lines: () => ReadonlyArray<LogLine>
  /** Waits for a line; looks at earlier ones too. */
  readonly logged: (
    what: string,
    matches: (line: LogLine) => boolean,
    seconds?: number
  ) => Effect.Effect<LogLine, WriterTimeout>
  /** Waits until rows can flow. */
  readonly writing: Effect.Effect<void, WriterTimeout>
  /** Path of the health server. */
  readonly get: (path: string) => Effect.Effect<{ readonly status: number; readonly text: string }, WriterTimeout>
  readonly signal: (signal: NodeJS.Signals) => void
  /** Waits for the end of the process. */
  readonly exit: Effect.Effect<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }, WriterTimeout>
}

export interface WriterProcessOptions {
  readonly config: EncodedWriterConfig
  /** Where the process kills itself; `name:3` is the third time it gets there. */
  readonly failpoint?: Failpoint | `${Failpoint}:${number}`
  /** Further arguments of Node, e.g. `--cpu-prof`. */
  readonly nodeOptions?: string
  /** Program and arguments to run instead of `bin/eventstream`, e.g. a bundle. */
  readonly program?: readonly [string, ...ReadonlyArray<string>]
}

const parseLine = (text: string): LogLine => {
  try {
    return JSON.parse(text) as LogLine
  } catch {
    return { time: "", level: "none", message: text } // what is no log line, e.g. a stack trace of Node
  }
}

/** Looks every 10 ms until there is something. */
const poll = <A>(look: () => A | undefined, seconds: number, otherwise: () => WriterTimeout) =>
  Effect.gen(function* () {
    while (true) {
      const found = look()
      if (found !== undefined) return found
      yield* Effect.sleep("10 millis")
    }
  }).pipe(Effect.timeoutOrElse({ duration: seconds * 1000, orElse: () => Effect.fail(otherwise()) }))

/** Starts `bin/eventstream writer` with the configuration; killed with the scope, if it has not ended before. */
export const startWriter = Effect.fnUntraced(function* (
  options: WriterProcessOptions
): Effect.fn.Return<WriterProcess, never, Scope.Scope> {
  const folder = yield* tempDirectory("eventstream-writer-")
  const config = join(folder, "config.json")
  const output = join(folder, "output.log")
  const http = { host: "127.0.0.1", port: 0, ...options.config.http }
  writeFileSync(config, JSON.stringify({ ...options.config, http }))
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const log = openSync(output, "a")
      const [program, ...args] = options.program ?? [join(import.meta.dirname, "..", "bin", "eventstream")]
      const child = spawn(program, [...args, "writer", "--config", config], {
        stdio: ["ignore", log, log],
        env: {
          ...process.env,
          ...(options.failpoint ? { EVENTSTREAM_FAILPOINT: options.failpoint } : {}),
          ...(options.nodeOptions ? { NODE_OPTIONS: options.nodeOptions } : {})
        }
      })
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
  const timeout = (waitedFor: string) => () => new WriterTimeout({ waitedFor, output: text().slice(-4000) })
  const logged: WriterProcess["logged"] = (what, matches, seconds = 20) =>
    poll(() => lines().find(matches), seconds, timeout(what))
  return {
    pid: child.pid!,
    child,
    lines,
    logged,
    writing: Effect.asVoid(logged("writing", ({ message }) => message === "writing")),
    get: (path) =>
      logged("listening", ({ message }) => message === "started").pipe(
        Effect.flatMap(({ port }) =>
          Effect.promise(async () => {
            const response = await fetch(`http://127.0.0.1:${String(port)}${path}`)
            return { status: response.status, text: await response.text() }
          })
        )
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
