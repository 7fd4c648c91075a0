import { Effect, type Scope } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import type { EncodedWriterConfig } from "../writer/config.ts"
import type { Failpoint } from "../writer/failpoints.ts"
import {
  type Answer,
  answerOf,
  eventstream,
  type LoggedProcess,
  type ProcessTimeout,
  startLogged
} from "./logged-process.ts"
import { tempDirectory } from "./servers.ts"

export interface WriterProcess extends LoggedProcess {
  /** Waits until rows can flow. */
  readonly writing: Effect.Effect<void, ProcessTimeout>
  /** Path of the health server. */
  readonly get: (path: string) => Effect.Effect<Answer, ProcessTimeout>
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

/** Starts `bin/eventstream writer` with the configuration; killed with the scope, if it has not ended before. */
export const startWriter = Effect.fnUntraced(function* (
  options: WriterProcessOptions
): Effect.fn.Return<WriterProcess, never, Scope.Scope> {
  const config = join(yield* tempDirectory("eventstream-writer-config-"), "config.json")
  const http = { host: "127.0.0.1", port: 0, ...options.config.http }
  writeFileSync(config, JSON.stringify({ ...options.config, http }))
  const [program, ...args] = options.program ?? [eventstream]
  const running = yield* startLogged("writer", [program, ...args, "writer", "--config", config], {
    ...(options.failpoint ? { EVENTSTREAM_FAILPOINT: options.failpoint } : {}),
    ...(options.nodeOptions ? { NODE_OPTIONS: options.nodeOptions } : {})
  })
  return {
    ...running,
    writing: Effect.asVoid(running.logged("writing", ({ message }) => message === "writing")),
    get: (path) =>
      running
        .logged("listening", ({ message }) => message === "started")
        .pipe(Effect.flatMap(({ port }) => answerOf(`http://127.0.0.1:${String(port)}${path}`)))
  }
})
