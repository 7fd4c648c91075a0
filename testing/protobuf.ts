/** The wire format of protobuf, written independently of the decoder. */

const varint = (value: number | bigint): ReadonlyArray<number> => {
  const bytes: Array<number> = []
  let rest = BigInt.asUintN(64, BigInt(value))
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  bytes.push(Number(rest))
  return bytes
}

export type FieldValue = number | bigint | string | Uint8Array

/** A field: integers as varints, text and bytes behind their length. */
export const field = (number: number, value: FieldValue): ReadonlyArray<number> => {
  if (typeof value === "number" || typeof value === "bigint") return [...varint(number * 8), ...varint(value)]
  const bytes = typeof value === "string" ? Buffer.from(value) : value
  return [...varint(number * 8 + 2), ...varint(bytes.length), ...bytes]
}

/** A repeated field of integers in its packed form. */
export const packed = (number: number, values: ReadonlyArray<number | bigint>): ReadonlyArray<number> =>
  field(number, Uint8Array.from(values.flatMap(varint)))

/** Bytes of a message. */
export const protobuf = (...fields: ReadonlyArray<ReadonlyArray<number>>): Uint8Array => Uint8Array.from(fields.flat())
