import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Readiness, serveHealth } from "./health.ts"
import { Metrics } from "./metrics.ts"

const get = (port: number, path: string) =>
  Effect.promise(async () => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`)
    return { status: response.status, text: await response.text() }
  })

describe("serveHealth", () => {
  it.live("answers metrics, health and readiness", () =>
    Effect.gen(function* () {
      let readiness: Readiness = { ready: false, why: "Starting" }
      const { exposition } = yield* Metrics
      const { port } = yield* serveHealth({ host: "127.0.0.1", port: 0, exposition, readiness: () => readiness })
      assert.deepStrictEqual(yield* get(port, "/healthz"), { status: 200, text: "ok\n" })
      assert.deepStrictEqual(yield* get(port, "/readyz"), { status: 503, text: "Starting\n" })
      readiness = { ready: true, why: "Running" }
      assert.deepStrictEqual(yield* get(port, "/readyz"), { status: 200, text: "Running\n" })
      assert.match((yield* get(port, "/metrics")).text, /process_cpu_seconds_total\{eventstream="orders"\}/)
      assert.strictEqual((yield* get(port, "/")).status, 404)
    }).pipe(Effect.scoped, Effect.provide(Metrics.layer({ eventstream: "orders" })))
  )

  it.live("names the address that is taken", () =>
    Effect.gen(function* () {
      const options = { host: "127.0.0.1", exposition: Effect.succeed(""), readiness: () => ({ ready: true, why: "" }) }
      const { port } = yield* serveHealth({ ...options, port: 0 })
      const error = yield* Effect.flip(serveHealth({ ...options, port }))
      assert.include(error.message, `127.0.0.1:${port}`)
      assert.include(error.message, "EADDRINUSE")
    }).pipe(Effect.scoped)
  )
})
