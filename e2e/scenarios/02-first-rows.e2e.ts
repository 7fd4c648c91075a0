import { assert, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { join } from "node:path"
import { quantise } from "../../operator/status/numbers.ts"
import { ServiceMetrics } from "../../demo/otel-metrics.ts"
import { cellsOf } from "../../testing/control-plane.ts"
import { condition, eventStream, isReady, streamNameOf } from "../numbers.ts"
import {
  kubectl,
  namespace,
  publish,
  publishBytes,
  report,
  seconds,
  secondsSince,
  sql,
  streamThere,
  waitFor
} from "../world.ts"

/**
 * The quickstart is applied, and events of its three kinds are published: telemetry samples, OpenTelemetry metrics (protobuf as an
 * exporter sends it, and JSON) and system logs, with some among them that nobody can read. Each becomes a row or a dead letter,
 * and `kubectl get eventstreams`, JetStream and the database say the same.
 */

const quickstart = join(import.meta.dirname, "..", "..", "examples", "quickstart")

const streams = [
  { name: "telemetry", table: "timeseries_metrics" },
  { name: "otel-metrics", table: "otel_metrics" },
  { name: "system-logs", table: "system_logs" }
] as const

const count = (text: string) =>
  sql<{ readonly count: number }>(`SELECT count(*)::int AS count FROM ${text}`).pipe(Effect.map(([row]) => row!.count))

const rowCounts = Effect.forEach(streams, ({ table }) => count(table))

const deadLetters = (name: string) =>
  count(
    `eventstream_dead_letter d JOIN eventstream_lane l ON l.id = d.lane
     WHERE l.namespace = '${namespace}' AND l.name = '${name}'`
  )

/** One export of an OpenTelemetry SDK with so many data points. */
const otlpExport = (points: number) =>
  Effect.promise(async () => {
    const service = new ServiceMetrics({ "service.name": "checkout" })
    const lines = Array.from({ length: points }, (_, i) => `requests_total{shop="${i}"} ${i}`)
    service.update(["# TYPE requests_total counter", ...lines].join("\n"))
    return (await service.export())!
  })

/** Whether a value has all that is wanted of it. */
const contains = (value: any, wanted: any): boolean =>
  typeof wanted === "object" && wanted !== null
    ? Object.entries(wanted).every(([key, part]) => contains(value?.[key], part))
    : value === wanted

it.live(
  "the quickstart: published events become rows, and the status says so",
  () =>
    Effect.gen(function* () {
      yield* kubectl("apply", "--namespace", namespace, "--filename", quickstart)
      for (const { name } of streams) yield* waitFor(`${name} ready`, eventStream(name), isReady, 120)
      const before = yield* rowCounts
      const deadBefore = yield* Effect.forEach(streams, ({ name }) => deadLetters(name))

      const started = yield* Clock.currentTimeMillis
      const at = new Date(started).toISOString()
      yield* Effect.all(
        [
          publish({ subject: "telemetry.host", count: 300, payload: '{"metric_name":"cpu.{n}","value":{n}}' }),
          publish({ subject: "telemetry.host", count: 7, payload: '{"metric_name":"cpu' }),
          publish({
            subject: "otel.metrics.derived",
            count: 200,
            payload: `[{"span_name":"s{n}","duration_ms":12.5,"service_name":"checkout","timestamp":"${at}"}]`
          }),
          publishBytes("otel.metrics.raw", yield* otlpExport(50)),
          publish({ subject: "otel.metrics.raw", count: 3, payload: "neither protobuf nor JSON" }),
          publish({
            subject: "logs.system",
            count: 300,
            payload: `{"timestamp":"${at}","host":"web-1","message":"line {n}","pid":{n}}`
          }),
          publish({ subject: "logs.system", count: 5, payload: '{"message":"when?"}' })
        ],
        { concurrency: 4 }
      )
      const expected = [300, 250, 300]
      const expectedDead = [7, 3, 5]
      const added = rowCounts.pipe(Effect.map((now) => now.map((rows, i) => rows - before[i]!)))
      const found = yield* waitFor("a row for every event", added, (now) => now.every((n, i) => n >= expected[i]!))
      const took = yield* secondsSince(started)
      assert.deepEqual(found, expected)
      const kept = yield* count(`system_logs WHERE message = 'line 300' AND (extra->>'pid')::int = 300`)
      assert.isAtLeast(kept, 1, "a field that no column takes is kept")

      const dead = deadBefore.map((rows, i) => rows + expectedDead[i]!)
      for (const [i, { name }] of streams.entries()) {
        assert.equal(yield* deadLetters(name), dead[i], `${name}: dead letters in the database`)
        const { messages, lastSequence, consumers } = yield* waitFor(
          `every message of ${name} acknowledged`,
          streamThere(streamNameOf(name)),
          (stream) => stream.consumers.every(({ ackFloor }) => ackFloor === stream.lastSequence)
        )
        assert.lengthOf(consumers, 1)
        // Numbers that change all the time are told with two digits.
        const told = {
          stream: { messages: quantise(messages), lastSequence: quantise(lastSequence) },
          consumer: { name: consumers[0]!.name, ackFloor: lastSequence, pending: 0, ackPending: 0, lag: "0" },
          delivery: { written: quantise(lastSequence - dead[i]!), deadLettered: dead[i], dropped: 0 }
        }
        const object = yield* waitFor(
          `status of ${name} with ${JSON.stringify(told)}`,
          eventStream(name),
          ({ status }) => contains(status, told),
          20
        )
        assert.equal(condition(object, "DeadLettering"), "True PoisonMessages")
      }
      const table = yield* kubectl("get", "eventstreams", "--namespace", namespace)
      for (const [i, { name }] of streams.entries()) {
        // NAME READY REASON LAG WRITERS DLQ STREAM
        assert.deepEqual(cellsOf(table, name), [name, "True", "Running", "0", "1", String(dead[i]), streamNameOf(name)])
      }
      const sum = (values: ReadonlyArray<number>) => values.reduce((a, b) => a + b, 0)
      yield* report(
        "first rows",
        `expected ${sum(expected)} rows, found ${sum(found)}, dead letters expected ${sum(expectedDead)}, found ${
          sum(dead) - sum(deadBefore)
        }, all within ${seconds(took)}`
      )
    }),
  400_000
)
