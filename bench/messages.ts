import { randomIntegers } from "../testing/random.ts"

/** Input of the workloads: the same bytes for the same seed, so that figures of different days compare. */

type Random = () => number

const picker =
  (random: Random) =>
  <T>(values: ReadonlyArray<T>): T =>
    values[random() % values.length]!

/** Random hex digits, eight for each word. */
const hexOf = (random: Random) => (words: number) => {
  let text = ""
  for (let index = 0; index < words; index++) text += random().toString(16).padStart(8, "0")
  return text
}

/** 2026-01-01T00:00:00Z in microseconds. */
const firstTimestampMicros = 1_767_225_600_000_000

const roles = ["core", "poller", "agent", "sync", "mapper", "gateway", "zen", "rperf"]
const resources = ["devices", "services", "events", "pollers", "metrics", "sweeps"]
const services = Array.from({ length: 40 }, (_, index) => `serviceradar-${roles[index % roles.length]}-${index}`)
const routes = Array.from(
  { length: 120 },
  (_, index) => `/api/v${1 + (index % 3)}/${resources[index % resources.length]}/{id}/${index}`
)

/** RFC 3339 text with microseconds. */
export const rfc3339 = (micros: number) =>
  `${new Date(Math.floor(micros / 1000)).toISOString().slice(0, -1)}${String(micros % 1000).padStart(3, "0")}Z`

/**
 * Performance records as an OpenTelemetry collector publishes them: a JSON array that holds one object of 19 fields, about
 * 500 bytes, from 40 services and 120 routes, seven in ten of them HTTP and the others gRPC. Timestamps rise by 0–1 ms.
 *
 * @param clock gives the timestamps instead, in microseconds
 */
export function* metricMessages(count: number, seed = 1, clock?: () => number): Generator<Uint8Array> {
  const random = randomIntegers(seed)
  const pick = picker(random)
  const hex = hexOf(random)
  const encoder = new TextEncoder()
  let micros = firstTimestampMicros
  for (let index = 0; index < count; index++) {
    micros = clock?.() ?? micros + (random() % 1000)
    const http = random() % 10 < 7
    const millis = Math.round((random() / 2 ** 32) ** 4 * 900_000) / 1000 // most are fast, few take up to 900 ms
    const slow = millis > 100
    const record = {
      timestamp: rfc3339(micros),
      trace_id: hex(4),
      span_id: hex(2),
      service_name: pick(services),
      span_name: http ? `HTTP ${pick(routes)}` : `rpc.${pick(services)}`,
      span_kind: pick(["SERVER", "CLIENT", "INTERNAL"]),
      duration_ms: millis,
      duration_seconds: millis / 1000,
      metric_type: "span",
      http_method: http ? pick(["GET", "POST", "PUT"]) : null,
      http_route: http ? pick(routes) : null,
      http_status_code: http ? pick(["200", "200", "200", "404", "500"]) : null,
      grpc_service: http ? null : "monitoring.AgentService",
      grpc_method: http ? null : pick(["GetStatus", "StreamResults", "PushStatus"]),
      grpc_status_code: http ? null : "0",
      is_slow: slow,
      component: "otel-collector",
      level: slow ? "slow" : "normal",
      unit: "ms"
    }
    yield encoder.encode(JSON.stringify([record]))
  }
}

const severities = ["DEBUG", "INFO", "INFO", "INFO", "INFO", "WARN", "ERROR"]
const sentences = [
  "connection pool exhausted, waiting for a free connection",
  'rejected request: header "X-Request-Id" is missing',
  "retrying after timeout of upstream",
  "cache miss, reading from primary",
  "configuration reloaded from /etc/serviceradar/core.json",
  'user "admin" signed in from a new device'
]

/** Log records as an agent publishes them: JSON objects with attributes and a resource, about 1,000 bytes. */
export function* logMessages(count: number, seed = 1): Generator<Uint8Array> {
  const random = randomIntegers(seed)
  const pick = picker(random)
  const hex = hexOf(random)
  const encoder = new TextEncoder()
  let micros = firstTimestampMicros
  for (let index = 0; index < count; index++) {
    micros += random() % 1000
    const service = pick(services)
    const severity = pick(severities)
    const record = {
      timestamp: rfc3339(micros),
      observed_timestamp: rfc3339(micros + 1500),
      severity_text: severity,
      body: `${pick(sentences)}; ${pick(sentences)}; request ${hex(2)} took ${random() % 5000} ms`,
      trace_id: hex(4),
      span_id: hex(2),
      service_name: service,
      service_version: "1.0.53",
      scope_name: "serviceradar.logger",
      host: `node-${random() % 60}.cluster.local`,
      attributes: {
        "http.method": pick(["GET", "POST", "PUT"]),
        "http.route": pick(routes),
        "http.status_code": pick([200, 200, 200, 404, 500]),
        "http.request_content_length": random() % 100_000,
        "net.peer.ip": `10.${random() % 256}.${random() % 256}.${random() % 256}`,
        "thread.id": random() % 64,
        "code.function": pick(["handle", "dispatch", "poll", "sync"]),
        "code.lineno": random() % 2000,
        duration_ms: Math.round((random() / 2 ** 32) ** 4 * 900_000) / 1000,
        cached: random() % 2 === 0
      },
      resource: {
        "service.name": service,
        "service.instance.id": hex(4),
        "k8s.namespace.name": "serviceradar",
        "k8s.pod.name": `${service}-${hex(1)}`,
        "host.name": `node-${random() % 60}`,
        "telemetry.sdk.language": "go"
      }
    }
    yield encoder.encode(JSON.stringify(record))
  }
}
