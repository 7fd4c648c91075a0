import type { JsonValue } from "../tables/table.ts"

const macDigits = 12
const largestMac = 0xffff_ffff_ffffn

const ofInteger = (n: bigint): string | null =>
  n > 0n && n <= largestMac ? n.toString(16).padStart(macDigits, "0").toUpperCase() : null

/**
 * A MAC address as 12 upper-case hex digits. Text may have separators of any kind and a prefix length behind it; an integer
 * has the address in its low 48 bits, and zero is none. Null for anything else.
 */
export const mac = (value: JsonValue | undefined): string | null => {
  if (typeof value === "bigint") return ofInteger(value)
  if (typeof value === "number") return Number.isSafeInteger(value) ? ofInteger(BigInt(value)) : null
  if (typeof value !== "string") return null
  const digits = value.split("/", 1)[0]!.replaceAll(/[^\da-f]/gi, "")
  return digits.length === macDigits ? digits.toUpperCase() : null
}
