import { createHash } from 'node:crypto'
import type { PendingReason } from '@frontdesk/api-contract'
import { type BinaryNode, decodeMessageNode } from 'baileys'
import { storableText } from '#src/model/storable-text.ts'
import type { WhatsAppAddress } from '#src/model/whatsapp-address.ts'
import { addressOfJid, isAddressed } from './addresses.ts'
import { isFromBacklog } from './arrival-order.ts'

/** What a message stanza says before anything in it is decrypted. */
export interface MessageStanza {
  /** Sent by another device of this account: the phone speaking to its companion, or its owner writing on it. */
  isOwn: boolean
  isOffline: boolean
  envelope: Record<string, string>
  sentAt: Date
  /** Which answer to our requests for the message this is; 0 for the first delivery. */
  repeats: number
  /** Set when the stanza belongs to a chat with one person; not for groups, broadcasts, newsletters and the phone's own affairs. */
  chat?: { whatsappId: string; partner: WhatsAppAddress; partnerName?: string }
}

/** Attributes that name the same person by the other kind of address. */
const ALTERNATIVES = {
  partner: ['sender_pn', 'sender_lid', 'participant_pn', 'participant_lid'],
  own: ['recipient_pn', 'recipient_lid', 'peer_recipient_pn', 'peer_recipient_lid'],
} as const

/** WhatsApp's own announcements come from this number. */
const ANNOUNCEMENTS = '0'

/** Far above every id that a client gives. Senders choose ids freely, and the database's indexes have a limit. */
const MAX_ID_LENGTH = 128

/** Reads a stanza that came for the account `me`. */
export function readMessageStanza(stanza: BinaryNode, me: { id: string; lid?: string | undefined }): MessageStanza {
  const { attrs } = stanza
  const seconds = Number(attrs['t'])
  const common = {
    isOffline: isFromBacklog(stanza),
    envelope: { ...attrs },
    sentAt: seconds > 0 ? new Date(seconds * 1000) : new Date(),
    repeats: Number(childrenOf(stanza, 'enc').at(-1)?.attrs['count']) || 0,
  }
  const key = keyOf(stanza, me)
  if (!key?.id) return { ...common, isOwn: false }
  const isOwn = key.fromMe === true
  const addresses = [key.remoteJid ?? undefined, ...ALTERNATIVES[isOwn ? 'own' : 'partner'].map((name) => attrs[name])]
  const partner: WhatsAppAddress = Object.assign({}, ...addresses.map(addressOfJid).reverse())
  const isPersonal =
    isAddressed(addressOfJid(key.remoteJid ?? undefined)) &&
    attrs['category'] !== 'peer' &&
    // What another own device sends without a recipient is between the two devices.
    (!isOwn || attrs['recipient'] !== undefined) &&
    partner.phone !== ANNOUNCEMENTS
  if (!isPersonal) return { ...common, isOwn }
  const name = isOwn ? undefined : attrs['notify']
  const whatsappId = storableId(key.id)
  return { ...common, isOwn, chat: { whatsappId, partner, ...(name && { partnerName: name }) } }
}

/** A message's id as it is stored. */
export function storableId(id: string): string {
  return id.length <= MAX_ID_LENGTH ? storableText(id) : createHash('sha256').update(id).digest('hex')
}

/** Nothing for a stanza that Baileys cannot place: it goes on to nack that one itself. */
function keyOf(stanza: BinaryNode, me: { id: string; lid?: string | undefined }) {
  try {
    return decodeMessageNode(stanza, me.id, me.lid ?? '').fullMessage.key
  } catch {
    return undefined
  }
}

/** The ciphertexts of a stanza. Only the last one is the message proper; an earlier one brings a group's sender key. */
export const ciphertextsOf = (stanza: BinaryNode): Uint8Array[] => bytesOf(childrenOf(stanza, 'enc'))

/** Parts that come unencrypted, as in newsletters. */
export const plaintextsOf = (stanza: BinaryNode): Uint8Array[] => bytesOf(childrenOf(stanza, 'plaintext'))

/** What the phone is never asked for: the server keeps it from linked devices on purpose. */
const KEPT_ON_PHONE: Readonly<Record<string, PendingReason>> = {
  view_once: 'view_once',
  view_once_unavailable_fanout: 'view_once',
  bot_unavailable_fanout: 'phone_only',
  hosted_unavailable_fanout: 'phone_only',
}

/** Why a stanza comes without anything to read; undefined for the others. Baileys asks the phone for what is `unavailable`. */
export function absenceOf(stanza: BinaryNode): PendingReason | undefined {
  if (['enc', 'plaintext'].some((tag) => childrenOf(stanza, tag).length > 0)) return undefined
  const type = childrenOf(stanza, 'unavailable')[0]?.attrs['type'] ?? ''
  return KEPT_ON_PHONE[type] ?? 'unavailable'
}

const childrenOf = ({ content }: BinaryNode, tag: string): BinaryNode[] =>
  Array.isArray(content) ? content.filter((child) => child.tag === tag) : []

const bytesOf = (nodes: BinaryNode[]): Uint8Array[] =>
  nodes.flatMap(({ content }) => (content instanceof Uint8Array ? [content] : []))
