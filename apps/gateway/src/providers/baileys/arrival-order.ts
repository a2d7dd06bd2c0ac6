import type { BinaryNode } from 'baileys'

/** Baileys' mark of what belongs into its queue; WhatsApp's own values are numbers. */
const BEHIND_BACKLOG = 'behind'

/** Whether the stanza has waited for us at WhatsApp, and does not only stand in the queue of those that have. */
export const isFromBacklog = ({ attrs: { offline } }: BinaryNode): boolean =>
  offline !== undefined && offline !== BEHIND_BACKLOG

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
    stanza.attrs['offline'] ??= BEHIND_BACKLOG
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
