import type { ModelMessage } from 'ai'
import { type PastMessage, type Turn, textsOf } from '#src/model/turn.ts'

const MAX_BURST_LENGTH = 16_000

/**
 * About how many tokens a model counts for the text: one for three bytes of UTF-8. That is a third too many for English,
 * about right for other languages of Europe, and for Chinese; models differ, and none is asked.
 */
export const estimateTokens = (text: string): number => Math.ceil(Buffer.byteLength(text) / 3)

/** What the customer says in the turn, as one text; empty where it has none, such as a picture alone. */
export const burstText = (turn: Pick<Turn, 'messages'>): string => textsOf(turn).join('\n').slice(0, MAX_BURST_LENGTH)

/**
 * The conversation as the model is told it: the newest of what was written before, as far as it fits, and then the
 * burst. What one side wrote in a row is one message, since some models insist on taking turns.
 */
export function conversationOf(past: readonly PastMessage[], burst: string, memoryTokens: number): ModelMessage[] {
  const remembered: PastMessage[] = []
  let tokens = 0
  for (const message of past.toReversed()) {
    tokens += estimateTokens(message.text)
    if (tokens > memoryTokens) break
    remembered.unshift(message)
  }
  const sides = [...remembered, { from: 'customer' as const, text: burst }]
  return sides.reduce<{ role: 'user' | 'assistant'; content: string }[]>((messages, { from, text }) => {
    const role = from === 'customer' ? 'user' : 'assistant'
    const last = messages.at(-1)
    if (last?.role === role) last.content += `\n${text}`
    else messages.push({ role, content: text })
    return messages
  }, [])
}
