import type { AiResponderSettings } from '@frontdesk/api-contract'
import type { ErrorCode } from '#src/model/errors.ts'
import { isBlank, sanitizeText } from '#src/model/text.ts'
import type { Turn } from '#src/model/turn.ts'
import type { Reply, ReplyTools } from '../responder.ts'
import { type AiLimits, reachedLimit } from './ai-limits.ts'
import type { AiResponderOptions } from './ai-responder.ts'
import { askModel, type ModelAnswer } from './ask-model.ts'
import { repeatsPrompt } from './guard-answer.ts'
import { guardedFetch } from './guarded-fetch.ts'
import { createHandOverTool, type HandOver } from './hand-over.ts'
import { createHttpTool } from './http-tools.ts'
import { openMcpTools } from './mcp-tools.ts'
import { conversationOf } from './memory.ts'
import { modelFailure } from './model-failure.ts'
import { costMicros, priceOf } from './model-prices.ts'
import { splitAnswer } from './split-answer.ts'
import { PROMPT_RULES, systemPrompt } from './system-prompt.ts'
import { ToolCalls } from './tool-calls.ts'
import { whatsappText } from './whatsapp-text.ts'

const TIMEOUT_MS = 60_000
const MEMORY_TOKENS = 4000
const MOST_PAST_MESSAGES = 200
const MAX_ANSWER_BYTES = 4 * 1024 * 1024
/** Far more than is ever sent; what comes after it is not looked at. */
const MAX_SAID_LENGTH = 20_000

export interface ModelTurn extends Pick<AiResponderOptions, 'urlGuard' | 'mcpServers' | 'firstRetryMs'> {
  turn: Turn
  /** What the customer says. */
  burst: string
  tools: ReplyTools
  settings: AiResponderSettings
  limits: AiLimits
  apiKey: string | undefined
}

/** One answer of a model, from the conversation to the messages. Rejects only when the signal is aborted. */
export async function answerWithModel(asked: ModelTurn): Promise<Reply> {
  const { turn, burst, tools, settings, limits, apiKey, urlGuard, mcpServers, firstRetryMs = 1000 } = asked
  const { timeoutMs = TIMEOUT_MS, memoryTokens = MEMORY_TOKENS, instructions = '' } = settings
  const timeout = AbortSignal.timeout(timeoutMs)
  const deadlineMs = performance.now() + timeoutMs
  const signal = AbortSignal.any([tools.signal, timeout])
  const fetch = guardedFetch(urlGuard, MAX_ANSWER_BYTES)
  const calls = new ToolCalls({ turnId: turn.id, callsTools: tools.callsTools, signal })
  const price = priceOf(settings.model, settings.price)
  const used = { steps: 0, inputTokens: 0, outputTokens: 0 }
  const spentMicros = () => (price === undefined ? 0 : costMicros(price, used))
  const problems: string[] = []
  let handOver: HandOver | undefined

  /** The reply with what it took. */
  const finish = (reply: Reply, detail?: string): Reply => {
    const details = [...(detail === undefined ? [] : [detail]), ...problems]
    return {
      ...reply,
      usage: { inputTokens: used.inputTokens, outputTokens: used.outputTokens, costMicros: spentMicros() },
      trace: {
        ...{ model: settings.model, steps: used.steps, tools: calls.trace },
        tokens: { input: used.inputTokens, output: used.outputTokens },
        ...(price !== undefined && { cost: spentMicros() / 1_000_000 }),
        ...(details.length > 0 && { detail: details.join(' ') }),
      },
    }
  }
  const fail = (errorCode: ErrorCode, detail: string) => finish({ outcome: 'failed', messages: [], errorCode }, detail)

  let answer: ModelAnswer
  try {
    const past = memoryTokens === 0 ? [] : await tools.history(MOST_PAST_MESSAGES)
    const { secret, business, openingHours, isOpen, at } = tools
    using mcp = await openMcpTools(settings.mcpServers ?? [], {
      ...{ fetch, secret, signal, allowedOrigins: mcpServers },
    })
    problems.push(...mcp.problems)
    answer = await askModel({
      ...{ settings, apiKey, fetch, firstRetryMs, deadlineMs, calls, signal, mostSteps: limits.steps },
      instructions: systemPrompt({ companyName: turn.company.name, instructions, business, openingHours, isOpen, at }),
      messages: conversationOf(past, burst, memoryTokens),
      // Of the same name, the later one counts.
      tools: [
        ...mcp.tools,
        ...(settings.tools ?? []).map((each) => createHttpTool(each, { turn, fetch, secret })),
        createHandOverTool((said) => {
          handOver = said
        }),
      ],
      onUsed: ({ inputTokens, outputTokens }) => {
        used.steps += 1
        used.inputTokens += inputTokens
        used.outputTokens += outputTokens
      },
      isOver: () => handOver !== undefined || reachedLimit(turn, limits, spentMicros()) !== undefined,
    })
  } catch (error) {
    tools.signal.throwIfAborted()
    if (timeout.aborted) return fail('model_timed_out', `No answer within ${timeoutMs} ms.`)
    const { errorCode, detail } = modelFailure(error)
    return fail(errorCode, detail)
  }

  if (answer.wantsMore && handOver === undefined) {
    return fail('ai_limit_reached', `No answer after ${used.steps} calls of the model.`)
  }
  const said = handOver === undefined || isBlank(handOver.message) ? answer.text : handOver.message
  const text = whatsappText(sanitizeText((answer.isCutOff ? wholeSentences(said) : said).slice(0, MAX_SAID_LENGTH)))
  if (repeatsPrompt(text + (handOver?.reason ?? ''), { rules: PROMPT_RULES, instructions })) {
    return fail('model_answer_invalid', 'It repeats what the model was told.')
  }
  if (isBlank(text) && handOver === undefined) return fail('model_answer_invalid', 'It is blank.')
  const messages = isBlank(text) ? [] : splitAnswer(text).map((each) => ({ kind: 'text' as const, text: each }))
  return finish({
    ...{ outcome: messages.length > 0 ? 'answered' : 'silent', messages },
    ...(handOver && { handoff: handOver.reason }),
  })
}

/** Without the sentence in the middle of which the model had to stop. */
function wholeSentences(text: string): string {
  const last = [...text.matchAll(/[.!?…。！？\n](?=\s|$)/gu)].at(-1)
  return last === undefined ? text : text.slice(0, last.index + 1)
}
