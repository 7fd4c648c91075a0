import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { readOperatorConfig } from "./config.ts"

it.effect("reads the environment, with defaults; an empty variable is an absent one", () =>
  Effect.gen(function* () {
    const config = yield* readOperatorConfig({
      EVENTSTREAM_WRITER_IMAGE: "writer:1",
      EVENTSTREAM_NAMESPACE: "",
      EVENTSTREAM_POLL_INTERVAL: "1m30s",
      HOME: "/"
    })
    assert.deepStrictEqual(config, {
      writerImage: "writer:1",
      namespace: undefined,
      pollIntervalMillis: 90_000,
      statusIntervalMillis: 30_000,
      workers: 4,
      http: { host: "0.0.0.0", port: 8080 },
      hosts: undefined,
      logLevel: "info"
    })
  })
)

it.effect("names every variable that is wrong at once", () =>
  Effect.gen(function* () {
    const { message } = yield* Effect.flip(
      readOperatorConfig({
        EVENTSTREAM_POLL_INTERVAL: "1 day",
        EVENTSTREAM_HTTP_PORT: "70000",
        EVENTSTREAM_WORKERS: "x"
      })
    )
    for (const part of [
      "EVENTSTREAM_WRITER_IMAGE: missing key",
      "EVENTSTREAM_POLL_INTERVAL: expected a duration such as 500ms, 30s or 1m",
      "EVENTSTREAM_HTTP_PORT: expected a value between 0 and 65535",
      "EVENTSTREAM_WORKERS: expected a value between 1 and 64"
    ]) {
      assert.include(message, part)
    }
  })
)
