import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { hostname } from "node:os"
import { readOperatorConfig } from "./config.ts"

it.effect("reads the environment, with defaults; an empty variable is an absent one", () =>
  Effect.gen(function* () {
    const config = yield* readOperatorConfig({
      EVENTSTREAM_WRITER_IMAGE: "writer:1",
      EVENTSTREAM_NAMESPACES: "",
      EVENTSTREAM_POLL_INTERVAL: "1m30s",
      HOME: "/"
    })
    assert.deepStrictEqual(config, {
      writerImage: "writer:1",
      namespaces: [],
      election: undefined,
      pollIntervalMillis: 90_000,
      statusIntervalMillis: 30_000,
      workers: 4,
      http: { host: "0.0.0.0", port: 8080 },
      hosts: undefined,
      identity: undefined,
      logLevel: "info"
    })
  })
)

it.effect("namespaces are a list, and an election needs a Lease", () =>
  Effect.gen(function* () {
    const config = (environment: Readonly<Record<string, string>>) =>
      readOperatorConfig({ EVENTSTREAM_WRITER_IMAGE: "writer:1", ...environment })
    const { namespaces } = yield* config({ EVENTSTREAM_NAMESPACES: "demo, shop,demo" })
    assert.deepStrictEqual(namespaces, ["demo", "shop"])
    const lease = { EVENTSTREAM_LEASE: "system/eventstream.operator" }
    const key = { namespace: "system", name: "eventstream.operator" }
    assert.deepStrictEqual((yield* config(lease)).election, { lease: key, identity: hostname() })
    const { election } = yield* config({ ...lease, EVENTSTREAM_IDENTITY: "operator-1" })
    assert.deepStrictEqual(election, { lease: key, identity: "operator-1" })
    assert.isUndefined((yield* config({ EVENTSTREAM_IDENTITY: "operator-1" })).election)
    for (const wrong of ["Demo", "demo,,shop", "demo shop", "a".repeat(64), "demo,-shop"]) {
      const { message } = yield* Effect.flip(config({ EVENTSTREAM_NAMESPACES: wrong }))
      assert.include(message, "EVENTSTREAM_NAMESPACES: expected names of namespaces separated by commas")
      assert.include(message, JSON.stringify(wrong))
    }
    for (const wrong of ["operator", "a/b/c", "/operator", "system/"]) {
      const { message } = yield* Effect.flip(config({ EVENTSTREAM_LEASE: wrong }))
      assert.include(message, "EVENTSTREAM_LEASE: expected a Lease as <namespace>/<name>")
    }
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
