import { expect, it } from "vitest"
import { isUuid, payloadId, RowIds, uuidV5 } from "./identity.ts"

const message = (seq: number, headers: Readonly<Record<string, string>> = {}) => ({
  stream: "events",
  seq,
  headers,
  header(name: string) {
    return this.headers[name]
  }
})

const idsOf = (table: string, ...args: Parameters<typeof message>) => {
  const ids = new RowIds(table)
  ids.begin(message(...args))
  return ids
}

it("is UUID version 5 of RFC 9562", () => {
  // As Python's uuid.uuid5(uuid.NAMESPACE_URL, ...) has them.
  expect(uuidV5("http://www.example.com/")).toBe("fcde3c85-2270-590f-9e7c-ee003d65e0e2")
  expect(uuidV5("")).toBe("1b4db7eb-4057-5ddf-91e0-36dec72071f5")
})

it("makes ids of the message's place in the stream", () => {
  const ids = idsOf("logs", 42)
  expect(ids.next()).toBe("508a585e-2ba3-5f32-95ec-16c495c0af64")
  expect(ids.next()).toBe(uuidV5("logs:seq:events:42:1"))
})

it("makes ids of the message's own id, which a message without text in it has not", () => {
  const ids = idsOf("logs", 42, { "Nats-Msg-Id": "abc-1" })
  expect([ids.next(), ids.next()]).toEqual([
    "6899e768-47dd-5d0a-8e1f-c72aeae060fb",
    "a1e51b51-5a65-558d-a501-dd4fe3a02fd8"
  ])
  expect(idsOf("logs", 42, { "Nats-Msg-Id": "" }).next()).toBe("508a585e-2ba3-5f32-95ec-16c495c0af64")
})

it("counts the generated ids of each message and table by itself", () => {
  const ids = idsOf("logs", 1)
  ids.next()
  ids.begin(message(2))
  expect(ids.next()).toBe(uuidV5("logs:seq:events:2:0"))
  expect(idsOf("ocsf_events", 2).next()).toBe(uuidV5("ocsf_events:seq:events:2:0"))
})

it("takes a UUID of the payload as it is and hashes other names, both in any case", () => {
  expect(payloadId("t", "7F000001-0000-4000-8000-00000000000A")).toBe("7f000001-0000-4000-8000-00000000000a")
  expect(payloadId("t", "Alert-7")).toBe(uuidV5("t:id:alert-7"))
  expect(payloadId("t", "Alert-7")).toBe(payloadId("t", "ALERT-7"))
  expect(payloadId("t", "a")).not.toBe(payloadId("u", "a"))
})

it.each([
  "7f000001-0000-4000-8000-00000000000",
  "7f00000100004000800000000000000a",
  "{7f000001-0000-4000-8000-00000000000a}"
])("%s is no UUID", (id) => expect(isUuid(id)).toBe(false))

it("an id that the payload gives does not count as generated", () => {
  const ids = idsOf("t", 5)
  expect(ids.of("x")).toBe(payloadId("t", "x"))
  expect(ids.of(17)).toBe(payloadId("t", "17"))
  expect(ids.of("  ")).toBe(uuidV5("t:seq:events:5:0"))
  expect(ids.of(null)).toBe(uuidV5("t:seq:events:5:1"))
  expect(ids.of({ a: 1 })).toBe(uuidV5("t:seq:events:5:2"))
  expect(ids.of(undefined)).toBe(uuidV5("t:seq:events:5:3"))
})
