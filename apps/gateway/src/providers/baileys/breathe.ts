import { setImmediate as nextTurn } from 'node:timers/promises'

/** The longest that ratchet work may keep the event loop to itself, milliseconds. */
const TURN_MS = 5

let turnStartedAt = performance.now()

/**
 * Yields to the event loop when ratchet work has held it for long enough. Keys served from memory never do by
 * themselves: a burst of one session would stop every other one for seconds.
 */
export function breathe(): Promise<void> | undefined {
  if (performance.now() - turnStartedAt < TURN_MS) return undefined
  return nextTurn().then(() => {
    turnStartedAt = performance.now()
  })
}
