/** Nanoseconds of each unit of Go's `time.ParseDuration`, the syntax that CEL's `duration()` reads too. */
const nanosPerUnit = { ns: 1, us: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 } as const

/** A Go duration without sign: `0`, `250ms`, `1h30m`, `1.5s`. There is no unit for days. */
export const durationPattern = /^(0|([0-9]{1,16}(\.[0-9]{1,9})?(ns|us|ms|s|m|h)){1,6})$/u

/** Nanoseconds of a Go duration, rounded down to whole ones as Go does; `undefined` when `text` is not one. */
export const parseDurationNanos = (text: string): number | undefined => {
  if (!durationPattern.test(text)) return undefined
  let nanos = 0
  for (const [, whole, fraction = "", unit] of text.matchAll(/([0-9]+)(?:\.([0-9]+))?(ns|us|ms|s|m|h)/gu)) {
    const scale = nanosPerUnit[unit as keyof typeof nanosPerUnit]
    nanos += Number(whole) * scale + Math.floor(Number(fraction) * (scale / 10 ** fraction.length))
  }
  return nanos
}

/** Milliseconds of a Go duration, with a fraction below 1 ms; `undefined` when `text` is not one. */
export const parseDuration = (text: string): number | undefined => {
  const nanos = parseDurationNanos(text)
  return nanos === undefined ? undefined : nanos / 1e6
}

/** The shortest single-unit Go duration of a whole number of nanoseconds, e.g. `90s`, `2h`, `0s`. */
export const formatDurationNanos = (nanos: number): string => {
  for (const unit of ["h", "m", "s", "ms", "us"] as const) {
    if (nanos >= nanosPerUnit[unit] && nanos % nanosPerUnit[unit] === 0) return `${nanos / nanosPerUnit[unit]}${unit}`
  }
  return nanos === 0 ? "0s" : `${nanos}ns`
}
