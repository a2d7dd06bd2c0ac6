import type {
  AnswerMessage,
  BusinessSettings,
  OpeningHours,
  ResponderSettings,
  ResponderStep,
} from '@frontdesk/api-contract'
import type { ErrorCode } from '#src/model/errors.ts'
import type { PastMessage, Turn } from '#src/model/turn.ts'

/**
 * What a responder has to say to a turn. `answered`: its messages are the answer. `silent`: there is to be no answer.
 * `passed`: it has nothing to say, and `failed`: it could not; in both cases the next responder is asked.
 */
export interface Reply {
  outcome: ResponderStep['outcome']
  /** In the order of sending. Of `answered`; of `passed`, what is said before the answer that somebody else has. */
  messages: AnswerMessage[]
  /** Hands the conversation over to a person, with the reason as the responder puts it. */
  handoff?: string
  labels?: string[]
  /** Of `failed`; of `answered` where it is less than was asked for. */
  errorCode?: ErrorCode
  usage?: { inputTokens: number; outputTokens: number; costMicros: number }
  /** What it did, for people who ask why. */
  trace?: Omit<ResponderStep, 'responder' | 'outcome' | 'durationMs' | 'code'>
}

/** What a responder may use to answer, beyond the turn. */
export interface ReplyTools {
  /** The moment that counts as now. */
  at: Date
  business: BusinessSettings
  openingHours: OpeningHours | undefined
  /** Whether the company is open at `at`; undefined where no hours are set. */
  isOpen: boolean | undefined
  /** What was written in the chat before the turn, oldest first: at most so many messages. */
  history: (limit: number) => Promise<PastMessage[]>
  /** The value of one of the company's secrets; undefined when there is none of the name. */
  secret: (name: string) => Promise<string | undefined>
  /** Whether tools are really called. False in the playground. */
  callsTools: boolean
  signal: AbortSignal
}

/**
 * Answers customers. The same turn may come again after a restart, hence a responder that does more than to answer
 * must hand on the turn's id.
 */
export interface Responder {
  readonly name: ResponderSettings['kind']
  /** Its own failures are part of the reply; rejects only when the signal is aborted. */
  answer(turn: Turn, tools: ReplyTools): Promise<Reply>
}
