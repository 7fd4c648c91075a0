import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { bundle } from "../../images/bundle.ts"
import { tempDirectory } from "../servers.ts"
import { runCase } from "./campaign.ts"
import { cases } from "./cases/index.ts"
import { sweepCase } from "./sweep.ts"

/** What finds the most in the shortest time, and that no other test stands for. */
const zombie = cases.find(({ id }) => id === "N14")!

/** A random run in which the database restarts, and one of three NATS nodes and a writer fail meanwhile. */
const seed = 301

const runs = [
  [zombie, 1],
  [sweepCase(seed), seed]
] as const

describe("every message has one outcome", () => {
  for (const [story, seed] of runs) {
    it.live(
      story.title,
      () =>
        Effect.gen(function* () {
          const folder = yield* tempDirectory("eventstream-faults-")
          const file = join(folder, "writer.mjs")
          yield* Effect.promise(() => bundle("images/writer.ts", file))
          const program = [process.execPath, file] as const
          const result = yield* runCase(story, { seed, full: false, program, logFolder: ".local/faults" })
          assert.deepStrictEqual(result.violations, [])
          assert.deepInclude(result.tally, { lost: 0, double: 0 })
          assert.isAbove(result.confirmed, 1_000)
        }).pipe(Effect.scoped),
      120_000
    )
  }
})
