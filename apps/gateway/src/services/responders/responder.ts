import type { OutgoingContent } from '@frontdesk/api-contract'
import type { ErrorCode } from '#src/model/errors.ts'
import type { Turn } from '#src/model/turn.ts'

/** What a responder has to say to a turn. */
export interface Answer {
  /** In the order of sending; none for no answer. */
  messages: OutgoingContent[]
  /** Why there is no answer, or only the fallback's. */
  errorCode?: ErrorCode
}

/**
 * Answers customers. The same turn may come again after a restart, hence a responder that does more than to answer
 * must recognise it by its id.
 */
export interface Responder {
  readonly name: 'none' | 'rules' | 'http'
  /** Its own failures are part of the answer; rejects only when the signal is aborted. */
  answer(turn: Turn, signal: AbortSignal): Promise<Answer>
}
