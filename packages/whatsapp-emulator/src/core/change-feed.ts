const COALESCE_MS = 50

/** Tells listeners that phones, chats or pending links may have changed: once for whatever happens within 50 ms. */
export class ChangeFeed {
  readonly #listeners = new Set<() => void>()
  readonly #after: (delayMs: number, task: () => void) => void
  #isScheduled = false

  constructor(after: (delayMs: number, task: () => void) => void) {
    this.#after = after
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  changed(): void {
    if (this.#isScheduled || this.#listeners.size === 0) return
    this.#isScheduled = true
    this.#after(COALESCE_MS, () => {
      this.#isScheduled = false
      for (const listener of this.#listeners) listener()
    })
  }
}
