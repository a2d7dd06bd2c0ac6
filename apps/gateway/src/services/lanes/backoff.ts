/**
 * How long to wait before the next try, milliseconds: doubles with each failed attempt (counted from 1) up to `maxMs`,
 * with half of it at random, so that what failed together does not come back together.
 */
export const backoffMs = (attempt: number, { firstMs, maxMs }: { firstMs: number; maxMs: number }): number => {
  const full = Math.min(maxMs, firstMs * 2 ** Math.min(attempt - 1, 30))
  return Math.round(full / 2 + (Math.random() * full) / 2)
}
