import type { Account } from '../accounts/account.ts'
import type { Companion } from '../accounts/companion.ts'
import type { StanzaReference } from '../accounts/pending-stanzas.ts'
import type { BinaryNode } from '../wire/nodes.ts'
import type { EmulatorState } from './state.ts'

/**
 * Hands a stanza to a companion: now if it is connected, otherwise when it connects. It stays pending until the
 * companion acknowledges it. `encoded` spares the encoding when it was done ahead.
 */
export function deliver(
  state: EmulatorState,
  companion: Companion,
  node: BinaryNode,
  options: { encoded?: Buffer; acksToIgnore?: number } = {},
): void {
  changePending(state, companion, () =>
    companion.pending.add(referenceOf(state, node), node, options.acksToIgnore ?? 0),
  )
  const { connection, faults } = companion
  if (!connection?.isActive) return
  if (!faults) {
    connection.send(node, options.encoded)
    return
  }
  for (const stanza of faults.replace({ node, encoded: options.encoded })) connection.send(stanza.node, stanza.encoded)
  if (faults.isOver) companion.faults = undefined
}

/** Sends what waited for the companion, marked as offline, and then tells it that this was all. */
export function deliverOffline(companion: Companion): void {
  const { connection } = companion
  if (!connection) return
  const waiting = [...companion.pending]
  if (waiting.length > 0) connection.send(offlinePreview(waiting))
  for (const [index, node] of waiting.entries())
    connection.send({ ...node, attrs: { ...node.attrs, offline: String(index) } })
  connection.send(offlineEnd(waiting.length))
}

/** The companion has said by a receipt what it did with a stanza. */
export function settle(state: EmulatorState, companion: Companion, reference: StanzaReference): void {
  changePending(state, companion, () => companion.pending.settle(reference))
}

/** The companion has acked a stanza, whether it can use it or not. */
export function acknowledge(state: EmulatorState, companion: Companion, reference: StanzaReference): void {
  changePending(state, companion, () => companion.pending.acknowledge(reference))
}

/** The number behind the JID with which a stanza came from, or an answer goes to, a partner; `''` for the server. */
export function partnerOf(state: EmulatorState, jid: string | undefined, own: Account): string {
  // Without an address the answer means a message of the companion's own number: Baileys leaves it out there.
  if (jid === undefined) return own.phone
  return state.directory.resolve(jid)?.account.phone ?? ''
}

/** Forgets what a companion that is no more was to be sent. */
export function abandon(state: EmulatorState, companion: Companion): void {
  state.pendingStanzas -= companion.pending.size
}

function referenceOf(state: EmulatorState, node: BinaryNode): StanzaReference {
  return {
    tag: node.tag,
    id: node.attrs['id'] ?? '',
    partner: state.directory.resolve(node.attrs['from'])?.account.phone ?? '',
    type: node.attrs['type'],
  }
}

function changePending(state: EmulatorState, companion: Companion, change: () => void): void {
  const before = companion.pending.size
  change()
  // What a removed companion still acknowledges was abandoned already.
  if (companion.account.companions.get(companion.id) === companion)
    state.pendingStanzas += companion.pending.size - before
}

function offlinePreview(waiting: BinaryNode[]): BinaryNode {
  const count = (tag: string) => String(waiting.filter((node) => node.tag === tag).length)
  const counts = { message: count('message'), receipt: count('receipt'), notification: count('notification') }
  const attrs = { count: String(waiting.length), ...counts, appdata: '0' }
  return { tag: 'ib', attrs: { from: '@s.whatsapp.net' }, content: [{ tag: 'offline_preview', attrs }] }
}

function offlineEnd(count: number): BinaryNode {
  const content = [{ tag: 'offline', attrs: { count: String(count) } }]
  return { tag: 'ib', attrs: { from: '@s.whatsapp.net' }, content }
}
