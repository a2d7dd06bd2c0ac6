import { setTimeout as delay } from 'node:timers/promises'

/**
 * How long to wait before the next try, milliseconds: doubles with each failed attempt (counted from 1) up to `maxMs`,
 * with half of it at random, so that what failed together does not come back together.
 */
export const backoffMs = (attempt: number, { firstMs, maxMs }: { firstMs: number; maxMs: number }): number => {
  const full = Math.min(maxMs, firstMs * 2 ** Math.min(attempt - 1, 30))
  return Math.round(full / 2 + (Math.random() * full) / 2)
}

/** Resolves after so long, or as soon as the signal is aborted. */
export const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  // The only rejection is the abort, which the caller sees on the signal.
  delay(ms, undefined, { signal }).catch(() => undefined)
