import { randomUUID } from 'node:crypto'
import type { ChatRequest } from './chat-request.ts'
import type { ModelReply } from './model-reply.ts'

const PIECE_LENGTH = 16

interface ToolCall {
  id: string
  type: 'function'
  function: { name: string; arguments: string }
}

/** A completion in the form in which it is answered, in one piece or as a stream. */
export interface Completion {
  id: string
  created: number
  model: string
  text: string | null
  toolCalls: ToolCall[]
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number }
}

export function completionOf({ text, toolCalls = [], usage }: ModelReply, request: ChatRequest): Completion {
  const calls = toolCalls.map(
    ({ name, arguments: input }): ToolCall => ({
      id: `call_${randomUUID()}`,
      type: 'function',
      function: { name, arguments: typeof input === 'string' ? input : JSON.stringify(input) },
    }),
  )
  const input = usage?.input ?? tokens(JSON.stringify(request.messages))
  const output = usage?.output ?? tokens((text ?? '') + JSON.stringify(calls))
  return {
    id: `chatcmpl-${randomUUID()}`,
    created: Math.floor(Date.now() / 1000),
    model: request.model,
    text: text ?? (calls.length > 0 ? null : ''),
    toolCalls: calls,
    usage: { prompt_tokens: input, completion_tokens: output, total_tokens: input + output },
  }
}

const tokens = (text: string) => Math.ceil(text.length / 4)

/** The answer as one JSON object, in pieces. */
export function bodyPieces({ id, created, model, text, toolCalls, usage }: Completion): string[] {
  const message = { role: 'assistant', content: text, ...(toolCalls.length > 0 && { tool_calls: toolCalls }) }
  const finish_reason = toolCalls.length > 0 ? 'tool_calls' : 'stop'
  const choices = [{ index: 0, message, logprobs: null, finish_reason }]
  return split(JSON.stringify({ id, object: 'chat.completion', created, model, choices, usage }))
}

/** The answer as server-sent events. */
export function streamPieces({ id, created, model, text, toolCalls, usage }: Completion): string[] {
  const event = (choices: object[], more: object = {}) =>
    `data: ${JSON.stringify({ id, object: 'chat.completion.chunk', created, model, choices, ...more })}\n\n`
  const delta = (each: object, finish_reason: string | null = null) => event([{ index: 0, delta: each, finish_reason }])
  return [
    delta({ role: 'assistant', content: text === null ? null : '' }),
    ...split(text ?? '').map((content) => delta({ content })),
    ...toolCalls.flatMap(({ id: callId, type, function: { name, arguments: input } }, index) => [
      delta({ tool_calls: [{ index, id: callId, type, function: { name, arguments: '' } }] }),
      ...split(input).map((piece) => delta({ tool_calls: [{ index, function: { arguments: piece } }] })),
    ]),
    delta({}, toolCalls.length > 0 ? 'tool_calls' : 'stop'),
    event([], { usage }),
    'data: [DONE]\n\n',
  ]
}

/** None of the characters is cut in two. Long texts are cut into few pieces. */
function split(text: string): string[] {
  const length = Math.max(PIECE_LENGTH, Math.ceil(text.length / 1000))
  return text.match(new RegExp(`[^]{1,${length}}`, 'gu')) ?? []
}
