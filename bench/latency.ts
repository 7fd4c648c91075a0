import { Effect } from "effect"
import { tempDirectory } from "../testing/servers.ts"
import { metricMessages } from "./messages.ts"
import { cpuSeconds } from "./processes.ts"
import { createDurable, createStream, freshDatabase, Invalid } from "./round.ts"
import type { Servers } from "./servers.ts"
import { workloads } from "./workload.ts"
import { startWriter } from "./writer.ts"

/** Milliseconds from publishing a message to the commit of its row, and what the writer uses meanwhile. */
export interface Latency {
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly max: number
  /** CPU milliseconds per second without a message, and with them. */
  readonly idleCpu: number
  readonly busyCpu: number
}

export interface LatencyRun {
  readonly perSecond: number
  readonly seconds: number
  /** `spec.batch.maxLatency`; unset: its default. */
  readonly maxLatency?: string
}

const idleSeconds = 5

/** Microseconds since 1970, as fine as the clock is. */
const nowMicros = () => Math.round((performance.timeOrigin + performance.now()) * 1000)

/** Each message carries the time at which it is handed to the client; the database knows when its row was committed. */
const publish = async (servers: Servers, subject: string, { perSecond, seconds }: LatencyRun) => {
  const messages = metricMessages(perSecond * seconds, 1, nowMicros)
  const begin = performance.now()
  for (let sent = 0; sent < perSecond * seconds; sent++) {
    const early = begin + (sent * 1000) / perSecond - performance.now()
    if (early > 0) await new Promise((resolve) => setTimeout(resolve, early))
    servers.nats.publish(subject, messages.next().value as Uint8Array)
  }
  await servers.nats.flush()
}

const percentiles = `
  SELECT count(*)::int AS rows, percentile_cont(ARRAY[0.5, 0.9, 0.99, 1]) WITHIN GROUP (
    ORDER BY extract(epoch FROM pg_xact_commit_timestamp(xmin) - "timestamp")::float8 * 1000) AS millis
  FROM otel_metrics`

/** Publishes at an even pace to a writer that waits for messages. */
export const measureLatency = Effect.fnUntraced(function* (servers: Servers, program: string, run: LatencyRun) {
  const { W1: workload } = workloads
  const { maxLatency, perSecond, seconds } = run
  const spec = workload.spec(servers.natsUrl, maxLatency === undefined ? undefined : { maxLatency })
  const stream = yield* Effect.acquireRelease(
    Effect.promise(() => createStream(servers, workload, spec)),
    ({ name }) => Effect.promise(() => servers.manager.streams.delete(name))
  )
  const place = { servers, workload, spec, program, stream }
  const durable = yield* Effect.promise(() => createDurable(place, "latency"))
  const folder = yield* tempDirectory("eventstream-bench-")
  const { client, config } = yield* Effect.promise(() => freshDatabase(place, folder, durable))
  yield* Effect.addFinalizer(() => Effect.promise(() => client.end()))
  const { pid } = yield* startWriter(program, config, workload.key, spec, [])
  const info = Effect.promise(() => servers.manager.consumers.info(stream.name, durable))
  yield* info.pipe(Effect.repeat({ until: ({ num_waiting }) => num_waiting > 0 }), Effect.timeout("30 seconds"))
  yield* Effect.sleep("2 seconds") // what it does at its start is not what it does at rest

  const started = cpuSeconds(pid)
  yield* Effect.sleep(`${idleSeconds} seconds`)
  const idle = cpuSeconds(pid)
  yield* Effect.promise(() => publish(servers, workload.subject, run))
  const busy = cpuSeconds(pid)
  yield* info.pipe(
    Effect.repeat({ until: ({ num_pending, num_ack_pending }) => num_pending + num_ack_pending === 0 }),
    Effect.timeout("30 seconds")
  )
  const { rows } = yield* Effect.promise(() => client.query<{ rows: number; millis: Array<number> }>(percentiles))
  const [found] = rows
  if (found!.rows !== perSecond * seconds) {
    return yield* new Invalid({ detail: `wanted ${perSecond * seconds} rows, found ${found!.rows}` })
  }
  const [p50, p90, p99, max] = found!.millis as [number, number, number, number]
  return {
    p50,
    p90,
    p99,
    max,
    idleCpu: ((idle - started) * 1000) / idleSeconds,
    busyCpu: ((busy - idle) * 1000) / seconds
  } satisfies Latency
}, Effect.scoped)
