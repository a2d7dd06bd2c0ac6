import type { CacheStore, PossiblyExtendedCacheStore } from 'baileys'
import { BoundedCache } from '#src/model/bounded-cache.ts'

const MINUTE_MS = 60 * 1000
const HOUR_MS = 60 * MINUTE_MS

/** Caches that Baileys would otherwise build for each session, at 30 KB of heap apiece. */
export interface SessionCaches {
  msgRetryCounterCache: CacheStore
  userDevicesCache: PossiblyExtendedCacheStore
  callOfferCache: CacheStore
  placeholderResendCache: CacheStore
}

/** One set of bounded caches for all sessions of a process. Keys bear the session's id: sessions never see each other's. */
export class SharedCaches {
  readonly #retryCounters = bounded(50_000, HOUR_MS)
  // An hour, not Baileys' five minutes: each look-up also replaces the session with the contact, and changes of
  // devices are announced by notifications, which update the entry.
  readonly #userDevices = bounded(100_000, HOUR_MS)
  readonly #callOffers = bounded(10_000, 5 * MINUTE_MS)
  readonly #placeholderResends = bounded(50_000, HOUR_MS)

  of(sessionId: string): SessionCaches {
    return {
      msgRetryCounterCache: new SessionView(this.#retryCounters, sessionId),
      userDevicesCache: new SessionView(this.#userDevices, sessionId),
      callOfferCache: new SessionView(this.#callOffers, sessionId),
      placeholderResendCache: new SessionView(this.#placeholderResends, sessionId),
    }
  }
}

const bounded = (maxEntries: number, ttlMs: number) => new BoundedCache<unknown>({ maxEntries, ttlMs })

class SessionView implements PossiblyExtendedCacheStore {
  readonly #cache: BoundedCache<unknown>
  readonly #prefix: string

  constructor(cache: BoundedCache<unknown>, sessionId: string) {
    this.#cache = cache
    this.#prefix = `${sessionId}/`
  }

  get<Value>(key: string): Value | undefined {
    return this.#cache.get(this.#prefix + key) as Value | undefined
  }

  set<Value>(key: string, value: Value): void {
    this.#cache.set(this.#prefix + key, value)
  }

  del(key: string): void {
    this.#cache.delete(this.#prefix + key)
  }

  flushAll(): void {
    // Baileys clears only caches of its own; what is left of an ended session expires.
  }

  async mget<Value>(keys: string[]): Promise<Record<string, Value | undefined>> {
    return Object.fromEntries(keys.map((key) => [key, this.get<Value>(key)]))
  }

  mset<Value>(entries: { key: string; value: Value }[]): void {
    for (const { key, value } of entries) this.set(key, value)
  }
}
