const MAX_LENGTH = 1000
const MOST_MESSAGES = 5

/** Where a text is best divided: after a paragraph, a line, a sentence, a word. */
const BREAKS = [/\n\s*\n/g, /\n/g, /[.!?…。！？](?=\s)|[。！？]/gu, /\s/g]

/**
 * A long answer as the messages that a person would write: of about a thousand characters, five at most. What is left
 * after the fifth is left out.
 */
export function splitAnswer(text: string): string[] {
  const messages: string[] = []
  let rest = text.trim()
  while (rest !== '' && messages.length < MOST_MESSAGES) {
    const end = rest.length <= MAX_LENGTH ? rest.length : lastBreak(rest.slice(0, MAX_LENGTH + 1))
    messages.push(rest.slice(0, end).trimEnd())
    rest = rest.slice(end).trimStart()
  }
  return messages
}

function lastBreak(text: string): number {
  for (const pattern of BREAKS) {
    const last = [...text.matchAll(pattern)].at(-1)
    const end = last === undefined ? 0 : last.index + last[0].length
    // A message of a few words, and a long one after it, reads worse than a break at another place.
    if (end > MAX_LENGTH / 3 && end <= MAX_LENGTH) return end
  }
  // Nowhere: in the middle of it, but not of a character.
  const isHalf = /[\uD800-\uDBFF]$/.test(text.slice(0, MAX_LENGTH))
  return isHalf ? MAX_LENGTH - 1 : MAX_LENGTH
}
