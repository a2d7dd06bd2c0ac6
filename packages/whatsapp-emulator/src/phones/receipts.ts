import type { Account } from '../accounts/account.ts'
import { deliver } from '../core/delivery.ts'
import type { EmulatorState } from '../core/state.ts'
import type { Addressing } from '../wire/jids.ts'
import type { BinaryNode } from '../wire/nodes.ts'
import { nowInSeconds } from '../wire/stanza-id.ts'

/** A receipt on its way to the sender of messages. */
export interface Receipt {
  /** The JID of the device that acknowledges. */
  fromJid: string
  reader: Account
  sender: Account
  /** At least one. */
  ids: string[]
  status: 'delivered' | 'read'
}

/** Brings a receipt to all devices of the messages' sender: its phone shows the ticks, its companions get the stanza. */
export function bringReceipt(state: EmulatorState, receipt: Receipt): void {
  const { reader, sender, ids, status } = receipt
  if (sender.findChat(reader.phone)?.advance(ids, status)) state.changes.changed()
  for (const companion of sender.companions.values()) deliver(state, companion, receiptStanza(receipt))
}

/** What a phone does by itself when a message arrives. A number with companions leaves the acknowledging to them. */
export function acknowledgeAtPhone(
  state: EmulatorState,
  reader: Account,
  sender: Account,
  id: string,
  addressing: Addressing,
): void {
  const { receipts, readDelayMs } = state.behaviour
  if (receipts === 'none' || reader.companions.size > 0) return
  const receipt = { fromJid: reader.jid(addressing), reader, sender, ids: [id] }
  bringReceipt(state, { ...receipt, status: 'delivered' })
  if (receipts !== 'read') return
  const read = () => {
    reader.findChat(sender.phone)?.read([id])
    bringReceipt(state, { ...receipt, status: 'read' })
  }
  if (readDelayMs > 0) state.timers.after(readDelayMs, read)
  else read()
}

/** The phone's owner opens the chat: whatever was unread there is read now. */
export function readChat(state: EmulatorState, reader: Account, sender: Account): void {
  const chat = reader.findChat(sender.phone)
  const ids = chat?.read() ?? []
  if (!chat || ids.length === 0) return
  bringReceipt(state, { fromJid: reader.jid(chat.addressing), reader, sender, ids, status: 'read' })
  state.changes.changed()
}

function receiptStanza({ fromJid, ids, status }: Receipt): BinaryNode {
  const [id = '', ...others] = ids
  const attrs = { from: fromJid, id, t: nowInSeconds(), ...(status === 'read' && { type: 'read' }) }
  if (others.length === 0) return { tag: 'receipt', attrs }
  const items = others.map((other) => ({ tag: 'item', attrs: { id: other } }))
  return { tag: 'receipt', attrs, content: [{ tag: 'list', attrs: {}, content: items }] }
}
