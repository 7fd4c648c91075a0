import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Effect, Exit, Option, Runtime } from "effect"
import { Command } from "effect/cli"
import { join, relative } from "node:path"
import { platformFlags, platformOptions, reported } from "../operator/local/flags.ts"
import { awaitWell, type Guest, runLocal } from "../operator/local/local.ts"
import type { Platform } from "../operator/local/platform.ts"
import type { Screen } from "../operator/local/screen.ts"
import packageJson from "../package.json" with { type: "json" }
import { type Feed, startFeed } from "./feed.ts"
import { type Arrived, queryArrived } from "./report.ts"

/** The quickstart on the embedded platform, fed from this machine. */

const quickstart = relative(process.cwd(), join(import.meta.dirname, "..", "examples", "quickstart"))

/** When the database is asked for the first time: by then every source has published. */
const reportAfter = "8 seconds"

const mistakes = ({ rows, deadLetters }: Arrived): ReadonlyArray<string> => [
  ...[...rows].filter(([, count]) => count === 0).map(([table]) => `no rows arrived in ${table}`),
  ...(deadLetters > 0 ? [`${deadLetters} dead letters`] : [])
]

const feedAndReport = Effect.fnUntraced(function* (platform: Platform, screen: Screen) {
  /** Prints what is in the database when nothing is on its way any more, and tells what is not as it should be. */
  const report = Effect.gen(function* () {
    const well = yield* Effect.timeoutOption(awaitWell, "10 seconds")
    const arrived = yield* queryArrived(platform.database)
    screen.print(`\nIn the database${Option.isSome(well) ? ", with lag 0" : ""}:\n\n${arrived.text}`)
    return mistakes(arrived)
  }).pipe(Effect.catch((error) => Effect.succeed([`the database can't be asked: ${error.message}`])))

  let feed: Feed | undefined
  yield* Effect.gen(function* () {
    yield* awaitWell
    feed = yield* startFeed(platform)
    screen.print("\nMetrics and logs of this machine flow from now on.")
    yield* Effect.sleep(reportAfter)
    yield* report
  }).pipe(
    Effect.catch((error) => Effect.sync(() => screen.print(`the feed did not start: ${error.message}`))),
    Effect.forkScoped
  )
  const conclude = Effect.suspend(() =>
    feed
      ? Effect.andThen(feed.stop, report)
      : Effect.succeed(["the EventStreams were not ready in time: nothing was fed"])
  )
  return { conclude } satisfies Guest
})

Command.make("demo", platformFlags, (flags) =>
  reported(runLocal({ manifests: [quickstart], ...platformOptions(flags) }, feedAndReport))
).pipe(
  Command.withDescription("Feed metrics and logs of this machine through the quickstart and show the rows."),
  Command.run({ version: packageJson.version }),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({
    teardown: (exit, onExit) =>
      Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? onExit(0) : Runtime.defaultTeardown(exit, onExit)
  })
)
