import { Console, Effect, Option, Runtime, Schema } from "effect"
import { Flag } from "effect/cli"
import { join } from "node:path"
import { parseDuration } from "../../crds/duration.ts"

/** What every command that runs the platform understands. */

const root = join(import.meta.dirname, "..", "..")

export const platformFlags = {
  data: Flag.String("data").pipe(
    Flag.withDescription("Folder in which streams and rows are kept, so that a second start goes on."),
    Flag.withDefault(join(root, ".local"))
  ),
  port: Flag.Int("port").pipe(
    Flag.withDescription("Port of 127.0.0.1 for NATS; 0 takes a free one."),
    Flag.filter(
      (port) => port >= 0 && port <= 65_535,
      (port) => `a port from 0 to 65535, found ${port}`
    ),
    Flag.withDefault(4222)
  ),
  for: Flag.String("for").pipe(
    Flag.withDescription("End after this time, such as 60s or 5m; exit code 0 only if all is Ready with lag 0."),
    Flag.filterMap(
      (text) => Option.fromUndefinedOr(parseDuration(text)),
      (text) => `a duration such as 60s or 5m, found ${JSON.stringify(text)}`
    ),
    Flag.optional
  )
}

/** The flags' values as options of the platform. */
export const platformOptions = (values: {
  readonly data: string
  readonly port: number
  readonly for: Option.Option<number>
}) => ({
  data: values.data,
  natsPort: values.port,
  ...(Option.isSome(values.for) ? { forMillis: values.for.value } : {})
})

/** The command failed; why has been printed. */
class Reported extends Schema.TaggedError<Reported>()("Reported", {}) {
  override readonly [Runtime.errorReported] = false
}

/** Prints a failure as the sentence it is; the exit code is 1. */
export const reported = <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(
    Effect.tapError((error) => Console.error(`eventstream: ${error.message}`)),
    Effect.mapError(() => new Reported())
  )
