import { setImmediate as breathe } from 'node:timers/promises'
import { compilePattern, type RulesResponderSettings } from '@frontdesk/api-contract'
import { isBlank, sanitizeText } from '#src/model/text.ts'
import { textsOf } from '#src/model/turn.ts'
import { composeAnswer } from './compose-answer.ts'
import { KeywordIndex } from './keyword-index.ts'
import type { Reply, Responder } from './responder.ts'
import { wordsOf } from './words.ts'

/** Longer messages are read up to here. Nobody asks a keyword question later than that. */
const READ_LENGTH = 4096
/** A burst is searched for patterns up to here: what one pattern costs is bounded by this. */
const SEARCHED_LENGTH = 4096

/** A rule that can apply, and what follows from it. */
interface Rule {
  /** Its place in the settings. */
  name: string
  answer: string
  when?: 'open' | 'closed' | undefined
  handoff?: boolean | undefined
}

/** A rule that applies, and where the customer asked for it: in words from the beginning of the burst. */
interface Match extends Rule {
  position: number
}

/**
 * Answers by the company's keywords, patterns and frequent questions. Everything that applies to the burst makes one
 * message, in the order in which the customer asked; a greeting is answered on its own, or opens the other answers.
 * A burst without any text, such as a picture or a reaction, is not answered: there is nothing to find a keyword in.
 */
export function createRulesResponder(settings: RulesResponderSettings): Responder {
  const { welcome, greeting, keywords = [], patterns = [], faq = [] } = settings
  const index = new KeywordIndex([
    ...(greeting?.keywords ?? []),
    ...keywords.flatMap((rule) => rule.any),
    ...faq.flatMap((entry) => entry.keywords),
  ])
  const searches = patterns.map(({ pattern, ...rule }, place) => ({
    // Settings with a pattern that cannot be searched for are refused when they are saved.
    search: compilePattern(pattern).search,
    rule: { ...rule, name: `patterns[${place}]` },
  }))

  /** Where each keyword stands decides. */
  function byKeywords(found: ReadonlyMap<string, number>): Match[] {
    const positions = (wanted: readonly string[]) => wanted.map((keyword) => found.get(keyword) ?? Number.NaN)
    return [
      ...keywords.map(({ any, ...rule }, place) => ({
        ...rule,
        name: `keywords[${place}]`,
        position: Math.min(...positions(any).filter((position) => !Number.isNaN(position))),
      })),
      // A question is asked where the last of its keywords stands; one that is missing makes it NaN.
      ...faq.map(({ keywords: all, answer }, place) => ({
        answer,
        name: `faq[${place}]`,
        position: Math.max(...positions(all)),
      })),
    ].filter(({ position }) => Number.isFinite(position))
  }

  async function byPatterns(texts: readonly string[]): Promise<Match[]> {
    if (searches.length === 0) return []
    const counted = texts.map((text) => ({ text, words: wordsOf(text).length }))
    const matches: Match[] = []
    for (const { search, rule } of searches) {
      const position = placeOf(search, counted)
      if (position !== undefined) matches.push({ ...rule, position })
      // A company with many slow patterns holds up nobody else for longer than one of them takes.
      await breathe()
    }
    return matches
  }

  async function replyTo(texts: string[], isFirst: boolean, isOpen: boolean | undefined): Promise<Reply> {
    const found = index.find(texts)
    const matches = [...byKeywords(found), ...(await byPatterns(texts))]
      .filter(({ when }) => when === undefined || (when === 'open' ? isOpen === true : isOpen === false))
      .toSorted((a, b) => a.position - b.position)
    const isGreeted = greeting?.keywords.some((keyword) => found.has(keyword)) ?? false
    const isWelcomed = isFirst && welcome !== undefined
    const rules = [
      ...(isWelcomed ? ['welcome'] : []),
      ...(isGreeted ? ['greeting'] : []),
      ...matches.map(({ name }) => name),
    ]
    const answers = matches.length > 0 ? matches.map(({ answer }) => answer) : isGreeted ? [greeting?.answer ?? ''] : []
    const opening = isWelcomed ? welcome : isGreeted && matches.length > 0 ? (greeting?.opening ?? '') : ''
    const text = sanitizeText(composeAnswer([opening, ...answers]))
    const handingOver = matches.find(({ handoff }) => handoff === true)
    return {
      outcome: answers.length > 0 && !isBlank(text) ? 'answered' : 'passed',
      messages: isBlank(text) ? [] : [{ kind: 'text', text }],
      ...(handingOver && { handoff: handingOver.name }),
      ...(rules.length > 0 && { trace: { rules } }),
    }
  }

  return {
    name: 'rules',
    async answer(turn, { signal, isOpen }) {
      signal.throwIfAborted()
      const texts = textsOf(turn).map((text) => text.slice(0, READ_LENGTH))
      if (texts.length === 0) return { outcome: 'passed', messages: [] }
      return await replyTo(texts, turn.isFirst, isOpen)
    },
  }
}

/** Where a pattern stands first, counted as keywords are. */
function placeOf(
  search: (text: string) => number,
  texts: readonly { text: string; words: number }[],
): number | undefined {
  let wordsBefore = 0
  let left = SEARCHED_LENGTH
  for (const { text, words } of texts) {
    if (left === 0) return undefined
    const searched = text.slice(0, left)
    const place = search(searched)
    if (place >= 0) return wordsBefore + wordsOf(searched.slice(0, place)).length
    left -= searched.length
    wordsBefore += words + 1
  }
  return undefined
}
