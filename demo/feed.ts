import { Clock, Effect, Fiber } from "effect"
import { Kube, Pods } from "../operator/kube.ts"
import type { Platform } from "../operator/local/platform.ts"
import { lastingConnection } from "../testing/nats-client.ts"
import { hostSamples, processSamples } from "./host-metrics.ts"
import { ServiceMetrics } from "./otel-metrics.ts"
import { openLogs } from "./system-logs.ts"

/** Feeds the platform from this machine: its metrics, its logs, and what the platform measures of itself. */

const sampleMillis = 1_000
/** OpenTelemetry exports less often: its metrics are sums, none is lost between two exports. */
const exportEvery = 5

interface Message {
  readonly subject: string
  readonly payload: Uint8Array
}

const json = (subject: string, value: object): Message => ({ subject, payload: Buffer.from(JSON.stringify(value)) })

/** The text of a Prometheus endpoint; empty while its process is just starting. */
const scrape = (url: string): Effect.Effect<string> =>
  Effect.tryPromise(async () => (await fetch(url)).text()).pipe(Effect.orElseSucceed(() => ""))

/** Metrics of the writers, by the name of their EventStream, from the endpoint that Prometheus would ask. */
const writerExpositions = Effect.fnUntraced(function* (platform: Platform) {
  const kube = yield* Kube
  const pods = yield* Effect.orElseSucceed(kube.list(Pods, {}), () => [])
  const found: Array<readonly [name: string, exposition: string]> = []
  for (const { metadata } of pods) {
    const port = platform.pods.port(metadata.uid!, "writer")
    const text = yield* scrape(`http://127.0.0.1:${port}/metrics`)
    found.push([metadata.labels?.["eventstream.dev/name"] ?? "", text])
  }
  return found
})

export interface Feed {
  /** Comes to an end, with everything published acknowledged. */
  readonly stop: Effect.Effect<void>
}

/** Feeds until it is stopped, or the scope closes. */
export const startFeed = Effect.fnUntraced(function* (platform: Platform) {
  const nats = yield* lastingConnection(platform.natsUrl, "eventstream demo")
  const readLogs = openLogs(platform.logs)
  const operator = new ServiceMetrics({ "service.name": "eventstream-operator" })
  const demo = new ServiceMetrics({ "service.name": "eventstream-demo" })
  const writers = new Map<string, ServiceMetrics>()
  const publishSeconds = demo.histogram("publish.duration", "s")
  let running = true

  /** Waits for JetStream's acknowledgement. What it refuses is a sample less, not the end. */
  const publish = ({ subject, payload }: Message) =>
    Effect.tryPromise(async () => {
      const sent = performance.now()
      await nats.request(subject, payload, { timeout: 5_000 })
      publishSeconds.record((performance.now() - sent) / 1000, { subject })
    }).pipe(Effect.ignore)

  const otelMessages = Effect.fnUntraced(function* () {
    operator.update(yield* scrape(`${platform.operatorUrl}/metrics`))
    for (const [name, exposition] of yield* writerExpositions(platform)) {
      const service =
        writers.get(name) ?? new ServiceMetrics({ "service.name": "eventstream-writer", eventstream: name })
      writers.set(name, service)
      service.update(exposition)
    }
    const exports = yield* Effect.promise(() =>
      Promise.all([operator, demo, ...writers.values()].map((service) => service.export()))
    )
    return exports.flatMap((payload) => (payload ? [{ subject: "otel.metrics.raw", payload }] : []))
  })

  const round = Effect.fnUntraced(function* (count: number) {
    const now = yield* Clock.currentTimeMillis
    const messages = [
      ...hostSamples(now, platform.data).map((sample) => json("telemetry.host", sample)),
      ...processSamples(now).map((samples) => json("telemetry.process", samples)),
      ...readLogs(new Date(now).toISOString()).map((line) => json("logs.system", line)),
      ...(count % exportEvery === 0 ? yield* otelMessages() : [])
    ]
    yield* Effect.forEach(messages, publish, { concurrency: "unbounded", discard: true })
  })

  let rounds = 0
  const feeding = yield* Effect.suspend(() => round(rounds++)).pipe(
    Effect.tap(Effect.sleep(sampleMillis)),
    Effect.repeat({ while: () => running }),
    Effect.forkScoped
  )
  return {
    stop: Effect.suspend(() => {
      running = false
      return Effect.asVoid(Fiber.await(feeding))
    })
  } satisfies Feed
})
