/** Every timer of the emulator, so that closing leaves none behind. */
export class Timers {
  readonly #pending = new Set<NodeJS.Timeout>()
  #isClosed = false

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Runs the task after so many milliseconds, unless the emulator is closed before. Returns how to call it off. */
  after(delayMs: number, task: () => void): () => void {
    if (this.#isClosed) return () => undefined
    const timer = setTimeout(() => {
      this.#pending.delete(timer)
      task()
    }, delayMs)
    this.#pending.add(timer)
    return () => {
      clearTimeout(timer)
      this.#pending.delete(timer)
    }
  }

  close(): void {
    this.#isClosed = true
    for (const timer of this.#pending) clearTimeout(timer)
    this.#pending.clear()
  }
}
