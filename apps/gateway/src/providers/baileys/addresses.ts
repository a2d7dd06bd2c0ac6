import { isHostedLidUser, isHostedPnUser, isLidUser, isPnUser, jidDecode } from 'baileys'
import type { WhatsAppAddress } from '#src/model/whatsapp-address.ts'

/** The address that a JID stands for, without its device. Nothing for groups, broadcasts and newsletters. */
export function addressOfJid(jid: string | undefined): WhatsAppAddress {
  const user = jid === undefined ? undefined : jidDecode(jid)?.user
  if (user === undefined || !/^\d+$/.test(user)) return {}
  if (isPnUser(jid) || isHostedPnUser(jid)) return { phone: user }
  if (isLidUser(jid) || isHostedLidUser(jid)) return { lid: user }
  return {}
}

/** The JID to send to: the phone number where it is known, since the devices of both are looked up by it. */
export function jidOfAddress({ phone, lid }: WhatsAppAddress): string | undefined {
  if (phone !== undefined) return `${phone}@s.whatsapp.net`
  return lid === undefined ? undefined : `${lid}@lid`
}

/** All JIDs of an address, without a device: by LID first. */
export const jidsOfAddress = ({ phone, lid }: WhatsAppAddress): string[] => [
  ...(lid === undefined ? [] : [`${lid}@lid`]),
  ...(phone === undefined ? [] : [`${phone}@s.whatsapp.net`]),
]

export const isAddressed = ({ phone, lid }: WhatsAppAddress): boolean => phone !== undefined || lid !== undefined
