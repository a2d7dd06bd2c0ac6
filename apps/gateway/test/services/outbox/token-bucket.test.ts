import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TokenBucket } from '#src/services/outbox/token-bucket.ts'

const rates = fc.integer({ min: 1, max: 600 })
/** Moments of asking, oldest first. */
const askings = fc.array(fc.nat(20_000), { minLength: 1, maxLength: 200 }).map((gaps) => {
  let atMs = 1_000_000
  return gaps.map((gapMs) => (atMs += gapMs))
})
const ROUNDING_MS = 1e-3

test('turns come in the order of asking, and never before it', () => {
  fc.assert(
    fc.property(rates, askings, (perMinute, moments) => {
      const bucket = new TokenBucket({ perMinute })
      const turns = moments.map((atMs) => bucket.take(atMs))
      for (const [index, turnMs] of turns.entries()) {
        expect(turnMs).toBeGreaterThanOrEqual(moments[index] ?? 0)
        expect(turnMs).toBeGreaterThanOrEqual((turns[index - 1] ?? 0) - ROUNDING_MS)
      }
    }),
  )
})

test('within any span of time there are no more turns than a full bucket and what has come in meanwhile', () => {
  fc.assert(
    fc.property(rates, askings, (perMinute, moments) => {
      const bucket = new TokenBucket({ perMinute })
      const turns = moments.map((atMs) => bucket.take(atMs))
      for (const [first, fromMs] of turns.entries()) {
        for (const [last, untilMs] of turns.entries()) {
          if (last < first) continue
          const cameIn = Math.floor(((untilMs - fromMs + ROUNDING_MS) * perMinute) / 60_000)
          expect(last - first + 1).toBeLessThanOrEqual(perMinute + cameIn)
        }
      }
    }),
    { numRuns: 50 },
  )
})

test('nobody waits longer than is needed: a bucket from which nothing was taken for a minute is full', () => {
  fc.assert(
    fc.property(rates, askings, (perMinute, moments) => {
      const bucket = new TokenBucket({ perMinute })
      const lastMs = Math.max(...moments.map((atMs) => bucket.take(atMs)))
      const restedMs = lastMs + 60_001
      for (let count = 0; count < perMinute; count += 1) {
        expect(bucket.take(restedMs)).toBeLessThan(restedMs + ROUNDING_MS)
      }
      expect(bucket.take(restedMs)).toBeGreaterThan(restedMs)
    }),
    { numRuns: 30 },
  )
})

test('without a limit nobody waits; a limit that is set later begins with a full bucket', () => {
  const bucket = new TokenBucket({ perMinute: Number.POSITIVE_INFINITY })
  for (let count = 0; count < 1000; count += 1) expect(bucket.take(5)).toBe(5)
  bucket.rate = { perMinute: 2 }
  expect([bucket.take(5), bucket.take(5), bucket.take(5), bucket.take(5)]).toEqual([5, 5, 30_005, 60_005])
})

test('an emptied bucket gives the next turn after one interval, whatever had been given out', () => {
  const bucket = new TokenBucket({ perMinute: 60 })
  for (let count = 0; count < 1000; count += 1) bucket.take(0)
  bucket.rate = { perMinute: 30 }
  bucket.empty(10)
  expect([bucket.take(10), bucket.take(10)]).toEqual([2010, 4010])
})
