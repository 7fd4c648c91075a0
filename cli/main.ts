import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Effect, Exit, Runtime } from "effect"
import { Command } from "effect/cli"
import packageJson from "../package.json" with { type: "json" }
import { command as local } from "./local.ts"
import { command as migrate } from "./migrate.ts"
import { command as operator } from "./operator.ts"
import { command as preview } from "./preview.ts"
import { command as validate } from "./validate.ts"
import { command as writer } from "./writer.ts"

/** `eventstream`: every command is one file of this folder, and loads what it needs only when it runs. */
const eventstream = Command.make("eventstream").pipe(
  Command.withDescription("Events in NATS JetStream become rows in PostgreSQL and TimescaleDB."),
  Command.withSubcommands([local, migrate, operator, preview, validate, writer])
)

// `eventstream preview < lines | head` ends quietly when the reader has seen enough.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1))

eventstream.pipe(
  Command.run({ version: packageJson.version }),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({
    // A stop that was asked for (SIGTERM, Ctrl-C) is a success; the default would be 130.
    teardown: (exit, onExit) =>
      Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? onExit(0) : Runtime.defaultTeardown(exit, onExit)
  })
)
