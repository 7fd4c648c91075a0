import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it, onTestFinished } from "vitest"
import { hostSamples, processSamples } from "./host-metrics.ts"
import { parseExposition } from "./prometheus.ts"
import { describeLine, openLogs } from "./system-logs.ts"

describe("parseExposition", () => {
  it("reads counters, gauges and labels, and of a histogram sum and count", () => {
    const text = [
      "# HELP jobs_total Jobs done, in all.",
      "# TYPE jobs_total counter",
      'jobs_total{queue="a \\"b\\"",result="ok"} 5',
      'jobs_total{queue="c",result="ok"} 7',
      "# HELP depth Jobs that wait.",
      "# TYPE depth gauge",
      "depth 2.5",
      "# HELP seconds Time of a job.",
      "# TYPE seconds histogram",
      'seconds_bucket{le="1"} 3',
      'seconds_bucket{le="+Inf"} 4',
      "seconds_sum 6",
      "seconds_count 4",
      ""
    ].join("\n")
    assert.deepEqual(parseExposition(text), [
      {
        name: "jobs_total",
        type: "counter",
        help: "Jobs done, in all.",
        points: [
          { labels: { queue: 'a "b"', result: "ok" }, value: 5 },
          { labels: { queue: "c", result: "ok" }, value: 7 }
        ]
      },
      { name: "depth", type: "gauge", help: "Jobs that wait.", points: [{ labels: {}, value: 2.5 }] },
      { name: "seconds_sum", type: "counter", help: "Time of a job.", points: [{ labels: {}, value: 6 }] },
      { name: "seconds_count", type: "counter", help: "Time of a job.", points: [{ labels: {}, value: 4 }] }
    ])
  })
})

describe("logs", () => {
  const now = "2026-01-01T00:00:00.000Z"

  it("keep the fields of a JSON line, and know the severity of a plain one", () => {
    const json = '{"time":"2025-12-31T00:00:00Z","level":"warn","message":"lag is high","eventstream":"logs"}'
    assert.deepInclude(describeLine(json, "operator", now), {
      timestamp: "2025-12-31T00:00:00Z",
      source: "operator",
      severity: "warn",
      message: "lag is high",
      eventstream: "logs"
    })
    const plain = "2026-01-01 00:00:00 UTC [7] ERROR:  relation does not exist"
    assert.deepInclude(describeLine(plain, "postgres", now), { timestamp: now, severity: "error", message: plain })
  })

  it("give each line of the platform's servers once, whole, and also after the file was cut", () => {
    const folder = mkdtempSync(join(tmpdir(), "eventstream-logs-"))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const file = join(folder, "nats-server.log")
    writeFileSync(file, "one\ntwo\nthr")
    writeFileSync(join(folder, "default-logs-writer.log"), "not followed: it would follow itself\n")
    const read = openLogs(folder)
    const ours = () => read(now).flatMap(({ source, message }) => (source === "nats-server" ? [message] : []))
    assert.deepEqual(ours(), ["one", "two"])
    appendFileSync(file, "ee\n")
    assert.deepEqual(ours(), ["three"])
    assert.deepEqual(ours(), [])
    writeFileSync(file, "new\n")
    assert.deepEqual(ours(), ["new"])
  })
})

describe("samples", () => {
  it("are numbers with a name and a unit, of the host and of this process", () => {
    const [own = []] = processSamples(1)
    const samples = [...hostSamples(1, "/"), ...own]
    assert.isAbove(samples.length, 10)
    for (const { metric_name, value, unit } of samples) {
      assert.match(metric_name, /^(system|process)\./)
      assert.isTrue(Number.isFinite(value), metric_name)
      assert.notEqual(unit, "")
    }
  })
})
