import type { AnswerMessage, ConversationReason } from '@frontdesk/api-contract'
import { MAX_ANSWER_AGE_MS } from '#src/model/answerable.ts'
import type { ErrorCode } from '#src/model/errors.ts'
import type { PastMessage, Turn } from '#src/model/turn.ts'
import type { EffectiveSettings } from '#src/services/inbox/company-settings.ts'

/** The conversation is a person's from now on. */
export interface Handoff {
  reason: ConversationReason
  /** The reason as a responder puts it. */
  detail?: string
}

/** Whether a turn may be answered by a responder. `leave`: it is over, with these messages, or without any. */
export type Verdict =
  | { kind: 'ask' }
  | { kind: 'leave'; code: ErrorCode; messages: AnswerMessage[]; handoff?: Handoff; holdUntil?: Date }

export interface Circumstances {
  /** The moment that counts as now. */
  at: Date
  /** What was written in the chat before the turn, oldest first: at most so many messages. */
  history: (limit: number) => Promise<PastMessage[]>
}

/** The guardrails, in the order in which they count. */
export async function judgeTurn(turn: Turn, settings: EffectiveSettings, { at }: Circumstances): Promise<Verdict> {
  const leave = (code: ErrorCode): Verdict => ({ kind: 'leave', code, messages: [] })
  if (turn.isOptedOut) return leave('contact_opted_out')
  if (isTooLate(turn, at)) return leave('answer_too_late')
  if (turn.conversation.state === 'waiting' || turn.conversation.state === 'human')
    return leave('conversation_with_person')
  if (turn.contact.phone !== null && settings.ignore.has(turn.contact.phone)) return leave('contact_ignored')
  return { kind: 'ask' }
}

/** Of a turn that was held, the moment has not passed while it was. */
const isTooLate = ({ messages, heldUntil }: Turn, at: Date): boolean =>
  messages.every(
    ({ sentAt }) => at.getTime() - Math.max(sentAt.getTime(), heldUntil?.getTime() ?? 0) > MAX_ANSWER_AGE_MS,
  )
