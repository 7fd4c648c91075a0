import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Effect, Exit, Runtime } from "effect"
import { Command } from "effect/cli"
import packageJson from "../package.json" with { type: "json" }

/** Runs `eventstream` with these commands: the whole command line, or an image's part of it. */
export const run = (
  commands: ReadonlyArray<Command.Command<any, never, unknown, unknown, Command.Environment>>
): void => {
  // `eventstream preview < lines | head` ends quietly when the reader has seen enough.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1))

  Command.make("eventstream").pipe(
    Command.withDescription("Events in NATS JetStream become rows in PostgreSQL and TimescaleDB."),
    Command.withSubcommands(commands),
    Command.run({ version: packageJson.version }),
    Effect.provide(NodeServices.layer),
    NodeRuntime.runMain({
      // A stop that was asked for (SIGTERM, Ctrl-C) is a success; the default would be 130.
      teardown: (exit, onExit) =>
        Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? onExit(0) : Runtime.defaultTeardown(exit, onExit)
    })
  )
}
