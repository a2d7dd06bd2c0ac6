import { expect, test } from 'vitest'
import { CircuitBreaker, FAILURES_TO_PAUSE, PAUSE_MS } from '#src/services/responders/circuit-breaker.ts'

const failed = (breaker: CircuitBreaker, times: number, atMs = 0): boolean[] =>
  Array.from({ length: times }, () => breaker.failed('salon', atMs))

test('a system that fails again and again is left alone; after a pause one request finds out how it is', () => {
  const breaker = new CircuitBreaker()
  expect(failed(breaker, FAILURES_TO_PAUSE)).toEqual([...Array(FAILURES_TO_PAUSE - 1).fill(false), true])
  expect(breaker.admits('salon', PAUSE_MS - 1)).toBe(false)
  expect(breaker.admits('salon', PAUSE_MS)).toBe(true)
  expect(breaker.admits('salon', PAUSE_MS)).toBe(false)
  // It never tells how it went: another one may find out.
  expect(breaker.admits('salon', 2 * PAUSE_MS)).toBe(true)
  expect(breaker.failed('salon', 2 * PAUSE_MS)).toBe(true)
  expect(breaker.admits('salon', 3 * PAUSE_MS - 1)).toBe(false)
  expect(breaker.admits('salon', 3 * PAUSE_MS)).toBe(true)
  breaker.succeeded('salon')
  expect(breaker.admits('salon', 3 * PAUSE_MS)).toBe(true)
})

test('one success makes up for all failures before it, and no system pays for another', () => {
  const breaker = new CircuitBreaker()
  failed(breaker, FAILURES_TO_PAUSE - 1)
  breaker.succeeded('salon')
  failed(breaker, FAILURES_TO_PAUSE - 1)
  expect(breaker.admits('salon', 0)).toBe(true)
  failed(breaker, 1)
  expect(breaker.admits('salon', 0)).toBe(false)
  expect(breaker.admits('barber', 0)).toBe(true)
})
