import fc from 'fast-check'
import { expect, test } from 'vitest'
import { retryPolicy } from '#src/services/webhooks/retry-policy.ts'

const HOUR_MS = 60 * 60 * 1000
const DAY_MS = 24 * HOUR_MS
const answered = (status: number | null, retryAfterMs?: number) => ({
  ...{ status, answer: '', retryAfterMs },
  code: status !== null && status < 300 ? null : ('webhook_failed' as const),
})

/** The moments of all attempts of an endpoint that always fails, milliseconds after the event. */
function attemptsOfADay(retryAfterMs: number | undefined): number[] {
  const giveUpAt = new Date(DAY_MS)
  const moments: number[] = []
  for (let now: Date | undefined = new Date(0); now !== undefined; ) {
    moments.push(now.getTime())
    now = retryPolicy({ attempts: moments.length - 1, giveUpAt }, answered(500, retryAfterMs), now).nextAttemptAt
  }
  return moments
}

test('an endpoint that is down for a day is tried often at first, rarely later, and for the last time after 24 hours', () => {
  fc.assert(
    fc.property(fc.constant(undefined), () => {
      const moments = attemptsOfADay(undefined)
      expect(moments.at(-1)).toBe(DAY_MS)
      expect(moments.length).toBeGreaterThan(14)
      expect(moments.length).toBeLessThan(40)
      const pauses = moments.slice(1).map((moment, index) => moment - (moments[index] ?? 0))
      expect(pauses[0]).toBeGreaterThanOrEqual(2_500)
      expect(pauses[0]).toBeLessThanOrEqual(5_000)
      expect(Math.max(...pauses)).toBeLessThanOrEqual(3 * HOUR_MS)
      expect(moments.filter((moment) => moment < HOUR_MS).length).toBeGreaterThanOrEqual(8)
    }),
  )
})

test('no attempt is made before the endpoint asks for it, but for the last one', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 * DAY_MS }), (retryAfterMs) => {
      const moments = attemptsOfADay(retryAfterMs)
      const pauses = moments.slice(1, -1).map((moment, index) => moment - (moments[index] ?? 0))
      for (const pause of pauses) expect(pause).toBeGreaterThanOrEqual(retryAfterMs)
      expect(moments.at(-1)).toBe(DAY_MS)
    }),
  )
})

test('two that fail together do not come back together', () => {
  const next = new Set(
    Array.from({ length: 50 }, () =>
      retryPolicy({ attempts: 5, giveUpAt: new Date(DAY_MS) }, answered(500), new Date(0)).nextAttemptAt?.getTime(),
    ),
  )
  expect(next.size).toBeGreaterThan(40)
})

test('any 2xx is a delivery, 410 ends it, everything else is tried again', () => {
  fc.assert(
    fc.property(fc.option(fc.integer({ min: 100, max: 599 })), (status) => {
      const next = retryPolicy({ attempts: 0, giveUpAt: new Date(DAY_MS) }, answered(status), new Date(0))
      const isDelivered = status !== null && status >= 200 && status < 300
      expect(next.isDelivered).toBe(isDelivered)
      expect(next.isGone).toBe(status === 410)
      expect(next.nextAttemptAt === undefined).toBe(isDelivered || status === 410)
    }),
  )
})
