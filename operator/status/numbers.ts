/** The number cut to its two leading digits: every write of a status wakes its watchers, so small changes are left out. */
export const quantise = (value: number): number => {
  if (value < 100) return value
  const unit = 10 ** (Math.floor(Math.log10(value)) - 1)
  return Math.floor(value / unit) * unit
}

/** A quantised number for people: `57`, `1.2k`, `340k`, `5M`. */
export const humanCount = (value: number): string => {
  const rounded = quantise(value)
  for (const [unit, suffix] of [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"]
  ] as const) {
    if (rounded >= unit) return `${Number((rounded / unit).toPrecision(2))}${suffix}`
  }
  return String(rounded)
}
