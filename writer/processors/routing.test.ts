import { describe, expect, it } from "vitest"
import type { Message } from "./processor.ts"
import { makeRoute } from "./routing.ts"

const message = (subject: string, original?: string): Message => ({
  subject,
  stream: "S",
  seq: 1,
  receivedAt: 0,
  data: new Uint8Array(),
  header: (name) => (name === "Nats-Subject" ? original : undefined),
  headers: () => undefined
})

const decide = (route: ReturnType<typeof makeRoute>, subject: string, original?: string) =>
  Object.assign({ reason: "processed" }, route(message(subject, original))).reason

describe("the route of a message", () => {
  it.each([
    ["otel.metrics", "processed"],
    ["otel.metrics.raw", "processed"],
    ["otel.metrics.a.b", "processed"],
    ["demo.otel.metrics", "processed"],
    ["demo.otel.metrics.raw", "processed"],
    ["a.b.otel.metrics", "unroutable_subject"],
    ["otel", "unroutable_subject"],
    ["otel.metric", "unroutable_subject"],
    ["otel.metricsx", "unroutable_subject"],
    ["metrics", "unroutable_subject"],
    ["foo.bar", "unroutable_subject"]
  ])("%s is %s", (subject, expected) => {
    expect(decide(makeRoute(["otel.metrics", "otel.metrics.>"], []), subject)).toBe(expected)
  })

  it("needs a token for >", () => {
    const route = makeRoute(["telemetry.>"], [])
    expect(decide(route, "telemetry")).toBe("unroutable_subject")
    expect(decide(route, "acme.telemetry")).toBe("unroutable_subject")
    expect(decide(route, "telemetry.x")).toBe("processed")
    expect(decide(route, "acme.telemetry.x")).toBe("processed")
  })

  it("skips exact subjects and wildcards, whether or not they would be understood", () => {
    const route = makeRoute(["telemetry.>"], ["telemetry.raw", "telemetry.*.debug", "noise.>"])
    expect(decide(route, "telemetry.raw")).toBe("skipped_subject")
    expect(decide(route, "telemetry.raw.x")).toBe("processed")
    expect(decide(route, "telemetry.a.debug")).toBe("skipped_subject")
    expect(decide(route, "telemetry.a.b.debug")).toBe("processed")
    expect(decide(route, "noise.x")).toBe("skipped_subject")
  })

  it("goes by the original subject of a republished message", () => {
    const route = makeRoute(["telemetry.>"], ["telemetry.raw"])
    expect(decide(route, "mirror.x", "telemetry.x")).toBe("processed")
    expect(decide(route, "telemetry.x", "mirror")).toBe("unroutable_subject")
    expect(decide(route, "telemetry.x", "telemetry.raw")).toBe("skipped_subject")
    expect(decide(route, "telemetry.x", "")).toBe("processed")
  })

  it("is open where any subject is understood", () => {
    expect(decide(makeRoute(undefined, ["a"]), "foo")).toBe("processed")
    expect(decide(makeRoute(undefined, ["a"]), "a")).toBe("skipped_subject")
  })
})
