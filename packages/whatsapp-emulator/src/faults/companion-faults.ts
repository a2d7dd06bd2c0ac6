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
  duplicates = 0
  reorders = 0
  #held: OutgoingStanza | undefined

  get isOver(): boolean {
    return !this.delayedAcks.count && !this.lostAcks && !this.duplicates && !this.reorders && !this.#held
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
