import { APICallError, ToolChoiceViolationError } from 'ai'
import { FrontdeskError } from '#src/model/errors.ts'
import type { ResponderFailure } from '../post-turn.ts'
import { AnswerTooLong, causesOf, describeNetworkError } from './guarded-fetch.ts'

/**
 * Why the model gave no answer. What the endpoint said about it is left out: it may hold parts of the key, and of the
 * messages.
 */
export function modelFailure(error: unknown): Pick<ResponderFailure, 'errorCode' | 'detail'> {
  const causes = causesOf(error)
  const refused = causes.find((each) => each instanceof FrontdeskError)
  if (refused !== undefined) return { errorCode: refused.code, detail: refused.message }
  if (causes.some((each) => each instanceof AnswerTooLong)) {
    return { errorCode: 'model_answer_invalid', detail: describeNetworkError(error) }
  }
  if (ToolChoiceViolationError.isInstance(error)) {
    return { errorCode: 'ai_limit_reached', detail: 'It asked for tools when it could have no more.' }
  }
  const call = causes.find((each) => APICallError.isInstance(each))
  const status = call?.statusCode
  if (status !== undefined && (status < 200 || status > 299)) {
    return { errorCode: 'model_failed', detail: `Status ${status}.` }
  }
  // Whatever fails below HTTP, before an answer or in the middle of it.
  if (status === undefined && (call !== undefined || causes.some((each) => each instanceof TypeError))) {
    return { errorCode: 'model_unreachable', detail: describeNetworkError(error) }
  }
  return { errorCode: 'model_answer_invalid', detail: 'It is not of the form of a chat completion.' }
}
