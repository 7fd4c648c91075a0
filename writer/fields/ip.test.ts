import { isIP, isIPv4 } from "node:net"
import * as fc from "fast-check"
import { expect, it } from "vitest"
import { hasNoHostBits, ip, ipOfBytes, parseNetwork } from "./ip.ts"

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

it.each([
  ["10.0.0.1", "10.0.0.1"],
  ["0.0.0.0", "0.0.0.0"],
  ["10.0.0.1:443", "10.0.0.1"],
  ["10.0.0.1:65536", null],
  ["10.0.0.1:", null],
  ["10.0.0.1/24", null],
  ["10.0.0.1.", null],
  ["2001:DB8::0:1", "2001:db8::1"],
  ["2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"],
  ["[2001:db8::1]:443", "2001:db8::1"],
  ["[2001:db8::1]", null],
  ["[0000:0000:0000:0000:0000:ffff:255.255.255.255]:65535", "::ffff:255.255.255.255"],
  [`[${":".repeat(100_000)}`, null],
  ["[10.0.0.1]:443", null],
  ["[2001:db8::1]:443]:1", null],
  ["10.0.0.1:80:90", null],
  ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
  ["0:0:0:0:0:0:0:0", "::"],
  ["1:0:0:0:0:0:0:0", "1::"],
  ["::ffff:10.0.0.1", "::ffff:10.0.0.1"],
  ["::FFFF:0A00:0001", "::ffff:10.0.0.1"],
  ["::10.0.0.1", "::a00:1"],
  ["fe80::1%eth0", null],
  ["host.example", null],
  [" ", null],
  [167_772_161, null],
  [null, null],
  [undefined, null]
])("the address in %s is %s", (value, expected) => {
  expect(ip(value)).toBe(expected)
})

it("writes addresses as the platform does, and reads them back", () => {
  const address = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.array(fc.constantFrom(0, 0, 1, 0xffff), { minLength: 8, maxLength: 8 }).map((groups) => {
      return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]))
    })
  )
  fc.assert(
    fc.property(address, (bytes) => {
      const text = ipOfBytes(bytes)!
      expect(parseNetwork(text)?.bytes).toEqual(bytes)
      expect(ip(text)).toBe(text)
      expect(ip(isIPv4(text) ? `${text}:80` : `[${text}]:80`)).toBe(text)
      // The platform writes addresses as URLs do, which have no dotted part.
      if (!text.includes(".")) expect(new URL(`http://[${text}]`).hostname).toBe(`[${text}]`)
    })
  )
  expect([0, 3, 5, 15, 17].map((length) => ipOfBytes(new Uint8Array(length)))).toEqual([null, null, null, null, null])
})
