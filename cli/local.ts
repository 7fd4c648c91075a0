import { Console, Effect, Option, Runtime, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { join } from "node:path"
import { parseDuration } from "../crds/duration.ts"

/** The platform did not start, or not all was well when its time was up; why has been printed. */
class LocalFailed extends Schema.TaggedError<LocalFailed>()("LocalFailed", {}) {
  override readonly [Runtime.errorReported] = false
}

const url = (name: string, pattern: RegExp, example: string, description: string) =>
  Flag.String(name).pipe(
    Flag.withDescription(description),
    Flag.filter(
      (text) => pattern.test(text) && URL.canParse(text),
      (text) => `wanted a URL like ${example}, found ${JSON.stringify(text)}`
    ),
    Flag.optional
  )

export const localFlags = {
  data: Flag.String("data").pipe(
    Flag.withDescription("Folder in which streams and rows are kept, so that a second start goes on."),
    Flag.withDefault(join(import.meta.dirname, "..", ".local"))
  ),
  port: Flag.Int("port").pipe(
    Flag.withDescription("Port of 127.0.0.1 for NATS; 0 takes a free one."),
    Flag.between(0, 65_535),
    Flag.withDefault(4222)
  ),
  for: Flag.String("for").pipe(
    Flag.withDescription("End after this time, such as 60s or 5m; exit code 0 only if all is Ready with lag 0."),
    Flag.filterMap(
      (text) => Option.fromUndefinedOr(parseDuration(text)),
      (text) => `wanted a duration such as 60s or 5m, found ${JSON.stringify(text)}`
    ),
    Flag.optional
  )
}

/** Prints a failure as the sentence it is, and makes the exit code 1. */
export const reported = <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(
    Effect.tapError((error) => Console.error(`eventstream: ${error.message}`)),
    Effect.mapError(() => new LocalFailed())
  )

export const command = Command.make(
  "local",
  {
    ...localFlags,
    file: Flag.String("file").pipe(
      Flag.withAlias("f"),
      Flag.withDescription("Manifest or folder of manifests; may be repeated."),
      Flag.atLeast(1)
    ),
    more: Argument.String("more").pipe(
      Argument.withDescription("Further files and folders, so that -f *.yaml works."),
      Argument.variadic()
    ),
    nats: url("nats", /^(nats|tls):/, "nats://host:4222", "NATS to use instead of an own one."),
    postgres: url(
      "postgres",
      /^postgres(ql)?:/,
      "postgresql://user:password@host:5432/database",
      "Database to use instead of an own one."
    )
  },
  Effect.fnUntraced(function* ({ file, more, data, port, for: forMillis, nats, postgres }) {
    const { runLocal } = yield* Effect.promise(() => import("../operator/local/local.ts"))
    yield* reported(
      runLocal({
        manifests: [...file, ...more],
        data,
        natsPort: port,
        ...Option.match(forMillis, { onNone: () => ({}), onSome: (value) => ({ forMillis: value }) }),
        ...Option.match(nats, { onNone: () => ({}), onSome: (value) => ({ natsUrl: value }) }),
        ...Option.match(postgres, { onNone: () => ({}), onSome: (value) => ({ postgresUrl: value }) })
      })
    )
  })
).pipe(
  Command.withDescription("Run operator and writers with an embedded NATS and PostgreSQL, without a cluster."),
  Command.withExamples([
    { command: "eventstream local -f examples/quickstart", description: "Run the examples" },
    { command: "eventstream local -f orders.yaml --for 30s", description: "Check that an EventStream gets ready" }
  ])
)
