import type { ReceivedMessage } from './session-store.ts'

/**
 * What is older than this when it arrives, or when its turn comes, is no longer answered: the moment has passed. So what
 * came while the session was away for an hour is answered, and the backlog of three days is not.
 */
export const MAX_ANSWER_AGE_MS = 24 * 60 * 60 * 1000

/** WhatsApp's name for what clients tell each other: a deletion, an edit, a setting. */
export const PROTOCOL_MESSAGE = 'protocolMessage'

/**
 * Whether a message may be answered at all: written by the customer, readable, not of the time before the number was
 * linked, and not a backlog of days that WhatsApp hands over after a long silence. The inbox row and the lanes must agree, hence one function.
 */
export const isAnswerable = (
  message: Pick<ReceivedMessage, 'direction' | 'origin' | 'sentAt' | 'content' | 'isHistory'>,
  nowMs: number,
): boolean =>
  message.direction === 'inbound' &&
  message.origin === 'customer' &&
  !message.isHistory &&
  message.content.kind !== 'pending' &&
  !(message.content.kind === 'unsupported' && message.content.whatsappType === PROTOCOL_MESSAGE) &&
  nowMs - message.sentAt.getTime() <= MAX_ANSWER_AGE_MS
