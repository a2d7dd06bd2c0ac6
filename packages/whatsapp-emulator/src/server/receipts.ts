import type { Companion } from '../accounts/companion.ts'
import { acknowledge, partnerOf, settle } from '../core/delivery.ts'
import type { EmulatorState } from '../core/state.ts'
import { bringReceipt, type Receipt } from '../phones/receipts.ts'
import { type BinaryNode, childOf, childrenTagged } from '../wire/nodes.ts'
import { nowInSeconds } from '../wire/stanza-id.ts'
import type { Connection } from './connection.ts'
import { handleRetryReceipt } from './retries.ts'

/** What a receipt of each type tells the sender. The other types concern nobody but the server and the own number. */
const STATUS_BY_TYPE: Record<string, Receipt['status']> = {
  '': 'delivered',
  inactive: 'delivered',
  read: 'read',
  played: 'read',
}

/** A companion says what it did with messages: received, read, or not understood. */
export async function handleReceipt(state: EmulatorState, connection: Connection, stanza: BinaryNode): Promise<void> {
  const { companion } = connection
  if (!companion) throw new Error('A receipt arrived before the login')
  const { id = '', to, type = '' } = stanza.attrs
  state.counters.receipts++
  const attrs = { class: 'receipt', id, ...(to && { from: to }), ...(type && { type }), t: nowInSeconds() }
  connection.send({ tag: 'ack', attrs })
  if (type === 'retry') {
    await handleRetryReceipt(state, companion, stanza)
    return
  }
  const ids = [id, ...childrenTagged(childOf(stanza, 'list'), 'item').map((item) => item.attrs['id'] ?? '')]
  const partner = partnerOf(state, to, companion.account)
  for (const settled of ids) settle(state, companion, { tag: 'message', id: settled, partner })
  state.events.emit('receipt', { jid: companion.jid, ids, type, to: partner })
  passOn(state, companion, partner, ids, type, to)
}

/** A companion confirms that it has a stanza; an error in it says that it cannot use it. */
export function handleAck(state: EmulatorState, connection: Connection, ack: BinaryNode): void {
  const { companion } = connection
  // While it is being linked a companion gets one notification, of the typed pairing code, which nobody repeats.
  if (connection.linkRequest) return
  if (!companion) throw new Error('An ack arrived before the login')
  state.counters.acks++
  const { class: tag = '', id = '', to, type } = ack.attrs
  acknowledge(state, companion, { tag, id, partner: partnerOf(state, to, companion.account), type })
}

function passOn(
  state: EmulatorState,
  companion: Companion,
  partner: string,
  ids: string[],
  type: string,
  to: string | undefined,
): void {
  const sender = state.directory.find(partner)
  if (!sender || sender === companion.account) return
  if (type === 'read' || type === 'read-self') {
    companion.account.findChat(partner)?.read(ids)
    state.changes.changed()
  }
  const status = STATUS_BY_TYPE[type]
  if (!status) return
  const fromJid = state.directory.resolve(to)?.addressing === 'lid' ? companion.lidJid : companion.jid
  bringReceipt(state, { fromJid, reader: companion.account, sender, ids, status })
}
