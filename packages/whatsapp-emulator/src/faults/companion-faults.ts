import type { BinaryNode } from '../wire/nodes.ts'

export interface OutgoingStanza {
  node: BinaryNode
  /** The encoded node, where that was done ahead. */
  encoded?: Buffer | undefined
}

/** What goes wrong with one companion's next stanzas. Exists only while something is to go wrong. */
export class CompanionFaults {
  delayedAcks = { count: 0, delayMs: 0 }
  lostAcks = 0
  refusedMessages = { count: 0, error: '' }
  unavailableMessages = 0
  duplicates = 0
  reorders = 0
  #held: OutgoingStanza | undefined

  get isOver(): boolean {
    const { delayedAcks, lostAcks, refusedMessages, unavailableMessages, duplicates, reorders } = this
    const left = delayedAcks.count + lostAcks + refusedMessages.count + unavailableMessages + duplicates + reorders
    return left === 0 && !this.#held
  }

  /** What happens to the ack of the next message: sent after so many milliseconds, or never. */
  nextAck(): { delayMs: number } | 'lost' {
    if (this.lostAcks > 0) {
      this.lostAcks--
      return 'lost'
    }
    if (this.delayedAcks.count === 0) return { delayMs: 0 }
    this.delayedAcks.count--
    return { delayMs: this.delayedAcks.delayMs }
  }

  /** The error with which the server refuses the companion's next message, if it does. */
  takeRefusal(): string | undefined {
    if (this.refusedMessages.count === 0) return undefined
    this.refusedMessages.count--
    return this.refusedMessages.error
  }

  /** Whether the next message reaches the companion without its content. */
  takeUnavailable(): boolean {
    if (this.unavailableMessages === 0) return false
    this.unavailableMessages--
    return true
  }

  /** What goes out in place of this stanza, in this order. */
  replace(stanza: OutgoingStanza): OutgoingStanza[] {
    if (this.#held) {
      const held = this.#held
      this.#held = undefined
      return [stanza, held]
    }
    if (this.reorders > 1) {
      // A pair counts as two, and an odd one at the end has nobody to change places with.
      this.reorders -= 2
      this.#held = stanza
      return []
    }
    this.reorders = 0
    if (this.duplicates === 0) return [stanza]
    this.duplicates--
    return [stanza, stanza]
  }

  /** The stanza in hand belongs to a connection that is gone; it is still pending and goes out with the next login. */
  forgetHeld(): void {
    this.#held = undefined
  }
}
