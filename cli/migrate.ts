import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"

const config = Flag.String("config").pipe(
  Flag.withDescription(
    "JSON file with the writer's configuration. Unset: the variables EVENT_WRITER_*, as for writer."
  ),
  Flag.optional
)

export const command = Command.make("migrate", { config }, ({ config }) =>
  Effect.gen(function* () {
    const { launchMigrate } = yield* Effect.promise(() => import("../writer/migrate.ts"))
    yield* launchMigrate({ config: Option.getOrUndefined(config), environment: process.env })
  })
).pipe(
  Command.withDescription(
    "Create the tables of an EventStream and of its ledger where they are missing, and check those that exist; " +
      "what the operator runs before a writer."
  )
)
