import type { AnswerMessage, ConversationReason } from '@frontdesk/api-contract'
import { MAX_ANSWER_AGE_MS } from '#src/model/answerable.ts'
import type { ErrorCode } from '#src/model/errors.ts'
import { type PastMessage, type Turn, textsOf } from '#src/model/turn.ts'
import type { EffectiveSettings } from '#src/services/inbox/company-settings.ts'
import { KeywordIndex } from '#src/services/responders/keyword-index.ts'
import { isLoop, LOOP_HISTORY } from './loop.ts'
import { quietUntil } from './quiet-hours.ts'

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

/** What of a message is looked through for words. */
const READ_LENGTH = 4096
/** So many answers are there before a loop can show: before that, nothing is read from the past. */
const LOOP_FROM_TURN = 2
const QUIET_HISTORY = 20
const HOUR_MS = 3_600_000

/** The guardrails, in the order in which they count. */
export async function judgeTurn(
  turn: Turn,
  settings: EffectiveSettings,
  { at, history }: Circumstances,
): Promise<Verdict> {
  const { state } = turn.conversation
  if (turn.isOptedOut) return leave('contact_opted_out')
  if (isTooLate(turn, at)) return leave('answer_too_late')
  if (state === 'waiting' || state === 'human') return leave('conversation_with_person')
  if (isIgnored(turn, settings)) return leave('contact_ignored')
  if (turn.messages.every(isReaction)) return leave('nothing_to_answer')
  const texts = textsOf(turn).map((text) => text.slice(0, READ_LENGTH))
  if (asksForPerson(texts, settings)) {
    const handoff: Handoff = { reason: 'customer_asked' }
    return { ...leave('conversation_with_person', settings.handoff.text), handoff }
  }
  const holdUntil = settings.quietHours && quietUntil(settings.quietHours, at)
  if (holdUntil !== undefined) {
    const text = settings.quietHours?.text
    const isTold = text === undefined || isHeld(turn, at) || wasTold(await history(QUIET_HISTORY), text, holdUntil)
    return { ...leave('quiet_hours', isTold ? undefined : text), holdUntil }
  }
  if (turn.conversation.turns >= LOOP_FROM_TURN && isLoop(await history(LOOP_HISTORY), texts, turn.createdAt)) {
    return { ...leave('conversation_loop'), handoff: { reason: 'loop_suspected' } }
  }
  return { kind: 'ask' }
}

const leave = (code: ErrorCode, text?: string): Verdict & { kind: 'leave' } => ({
  ...{ kind: 'leave', code },
  messages: text === undefined ? [] : [{ kind: 'text', text }],
})

/** Of a turn that was held, the moment has not passed while it was. */
const isTooLate = ({ messages, heldUntil }: Turn, at: Date): boolean =>
  messages.every(
    ({ sentAt }) => at.getTime() - Math.max(sentAt.getTime(), heldUntil?.getTime() ?? 0) > MAX_ANSWER_AGE_MS,
  )

const isIgnored = ({ addresses }: Turn, { ignore }: EffectiveSettings): boolean =>
  addresses.some((address) => ignore.has(address))

/** Nobody waits for an answer to it. A picture is another thing: the company's own system may know what to say. */
const isReaction = ({ content }: Turn['messages'][number]): boolean =>
  content.kind === 'unsupported' && content.whatsappType === 'reactionMessage'

const asksForPerson = (texts: readonly string[], { handoff }: EffectiveSettings): boolean =>
  handoff.words !== undefined && new KeywordIndex(handoff.words).find(texts).size > 0

const isHeld = ({ heldUntil }: Turn, at: Date): boolean => heldUntil !== null && heldUntil > at

/** In this night: less than a day before it ends, and an hour for clocks that are set. */
const wasTold = (past: readonly PastMessage[], text: string, nightEnds: Date): boolean =>
  past.some(
    ({ from, text: said, at }) => from === 'bot' && said === text && nightEnds.getTime() - at.getTime() < 23 * HOUR_MS,
  )
