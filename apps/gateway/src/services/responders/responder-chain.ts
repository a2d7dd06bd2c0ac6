import type { AnswerMessage, ResponderStep } from '@frontdesk/api-contract'
import type { ErrorCode } from '#src/model/errors.ts'
import type { Turn } from '#src/model/turn.ts'
import type { Reply, ReplyTools, Responder } from './responder.ts'

/** What the responders made of a turn together. */
export interface ChainReply {
  messages: AnswerMessage[]
  /** Who has answered, or decided that there is no answer; the last one that was asked where nobody did. */
  responder: Responder['name'] | null
  handoff?: string
  labels: string[]
  /** Of the first one that failed, where nobody after it answered. */
  errorCode?: ErrorCode
  usage: { inputTokens: number; outputTokens: number; costMicros: number }
  steps: ResponderStep[]
  usedFallback: boolean
}

/**
 * Asks one responder after the other, until one has an answer or has decided that there is none; says the fallback when
 * nobody did.
 */
export async function askResponders(
  responders: readonly Responder[],
  {
    turn,
    fallback,
    tools,
    onError,
  }: {
    turn: Turn
    fallback: string | undefined
    tools: ReplyTools
    /** Told of what no responder should do: reject. */
    onError: (err: unknown, responder: Responder['name']) => void
  },
): Promise<ChainReply> {
  const steps: ResponderStep[] = []
  const labels = new Set<string>()
  const opening: AnswerMessage[] = []
  const usage = { inputTokens: 0, outputTokens: 0, costMicros: 0 }
  let failure: ErrorCode | undefined
  for (const responder of responders) {
    const beganAt = performance.now()
    const reply = await ask(responder, turn, tools, onError)
    const { outcome, messages, errorCode, handoff, trace } = reply
    const durationMs = Math.round(performance.now() - beganAt)
    steps.push({ responder: responder.name, outcome, ...(errorCode && { code: errorCode }), durationMs, ...trace })
    for (const label of reply.labels ?? []) labels.add(label)
    usage.inputTokens += reply.usage?.inputTokens ?? 0
    usage.outputTokens += reply.usage?.outputTokens ?? 0
    usage.costMicros += reply.usage?.costMicros ?? 0
    const isOver = outcome === 'answered' || outcome === 'silent' || handoff !== undefined
    if (isOver) {
      return {
        messages: messages.length > 0 ? [...opening, ...messages] : [],
        ...{ responder: responder.name, labels: [...labels], usage, steps, usedFallback: false },
        ...(handoff !== undefined && { handoff }),
        ...(errorCode && { errorCode }),
      }
    }
    opening.push(...messages)
    failure ??= errorCode
  }
  return {
    messages: fallback === undefined ? [] : [...opening, { kind: 'text', text: fallback }],
    responder: responders.at(-1)?.name ?? null,
    ...{ labels: [...labels], usage, steps, usedFallback: fallback !== undefined },
    ...(failure && { errorCode: failure }),
  }
}

async function ask(
  responder: Responder,
  turn: Turn,
  tools: ReplyTools,
  onError: (err: unknown, responder: Responder['name']) => void,
): Promise<Reply> {
  try {
    return await responder.answer(turn, tools)
  } catch (err) {
    tools.signal.throwIfAborted()
    onError(err, responder.name)
    return { outcome: 'failed', messages: [], errorCode: 'internal' }
  }
}
