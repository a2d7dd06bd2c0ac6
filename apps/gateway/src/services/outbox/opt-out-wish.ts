import type { OptOutSettings } from '@frontdesk/api-contract'
import { wordsOf } from '#src/services/responders/words.ts'

/**
 * What a customer's messages, oldest first, say about wanting messages: true for none from now on, false for some again,
 * undefined when they say nothing of it. Only a message that consists of such a word counts, and the last one wins.
 */
export function optOutWish(
  { stopWords = [], startWords = [] }: OptOutSettings,
  texts: readonly string[],
): boolean | undefined {
  const stops = new Set(stopWords.map(inWords))
  const starts = new Set(startWords.map(inWords))
  const said = texts.map(inWords).findLast((words) => stops.has(words) || starts.has(words))
  return said === undefined ? undefined : stops.has(said)
}

const inWords = (text: string): string => wordsOf(text).join(' ')
