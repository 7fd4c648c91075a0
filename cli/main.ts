import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect } from "effect"
import { Command } from "effect/cli"
import packageJson from "../package.json" with { type: "json" }

/** `eventstream`: every command is one file of this folder, and loads what it needs only when it runs. */
const eventstream = Command.make("eventstream").pipe(
  Command.withDescription("Events in NATS JetStream become rows in PostgreSQL and TimescaleDB."),
  Command.withSubcommands([])
)

eventstream.pipe(Command.run({ version: packageJson.version }), Effect.provide(NodeServices.layer), NodeRuntime.runMain)
