import type { BinaryNode } from 'baileys'

/**
 * Keeps messages in the order of their arrival. Baileys handles what has waited for us one after the other, and what comes
 * meanwhile at once: it would overtake. So that goes to the end of the same queue.
 */
export class ArrivalOrder {
  /** What stands in Baileys' queue, in its order. */
  readonly #queued = new Set<BinaryNode>()

  /** To be called before Baileys sees the message. */
  arrived(stanza: BinaryNode): void {
    if (stanza.attrs['offline'] === undefined && this.#queued.size === 0) return
    // Baileys' mark of what belongs into the queue.
    stanza.attrs['offline'] ??= '0'
    this.#queued.add(stanza)
  }

  /** The message is decrypted, or cannot be. Those that arrived before it are through, whatever became of them. */
  handled(stanza: BinaryNode): void {
    if (!this.#queued.has(stanza)) return
    for (const earlier of this.#queued) {
      this.#queued.delete(earlier)
      if (earlier === stanza) return
    }
  }
}
