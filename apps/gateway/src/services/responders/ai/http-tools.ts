import type { HttpToolSettings } from '@frontdesk/api-contract'
import type { Turn } from '#src/model/turn.ts'
import type { ReplyTools } from '../responder.ts'
import { type AnswerTool, type Json, ToolFailure } from './answer-tool.ts'
import { describeNetworkError } from './guarded-fetch.ts'
import { readHeaders } from './read-headers.ts'

const TIMEOUT_MS = 10_000
const MAX_ERROR_LENGTH = 1000

export interface HttpToolOptions {
  turn: Pick<Turn, 'id' | 'company' | 'contact'>
  fetch: typeof globalThis.fetch
  secret: ReplyTools['secret']
}

/** A function of the company's own system. Whose turn it is, the call says by itself: the model has no say in it. */
export function createHttpTool(settings: HttpToolSettings, { turn, fetch, secret }: HttpToolOptions): AnswerTool {
  const { name, description, parameters, url, headers, timeoutMs = TIMEOUT_MS } = settings
  return {
    ...{ name, description, parameters },
    async call(input, callId, signal) {
      const own = { 'content-type': 'application/json', 'idempotency-key': callId, 'user-agent': 'Frontdesk' }
      const request = {
        method: 'POST',
        headers: { ...(await readHeaders(headers, secret)), ...own },
        body: JSON.stringify({
          turnId: turn.id,
          callId,
          company: turn.company,
          contact: turn.contact,
          arguments: input,
        }),
      }
      const timeout = AbortSignal.timeout(timeoutMs)
      let status: number
      let text: string
      try {
        const response = await fetch(url, { ...request, signal: AbortSignal.any([signal, timeout]) })
        status = response.status
        text = await response.text()
      } catch (error) {
        if (timeout.aborted) throw new ToolFailure(`No answer within ${timeoutMs} ms.`, { cause: error })
        throw new ToolFailure(describeNetworkError(error), { cause: error })
      }
      // The system may have said why, and the model can make something of that.
      if (status < 200 || status > 299)
        throw new ToolFailure(`Status ${status}. ${text.slice(0, MAX_ERROR_LENGTH)}`.trim())
      return parse(text)
    },
  }
}

function parse(text: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch {
    // It may answer in plain text as well.
    return text
  }
}
