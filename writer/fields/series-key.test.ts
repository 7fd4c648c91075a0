import { createHash } from "node:crypto"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { canonicalJson, compareBytes } from "./canonical-json.ts"
import { bareOtelSeriesKey, metricSeriesKey, metricSeriesText, otelSeriesKey } from "./series-key.ts"

const bare = {
  metricType: "gauge",
  metricName: "cpu_usage",
  partition: null,
  agentId: null,
  deviceId: null,
  targetDeviceIp: null,
  ifIndex: null,
  tags: null
}

describe("the series of a metric", () => {
  it("is its type and name at least", () => {
    expect(metricSeriesText(bare)).toBe("11:metric_type=5:gauge|11:metric_name=9:cpu_usage")
    expect(metricSeriesKey(bare)).toBe("be9f65e71971f2cb4f26df65b40c3866")
  })

  it("has every component with its length in bytes, without blank and volatile tags", () => {
    const series = {
      metricType: "snmp",
      metricName: "ifInOctets",
      partition: "default",
      agentId: "ag-1",
      deviceId: "sw-1",
      targetDeviceIp: "10.0.0.5",
      ifIndex: 3,
      tags: {
        zone: "b",
        available: "true",
        packet_loss: 0.5,
        metric: "x",
        site: " café ",
        empty: "",
        n: null,
        num: 2.5
      }
    }
    expect(metricSeriesText(series)).toMatch(/\|8:if_index=1:3\|7:tag:num=3:2\.5\|8:tag:site=5:café\|8:tag:zone=1:b$/)
    expect(metricSeriesKey(series)).toBe("64bffba2c1e945bf3752e82ae83c34ba")
  })

  it("takes booleans as text, nested tags as canonical JSON, and no tags from an array", () => {
    expect(metricSeriesText({ ...bare, tags: { b: true, a: { y: 1, x: [null, 1.0] } } })).toBe(
      `${metricSeriesText(bare)}|5:tag:a=20:{"x":[null,1],"y":1}|5:tag:b=4:true`
    )
    expect(metricSeriesText({ ...bare, tags: ["a=b"] })).toBe(metricSeriesText(bare))
    expect(metricSeriesText({ ...bare, tags: { n: Number.POSITIVE_INFINITY } })).toBe(metricSeriesText(bare))
  })

  it("skips blank components and trims the others", () => {
    expect(metricSeriesText({ ...bare, metricName: " cpu_usage\n", partition: " ", ifIndex: 0 })).toBe(
      `${metricSeriesText(bare)}|8:if_index=1:0`
    )
  })
})

describe("the series of an OpenTelemetry metric", () => {
  it("is hashed from canonical JSON, null for what is absent", () => {
    const md5 = (text: string) => createHash("md5").update(text).digest("hex")
    expect(otelSeriesKey("sum", null, "lib", { b: 1, a: "ü" })).toBe(md5('["sum",null,"lib",{"a":"ü","b":1}]'))
    expect(bareOtelSeriesKey("span", "ms")).toBe(md5('["span","ms",null,{}]'))
    expect(bareOtelSeriesKey(null, null)).toBe(md5("[null,null,null,{}]"))
  })
})

describe("canonical JSON", () => {
  it("keeps all digits and sorts keys at every level", () => {
    expect(canonicalJson({ z: [{ b: 12_345_678_901_234_567_890n, a: 1e21 }], "": "\n" })).toBe(
      '{"":"\\n","z":[{"a":1000000000000000000000,"b":12345678901234567890}]}'
    )
  })

  it("orders as the bytes of UTF-8 do", () => {
    const text = fc.string({
      unit: fc.constantFrom("", "a", "é", "\uD7FF", "\uE000", "\uFFFD", "\u{10000}", "\u{1F600}")
    })
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareBytes(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)))
      })
    )
    expect(compareBytes("\uFFFD", "\u{1F600}")).toBeLessThan(0)
  })
})
