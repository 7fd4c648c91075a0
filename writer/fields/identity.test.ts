import { expect, it } from "vitest"
import { generatedId, messageIdentity, payloadId } from "./identity.ts"

it("generates the same ids for every delivery", () => {
  expect(generatedId("logs", messageIdentity(undefined, "events", 42), 0)).toBe("508a585e-2ba3-5f32-95ec-16c495c0af64")
  const named = messageIdentity("abc-1", "events", 42)
  expect(generatedId("logs", named, 0)).toBe("6899e768-47dd-5d0a-8e1f-c72aeae060fb")
  expect(generatedId("logs", named, 1)).toBe("a1e51b51-5a65-558d-a501-dd4fe3a02fd8")
})

it("keeps UUIDs of the payload and hashes other ids, whatever their case", () => {
  expect(payloadId("ocsf_events", "C0B2F5AF-7D5D-4C1A-8C5B-7C6A9F4C94B2")).toBe("c0b2f5af-7d5d-4c1a-8c5b-7c6a9f4c94b2")
  expect(payloadId("ocsf_events", "Event-1")).toBe(payloadId("ocsf_events", "event-1"))
  expect(payloadId("ocsf_events", "event-1")).toMatch(
    /^[\da-f]{8}-[\da-f]{4}-5[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/
  )
})
