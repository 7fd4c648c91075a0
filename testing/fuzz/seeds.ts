import { examples } from "../examples.ts"
import { type Seed, seedOf } from "./mutate.ts"

/** The valid inputs that damage is done to. */

const json = (value: unknown) => Buffer.from(JSON.stringify(value))

const attributes = [
  { key: "service.name", value: { stringValue: "shop" } },
  { key: "list", value: { arrayValue: { values: [{ intValue: "9007199254740993" }, { doubleValue: "NaN" }] } } },
  { key: "object", value: { kvlistValue: { values: [{ key: "bytes", value: { bytesValue: "AP8=" } }] } } }
]
const resource = { attributes }
const scope = { name: "lib", version: "1.0", attributes }
const time = "1705315800123456789"
const ids = { traceId: "5B8EFFF798038103D269B633813FC60C", spanId: "EEE19B7EC3C1B174" }

const otlp = [
  {
    resourceLogs: [
      {
        resource,
        scopeLogs: [
          {
            scope,
            logRecords: [
              {
                timeUnixNano: time,
                severityNumber: "SEVERITY_NUMBER_WARN2",
                body: { stringValue: "b" },
                attributes,
                ...ids
              }
            ]
          }
        ]
      }
    ]
  },
  {
    resourceSpans: [
      {
        resource,
        scopeSpans: [
          {
            scope,
            spans: [
              {
                ...ids,
                name: "n",
                kind: "SPAN_KIND_SERVER",
                startTimeUnixNano: time,
                endTimeUnixNano: time,
                attributes,
                events: [{ timeUnixNano: time, name: "e", attributes }],
                links: [{ ...ids, attributes }],
                status: { code: 2, message: "m" }
              }
            ]
          }
        ]
      }
    ]
  },
  {
    resourceMetrics: [
      {
        resource,
        scopeMetrics: [
          {
            scope,
            metrics: [
              { name: "g", unit: "ms", gauge: { dataPoints: [{ timeUnixNano: time, asDouble: 1.5, attributes }] } },
              { name: "h", unit: "s", histogram: { dataPoints: [{ count: "3", sum: 0.5, flags: 0 }] } },
              { name: "s", sum: { dataPoints: [{ asInt: "5" }] } }
            ]
          }
        ]
      }
    ]
  }
].map(json)

const varint = (value: bigint): ReadonlyArray<number> =>
  value < 128n ? [Number(value)] : [Number(value % 128n) | 128, ...varint(value / 128n)]

/** A protobuf message of varints and byte strings. */
const protobuf = (fields: Readonly<Record<number, number | bigint | ReadonlyArray<number>>>): Uint8Array =>
  Uint8Array.from(
    Object.entries(fields).flatMap(([number, value]) => {
      const tag = (wireType: number) => varint(BigInt(number) * 8n + BigInt(wireType))
      return typeof value === "object" ? [...tag(2), value.length, ...value] : [...tag(0), ...varint(BigInt(value))]
    })
  )

const flow = protobuf({
  1: 3,
  3: 100,
  6: [10, 0, 0, 1],
  7: [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
  9: 1500,
  10: 3,
  11: [192, 0, 2, 1],
  14: 4_200_000_000,
  20: 6,
  21: 443,
  22: 51_000,
  26: 18,
  27: 0x00_11_22_33_44_55,
  101: [1, 2, 3],
  102: [0xff, 0xff, 0x03],
  107: [0x54, 0x43, 0x50],
  110: 1_705_315_800_123_456_789n,
  111: 1_705_315_799_000_000_000n
})

const envelope = { specversion: "1.0", id: "e", source: "/s", type: "t", time: "2024-01-15T10:50:00Z" }

const others = [
  ...otlp,
  flow,
  json({ ...envelope, data: { message: "m", value: 1.5 } }),
  json({ ...envelope, datacontenttype: "application/json", data: '{"value":0.12345678901234567890}' }),
  json({ ...envelope, data_base64: Buffer.from(flow).toString("base64") }),
  json([
    { ...envelope, data: [1] },
    { ...envelope, data_base64: otlp[0]!.toString("base64") }
  ]),
  Buffer.from('{"id":1,"value":0.12345678901234567890}\r\n\n{"id":2,"tags":["a",null]}\n5\n{"id":'),
  json({
    class_uid: 1008,
    activity_id: 1,
    time: 1_705_315_800_123,
    metadata: { uid: "u" },
    observables: [{ name: "n" }]
  }),
  json({ varbinds: [{ oid: "1.3.6", value: "OCTET STRING: link down" }], source: "192.0.2.1:161" }),
  json({ src_endpoint: { ip: "10.0.0.1", port: 1 }, dst_endpoint: { ip: "10.0.0.2" }, traffic: { bytes: 5 } }),
  Buffer.from("{}"),
  Buffer.from("[]"),
  Buffer.from(""),
  Buffer.from("\uFEFF\n5")
]

export const seeds: ReadonlyArray<Seed> = [
  ...examples.map(({ encoding, payload }) =>
    encoding === "json" ? json(payload) : Buffer.from(payload as string, "base64")
  ),
  ...others
].map(seedOf)

/** Every key of the seeds, in JSON. */
export const keys: ReadonlyArray<string> = [
  ...new Set(
    seeds.flatMap(({ tokens = [] }) => tokens.filter((token, at) => tokens[at + 1] === ":" && token.startsWith('"')))
  )
]
