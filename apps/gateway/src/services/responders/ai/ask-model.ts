import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import type { AiResponderSettings } from '@frontdesk/api-contract'
import {
  dynamicTool,
  extractReasoningMiddleware,
  generateText,
  isStepCount,
  jsonSchema,
  type ModelMessage,
  wrapLanguageModel,
} from 'ai'
import type { AnswerTool } from './answer-tool.ts'
import { retryingFetch } from './retrying-fetch.ts'
import type { ToolCalls } from './tool-calls.ts'

const BASE_URL = 'https://api.openai.com/v1'

export interface ModelRequest {
  settings: AiResponderSettings
  apiKey: string | undefined
  fetch: typeof globalThis.fetch
  firstRetryMs: number
  /** When it is over, by the clock of `performance`. */
  deadlineMs: number
  instructions: string
  messages: ModelMessage[]
  tools: readonly AnswerTool[]
  calls: ToolCalls
  mostSteps: number
  /** Told of what each call of the model has used, before its tools are called. */
  onUsed: (usage: { inputTokens: number; outputTokens: number }) => void
  /** Whether it is over, whatever the model has asked for. */
  isOver: () => boolean
  signal: AbortSignal
}

export interface ModelAnswer {
  text: string
  /** The model stopped in the middle, at `maxOutputTokens`. */
  isCutOff: boolean
  /** It still asked for tools when it could have no more. */
  wantsMore: boolean
}

/** Has the model answer, and use tools on the way. Rejects with what `modelFailure` explains, or as the signal does. */
export async function askModel(request: ModelRequest): Promise<ModelAnswer> {
  const { settings, instructions, messages, tools, calls, mostSteps, onUsed, isOver, signal } = request
  const { maxOutputTokens = 1000, temperature } = settings
  const result = await generateText({
    model: wrapLanguageModel({
      model: modelOf(request),
      // Some models think aloud; that is not for the customer.
      middleware: extractReasoningMiddleware({ tagName: 'think' }),
    }),
    ...{ instructions, messages, maxOutputTokens, ...(temperature !== undefined && { temperature }) },
    tools: Object.fromEntries(tools.map((each) => [each.name, toolOf(each, calls)])),
    toolCallConcurrency: 1,
    stopWhen: [isStepCount(mostSteps), isOver],
    // The last call is there for an answer.
    prepareStep: ({ stepNumber }) => (stepNumber > 0 && stepNumber + 1 >= mostSteps ? { toolChoice: 'none' } : {}),
    onLanguageModelCallEnd: ({ usage, content }) => {
      onUsed({ inputTokens: usage.inputTokens ?? 0, outputTokens: usage.outputTokens ?? 0 })
      for (const part of content) {
        if (part.type === 'tool-call' && part.invalid === true) {
          calls.refuse(part.toolName, part.input, 'Not called: there is no such tool, or these are no arguments.')
        }
      }
    },
    // The request is repeated below all this, where a cut answer is seen as well.
    maxRetries: 0,
    abortSignal: signal,
  })
  const { text, finishReason } = result
  return { text, isCutOff: finishReason === 'length', wantsMore: finishReason === 'tool-calls' }
}

function modelOf({ settings: { baseUrl = BASE_URL, model }, apiKey, fetch, firstRetryMs, deadlineMs }: ModelRequest) {
  const provider = createOpenAICompatible({
    name: 'model',
    baseURL: baseUrl.replace(/\/+$/, ''),
    ...(apiKey !== undefined && { apiKey }),
    fetch: retryingFetch(fetch, { firstRetryMs, deadlineMs }),
    // OpenAI's newer models refuse the name that all others know.
    transformRequestBody: ({ max_tokens, ...body }) =>
      new URL(baseUrl).hostname === 'api.openai.com'
        ? { ...body, max_completion_tokens: max_tokens }
        : { ...body, max_tokens },
  })
  return provider(model)
}

const toolOf = (tool: AnswerTool, calls: ToolCalls) =>
  dynamicTool({
    description: tool.description,
    // Checked when it is called, so that what does not fit stands in the trace.
    inputSchema: jsonSchema({ type: 'object', ...tool.parameters }),
    execute: calls.prepare(tool),
  })

// Warnings about options that a model does not know would go to the console, past the log.
globalThis.AI_SDK_LOG_WARNINGS = false
