import { isIP, isIPv4 } from "node:net"
import * as fc from "fast-check"
import { expect, it } from "vitest"
import { hasNoHostBits, parseNetwork } from "./ip.ts"

const hex = (text: string) => {
  const network = parseNetwork(text)
  return network && `${Buffer.from(network.bytes).toString("hex")}/${network.prefix}`
}

it.each([
  ["10.0.0.1", "0a000001/32"],
  ["10.0.0.0/8", "0a000000/8"],
  ["::", `${"0".repeat(32)}/128`],
  ["::1/64", `${"0".repeat(31)}1/64`],
  ["2001:DB8::5", "20010db8000000000000000000000005/128"],
  ["1:2:3:4:5:6:7:8", "00010002000300040005000600070008/128"],
  ["1:2:3:4:5:6:7::", "00010002000300040005000600070000/128"],
  ["::ffff:192.0.2.1", "00000000000000000000ffffc0000201/128"]
])("%s is an address", (text, expected) => {
  expect(hex(text)).toBe(expected)
})

it.each([
  "",
  "10.0.0",
  "10.0.0.0.1",
  "10.0.0.256",
  "010.0.0.1",
  "10.0.0.1/33",
  "10.0.0.1/",
  "10.0.0.1/8/8",
  "10.0.0.1/+8",
  ":",
  ":::",
  "1::2::3",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8::",
  "12345::",
  "g::",
  "1.2.3.4::",
  "::1.2.3.4:5",
  "::1/129",
  "fe80::1%eth0",
  "a".repeat(100_000)
])("%s is none", (text) => {
  expect(parseNetwork(text)).toBeUndefined()
})

it("agrees with the platform", () => {
  const addressLike = fc.string({
    unit: fc.constantFrom("0", "1", "255", "f", "ab", ".", ":", "::", "1.2.3.4"),
    maxLength: 12
  })
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), addressLike), (text) => {
      expect(parseNetwork(text)?.bytes.length).toBe(isIP(text) === 0 ? undefined : isIPv4(text) ? 4 : 16)
    }),
    { numRuns: 2000 }
  )
})

it("knows host bits", () => {
  expect(
    ["10.0.0.0/8", "0.0.0.0/0", "10.128.0.0/9", "2001:db8::/33"].every((n) => hasNoHostBits(parseNetwork(n)!))
  ).toBe(true)
  expect(["10.0.0.1/8", "10.128.0.0/8", "2001:db8:c000::/33"].some((n) => hasNoHostBits(parseNetwork(n)!))).toBe(false)
})
