import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert } from "vitest"
import { admit } from "../../crds/admission.ts"
import { connectNats } from "../../platform/nats.ts"
import { connectPostgres } from "../../platform/postgres.ts"
import { tempDirectory } from "../../testing/servers.ts"
import { layerMemory } from "../kube/memory.ts"
import { EventStreams, Kube, Pods } from "../kube.ts"
import { awaitWell } from "./local.ts"
import { type Platform, startPlatform } from "./platform.ts"
import { type Listed, startOf } from "./process-list.ts"

const manifest = (maxMessages: number) => `
apiVersion: eventstream.dev/v1alpha1
kind: EventStream
metadata: { name: orders }
spec:
  nats: { servers: ["nats://nats.nats.svc:4222"] }
  stream: { subjects: ["orders.>"] }
  consumer: { ackWait: 2s }
  processor:
    type: Json
    json: { table: orders, columns: [{ name: id, type: int8, required: true }] }
  target: { postgres: { secretRef: { name: pg-app }, statementTimeout: 1s } }
  batch: { maxMessages: ${maxMessages} }
`

const memory = layerMemory([{ resource: EventStreams, status: true, generation: true, admit }])

const until = <E, R>(is: Effect.Effect<boolean, E, R>) =>
  is.pipe(
    Effect.tap(Effect.sleep("50 millis")),
    Effect.repeat({ until: (so) => so }),
    Effect.timeout("30 seconds"),
    Effect.asVoid
  )

const start = (manifests: string, data: string) =>
  startPlatform({ manifests: [manifests], data, natsPort: 0, notice: () => {} })

/** Publishes orders `from`..`to` and waits for JetStream's acknowledgements. */
const publish = Effect.fnUntraced(function* (platform: Platform, from: number, to: number) {
  const nats = yield* connectNats({ servers: [platform.natsUrl] }, { name: "test", hosts: new Map() })
  for (let id = from; id <= to; id++) {
    const answer = yield* Effect.promise(() => nats.request("orders.new", JSON.stringify({ id })))
    assert.isUndefined(answer.json<{ error?: object }>().error)
  }
}, Effect.scoped)

/** Rows of the table, and how many different ones. */
const countRows = Effect.fnUntraced(function* ({ database }: Platform) {
  const session = yield* connectPostgres(
    { secretDirectory: database },
    { applicationName: "test", hosts: new Map(), requestTimeoutMillis: 5_000 },
    () => {}
  )
  const [row] = yield* session.query("SELECT count(*)::int AS rows, count(DISTINCT id)::int AS different FROM orders")
  return row as { readonly rows: number; readonly different: number }
}, Effect.scoped)

/** The database may be away for a while. */
const awaitRows = Effect.fnUntraced(function* (platform: Platform, wanted: number) {
  const found = yield* countRows(platform).pipe(
    Effect.tap(Effect.sleep("50 millis")),
    Effect.orElseSucceed(() => ({ rows: 0, different: 0 })),
    Effect.repeat({ until: ({ different }) => different >= wanted }),
    Effect.timeout("30 seconds")
  )
  assert.deepEqual(found, { rows: wanted, different: wanted })
})

const listed = (data: string): ReadonlyArray<Listed> =>
  readdirSync(join(data, "processes"))
    .filter((name) => name.endsWith(".json"))
    .map((name) => JSON.parse(readFileSync(join(data, "processes", name), "utf8")) as Listed)

describe("startPlatform", () => {
  it.live(
    "turns messages into rows, through a killed writer, an edit, a removal and a second start, each once",
    () =>
      Effect.gen(function* () {
        const manifests = yield* tempDirectory("eventstream-manifests-")
        const data = yield* tempDirectory("eventstream-data-")
        const file = join(manifests, "orders.yaml")
        writeFileSync(file, manifest(100))

        yield* Effect.gen(function* () {
          const kube = yield* Kube
          const platform = yield* start(manifests, data)
          yield* awaitWell
          yield* publish(platform, 1, 300)
          yield* awaitRows(platform, 300)

          const writer = listed(data).find(({ stage }) => stage === "container")!
          process.kill(writer.pid, "SIGKILL")
          yield* publish(platform, 301, 600)
          yield* awaitRows(platform, 600)
          const [pod] = yield* kube.list(Pods, {})
          assert.nestedInclude(pod, {
            "status.containerStatuses[0].restartCount": 1,
            "status.containerStatuses[0].lastState.terminated.exitCode": 137
          })

          writeFileSync(file, manifest(200))
          yield* until(
            Effect.map(kube.list(Pods, {}), (pods) => pods.length === 1 && pods[0]!.metadata.uid !== pod!.metadata.uid)
          )
          yield* publish(platform, 601, 700)
          yield* awaitRows(platform, 700)

          rmSync(file)
          yield* until(Effect.map(kube.list(EventStreams, {}), (left) => left.length === 0))
          yield* until(Effect.map(kube.list(Pods, {}), (left) => left.length === 0))
          yield* publish(platform, 701, 800) // the stream is kept, and with it what nobody reads yet
          writeFileSync(file, manifest(200))
          yield* awaitRows(platform, 800)
        }).pipe(Effect.scoped, Effect.provide(memory))
        assert.deepEqual(listed(data), [])

        yield* Effect.gen(function* () {
          const platform = yield* start(manifests, data)
          yield* awaitWell
          yield* publish(platform, 801, 900)
          yield* awaitRows(platform, 900)
          const servers = listed(data).filter(({ stage }) => stage === "server")
          for (const { pid } of servers) process.kill(pid, "SIGKILL")
          yield* until(Effect.sync(() => servers.every(({ pid }) => startOf(pid) === undefined)))
          yield* awaitWell
          yield* publish(platform, 901, 1000)
          yield* awaitRows(platform, 1000)
        }).pipe(Effect.scoped, Effect.provide(memory))
      }),
    120_000
  )
})
