import type { AiResponderSettings } from '@frontdesk/api-contract'
import type { Turn } from '#src/model/turn.ts'
import type { OutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'
import type { ResponderFailure } from '../post-turn.ts'
import type { Reply, ReplyTools, Responder } from '../responder.ts'
import { aiLimits, reachedLimit } from './ai-limits.ts'
import { burstText } from './memory.ts'

export interface AiResponderOptions {
  urlGuard: OutgoingUrlGuard
  /** Origins of MCP servers that the deployment allows. */
  mcpServers: readonly string[]
  /** Told of each answer that failed. */
  onFailure: (turn: Turn, failure: ResponderFailure) => void
  /** How long to wait after the first request that failed; later ones wait longer. */
  firstRetryMs?: number
}

/**
 * Asks a language model. A burst without any text, such as a picture, is passed on. When a limit of the conversation is
 * reached it is handed over, as the customer has written and somebody should answer; when one of the day is, the next
 * responder is asked.
 */
export function createAiResponder(settings: AiResponderSettings, options: AiResponderOptions): Responder {
  const limits = aiLimits(settings.limits)

  async function answer(turn: Turn, tools: ReplyTools): Promise<Reply> {
    tools.signal.throwIfAborted()
    const burst = burstText(turn)
    if (burst.trim() === '') return { outcome: 'passed', messages: [] }
    const limit = reachedLimit(turn, limits)
    if (limit !== undefined) {
      const detail = `The limit of the ${limit} is reached.`
      return {
        ...failed('ai_limit_reached', detail),
        ...(limit === 'conversation' && { handoff: detail }),
      }
    }
    const apiKey = settings.apiKey === undefined ? undefined : await tools.secret(settings.apiKey)
    if (settings.apiKey !== undefined && apiKey === undefined) {
      return failed('secret_missing', `"${settings.apiKey}" is not there.`)
    }
    // What it takes to speak to models is large, and many deployments never do.
    const { answerWithModel } = await import('./answer-with-model.ts')
    return await answerWithModel({ turn, burst, tools, settings, limits, apiKey, ...options })
  }

  return {
    name: 'ai',
    async answer(turn, tools) {
      const reply = await answer(turn, tools)
      const { outcome, errorCode, trace } = reply
      if (outcome === 'failed' && errorCode !== undefined) {
        options.onFailure(turn, { errorCode, detail: trace?.detail ?? '', isFinal: true })
      }
      return reply
    },
  }
}

const failed = (errorCode: ResponderFailure['errorCode'], detail: string): Reply => ({
  ...{ outcome: 'failed', messages: [], errorCode, trace: { detail } },
})
