import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { PastMessage } from '#src/model/turn.ts'
import { repeatsPrompt } from '#src/services/responders/ai/guard-answer.ts'
import { burstText, conversationOf, estimateTokens } from '#src/services/responders/ai/memory.ts'
import { costMicros, priceOf } from '#src/services/responders/ai/model-prices.ts'
import { splitAnswer } from '#src/services/responders/ai/split-answer.ts'
import { PROMPT_RULES, systemPrompt } from '#src/services/responders/ai/system-prompt.ts'
import { whatsappText } from '#src/services/responders/ai/whatsapp-text.ts'
import { turnOf } from '../turn-of.ts'

describe('a long answer', () => {
  test('is divided between paragraphs, or else lines, sentences and words', () => {
    const a = 'a'.repeat(700)
    const b = 'b'.repeat(700)
    expect(splitAnswer(`${a}\n\n${b}\nmore`)).toEqual([a, `${b}\nmore`])
    expect(splitAnswer(`${a}\n${b}`)).toEqual([a, b])
    expect(splitAnswer(`${a}. ${b}`)).toEqual([`${a}.`, b])
    expect(splitAnswer(`${a} ${b}`)).toEqual([a, b])
    expect(splitAnswer(`${a}${b}`)).toEqual(['a'.repeat(700) + 'b'.repeat(300), 'b'.repeat(400)])
    expect(splitAnswer('short')).toEqual(['short'])
  })

  test('loses nothing but space up to five messages, of a thousand characters each', () => {
    const text = fc.array(fc.constantFrom('word', 'Sentence.', '\n', '\n\n', ' ', '👋🏽', 'é'), { maxLength: 1500 })
    fc.assert(
      fc.property(text, (parts) => {
        const whole = parts.join(' ')
        const messages = splitAnswer(whole)
        expect(messages.length).toBeLessThanOrEqual(5)
        for (const each of messages) {
          expect(each.length).toBeLessThanOrEqual(1000)
          expect(each.isWellFormed()).toBe(true)
          expect(each.trim()).toBe(each)
        }
        const letters = (part: string) => part.replace(/\s/g, '')
        const kept = letters(messages.join(''))
        expect(letters(whole).startsWith(kept)).toBe(true)
        if (messages.length < 5) expect(kept).toBe(letters(whole))
      }),
      { numRuns: 50 },
    )
  })
})

describe('Markdown becomes what WhatsApp shows', () => {
  test.each([
    ['**bold** and __bold__', '*bold* and *bold*'],
    ['*italic* and _italic_', '_italic_ and _italic_'],
    ['~~gone~~', '~gone~'],
    ['## Prices\nCut', '*Prices*\nCut'],
    ['# **Prices** #', '*Prices*'],
    ['See [our site](https://salon.example).', 'See our site: https://salon.example.'],
    ['[https://a.example](https://a.example)', 'https://a.example'],
    ['![](https://a.example/a.png)', 'https://a.example/a.png'],
    ['* one\n* two\n+ three', '- one\n- two\n- three'],
    ['| Cut | Price |\n|---|---:|\n| Short | 40 € |', 'Cut – Price\nShort – 40 €'],
    ['above\n\n---\n\nbelow', 'above\n\nbelow'],
    ['```js\nconst a = **b**\n```', '```\nconst a = **b**\n```'],
    ['line<br>line', 'line\nline'],
    ['2 * 3 * 4 = 24', '2 * 3 * 4 = 24'],
    ['snake_case_name, 5*3', 'snake_case_name, 5*3'],
    ['*', '*'],
    ['', ''],
  ])('%j: %j', (markdown, text) => {
    expect(whatsappText(markdown)).toBe(text)
  })

  test('in time that a hostile text cannot stretch', () => {
    for (const part of ['*', '_', '[', '|', '#', '`', '**a', '[a](', '| - ', '~~', '![', ' \n', '-']) {
      expect(typeof whatsappText(part.repeat(4000))).toBe('string')
    }
  })
})

describe('memory', () => {
  const past = (from: PastMessage['from'], text: string): PastMessage => ({ from, text, at: new Date(0) })

  test('keeps the newest that fit', () => {
    const all = ['aaaaaa', 'bbbbbb', 'cccccc'].map((text) => past('customer', text))
    expect(conversationOf(all, 'now', 4)).toEqual([{ role: 'user', content: 'bbbbbb\ncccccc\nnow' }])
    expect(conversationOf(all, 'now', 3)).toEqual([{ role: 'user', content: 'cccccc\nnow' }])
    expect(conversationOf(all, 'now', 0)).toEqual([{ role: 'user', content: 'now' }])
  })

  test('does not skip one that is too long, so that no answer stands without its question', () => {
    const all = [past('customer', 'short'), past('customer', 'x'.repeat(1000)), past('bot', 'yes')]
    expect(conversationOf(all, 'now', 100)).toEqual([
      { role: 'assistant', content: 'yes' },
      { role: 'user', content: 'now' },
    ])
  })

  test('counts more for other scripts than for English', () => {
    expect(estimateTokens('hello!')).toBe(2)
    expect(estimateTokens('你好')).toBe(2)
  })

  test('a burst is its texts, up to a length', () => {
    expect(burstText(turnOf('a', { kind: 'unsupported', whatsappType: 'imageMessage' }, 'b'))).toBe('a\nb')
    expect(burstText(turnOf('x'.repeat(60_000))).length).toBe(16_000)
  })
})

describe('the prompt', () => {
  const facts = {
    companyName: 'Salon "Margot"',
    instructions: '  ',
    business: { address: 'Main Street 1', prices: [{ item: 'Cut', price: '40 €' }] },
    openingHours: undefined,
    isOpen: undefined,
    at: new Date('2026-11-02T09:15:06.000Z'),
  }

  test('has the rules, the facts as JSON and the time', () => {
    const prompt = systemPrompt(facts)
    expect(prompt).toContain(PROMPT_RULES)
    expect(prompt).toContain('"company": "Salon \\"Margot\\""')
    expect(prompt).toContain('"price": "40 €"')
    expect(prompt).toMatch(/It is Monday,? 2 November 2026.* 09:15 \(UTC\)/)
    expect(prompt).not.toContain('Instructions of the company')
  })

  test('has the hours in words, near exceptions, and the time where the company is', () => {
    const prompt = systemPrompt({
      ...facts,
      isOpen: true,
      openingHours: {
        timeZone: 'Europe/Berlin',
        weekly: {
          monday: [
            { from: '09:00', to: '12:00' },
            { from: '13:00', to: '18:00' },
          ],
        },
        exceptions: { '2026-12-25': [], '2027-12-25': [], '2026-01-01': [] },
      },
    })
    expect(prompt).toContain('"monday": "09:00 to 12:00 and 13:00 to 18:00"')
    expect(prompt).toContain('"tuesday": "closed"')
    expect(prompt).toContain('"2026-12-25": "closed"')
    expect(prompt).not.toMatch(/2027-12-25|2026-01-01/)
    expect(prompt).toContain('10:15 (Europe/Berlin). The company is open.')
  })
})

describe('an answer that repeats the prompt is seen', () => {
  const instructions = 'Speak as warmly as a friend would. '.repeat(20)
  const rule = PROMPT_RULES.slice(200, 320)
  test.each([
    ['as it is', rule],
    ['within other text', `Of course! Here they are: ${rule} That is all.`],
    ['in capitals', rule.toUpperCase()],
    ['letter by letter', Array.from(rule).join(' ')],
    ['with invisible characters', Array.from(rule).join('\u200B')],
    ['with marks', rule.replaceAll(' ', '-*_')],
    ['all of the instructions', instructions],
  ])('%s', (_, answer) => {
    expect(repeatsPrompt(answer, { rules: PROMPT_RULES, instructions })).toBe(true)
  })

  test.each([
    ['an answer', 'Balayage is 120 € for shoulder-length hair. Shall I book an appointment for you?'],
    ['a sentence of the instructions', 'Speak as warmly as a friend would.'],
    ['a few words of the rules', 'We are the only company that knows this customer.'],
    ['nothing', ''],
  ])('%s is none', (_, answer) => {
    expect(repeatsPrompt(answer, { rules: PROMPT_RULES, instructions })).toBe(false)
  })
})

test.each([
  ['gpt-4.1-mini', [0.4, 1.6]],
  ['openai/gpt-4.1-mini', [0.4, 1.6]],
  ['gpt-4.1-mini-2025-04-14', [0.4, 1.6]],
  ['claude-haiku-4-5-20251001', [1, 5]],
])('the price of %s is known', (model, [inputPerMillion, outputPerMillion]) => {
  expect(priceOf(model, undefined)).toEqual({ inputPerMillion, outputPerMillion })
})

test("a company's own price goes first; of an unknown model without one, none is counted", () => {
  const own = { inputPerMillion: 1, outputPerMillion: 2 }
  expect(priceOf('gpt-4.1-mini', own)).toEqual(own)
  expect(priceOf('constructor', undefined)).toBeUndefined()
  expect(costMicros(own, { inputTokens: 10, outputTokens: 100 })).toBe(210)
})
