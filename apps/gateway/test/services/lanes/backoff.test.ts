import fc from 'fast-check'
import { expect, test } from 'vitest'
import { backoffMs, pause } from '#src/services/lanes/backoff.ts'

/** What may be waited before an attempt, written as a table: each limit is twice the one before, up to the cap. */
function limitOf(attempt: number, { firstMs, maxMs }: { firstMs: number; maxMs: number }): number {
  let limitMs = firstMs
  for (let count = 1; count < attempt && limitMs < maxMs; count += 1) limitMs += limitMs
  return Math.min(limitMs, maxMs)
}

const policies = fc
  .record({ firstMs: fc.integer({ min: 1, max: 60_000 }), times: fc.integer({ min: 1, max: 10_000 }) })
  .map(({ firstMs, times }) => ({ firstMs, maxMs: firstMs * times }))
const attempts = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }))

test('each wait is between a half and the whole of a limit that doubles up to the cap, however long it goes on', () => {
  fc.assert(
    fc.property(policies, attempts, (policy, attempt) => {
      const limitMs = limitOf(attempt, policy)
      const waitMs = backoffMs(attempt, policy)
      expect(waitMs).toBeGreaterThanOrEqual(Math.floor(limitMs / 2))
      expect(waitMs).toBeLessThanOrEqual(limitMs)
    }),
  )
})

test('what failed together is spread over the whole of it', () => {
  const waits = Array.from({ length: 1000 }, () => backoffMs(4, { firstMs: 1000, maxMs: 60_000 }))
  for (let quarter = 0; quarter < 4; quarter += 1) {
    const fromMs = 4000 + quarter * 1000
    // Of 250 that are expected.
    expect(waits.filter((waitMs) => waitMs >= fromMs && waitMs < fromMs + 1000).length).toBeGreaterThan(100)
  }
})

test('a pause ends at once when it is broken off, also before it begins', async () => {
  const ending = new AbortController()
  const pausing = pause(1_000_000, ending.signal)
  ending.abort()
  await pausing
  await pause(1_000_000, ending.signal)
})
