import { afterEach, describe, expect, test, vi } from 'vitest'
import { BoundedCache } from '#src/model/bounded-cache.ts'
import { SharedCaches } from '#src/providers/baileys/shared-caches.ts'

afterEach(() => {
  vi.useRealTimers()
})

describe('a bounded cache', () => {
  test('forgets what was written longest ago', () => {
    const cache = new BoundedCache<number>({ maxEntries: 2, ttlMs: 1000 })
    cache.set('a', 1)
    cache.set('b', 2)
    cache.set('a', 3)
    cache.set('c', 4)
    expect(['a', 'b', 'c'].map((key) => cache.get(key))).toEqual([3, undefined, 4])
    expect(cache.size).toBe(2)
  })

  test('forgets what is too old, also when nobody asks for it', () => {
    vi.useFakeTimers()
    const cache = new BoundedCache<number>({ maxEntries: 100, ttlMs: 1000 })
    cache.set('a', 1)
    cache.set('b', 2)
    vi.advanceTimersByTime(1001)
    expect(cache.get('a')).toBeUndefined()
    cache.set('c', 3)
    expect(cache.size).toBe(1)
  })
})

describe('caches that sessions share', () => {
  test('one session never sees what another has put there', async () => {
    const caches = new SharedCaches()
    const [one, other] = [caches.of('one'), caches.of('other')]
    for (const name of ['msgRetryCounterCache', 'callOfferCache', 'placeholderResendCache'] as const) {
      await one[name].set('key', 1)
      expect(await other[name].get('key')).toBeUndefined()
      await other[name].del('key')
      expect(await one[name].get('key')).toBe(1)
    }
    await one.userDevicesCache.mset?.([{ key: '49171', value: ['device'] }])
    expect(await one.userDevicesCache.mget?.(['49171', '49172'])).toEqual({ '49171': ['device'], '49172': undefined })
    expect(await other.userDevicesCache.mget?.(['49171'])).toEqual({ '49171': undefined })
  })
})
