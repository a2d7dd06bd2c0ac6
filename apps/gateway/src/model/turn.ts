import type { MessageContent } from '@frontdesk/api-contract'

/** One burst of a customer's messages on its way to one answer: all that a responder may know of it. */
export interface Turn {
  id: string
  company: { id: string; name: string }
  session: { id: string; name: string; phone: string | null }
  contact: { id: string; name: string | null; phone: string | null; lid: string | null }
  /** The contact wants no messages. */
  isOptedOut: boolean
  /** Oldest first. */
  messages: TurnMessage[]
  createdAt: Date
}

interface TurnMessage {
  id: string
  content: MessageContent
  /** The sender's own time. */
  sentAt: Date
}
