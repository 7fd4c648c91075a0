import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { makeBench, Servers } from "../testing/writer-bench.ts"
import { startWriter } from "../testing/writer-process.ts"

describe("writer", () => {
  layer(Servers.layer, { excludeTestServices: true, timeout: 120_000 })((it) => {
    it.effect("writes what is in the stream and what comes, and acks it", () =>
      Effect.gen(function* () {
        const bench = yield* makeBench()
        yield* bench.publish(0, 3_000)
        const writer = yield* startWriter({ config: bench.config })
        yield* writer.writing
        yield* bench.publish(3_000, 3_100)
        yield* bench.drained()
        assert.deepStrictEqual(yield* bench.outcomes, { rows: 3_100, distinct: 3_100, deadLetters: 0, covered: 3_100 })
        assert.deepInclude(yield* writer.get("/readyz"), { status: 200 })
      }).pipe(Effect.scoped)
    )
  })
})
