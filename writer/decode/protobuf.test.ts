import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { MessageType } from "./protobuf.ts"
import { decodeProtobuf, messageType } from "./protobuf.ts"
import { fromProtoJson, WrongShape } from "./protojson.ts"

interface Everything {
  readonly text?: string
  readonly bytes?: Uint8Array
  readonly flag?: boolean
  readonly int32?: number
  readonly int64?: bigint
  readonly uint32?: number
  readonly uint64?: bigint
  readonly sint32?: number
  readonly fixed32?: number
  readonly fixed64?: bigint
  readonly sfixed64?: bigint
  readonly double?: number
  readonly numbers?: ReadonlyArray<number>
  readonly doubles?: ReadonlyArray<number>
  readonly leftSide?: number
  readonly rightSide?: string
  readonly child?: Everything
  readonly children?: ReadonlyArray<Everything>
}

const Everything: MessageType<Everything> = messageType<Everything>(
  {
    text: { number: 1, type: "string" },
    bytes: { number: 2, type: "bytes" },
    flag: { number: 3, type: "bool" },
    int32: { number: 4, type: "int32" },
    int64: { number: 5, type: "int64" },
    uint32: { number: 6, type: "uint32" },
    uint64: { number: 7, type: "uint64" },
    sint32: { number: 8, type: "sint32" },
    fixed32: { number: 9, type: "fixed32" },
    fixed64: { number: 10, type: "fixed64" },
    sfixed64: { number: 11, type: "sfixed64" },
    double: { number: 12, type: "double" },
    numbers: { number: 13, type: "uint32", repeated: true },
    doubles: { number: 14, type: "double", repeated: true },
    leftSide: { number: 15, type: "uint32", oneof: "side" },
    rightSide: { number: 16, type: "string", oneof: "side" },
    child: { number: 17, type: () => Everything },
    children: { number: 18, type: () => Everything, repeated: true }
  },
  [{ number: 19, type: "fixed64" }]
)

const decode = (hex: string) => decodeProtobuf(Everything, Buffer.from(hex.replaceAll(" ", ""), "hex"))

describe("protobuf", () => {
  it.each<[string, Everything]>([
    ["", {}],
    ["0a 02 c3a9", { text: "é" }],
    ["0a 01 e9", { text: "\uFFFD" }],
    ["0a 02 6100", { text: "a\uFFFD" }],
    ["0a 04 efbbbf61", { text: "\uFEFFa" }],
    ["12 02 00ff", { bytes: Buffer.from([0, 255]) }],
    ["18 01", { flag: true }],
    ["18 00", { flag: false }],
    ["20 ffffffffffffffffff01", { int32: -1 }],
    ["28 ffffffffffffffffff01", { int64: -1n }],
    ["28 ffffffffffffffff7f", { int64: 9_223_372_036_854_775_807n }],
    ["30 ffffffff0f", { uint32: 4_294_967_295 }],
    ["38 ffffffffffffffffff01", { uint64: 18_446_744_073_709_551_615n }],
    ["38 80808080808001", { uint64: 1n << 42n }],
    ["40 03", { sint32: -2 }],
    ["40 feffffff0f", { sint32: 2_147_483_647 }],
    ["4d ffffffff", { fixed32: 4_294_967_295 }],
    ["51 ffffffffffffffff", { fixed64: 18_446_744_073_709_551_615n }],
    ["59 ffffffffffffffff", { sfixed64: -1n }],
    ["61 000000000000f83f", { double: 1.5 }],
    ["61 000000000000f87f", { double: Number.NaN }],
    ["68 01 68 02", { numbers: [1, 2] }],
    ["6a 03 018002", { numbers: [1, 256] }],
    ["68 01 6a 01 02 6a 00", { numbers: [1, 2] }],
    ["72 08 000000000000f83f", { doubles: [1.5] }],
    ["78 01 8201 01 61", { rightSide: "a" }],
    ["8201 01 61 78 01", { leftSide: 1 }],
    ["8a01 02 1801 8a01 02 2001", { child: { flag: true, int32: 1 } }],
    ["9201 00 9201 02 1801", { children: [{}, { flag: true }] }],
    ["18 00 18 01", { flag: true }],
    // Unknown fields of every wire type, and fields that are only checked.
    ["a006 01 a106 0000000000000000 a206 01ff a506 00000000", {}],
    ["a306 a806 01 ab06 ac06 a406", {}],
    ["9901 0000000000000000", {}]
  ])("%s", (hex, expected) => {
    expect(decode(hex)).toEqual(expected)
  })

  it.each([
    ["a cut varint", "18"],
    ["a varint without end", "18 ffffffffffffffffffff01"],
    ["a cut fixed64", "51 00000000"],
    ["a cut string", "0a 05 6161"],
    ["a length beyond 32 bits", "0a ffffffffff7f"],
    ["a cut message", "8a01 05 1801"],
    ["a field that ends outside its message", "8a01 01 18 01"],
    ["another wire type", "08 01"],
    ["another wire type of a repeated field", "71 000000000000f83f 75 00000000"],
    ["another wire type of a message", "8801 01"],
    ["another wire type of a checked field", "9801 01"],
    ["a packed list that does not fit", "72 07 000000000000f8"],
    ["field number zero", "00 00"],
    ["a group that ends otherwise", "a306 ac06"],
    ["a group without end", "a306 a806 01"],
    ["a group's end alone", "a406"],
    ["wire type 6", "0e 00"],
    ["wire type 7", "0f 00"],
    ["a tag beyond 32 bits", "8880808080808001 00"]
  ])("refuses %s", (_name, hex) => {
    expect(decode(hex)).toBeUndefined()
  })

  it("is bounded in depth and in the number of messages", () => {
    const nested = (depth: number) => {
      let bytes = Buffer.alloc(0)
      for (let i = 0; i < depth; i++) {
        const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7]
        bytes = Buffer.concat([Buffer.from([0x8a, 0x01, ...length]), bytes])
      }
      return bytes
    }
    expect(decodeProtobuf(Everything, nested(99))).toBeDefined()
    expect(decodeProtobuf(Everything, nested(100))).toBeUndefined()
    expect(decodeProtobuf(Everything, Buffer.alloc(100_000, "a306", "hex"))).toBeUndefined()
    expect(decodeProtobuf(Everything, Buffer.alloc(3_000_000, "920100", "hex"))).toBeUndefined()
  })

  it("never throws, and ends", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        decodeProtobuf(Everything, bytes)
      }),
      { numRuns: 5000 }
    )
  })
})

describe("protobuf as JSON", () => {
  it("reads both spellings, numbers as text, and what cannot be read as absent", () => {
    expect(
      fromProtoJson(Everything, {
        text: "",
        bytes: "AP8",
        flag: "true",
        int64: "-5",
        uint64: 18_446_744_073_709_551_615n,
        fixed64: 1_705_315_800_000,
        sfixed64: 5.5,
        double: "NaN",
        numbers: [1, "2"],
        left_side: 3,
        leftSide: 4,
        int32: {},
        uint32: null,
        child: { doubles: ["-Infinity", 0.5] },
        unknown: 1,
        toString: 1
      })
    ).toEqual({
      text: "",
      bytes: Buffer.from([0, 255]),
      flag: true,
      int64: -5n,
      uint64: 18_446_744_073_709_551_615n,
      fixed64: 1_705_315_800_000n,
      double: Number.NaN,
      numbers: [1, 2],
      leftSide: 3,
      child: { doubles: [Number.NEGATIVE_INFINITY, 0.5] }
    })
  })

  it.each([
    [{ child: [] }, "child"],
    [{ children: {} }, "children"],
    [{ children: [5] }, "children"],
    [{ child: { numbers: 5 } }, "numbers"]
  ])("refuses %j", (json, field) => {
    const refused = fromProtoJson(Everything, json)
    expect(refused instanceof WrongShape && refused.field).toBe(field)
  })
})
