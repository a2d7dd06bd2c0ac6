import type { AiResponderSettings } from '@frontdesk/api-contract'
import type { Turn } from '#src/model/turn.ts'

/** What a company's `limits` are, with what holds in place of what it has left out. */
export interface AiLimits {
  steps: number
  turnsPerConversation: number
  turnsPerDay: number
  /** In millionths of the price's currency. */
  microsPerConversation: number
  microsPerDay: number
}

export const aiLimits = ({
  steps = 6,
  turnsPerConversation = 50,
  turnsPerDay = 2000,
  costPerConversation = 1,
  costPerDay = 20,
}: NonNullable<AiResponderSettings['limits']> = {}): AiLimits => ({
  ...{ steps, turnsPerConversation, turnsPerDay },
  microsPerConversation: costPerConversation * 1_000_000,
  microsPerDay: costPerDay * 1_000_000,
})

/** Whose limit is reached, if one is. `spentMicros`: in this turn. */
export function reachedLimit(
  { conversation, today }: Pick<Turn, 'conversation' | 'today'>,
  limits: AiLimits,
  spentMicros = 0,
): 'conversation' | 'day' | undefined {
  if (
    conversation.turns >= limits.turnsPerConversation ||
    conversation.costMicros + spentMicros >= limits.microsPerConversation
  ) {
    return 'conversation'
  }
  return today.turns >= limits.turnsPerDay || today.costMicros + spentMicros >= limits.microsPerDay ? 'day' : undefined
}
