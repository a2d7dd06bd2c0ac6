const DAY_MS = 24 * 60 * 60 * 1000

/**
 * The share of its limits that a number may use on a day of its warm-up: it grows evenly with every day, to 1 on the day
 * after the last. A number that is linked in the future, by another clock, was linked now.
 */
export function warmUpShare({ linkedAtMs, days }: { linkedAtMs: number; days: number }, nowMs: number): number {
  const daysLinked = Math.floor(Math.max(0, nowMs - linkedAtMs) / DAY_MS)
  return Math.min(1, (daysLinked + 1) / (days + 1))
}
