import type { RulesResponderSettings } from '@frontdesk/api-contract'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { composeAnswer } from '#src/services/responders/compose-answer.ts'
import { createRulesResponder } from '#src/services/responders/rules-responder.ts'
import { wordsOf } from '#src/services/responders/words.ts'
import { replyTools } from './reply-tools.ts'
import { turnOf } from './turn-of.ts'

async function answer(settings: Omit<RulesResponderSettings, 'kind'>, ...messages: Parameters<typeof turnOf>) {
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
