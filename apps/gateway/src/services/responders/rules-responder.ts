import type { RulesResponderSettings } from '@frontdesk/api-contract'
import { isBlank, sanitizeText } from '#src/model/text.ts'
import { composeAnswer } from './compose-answer.ts'
import { KeywordIndex } from './keyword-index.ts'
import type { Responder } from './responder.ts'

/** Longer messages are read up to here. Nobody asks a keyword question later than that. */
const READ_LENGTH = 4096

/**
 * Answers by the company's keywords and frequent questions. Everything that applies to the burst makes one message, in
 * the order in which the customer asked; a greeting is answered on its own, or opens the other answers.
 * A burst without any text, such as a picture or a reaction, is not answered: there is nothing to find a keyword in.
 */
export function createRulesResponder(settings: RulesResponderSettings): Responder {
  const { greeting, keywords = [], faq = [] } = settings
  const index = new KeywordIndex([
    ...(greeting?.keywords ?? []),
    ...keywords.flatMap((rule) => rule.any),
    ...faq.flatMap((entry) => entry.keywords),
  ])

  function answerTo(texts: string[]): string | undefined {
    const found = index.find(texts)
    const positions = (wanted: readonly string[]) => wanted.map((keyword) => found.get(keyword) ?? Number.NaN)
    const matches = [
      ...keywords.map(({ any, answer }) => ({
        answer,
        position: Math.min(...positions(any).filter((position) => !Number.isNaN(position))),
      })),
      // A question is asked where the last of its keywords stands; one that is missing makes it NaN.
      ...faq.map(({ keywords: all, answer }) => ({ answer, position: Math.max(...positions(all)) })),
    ].filter(({ position }) => Number.isFinite(position))
    const answers = matches.toSorted((a, b) => a.position - b.position).map(({ answer }) => answer)

    const isGreeted = greeting?.keywords.some((keyword) => found.has(keyword)) ?? false
    if (answers.length > 0) return composeAnswer(isGreeted ? [greeting?.opening ?? '', ...answers] : answers)
    return isGreeted ? greeting?.answer : undefined
  }

  return {
    name: 'rules',
    answer: async (turn, { signal }) => {
      signal.throwIfAborted()
      const texts = turn.messages.flatMap(({ content }) =>
        content.kind === 'text' ? [content.text.slice(0, READ_LENGTH)] : [],
      )
      const text = sanitizeText((texts.length === 0 ? undefined : answerTo(texts)) ?? '')
      return isBlank(text)
        ? { outcome: 'passed', messages: [] }
        : { outcome: 'answered', messages: [{ kind: 'text', text }] }
    },
  }
}
