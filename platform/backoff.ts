/**
 * Exponential backoff with full jitter: the wait before attempt `n` (from 0), in milliseconds, uniformly within
 * [cap/2, cap] of `initial * 2^n` capped at `max`. Half of the wait is kept fixed so that a storm of writers never retries at once.
 */
export const backoffMillis = (
  attempt: number,
  initialMillis: number,
  maxMillis: number,
  random: () => number = Math.random
) => {
  const cap = Math.min(maxMillis, initialMillis * 2 ** Math.min(attempt, 30))
  return cap / 2 + (cap / 2) * random()
}
