import type { WireEntry } from '../control/control.ts'
import { type BinaryNode, childrenOf } from '../wire/nodes.ts'
import { Ring } from './ring.ts'

const CAPACITY = 20_000
const DEFAULT_LIMIT = 1_000

/** Book one: every stanza that went over the wire, the newest 20,000 of them. */
export class WireBook {
  #entries = new Ring<WireEntry>(CAPACITY)
  #last = 0

  add(direction: WireEntry['direction'], jid: string, node: BinaryNode): void {
    const ciphertexts = node.tag === 'message' ? ciphertextTypes(node) : []
    this.#entries.push({
      number: ++this.#last,
      at: new Date().toISOString(),
      direction,
      jid,
      tag: node.tag,
      attrs: { ...node.attrs },
      children: childrenOf(node).map((child) => child.tag),
      ...(ciphertexts.length > 0 && { ciphertexts }),
    })
  }

  read({ after = 0, limit = DEFAULT_LIMIT }: { after?: number; limit?: number } = {}): WireEntry[] {
    const oldest = this.#last - this.#entries.size + 1
    const entries: WireEntry[] = []
    for (let index = Math.max(0, after + 1 - oldest); entries.length < limit; index++) {
      const entry = this.#entries.at(index)
      if (!entry) break
      entries.push(entry)
    }
    return entries
  }
}

/** A message holds one ciphertext, or one for each participant. */
function ciphertextTypes(node: BinaryNode): string[] {
  if (node.tag === 'enc') return [node.attrs['type'] ?? '']
  return childrenOf(node).flatMap(ciphertextTypes)
}
