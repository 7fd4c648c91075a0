import type { JsonValue } from "../tables/table.ts"

/** An address with the length of its network part in bits. */
export interface Network {
  /** 4 bytes for IPv4, 16 for IPv6. */
  readonly bytes: Uint8Array
  readonly prefix: number
}

const octet = /^(?:0|[1-9]\d{0,2})$/

const ipv4 = (text: string): ReadonlyArray<number> | undefined => {
  const parts = text.split(".", 5)
  if (parts.length !== 4 || !parts.every((part) => octet.test(part))) return undefined
  const bytes = parts.map(Number)
  return bytes.every((byte) => byte <= 255) ? bytes : undefined
}

const group = /^[\da-f]{1,4}$/i

/** Bytes of colon-separated groups, none for empty text. An IPv4 address may stand for the last two of the whole address. */
const groups = (text: string, endsAddress: boolean): ReadonlyArray<number> | undefined => {
  if (text === "") return []
  const bytes: Array<number> = []
  const parts = text.split(":", 9)
  for (const [i, part] of parts.entries()) {
    const last = endsAddress && i === parts.length - 1 ? ipv4(part) : undefined
    if (last !== undefined) bytes.push(...last)
    else if (group.test(part)) bytes.push(Number.parseInt(part, 16) >> 8, Number.parseInt(part, 16) & 0xff)
    else return undefined
  }
  return bytes
}

const ipv6 = (text: string): ReadonlyArray<number> | undefined => {
  const halves = text.split("::", 3)
  const [head, tail] = halves.map((half, i) => groups(half, i === halves.length - 1))
  if (head === undefined || halves.length > 2) return undefined
  if (halves.length === 1) return head.length === 16 ? head : undefined
  if (tail === undefined || head.length + tail.length > 14) return undefined
  return [...head, ...Array.from({ length: 16 - head.length - tail.length }, () => 0), ...tail]
}

/** Longest text of an address: IPv6 with an embedded IPv4 address and a prefix. */
const maxLength = 49

/** Reads an IPv4 or IPv6 address with or without `/prefix`; `undefined` for anything else. */
export const parseNetwork = (text: string): Network | undefined => {
  if (text.length > maxLength) return undefined
  const [address = "", prefix, ...rest] = text.split("/", 3)
  const parsed = address.includes(":") ? ipv6(address) : ipv4(address)
  if (parsed === undefined || rest.length > 0) return undefined
  const bytes = Uint8Array.from(parsed)
  if (prefix === undefined) return { bytes, prefix: bytes.length * 8 }
  return octet.test(prefix) && Number(prefix) <= bytes.length * 8 ? { bytes, prefix: Number(prefix) } : undefined
}

/** Whether all bits behind the prefix are zero, as `cidr` demands. */
export const hasNoHostBits = ({ bytes, prefix }: Network): boolean =>
  bytes.every((byte, i) => {
    const networkBits = Math.min(8, Math.max(0, prefix - i * 8))
    return (byte & (0xff >> networkBits)) === 0
  })

/** First of the longest runs of two or more zero groups; length 0 where there is none. */
const longestZeroRun = (groups: ReadonlyArray<number>): { readonly start: number; readonly length: number } => {
  let longest = { start: 0, length: 0 }
  let start = 0
  for (const [i, group] of groups.entries()) {
    if (group !== 0) start = i + 1
    else if (i - start + 1 > Math.max(1, longest.length)) longest = { start, length: i - start + 1 }
  }
  return longest
}

const ipv6Text = (bytes: Uint8Array): string => {
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[i * 2]! << 8) | bytes[i * 2 + 1]!)
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${bytes.subarray(12).join(".")}`
  }
  const text = (part: ReadonlyArray<number>) => part.map((group) => group.toString(16)).join(":")
  const { start, length } = longestZeroRun(groups)
  return length === 0 ? text(groups) : `${text(groups.slice(0, start))}::${text(groups.slice(start + length))}`
}

/** Text of an address of 4 or 16 bytes, IPv6 as RFC 5952 writes it; null for any other length. */
export const ipOfBytes = (bytes: Uint8Array): string | null =>
  bytes.length === 4 ? bytes.join(".") : bytes.length === 16 ? ipv6Text(bytes) : null

/** `[v6]:port` or `v4:port`. */
const addressAndPort = /^(?:\[([\da-f.]*:[\da-f:.]*)\]|([\d.]+)):(\d{1,5})$/i

const withoutPort = (text: string): string => {
  const [, v6, v4, port] = addressAndPort.exec(text) ?? []
  return Number(port) <= 65_535 ? (v6 ?? v4 ?? text) : text
}

const plainIpv4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/

/** Text of the IPv4 or IPv6 address that text holds, with or without a port; null for anything else. */
export const ip = (value: JsonValue | undefined): string | null => {
  if (typeof value !== "string") return null
  if (plainIpv4.test(value)) return value
  if (value.includes("/")) return null
  const network = parseNetwork(withoutPort(value))
  return network === undefined ? null : ipOfBytes(network.bytes)
}
