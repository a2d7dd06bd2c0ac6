import type { ConversationState, MessageContent, ResponderSettings } from '@frontdesk/api-contract'

/** One burst of a customer's messages on its way to one answer: all that is known of it before it is answered. */
export interface Turn {
  id: string
  company: { id: string; name: string }
  session: { id: string; name: string; phone: string | null }
  contact: { id: string; name: string | null; phone: string | null; lid: string | null }
  /** All of the contact's numbers and LIDs. */
  addresses: string[]
  /** The contact wants no messages. */
  isOptedOut: boolean
  /** Nothing was ever written to the contact before. */
  isFirst: boolean
  conversation: TurnConversation
  /** The company's answers by language models on this day of UTC so far, and their cost. */
  today: AnswerUsage
  /** The end of the quiet hours that it has waited for. */
  heldUntil: Date | null
  /** Oldest first. */
  messages: TurnMessage[]
  createdAt: Date
}

/** The conversation as it stands when its turn is looked at. */
interface TurnConversation {
  id: string
  state: ConversationState
  /** Its own responders; null for the company's. */
  responders: ResponderSettings[] | null
  labels: string[]
  /** Answers of the bot since it was opened, and their cost in millionths of the price's currency. */
  turns: number
  costMicros: number
}

export interface AnswerUsage {
  turns: number
  costMicros: number
}

interface TurnMessage {
  id: string
  content: MessageContent
  /** The sender's own time. */
  sentAt: Date
}

/** A message of the conversation before the turn. */
export interface PastMessage {
  from: 'customer' | 'bot' | 'person'
  text: string
  at: Date
}

/** What the customer says in the turn, message by message, oldest first; nothing for those without a text. */
export const textsOf = ({ messages }: Pick<Turn, 'messages'>): string[] =>
  messages.flatMap(({ content }) => (content.kind === 'text' ? [content.text] : []))
