/** The longest time that a timer takes, milliseconds: one that is to wait for longer fires at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1

/**
 * The time as `Date.now()` tells it, except that nobody can set it back while the process runs: what is to happen in a
 * minute happens in a minute. For whatever waits; not for moments that people have named, such as when to send.
 */
export const steadyNow = (): number => Math.max(Date.now(), performance.timeOrigin + performance.now())
