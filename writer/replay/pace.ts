/**
 * How long to wait, in milliseconds, so that not more than so many messages a second are handled on average since the start.
 *
 * @param perSecond undefined: no limit
 */
export const paceMillis = (perSecond: number | undefined, handled: number, elapsedMillis: number): number =>
  perSecond === undefined ? 0 : Math.max(0, (handled * 1000) / perSecond - elapsedMillis)
