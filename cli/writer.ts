import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"

const config = Flag.String("config").pipe(
  Flag.withDescription(
    "JSON file with the whole configuration. Unset: the variables EVENT_WRITER_* and SPIFFE_CERT_DIR."
  ),
  Flag.optional
)

export const command = Command.make("writer", { config }, ({ config }) =>
  Effect.gen(function* () {
    const { launchWriter } = yield* Effect.promise(() => import("../writer/launch.ts"))
    yield* launchWriter({ config: Option.getOrUndefined(config), environment: process.env })
  })
).pipe(
  Command.withDescription("Write one JetStream stream into PostgreSQL; what the operator runs in each writer Pod.")
)
