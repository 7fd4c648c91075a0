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
const reportAfter = "5 seconds"

/** What is not as it should be of what came since `before`; earlier runs may have left anything. */
const mistakes = (before: Arrived, { rows, deadLetters }: Arrived): ReadonlyArray<string> => {
  const silent = [...rows].filter(([table, count]) => count <= before.rows.get(table)!)
  const refused = deadLetters - before.deadLetters
  return [
    ...silent.map(([table]) => `no rows arrived in ${table}`),
    ...(refused > 0 ? [`${refused} dead letters`] : [])
  ]
}

const feedAndReport = Effect.fnUntraced(function* (platform: Platform, screen: Screen) {
  /** Prints what is in the database when nothing is on its way any more. */
  const report = Effect.gen(function* () {
    const well = yield* Effect.timeoutOption(awaitWell, "10 seconds")
    const arrived = yield* queryArrived(platform.database)
    const since = `${process.uptime().toFixed(0)} s after the start${Option.isSome(well) ? ", with lag 0" : ""}`
    screen.print(`\nIn the database ${since}:\n\n${arrived.text}`)
    return arrived
  })

  let running: { readonly feed: Feed; readonly before: Arrived } | undefined
  yield* Effect.gen(function* () {
    yield* awaitWell
    running = { before: yield* queryArrived(platform.database), feed: yield* startFeed(platform) }
    screen.print("\nMetrics and logs of this machine flow from now on.")
    yield* Effect.sleep(reportAfter)
    yield* report
  }).pipe(
    Effect.catch((error) => Effect.sync(() => screen.print(`the feed stopped: ${error.message}`))),
    Effect.forkScoped
  )

  const conclude = Effect.gen(function* () {
    if (!running) return ["the EventStreams were not ready in time: nothing was fed"]
    yield* running.feed.stop
    return mistakes(running.before, yield* report)
  }).pipe(Effect.catch((error) => Effect.succeed([`the database can't be asked: ${error.message}`])))
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
