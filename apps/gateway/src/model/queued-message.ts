import type { OutgoingContent, WaitReason } from '@frontdesk/api-contract'
import type { WhatsAppAddress } from './whatsapp-address.ts'

/** A message that waits in the outbox for its session to send it. */
export interface QueuedMessage {
  id: string
  contactId: string
  whatsappId: string
  /** All known addresses of the contact. Empty only if the contact has lost its addresses. */
  to: WhatsAppAddress
  content: OutgoingContent
  /** For how long the customer sees somebody typing before it; null where the session's setting decides. */
  typingMs: number | null
  /** How often it was sent without an acknowledgement. */
  attempts: number
  /** Not to be sent before this moment, which stands in its row. */
  nextAttemptAt: Date | null
  waitReason: WaitReason | null
  /** Not to be sent before this moment, whatever else; the chat's other messages do not wait for it. */
  sendAt: Date | null
  /** Not to be sent from this moment on. */
  expiresAt: Date | null
  /** Answers a customer who has just written. */
  isAnswer: boolean
}

/** How long a message is worth sending when nobody has said otherwise: nobody wants a reminder of last week. */
export const MESSAGE_LIFETIME_MS = 24 * 60 * 60 * 1000
