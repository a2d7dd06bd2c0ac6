import { dropOldest } from '../books/drop-oldest.ts'
import type { BinaryNode } from '../wire/nodes.ts'

const CAPACITY = 100_000

interface PendingStanza {
  node: BinaryNode
  /**
   * Acks to pass over. A companion that cannot decrypt a message asks for it again and then acks it; when that ack
   * arrives, the repeated message stands here already and is not the one that it means.
   */
  acksToIgnore: number
}

/** The stanza that an answer means. `partner` is the number that it came from, `''` for the server. */
export interface StanzaReference {
  tag: string
  id: string
  partner: string
  /** The stanza's `type`; of no account for messages. */
  type?: string | undefined
}

/** What a companion was sent, or will be when it connects, and has not acknowledged yet: WhatsApp's offline queue. */
export class PendingStanzas {
  #stanzas: Map<string, PendingStanza> | undefined

  get size(): number {
    return this.#stanzas?.size ?? 0
  }

  /** Adds a stanza at the end; the oldest makes room when the queue is full. */
  add(reference: StanzaReference, node: BinaryNode, acksToIgnore = 0): void {
    this.#stanzas ??= new Map()
    const key = keyOf(reference)
    this.#stanzas.delete(key)
    this.#stanzas.set(key, { node, acksToIgnore })
    if (this.#stanzas.size > CAPACITY) dropOldest(this.#stanzas)
  }

  /** The companion has said by a receipt what it did with the stanza. */
  settle(reference: StanzaReference): void {
    this.#stanzas?.delete(keyOf(reference))
    if (!this.size) this.#stanzas = undefined
  }

  /** The companion has acked the stanza, whether it can use it or not. */
  acknowledge(reference: StanzaReference): void {
    const stanza = this.#stanzas?.get(keyOf(reference))
    if (stanza?.acksToIgnore) stanza.acksToIgnore--
    else this.settle(reference)
  }

  *[Symbol.iterator](): Iterator<BinaryNode> {
    for (const { node } of this.#stanzas?.values() ?? []) yield node
  }
}

function keyOf({ tag, id, partner, type }: StanzaReference): string {
  return `${tag} ${id} ${partner} ${tag === 'message' ? '' : (type ?? '')}`
}
