import type { JsonObject, JsonValue } from "../tables/table.ts"
import { isObject, numberText } from "./values.ts"

/** UTF-16 units in the order of the bytes of their UTF-8: surrogates stand for code points above all others. */
const byteRank = (unit: number): number => (unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x2000 : unit - 0x800)

/** Orders text by the bytes of its UTF-8, which differs from JavaScript's order beyond U+FFFF. */
export const compareBytes = (a: string, b: string): number => {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i)
    const right = b.charCodeAt(i)
    if (left !== right) return byteRank(left) - byteRank(right)
  }
  return a.length - b.length
}

const canonicalObject = (object: JsonObject): string =>
  `{${Object.keys(object)
    .sort(compareBytes)
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(object[key] ?? null)}`)
    .join(",")}}`

/** The one text of a JSON value that hashes are taken of: keys sorted by bytes, no blanks, numbers in their shortest form. */
export const canonicalJson = (value: JsonValue): string => {
  if (typeof value === "number") return Number.isFinite(value) ? numberText(value) : "null"
  if (typeof value === "bigint") return String(value)
  if (typeof value !== "object" || value === null) return JSON.stringify(value)
  return isObject(value) ? canonicalObject(value) : `[${value.map(canonicalJson).join(",")}]`
}
