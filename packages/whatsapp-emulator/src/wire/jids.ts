import { jidDecode } from 'baileys'

/** The server's own JID; its user part is empty. */
export const SERVER_JID = '@s.whatsapp.net'

export type Addressing = 'pn' | 'lid'

export interface UserJid {
  user: string
  /** 0 is the phone itself. */
  device: number
  addressing: Addressing
}

export function phoneNumberJid(phone: string, device = 0): string {
  return `${phone}${device ? `:${device}` : ''}@s.whatsapp.net`
}

export function lidJid(lid: string, device = 0): string {
  return `${lid}${device ? `:${device}` : ''}@lid`
}

/** A person's JID; `undefined` for the server, groups, broadcasts and whatever else is no 1:1 partner. */
export function parseUserJid(jid: string | undefined): UserJid | undefined {
  const decoded = jidDecode(jid)
  if (!decoded?.user) return undefined
  const device = decoded.device ?? 0
  if (decoded.server === 's.whatsapp.net' || decoded.server === 'c.us')
    return { user: decoded.user, device, addressing: 'pn' }
  if (decoded.server === 'lid') return { user: decoded.user, device, addressing: 'lid' }
  return undefined
}
