import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { withPassword } from "./local-postgres.ts"
import { platformFlags, platformOptions, reported } from "../operator/local/flags.ts"

const url = (name: string, pattern: RegExp, example: string, description: string) =>
  Flag.String(name).pipe(
    Flag.withDescription(description),
    Flag.filter(
      (text) => pattern.test(text) && URL.canParse(text),
      () => `a URL like ${example}`
    ),
    Flag.optional
  )

export const command = Command.make(
  "local",
  {
    file: Flag.String("file").pipe(
      Flag.withAlias("f"),
      Flag.withDescription("Manifest or folder of manifests; may be repeated."),
      Flag.atLeast(1)
    ),
    more: Argument.String("more").pipe(
      Argument.withDescription("Further files and folders, so that -f *.yaml works."),
      Argument.variadic()
    ),
    ...platformFlags,
    nats: url("nats", /^(nats|tls):/, "nats://host:4222", "NATS to use instead of an own one."),
    postgres: url(
      "postgres",
      /^postgres(ql)?:/,
      "postgresql://user@host:5432/database",
      "Database to use instead of an own one; its password comes from PGPASSWORD or --postgres-password-file."
    ),
    postgresPasswordFile: Flag.String("postgres-password-file").pipe(
      Flag.withDescription("File with the password of --postgres."),
      Flag.optional
    )
  },
  Effect.fnUntraced(function* ({ file, more, nats, postgres, postgresPasswordFile, ...platform }) {
    const { runLocal } = yield* Effect.promise(() => import("../operator/local/local.ts"))
    const passwordFile = Option.getOrUndefined(postgresPasswordFile)
    const database = Option.isNone(postgres)
      ? Effect.succeed({})
      : Effect.map(withPassword(postgres.value, passwordFile, process.env), (postgresUrl) => ({ postgresUrl }))
    yield* reported(
      Effect.flatMap(database, (postgresUrl) =>
        runLocal({
          manifests: [...file, ...more],
          ...platformOptions(platform),
          ...(Option.isSome(nats) ? { natsUrl: nats.value } : {}),
          ...postgresUrl
        })
      )
    )
  })
).pipe(
  Command.withDescription("Run operator and writers with an embedded NATS and PostgreSQL, without a cluster."),
  Command.withExamples([
    { command: "eventstream local -f examples/quickstart", description: "Run the examples" },
    { command: "eventstream local -f orders.yaml --for 30s", description: "Check that an EventStream gets ready" }
  ])
)
