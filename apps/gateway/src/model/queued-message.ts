import type { OutgoingContent } from '@frontdesk/api-contract'
import type { WhatsAppAddress } from './whatsapp-address.ts'

/** A message that waits in the outbox for its session to send it. */
export interface QueuedMessage {
  id: string
  contactId: string
  whatsappId: string
  /** All known addresses of the contact. Empty only if the contact has lost its addresses. */
  to: WhatsAppAddress
  content: OutgoingContent
  /** How often it was sent without an acknowledgement. */
  attempts: number
  /** Not to be sent before this moment. */
  nextAttemptAt: Date | null
  createdAt: Date
}
