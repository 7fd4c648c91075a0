import { matchesAny } from "./processors/routing.ts"

/** Filters of a consumer: lists of subjects with wildcards; an empty one takes every message of the stream. */

/** Whether every subject that `narrow` matches is matched by `wide` too. */
const isWithin = (narrow: string, wide: string): boolean => {
  const given = narrow.split(".")
  const tokens = wide.split(".")
  for (const [i, token] of tokens.entries()) {
    if (token === ">") return given.length > i
    if (given[i] === undefined || given[i] === ">") return false
    if (token !== "*" && token !== given[i]) return false
  }
  return given.length === tokens.length
}

/** One text for filters that take the same subjects in another order. */
const textOf = (filter: ReadonlyArray<string>): string => JSON.stringify([...filter].sort())

/** What an audit may conclude, by the consumer's filter and the one that its lane is settled for. */
export interface Terms {
  /**
   * `Same`. `Narrower`: it takes nothing that the other does not, so what is settled for it is not settled for the other, which
   * may come back. `Other`: it takes more, and is not back-filled: what it did not take before is not missed.
   */
  readonly filter: "Same" | "Narrower" | "Other"
  /** Whether a message that the consumer's filter takes can be missed. */
  readonly wanted: (subject: string) => boolean
  /** Whether every sequence of the stream is to have an outcome, so that one without any tells of a loss. */
  readonly complete: boolean
  /** Text of the filter that the lane is settled for from now on. */
  readonly settles: string
}

/** @param settledFor text of the filter that the lane is settled for; null before its first audit */
export const termsOf = (filter: ReadonlyArray<string>, settledFor: string | null): Terms => {
  const settles = textOf(filter)
  if (settledFor === null || settledFor === settles) {
    return { filter: "Same", wanted: () => true, complete: filter.length === 0, settles }
  }
  const before = JSON.parse(settledFor) as ReadonlyArray<string>
  const narrower =
    filter.length > 0 &&
    (before.length === 0 || filter.every((subject) => before.some((wide) => isWithin(subject, wide))))
  return narrower
    ? { filter: "Narrower", wanted: () => true, complete: false, settles: settledFor }
    : { filter: "Other", wanted: matchesAny(before), complete: false, settles }
}
