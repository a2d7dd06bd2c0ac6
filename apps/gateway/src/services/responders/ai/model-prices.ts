import type { AiPrice } from '@frontdesk/api-contract'

/**
 * The makers' list prices of 2025-12-01, in US dollars for a million tokens: of what the model is told, and of what it
 * says.
 */
const PRICES: Readonly<Record<string, readonly [input: number, output: number]>> = {
  'gpt-5.1': [1.25, 10],
  'gpt-5': [1.25, 10],
  'gpt-5-mini': [0.25, 2],
  'gpt-5-nano': [0.05, 0.4],
  'gpt-4.1': [2, 8],
  'gpt-4.1-mini': [0.4, 1.6],
  'gpt-4.1-nano': [0.1, 0.4],
  'gpt-4o': [2.5, 10],
  'gpt-4o-mini': [0.15, 0.6],
  'o4-mini': [1.1, 4.4],
  o3: [2, 8],
  'claude-opus-4-5': [5, 25],
  'claude-sonnet-4-5': [3, 15],
  'claude-haiku-4-5': [1, 5],
  'gemini-2.5-pro': [1.25, 10],
  'gemini-2.5-flash': [0.3, 2.5],
  'gemini-2.5-flash-lite': [0.1, 0.4],
  'mistral-large-latest': [0.5, 1.5],
  'mistral-small-latest': [0.1, 0.3],
  'deepseek-chat': [0.28, 0.42],
}

/** What the model costs; undefined where nobody has said. A maker's name before it, or a date after it, makes no difference. */
export function priceOf(model: string, own: AiPrice | undefined): AiPrice | undefined {
  if (own !== undefined) return own
  const name = model.replace(/^.*\//, '').replace(/-(\d{8}|\d{4}-\d{2}-\d{2})$/, '')
  const [inputPerMillion, outputPerMillion] = (Object.hasOwn(PRICES, name) ? PRICES[name] : undefined) ?? []
  return inputPerMillion === undefined || outputPerMillion === undefined
    ? undefined
    : { inputPerMillion, outputPerMillion }
}

/** In millionths of the price's currency. */
export const costMicros = (
  { inputPerMillion, outputPerMillion }: AiPrice,
  { inputTokens, outputTokens }: { inputTokens: number; outputTokens: number },
): number => Math.ceil(inputTokens * inputPerMillion + outputTokens * outputPerMillion)
