import { describe, expect, it } from "vitest"
import {
  actor,
  device,
  endpoint,
  eventLogActivityName,
  makeMetadata,
  networkActivityName,
  observables,
  protocolName,
  statusName,
  typeUid
} from "./ocsf.ts"

describe("names of ids", () => {
  it("has the activities of an event log, the first under the name in use", () => {
    expect([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 99].map(eventLogActivityName)).toEqual(
      "Unknown Create Delete Export Archive Rotate Start Stop Restart Enable Disable Other".split(" ")
    )
  })

  it("has the activities of a network", () => {
    expect([1, 2, 3, 4, 5, 6, 7, 99, 8].map(networkActivityName)).toEqual([
      ..."Open Close Reset Fail Refuse Traffic Listen Scan".split(" "),
      null
    ])
  })

  it("has the statuses", () => {
    expect([0, 1, 2, 99, 3].map(statusName)).toEqual(["Unknown", "Success", "Failure", "Other", null])
  })

  it("has the protocols", () => {
    expect([1, 6, 17, 47, 50, 51, 58, 89, 132, 2, null].map(protocolName)).toEqual(
      "ICMP TCP UDP GRE ESP AH ICMPv6 OSPF SCTP Unknown Unknown".split(" ")
    )
  })

  it.each([
    [1008, 1, 100_801],
    [4001, 6, 400_106],
    [4001, 99, 400_199]
  ])("class %d, activity %d is type %d", (classUid, activityId, expected) => {
    expect(typeUid(classUid, activityId)).toBe(expected)
  })
})

describe("metadata", () => {
  const message = { receivedAt: 1_705_315_800_123_999, subject: "events.a" }

  it("says when the event was taken in, in whole milliseconds, and where", () => {
    expect(makeMetadata()(message)).toEqual({
      version: "1.7.0",
      product: { vendor_name: "EventStream", name: "eventstream" },
      logged_time: 1_705_315_800_123,
      correlation_uid: "events.a"
    })
  })

  it("keeps the event's own time where that is text", () => {
    expect(makeMetadata()(message, "yesterday")).toMatchObject({ original_time: "yesterday" })
    expect(makeMetadata()(message, 1_705_315_800)).not.toHaveProperty("original_time")
  })

  it("names the product that is configured", () => {
    expect(makeMetadata({ vendorName: "Acme", name: "Sensor", version: "2" })(message)["product"]).toEqual({
      vendor_name: "Acme",
      name: "Sensor",
      version: "2"
    })
    expect(makeMetadata({ version: "2" })(message)["product"]).toEqual({
      vendor_name: "EventStream",
      name: "eventstream",
      version: "2"
    })
  })
})

describe("objects", () => {
  it("leave out what has no value", () => {
    expect(endpoint({ ip: "10.0.0.1", hostname: null, port: 0, mac: undefined, name: "" })).toEqual({
      ip: "10.0.0.1",
      port: 0
    })
    expect(device({ hostname: null })).toEqual({})
    expect(actor({ app_name: "a", app_ver: null })).toEqual({ app_name: "a" })
  })
})

describe("observables", () => {
  it("name each value of a type once", () => {
    expect(
      observables([
        ["src_endpoint.ip", "IP Address", "10.0.0.1"],
        ["dst_endpoint.ip", "IP Address", "10.0.0.1"],
        ["device.hostname", "Hostname", "10.0.0.1"],
        ["src_endpoint.port", "Port", 53],
        ["dst_endpoint.port", "Port", null],
        ["src_endpoint.mac", "MAC Address", ""]
      ])
    ).toEqual([
      { name: "src_endpoint.ip", type: "IP Address", type_id: 2, value: "10.0.0.1" },
      { name: "device.hostname", type: "Hostname", type_id: 1, value: "10.0.0.1" },
      { name: "src_endpoint.port", type: "Port", type_id: 11, value: "53" }
    ])
  })
})
