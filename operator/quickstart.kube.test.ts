import { it } from "@effect/vitest"
import { jetstream, jetstreamManager } from "@nats-io/jetstream"
import { Effect, Schedule } from "effect"
import { join } from "node:path"
import { Pool } from "pg"
import { assert, inject } from "vitest"
import { connectNats } from "../platform/nats.ts"
import { cellsOf, kubectl } from "../testing/control-plane.ts"
import { runNode } from "../testing/node-agent.ts"
import { operatorAccount } from "../testing/operator-account.ts"
import { startOperator } from "../testing/operator-process.ts"
import { startNats, startPostgres, tempDirectory } from "../testing/servers.ts"
import { layerServer } from "./kube/server.ts"

/** The README's quickstart as its reader does it, with kubectl on a real API server; the operator is a process of its own. */

const plane = inject("controlPlane")
const root = join(import.meta.dirname, "..")
const namespace = "quickstart"
const kube = (...args: ReadonlyArray<string>) => kubectl(plane, "--namespace", namespace, ...args)

/** Tries until it succeeds, for 30 s. */
const eventually = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(Effect.retry({ schedule: Schedule.spaced("200 millis"), times: 150 }))

const check = (run: () => void) => Effect.try({ try: run, catch: (error) => error as Error })

it.live(
  "kubectl apply, rows, kubectl get, scale, delete",
  () =>
    Effect.gen(function* () {
      const directory = yield* tempDirectory("eventstream-quickstart-")
      const nats = yield* startNats()
      const postgres = yield* startPostgres()
      const database = new Pool({ connectionString: postgres.url, max: 2 })
      database.on("error", () => {}) // the server stops before the pool has noticed that it is closed
      yield* Effect.addFinalizer(() => Effect.promise(() => database.end()))
      const count = (sql: string) => Effect.promise(async () => Number((await database.query(sql)).rows[0]?.count))

      yield* kubectl(plane, "create", "namespace", namespace)
      yield* kube("create", "secret", "generic", "pg-app", `--from-literal=uri=${postgres.url}?sslmode=disable`)
      const { kubeconfig } = plane
      yield* runNode({ kubeconfig, name: "quickstart", namespace, directory })
      const account = yield* operatorAccount(plane, namespace, { namespaces: [namespace] })
      const operator = yield* startOperator(
        {
          KUBECONFIG: account.kubeconfig,
          EVENTSTREAM_HOSTS: `nats.nats.svc=127.0.0.1:${nats.port}`,
          EVENTSTREAM_LEASE: `${namespace}/eventstream-operator`
        },
        ["--namespace", namespace]
      )

      yield* kube("apply", "--filename", join(root, "examples", "quickstart"))
      yield* kube("wait", "--for=condition=Ready", "--timeout=60s", "eventstream", "--all")

      const connection = yield* connectNats({ servers: [nats.url] }, { name: "test", hosts: new Map() })
      const stream = jetstream(connection)
      const publish = (subject: string, payload: unknown) =>
        Effect.promise(() => stream.publish(subject, typeof payload === "string" ? payload : JSON.stringify(payload)))
      for (let i = 0; i < 50; i++) {
        yield* publish("telemetry.host", { metric_name: `m${i}`, value: i })
        yield* publish("logs.system", {
          timestamp: "2026-01-15T10:30:00Z",
          host: "web-1",
          message: `line ${i}`,
          pid: i
        })
        yield* publish("otel.metrics.derived", [{ span_name: `s${i}`, duration_ms: 12.5, service_name: "checkout" }])
      }
      yield* publish("telemetry.host", "{not json")

      for (const table of ["timeseries_metrics", "system_logs", "otel_metrics"]) {
        yield* eventually(
          count(`SELECT count(*) FROM ${table}`).pipe(Effect.flatMap((rows) => check(() => assert.equal(rows, 50))))
        )
      }
      assert.equal(yield* count("SELECT count(*) FROM eventstream_dead_letter WHERE reason = 'malformed_json'"), 1)
      assert.equal(yield* count(`SELECT count(*) FROM system_logs WHERE (extra->>'pid')::int BETWEEN 0 AND 49`), 50)

      // What a person sees: READY REASON LAG WRITERS DLQ STREAM.
      yield* eventually(
        kube("get", "eventstreams").pipe(
          Effect.flatMap((table) =>
            check(() => {
              const stream = "QUICKSTART_TELEMETRY"
              assert.deepEqual(cellsOf(table, "telemetry"), ["telemetry", "True", "Running", "0", "1", "1", stream])
              assert.deepEqual(cellsOf(table, "system-logs")?.slice(1, 6), ["True", "Running", "0", "1", "0"])
              assert.deepEqual(cellsOf(table, "otel-metrics")?.slice(1, 6), ["True", "Running", "0", "1", "0"])
            })
          )
        )
      )

      yield* kube("scale", "eventstream/telemetry", "--replicas=2")
      yield* kube("wait", "--for=jsonpath={.status.writer.readyReplicas}=2", "--timeout=60s", "eventstream/telemetry")

      const manager = yield* Effect.promise(() => jetstreamManager(connection))
      yield* kube("delete", "--timeout=60s", "--filename", join(root, "examples", "quickstart"))
      assert.equal((yield* kube("get", "eventstreams", "--output", "name")).trim(), "")
      yield* eventually(
        kube("get", "deployments,pods", "--output", "name").pipe(
          Effect.flatMap((left) => check(() => assert.equal(left.trim(), "")))
        )
      )
      // Deletion policies by default: the stream and the rows stay, the durable goes.
      const info = yield* Effect.promise(() => manager.streams.info("QUICKSTART_TELEMETRY"))
      assert.equal(info.state.messages, 51)
      assert.equal(info.state.consumer_count, 0)
      assert.equal(yield* count("SELECT count(*) FROM timeseries_metrics"), 50)

      operator.signal("SIGTERM")
      assert.equal((yield* operator.exit).code, 0)
      assert.deepEqual(yield* account.offences, [])
    }).pipe(Effect.scoped, Effect.provide(layerServer({ kubeconfig: plane.kubeconfig }))),
  180_000
)
