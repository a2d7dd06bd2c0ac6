import { randomFillSync } from 'node:crypto'

/** Asking the system for random bytes costs more than what a few of them are needed for: it is asked for many at once. */
const pool = new Uint8Array(16 * 1024)
let nextAt = pool.length

/** So many random bytes that nobody else gets, at most 16 KB: for nonces and ids that are made with every message. */
export function randomBytes(count: number): Uint8Array {
  if (nextAt + count > pool.length) {
    randomFillSync(pool)
    nextAt = 0
  }
  const bytes = pool.slice(nextAt, nextAt + count)
  nextAt += count
  return bytes
}
