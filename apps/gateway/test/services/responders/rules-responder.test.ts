import { answerMessage, type RulesResponderSettings, responderSettings } from '@frontdesk/api-contract'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { composeAnswer } from '#src/services/responders/compose-answer.ts'
import { createRulesResponder } from '#src/services/responders/rules-responder.ts'
import { wordsOf } from '#src/services/responders/words.ts'
import { replyTools } from './reply-tools.ts'
import { turnOf } from './turn-of.ts'

type Rules = Omit<RulesResponderSettings, 'kind'>

/** The whole reply to a turn of one message. */
const reply = (
  settings: Rules,
  text: string,
  { isOpen, isFirst = false }: { isOpen?: boolean; isFirst?: boolean } = {},
) => createRulesResponder({ kind: 'rules', ...settings }).answer({ ...turnOf(text), isFirst }, replyTools({ isOpen }))

async function answer(settings: Rules, ...messages: Parameters<typeof turnOf>) {
  const responder = createRulesResponder({ kind: 'rules', ...settings })
  const result = await responder.answer(turnOf(...messages), replyTools())
  return result.messages.map((message) => message.text)
}

const salon = {
  greeting: { keywords: ['hi', 'hello'], answer: 'Hi! How can we help you?', opening: 'Hi!' },
  faq: [
    { question: 'Do you do balayage?', keywords: ['balayage'], answer: 'Yes, Margot does balayage every day.' },
    { question: 'May I bring my dog?', keywords: ['bring', 'dog'], answer: 'Dogs are welcome.' },
  ],
  keywords: [
    { any: ['how much', 'price', 'cost'], answer: 'It is 120 € for shoulder-length hair.' },
    { any: ['open', 'opening hours'], answer: 'We are open\nTue-Fri 9-18\nSat 9-14' },
  ],
}

test('a greeting and two questions in three messages get one answer as a person would write it', async () => {
  expect(await answer(salon, 'Hi!', 'do you do balayage?', 'and how much is it?')).toEqual([
    'Hi! Yes, Margot does balayage every day. It is 120 € for shoulder-length hair.',
  ])
})

test('the answers stand in the order of the questions', async () => {
  expect(await answer(salon, 'What does it cost?', 'I mean balayage')).toEqual([
    'It is 120 € for shoulder-length hair. Yes, Margot does balayage every day.',
  ])
})

test('only a greeting is greeted; a question without a greeting gets no opening', async () => {
  expect(await answer(salon, 'Hello')).toEqual(['Hi! How can we help you?'])
  expect(await answer(salon, 'price?')).toEqual(['It is 120 € for shoulder-length hair.'])
})

test('a greeting without an opening stays silent before other answers', async () => {
  const greeting = { keywords: ['hi'], answer: 'Hi! How can we help you?' }
  expect(await answer({ ...salon, greeting }, 'Hi, price?')).toEqual(['It is 120 € for shoulder-length hair.'])
})

test('nothing that applies: the next responder is asked', async () => {
  const responder = createRulesResponder({ kind: 'rules', ...salon })
  expect(await responder.answer(turnOf('Can you repair my bicycle?'), replyTools())).toEqual({
    outcome: 'passed',
    messages: [],
  })
})

test('a picture or a reaction alone is not answered, beside a text it does no harm', async () => {
  const picture = { kind: 'unsupported', whatsappType: 'imageMessage' } as const
  expect(await answer(salon, picture)).toEqual([])
  expect(await answer(salon, picture, 'price?')).toEqual(['It is 120 € for shoulder-length hair.'])
})

test('a frequent question needs all its keywords, in any order and over several messages', async () => {
  expect(await answer(salon, 'I have a dog', 'may I bring it?')).toEqual(['Dogs are welcome.'])
  expect(await answer(salon, 'I have a dog')).toEqual([])
})

test('equal answers of several rules are given once', async () => {
  const faq = ['dog', 'cat'].map((animal) => ({ question: animal, keywords: [animal], answer: 'Pets are welcome.' }))
  expect(await answer({ faq }, 'my dog and my cat')).toEqual(['Pets are welcome.'])
})

test('an answer with lines of its own becomes a paragraph', async () => {
  expect(await answer(salon, 'when are you open?', 'price?')).toEqual([
    'We are open\nTue-Fri 9-18\nSat 9-14\n\nIt is 120 € for shoulder-length hair.',
  ])
})

describe('a keyword is found', () => {
  const cases: [keyword: string, text: string, isFound: boolean][] = [
    ['price', "What's the PRICE?", true],
    ['price', 'priceless', false],
    ['price', 'the-price-is', true],
    ['how much', 'How\n much?', true],
    ['how much', 'how is it, too much', false],
    ['cafe', 'Ein Café, bitte', true],
    ['CAFÉ', 'cafe', true],
    ['straße', 'STRASSE', true],
    ['heure', "C'est à quelle l'heure", true],
    ['heure', 'C’est l’heure', true],
    ["what's up", 'What’s up', true],
    ['fi', 'ﬁ', true],
    ['истанбул', 'ИСТАНБУЛ', true],
    ['istanbul', 'İstanbul', true],
    ['价格', '请问价格是多少', true],
    ['ราคา', 'อยากทราบราคาค่ะ', true],
    ['가격', '가격 알려주세요', true],
    ['कीमत', 'इसकी कीमत क्या है', true],
    ['का', 'की', false],
    ['👋', 'hey 👋🏽', true],
    ['2', '20', false],
    ['c++', 'c', true],
  ]
  test.each(cases)('%j in %j: %s', async (keyword, text, isFound) => {
    expect(await answer({ keywords: [{ any: [keyword], answer: 'found' }] }, text)).toEqual(isFound ? ['found'] : [])
  })

  test('not across two messages', async () => {
    expect(await answer({ keywords: [{ any: ['how much'], answer: 'found' }] }, 'how', 'much')).toEqual([])
  })

  test('as words of a text, wherever they stand', () => {
    const words = fc.array(fc.stringMatching(/^[a-z]{1,6}$/), { minLength: 1, maxLength: 6 })
    return fc.assert(
      fc.asyncProperty(words, words, words, async (before, phrase, after) => {
        const text = [...before, ...phrase, ...after].join(' ').toUpperCase()
        expect(await answer({ keywords: [{ any: [phrase.join(' ')], answer: 'found' }] }, text)).toEqual(['found'])
      }),
    )
  })
})

test('the words of a text are the same for its letters in any case', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      expect(wordsOf(text.toUpperCase())).toEqual(wordsOf(text))
    }),
  )
})

test('an answer never grows over what one message can hold', () => {
  const part = (letter: string) => letter.repeat(40_000)
  expect(composeAnswer([part('a'), part('b')])).toBe(part('a'))
})

describe('a pattern', () => {
  const patterns = [{ pattern: 'order\\s+#?(\\d{4,})', answer: 'We look after your order.' }]

  test('is searched for in each message, without regard to letter case, and never across two', async () => {
    expect(await answer({ patterns }, 'Hi', 'where is my ORDER  #12345?')).toEqual(['We look after your order.'])
    expect(await answer({ patterns }, 'order 123')).toEqual([])
    expect(await answer({ patterns }, 'order', '12345')).toEqual([])
  })

  test('takes its place among the other rules by where it stands', async () => {
    const settings = { ...salon, patterns }
    expect(await answer(settings, 'balayage', 'and where is order 12345, and what is the price?')).toEqual([
      'Yes, Margot does balayage every day. We look after your order. It is 120 € for shoulder-length hair.',
    ])
  })

  test.each([
    ['a look-ahead', '(?=a)b'],
    ['a back-reference', '(a)\\1'],
    ['an open bracket', '(a'],
    ['a count too high', 'a{2000}'],
    ['a program too large', '(\\pL{20}){30}'],
  ])('that is %s is refused when it is set', (_, pattern) => {
    const { success, error } = responderSettings.safeParse({ kind: 'rules', patterns: [{ pattern, answer: 'x' }] })
    expect(success).toBe(false)
    expect(error?.issues[0]?.path).toEqual(['patterns', 0, 'pattern'])
  })

  test('counts with those before it: all together are bounded, and the one that is too much is named', () => {
    const patterns = Array.from({ length: 50 }, () => ({ pattern: '\\w{200}', answer: 'x' }))
    const { error } = responderSettings.safeParse({ kind: 'rules', patterns })
    expect(error?.issues).toMatchObject([{ path: ['patterns', expect.any(Number), 'pattern'] }])
    expect(Number(error?.issues[0]?.path[1])).toBeGreaterThan(10)
  })

  test('that is cruel to other engines is searched for in a text of any length', async () => {
    const cruel = ['(a+)+$', '(a|aa)+$', '(.*a){20}$', '(a*)*b', '([a-z]+)*[0-9]', '(a?){50}a{50}b']
    const settings = { patterns: cruel.map((pattern) => ({ pattern, answer: pattern })) }
    // An engine that tries all ways would be at this for longer than the universe is old.
    const { messages } = await reply(settings, `${'a'.repeat(100_000)}!`)
    expect(messages.length).toBeLessThanOrEqual(1)
  })
})

describe('opening hours', () => {
  const settings = {
    keywords: [
      { any: ['call'], answer: 'Call us now.', when: 'open' as const },
      { any: ['call'], answer: 'We call you back tomorrow.', when: 'closed' as const },
    ],
    patterns: [{ pattern: '.', answer: 'We are closed.', when: 'closed' as const }],
  }
  test.each([
    [true, 'Call us now.', ['keywords[0]']],
    [false, 'We call you back tomorrow. We are closed.', ['keywords[1]', 'patterns[0]']],
  ])('open: %s', async (isOpen, text, rules) => {
    expect(await reply(settings, 'call me', { isOpen })).toMatchObject({ messages: [{ text }], trace: { rules } })
  })

  test('that are not set: neither kind of rule applies', async () => {
    expect(await reply(settings, 'call me')).toEqual({ outcome: 'passed', messages: [] })
  })
})

describe('the welcome', () => {
  const settings = { ...salon, welcome: 'Welcome to Salon Margot!' }
  test('opens the first answer that a contact ever gets, and only that', async () => {
    expect(await reply(settings, 'price?', { isFirst: true })).toMatchObject({
      messages: [{ text: 'Welcome to Salon Margot! It is 120 € for shoulder-length hair.' }],
      trace: { rules: ['welcome', 'keywords[0]'] },
    })
    expect(await reply(settings, 'price?')).toMatchObject({
      messages: [{ text: 'It is 120 € for shoulder-length hair.' }],
    })
  })

  test('stands in place of the opening of a greeting', async () => {
    expect(await reply(settings, 'Hi, price?', { isFirst: true })).toMatchObject({
      messages: [{ text: 'Welcome to Salon Margot! It is 120 € for shoulder-length hair.' }],
      trace: { rules: ['welcome', 'greeting', 'keywords[0]'] },
    })
  })

  test('is handed on when no rule has an answer, for whoever has one', async () => {
    expect(await reply(settings, 'bicycle', { isFirst: true })).toEqual({
      outcome: 'passed',
      messages: [{ kind: 'text', text: 'Welcome to Salon Margot!' }],
      trace: { rules: ['welcome'] },
    })
  })
})

test('a rule that hands over says which it was', async () => {
  const keywords = [
    { any: ['hi'], answer: 'Hi!' },
    { any: ['complaint'], answer: 'I am sorry. Lena takes care of it.', handoff: true },
  ]
  expect(await reply({ keywords }, 'Hi, I have a complaint')).toMatchObject({
    outcome: 'answered',
    handoff: 'keywords[1]',
    trace: { rules: ['keywords[0]', 'keywords[1]'] },
  })
  expect(await reply({ keywords }, 'Hi')).not.toHaveProperty('handoff')
})

test('whatever the settings and whatever is written, there is a reply, and its rules are those of the settings', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('hi', 'price', 'aaaa', '(a+)+$', '\u0000', '\ud800'),
  )
  const word = fc.oneof(fc.constantFrom('hi', 'price', 'a', '价', '👋'), fc.string({ unit: 'grapheme' }))
  const words = fc.array(word, { minLength: 1, maxLength: 5 })
  const shared = {
    answer: fc.constantFrom('Yes.', 'No.\nNever.', '\u202e'),
    when: fc.constantFrom('open' as const, 'closed' as const, undefined),
    handoff: fc.boolean(),
  }
  const settings = fc.record(
    {
      kind: fc.constant('rules' as const),
      welcome: fc.constantFrom('Welcome!', '\u200b'),
      greeting: fc.record({ keywords: words, answer: shared.answer }),
      keywords: fc.array(fc.record({ any: words, ...shared }), { maxLength: 4 }),
      patterns: fc.array(fc.record({ pattern: fc.oneof(word, fc.string()), ...shared }), { maxLength: 4 }),
      faq: fc.array(fc.record({ question: fc.constant('?'), keywords: words, answer: shared.answer }), {
        maxLength: 4,
      }),
    },
    { requiredKeys: ['kind'] },
  )
  return fc.assert(
    fc.asyncProperty(settings, fc.array(text, { maxLength: 5 }), fc.boolean(), async (rules, texts, isFirst) => {
      const turn = { ...turnOf(...texts), isFirst }
      const replied = await createRulesResponder(rules).answer(turn, replyTools({ isOpen: isFirst }))
      for (const message of replied.messages) expect(answerMessage.parse(message)).toEqual(message)
      if (replied.outcome === 'answered') expect(replied.messages).toHaveLength(1)
      for (const rule of replied.trace?.rules ?? [])
        expect(rule).toMatch(/^(?:welcome|greeting|(?:keywords|patterns|faq)\[[0-3]\])$/)
    }),
    { numRuns: 50 },
  )
})
