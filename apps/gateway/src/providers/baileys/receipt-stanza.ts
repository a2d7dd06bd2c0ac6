import { areJidsSameUser, type BinaryNode, getBinaryNodeChildren } from 'baileys'
import type { ReceiptUpdate } from '#src/model/session-store.ts'
import { addressOfJid, isAddressed } from './addresses.ts'

/**
 * What a receipt's type says of an own message. No type: delivered. `inactive`: delivered to a device that nobody looks
 * at. The other types are about own devices (`sender`, `read-self`), retries and the phone's own affairs.
 */
const STATUS_OF_TYPE: Readonly<Record<string, ReceiptUpdate['status']>> = {
  '': 'delivered',
  delivery: 'delivered',
  inactive: 'delivered',
  read: 'read',
  played: 'played',
}

/** How far a chat partner's receipt brings own messages; nothing for all other receipts. */
export function readReceiptStanza(
  { attrs, content }: BinaryNode,
  me: { id: string; lid?: string | undefined },
): ReceiptUpdate | undefined {
  const { id, from, type = '', t } = attrs
  const status = Object.hasOwn(STATUS_OF_TYPE, type) ? STATUS_OF_TYPE[type] : undefined
  if (!status || id === undefined || !isAddressed(addressOfJid(from))) return undefined
  if (areJidsSameUser(from, me.id) || (me.lid !== undefined && areJidsSameUser(from, me.lid))) return undefined
  const list = Array.isArray(content) ? content[0] : undefined
  const further = getBinaryNodeChildren(list, 'item').flatMap((item) => item.attrs['id'] ?? [])
  return { whatsappIds: [id, ...further], status, at: dateOf(t) }
}

/** WhatsApp's time in seconds; now, where it gives none. */
export function dateOf(seconds: string | undefined): Date {
  const value = Number(seconds)
  return value > 0 ? new Date(value * 1000) : new Date()
}
