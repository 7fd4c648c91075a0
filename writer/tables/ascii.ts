/**
 * Text of ASCII characters as a stretch of other bytes, for text columns: no string is made of what is only copied. What it
 * shows may change after the row was given away.
 */
export class Ascii {
  bytes: Uint8Array = new Uint8Array(0)
  /** First byte. */
  start = 0
  /** Behind the last byte. */
  end = 0

  toString(): string {
    return String.fromCharCode(...this.bytes.subarray(this.start, this.end))
  }
}
