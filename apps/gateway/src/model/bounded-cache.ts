interface Entry<Value> {
  value: Value
  expiresAtMs: number
}

/**
 * A map that forgets: what is older than its time, and what was written longest ago when there are too many. It takes
 * memory only for what it holds, where caches that allocate their bound beforehand would take it for every session.
 */
export class BoundedCache<Value> {
  readonly #maxEntries: number
  readonly #ttlMs: number
  readonly #entries = new Map<string, Entry<Value>>()

  constructor(options: { maxEntries: number; ttlMs: number }) {
    this.#maxEntries = options.maxEntries
    this.#ttlMs = options.ttlMs
  }

  get(key: string): Value | undefined {
    const entry = this.#entries.get(key)
    if (!entry) return undefined
    if (entry.expiresAtMs > performance.now()) return entry.value
    this.#entries.delete(key)
    return undefined
  }

  set(key: string, value: Value): void {
    this.#entries.delete(key)
    this.#entries.set(key, { value, expiresAtMs: performance.now() + this.#ttlMs })
    for (const [oldest, { expiresAtMs }] of this.#entries) {
      // The order of writing is the order of expiry.
      if (this.#entries.size <= this.#maxEntries && expiresAtMs > performance.now()) break
      this.#entries.delete(oldest)
    }
  }

  delete(key: string): void {
    this.#entries.delete(key)
  }

  clear(): void {
    this.#entries.clear()
  }

  get size(): number {
    return this.#entries.size
  }
}
