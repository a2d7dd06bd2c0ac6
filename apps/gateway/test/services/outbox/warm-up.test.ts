import fc from 'fast-check'
import { expect, test } from 'vitest'
import { warmUpShare } from '#src/services/outbox/warm-up.ts'

const DAY_MS = 24 * 60 * 60 * 1000

test('a new number begins with a part and has all after its warm-up', () => {
  const shares = [0, 1, 3, 6, 7, 100].map((day) => warmUpShare({ linkedAtMs: 0, days: 7 }, day * DAY_MS))
  expect(shares).toEqual([1 / 8, 2 / 8, 4 / 8, 7 / 8, 1, 1])
})

test('without a warm-up there is none', () => {
  expect(warmUpShare({ linkedAtMs: 0, days: 0 }, 0)).toBe(1)
})

test('the share never falls, is never nothing and never more than all, whatever the clocks say', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -1e12, max: 1e12 }),
      fc.nat(365),
      fc.nat(1e12),
      fc.nat(1e12),
      (linkedAtMs, days, nowMs, laterMs) => {
        const share = warmUpShare({ linkedAtMs, days }, nowMs)
        expect(share).toBeGreaterThan(0)
        expect(warmUpShare({ linkedAtMs, days }, nowMs + laterMs)).toBeGreaterThanOrEqual(share)
        expect(share).toBeLessThanOrEqual(1)
      },
    ),
  )
})
