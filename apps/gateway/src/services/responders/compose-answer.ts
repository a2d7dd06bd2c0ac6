import { MAX_TEXT_LENGTH } from '@frontdesk/api-contract'

const ENDS_A_SENTENCE = /(?:[.!?…:;。！？)]|\p{Extended_Pictographic}\uFE0F?)$/u

/**
 * Several answers as the one text that a person would write: equal ones once; short sentences in a row; anything with
 * lines of its own as a paragraph. What does not fit into one message is left out, from the end.
 */
export function composeAnswer(parts: readonly string[]): string {
  let answer = ''
  for (const part of new Set(parts.map((each) => each.trim()))) {
    if (part === '') continue
    const joined = answer === '' ? part : answer + separator(answer, part) + part
    if (joined.length > MAX_TEXT_LENGTH) break
    answer = joined
  }
  return answer
}

function separator(before: string, after: string): string {
  if (before.includes('\n') || after.includes('\n')) return '\n\n'
  return ENDS_A_SENTENCE.test(before) ? ' ' : '\n'
}
