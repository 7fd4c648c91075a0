const bytesPerSuffix = {
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50
} as const

/** A Kubernetes quantity of bytes without sign, exponent or milli-units: `1073741824`, `16Mi`, `1.5Gi`, `2G`. */
export const quantityPattern = /^[0-9]{1,16}(\.[0-9]{1,3})?(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$/u

/** Thousandths of a byte, which is as fine as the pattern allows; `undefined` when `value` is not a quantity. */
export const parseQuantityMillis = (value: string | number): bigint | undefined => {
  const text = String(value)
  if (!quantityPattern.test(text)) return undefined
  const [, whole, fraction = "", suffix] = /^([0-9]+)(?:\.([0-9]+))?([a-zA-Z]*)$/u.exec(text)!
  return BigInt(whole! + fraction.padEnd(3, "0")) * BigInt(bytesPerSuffix[suffix as keyof typeof bytesPerSuffix])
}

/** Bytes of a Kubernetes quantity, rounded up to whole ones as Kubernetes does; `undefined` when `value` is not one. */
export const parseQuantity = (value: string | number): number | undefined => {
  const millis = parseQuantityMillis(value)
  return millis === undefined ? undefined : Number((millis + 999n) / 1000n)
}

/** The shortest exact quantity with a binary suffix, e.g. `16Mi`, `1000`. */
export const formatQuantity = (bytes: number): string => {
  for (const suffix of ["Pi", "Ti", "Gi", "Mi", "Ki"] as const) {
    if (bytes > 0 && bytes % bytesPerSuffix[suffix] === 0) return `${bytes / bytesPerSuffix[suffix]}${suffix}`
  }
  return String(bytes)
}
