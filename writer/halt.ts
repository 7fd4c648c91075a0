import type { HaltThreshold } from "./config.ts"

/**
 * Whether most of the traffic is poison: a bad deploy, after which stopping is better than a table full of dead letters. Counted
 * over a window that slides by slices, so that a busy stream costs a few numbers and not one per message.
 */

/** The window is cut into this many slices; it is exact to one of them. */
const slices = 30

interface Slice {
  /** Number of the slice since time began. */
  readonly at: number
  readonly messages: number
  readonly poison: number
}

/** What was decided lately, oldest first. */
export type Traffic = ReadonlyArray<Slice>

/** `traffic` with more messages, and without what has left the window. */
export const addTraffic = (
  traffic: Traffic,
  { windowMillis }: Pick<HaltThreshold, "windowMillis">,
  nowMillis: number,
  messages: number,
  poison: number
): Traffic => {
  const at = Math.floor((nowMillis * slices) / windowMillis)
  const lately = traffic.filter((slice) => slice.at > at - slices)
  const last = lately.at(-1)
  return last?.at === at
    ? [...lately.slice(0, -1), { at, messages: last.messages + messages, poison: last.poison + poison }]
    : [...lately, { at, messages, poison }]
}

/** Whether so many of the messages are poison that it is no longer about single ones. */
export const mostlyPoison = (messages: number, poison: number, { percent }: Pick<HaltThreshold, "percent">): boolean =>
  poison > 0 && poison * 100 >= percent * messages

/** Whether to halt instead of deciding on what was added last. */
export const isHalted = (traffic: Traffic, threshold: HaltThreshold): boolean => {
  const messages = traffic.reduce((sum, slice) => sum + slice.messages, 0)
  const poison = traffic.reduce((sum, slice) => sum + slice.poison, 0)
  return messages >= threshold.minMessages && mostlyPoison(messages, poison, threshold)
}
