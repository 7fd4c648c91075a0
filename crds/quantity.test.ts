import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { formatQuantity, parseQuantity } from "./quantity.ts"

describe("quantity", () => {
  it.each([
    ["0", 0],
    [1_073_741_824, 1_073_741_824],
    ["16Mi", 16_777_216],
    ["1.5Gi", 1_610_612_736],
    ["2G", 2_000_000_000],
    ["1.1k", 1100],
    ["0.1Ki", 103],
    ["0.5", 1]
  ])("%s is %d bytes", (text, bytes) => assert.strictEqual(parseQuantity(text), bytes))

  it.each(["", "Mi", "-1", "1e3", "100m", "1 Gi", "1gi", "1.2345k", "0x10", "1K", 1.5e-7, -1])(
    "%j is not a quantity",
    (value) => assert.strictEqual(parseQuantity(value), undefined)
  )

  it("what is formatted is parsed to the same bytes", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), fc.integer({ min: 0, max: 5 }), (n, shift) => {
        const bytes = Math.floor(n / 1024 ** shift) * 1024 ** shift
        assert.strictEqual(parseQuantity(formatQuantity(bytes)), bytes)
      })
    )
  })
})
