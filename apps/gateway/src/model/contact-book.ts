import type { WhatsAppAddress } from './whatsapp-address.ts'

/** The canonical contact behind any of its addresses; merges contacts that turn out to be one. One company's. */
export interface ContactBook {
  contactOf(address: WhatsAppAddress, name?: string): string | Promise<string>
}
