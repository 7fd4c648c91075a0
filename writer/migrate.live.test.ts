import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { connectTo, Databases } from "../testing/store.ts"
import { launchMigrate } from "./migrate.ts"

describe("launchMigrate", () => {
  layer(Databases.layer, { excludeTestServices: true, timeout: 60_000 })((it) => {
    it.effect("makes the tables of a writer that is configured by environment", () =>
      Effect.gen(function* () {
        const uri = yield* (yield* Databases).create
        const environment = {
          EVENT_WRITER_STREAM: "telemetry",
          EVENT_WRITER_CONSUMER: "writer",
          EVENT_WRITER_PROCESSOR: "Telemetry",
          EVENT_WRITER_DATABASE_URL: uri
        }
        yield* launchMigrate({ config: undefined, environment })
        const session = yield* connectTo(uri)
        const tables = yield* session.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        assert.deepStrictEqual(
          tables.map(({ tablename }) => tablename),
          [
            "eventstream_dead_letter",
            "eventstream_lane",
            "eventstream_ledger",
            "eventstream_loss",
            "eventstream_replay",
            "timeseries_metrics"
          ]
        )
        const { EVENT_WRITER_STREAM: _, ...incomplete } = environment
        const failed = yield* Effect.flip(launchMigrate({ config: undefined, environment: incomplete }))
        assert.strictEqual(failed.reason, "InvalidConfiguration")
      }).pipe(Effect.scoped)
    )
  })
})
