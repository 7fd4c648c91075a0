import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { randomInt } from "node:crypto"
import { join } from "node:path"
import { bundle } from "../../images/bundle.ts"
import { tempDirectory } from "../servers.ts"
import { type FaultCase, type Result, runCase } from "./campaign.ts"
import { cases } from "./cases/index.ts"
import { formatFailure, formatResult, formatSummary, heading } from "./report.ts"
import { sweepCase } from "./sweep.ts"

/** Runs cases one after the other; the exit code is 1 when one failed. */

const flags = {
  only: Flag.String("case").pipe(
    Flag.optional,
    Flag.withDescription("Ids, with commas between them; N is all that begin so. Unset: all but the soak.")
  ),
  seed: Flag.Int("seed").pipe(Flag.optional, Flag.withDescription("Decides everything random. Unset: a new one.")),
  sweep: Flag.Int("sweep").pipe(
    Flag.optional,
    Flag.withDescription("Instead: so many short runs of three random faults each, with seeds from --seed upwards.")
  ),
  full: Flag.Boolean("full").pipe(
    Flag.withDefault(false),
    Flag.withDescription("Faults last as long, and come as often, as they can show anything more.")
  )
}

/** As the operator gives them to writers. */
const nodeOptions = ["--max-semi-space-size=16"]

const mostSeed = 2 ** 31

/** The cases of these ids or families, those only that this machine can run. */
const chosen = (only: string | undefined): ReadonlyArray<FaultCase> => {
  const runnable = cases.filter(({ skip = false }) => !skip)
  if (only === undefined) return runnable.filter(({ id }) => id !== "SOAK")
  const wanted = only.split(",")
  return runnable.filter(({ id }) => wanted.some((name) => id === name || new RegExp(`^${name}(-|\\d)`).test(id)))
}

const command = Command.make("faults", flags, ({ only, seed: given, sweep, full }) =>
  Effect.gen(function* () {
    const seed = Option.getOrElse(given, () => randomInt(mostSeed))
    const file = join(yield* tempDirectory("eventstream-faults-"), "writer.mjs")
    yield* Effect.promise(() => bundle("images/writer.ts", file))
    const setting = {
      full,
      program: [process.execPath, ...nodeOptions, file] as const,
      logFolder: join(".local", "faults")
    }
    const runs: ReadonlyArray<readonly [FaultCase, number]> = Option.match(sweep, {
      onNone: () => chosen(Option.getOrUndefined(only)).map((story) => [story, seed] as const),
      onSome: (count) => Array.from({ length: count }, (_, index) => [sweepCase(seed + index), seed + index] as const)
    })
    if (runs.length === 0)
      return yield* Effect.fail(new Error(`no case has the id ${Option.getOrElse(only, () => "")}`))
    const again = Option.isSome(sweep) ? "make faults SWEEP=1 SEED" : `make faults CASE SEED${full ? " FULL=1" : ""}`
    yield* Console.log(`seed ${seed}\n${heading}`)
    const results: Array<Result> = []
    for (const [story, seed] of runs) {
      const result = yield* runCase(story, { ...setting, seed })
      results.push(result)
      yield* Console.log(formatResult(result))
      if (result.violations.length > 0) yield* Console.log(formatFailure(result, again).join("\n"))
    }
    yield* Console.log(formatSummary(results))
    if (results.some(({ violations }) => violations.length > 0)) process.exitCode = 1
  }).pipe(Effect.scoped)
).pipe(Command.withDescription("Puts writers through faults, and checks that every message has one outcome."))

Command.run(command, { version: "1" }).pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain)
