import { type CompanySettings, conversationState } from '@frontdesk/api-contract'
import { describe, expect, test } from 'vitest'
import type { PastMessage, Turn } from '#src/model/turn.ts'
import { judgeTurn } from '#src/services/conversations/judge-turn.ts'
import { effectiveSettings } from '#src/services/inbox/company-settings.ts'
import { turnOf } from '../responders/turn-of.ts'

const NOON = new Date('2026-11-02T12:00:00Z')
const NIGHT = new Date('2026-11-02T23:00:00Z')
const MORNING = new Date('2026-11-03T07:00:00Z')

const settings: CompanySettings = {
  handoff: { words: ['human', 'talk to a person'], text: 'One moment, we are getting somebody.' },
  quietHours: { timeZone: 'Europe/Berlin', from: '22:00', to: '08:00', text: 'We answer at 8.' },
  ignore: ['4917600000001'],
}
const without = (key: keyof CompanySettings): CompanySettings =>
  Object.fromEntries(Object.entries(settings).filter(([name]) => name !== key))

const judge = (
  changes: Partial<Turn> = {},
  {
    at = NOON,
    company = without('ignore'),
    past = [],
  }: { at?: Date; company?: CompanySettings; past?: PastMessage[] } = {},
) => {
  const turn = { ...turnOf('hi'), ...changes }
  const messages = turn.messages.map((message) => ({ ...message, sentAt: new Date(at.getTime() - 2000) }))
  return judgeTurn(
    { ...turn, messages: changes.messages ?? messages, createdAt: at },
    effectiveSettings(company, { batching: { quietMs: 0, maxMs: 0, maxMessages: 1 } }),
    {
      at,
      history: async (limit) => past.slice(-limit),
    },
  )
}
const saying = (...texts: Parameters<typeof turnOf>) => ({
  messages: turnOf(...texts).messages.map((message) => ({ ...message, sentAt: NOON })),
})

test('an ordinary message by day is asked about', async () => {
  expect(await judge()).toEqual({ kind: 'ask' })
})

test.each([
  ['a contact that has opted out', { isOptedOut: true }, 'contact_opted_out'],
  [
    'messages of the day before yesterday',
    { messages: turnOf('hi').messages.map((each) => ({ ...each, sentAt: new Date('2026-10-31T12:00:00Z') })) },
    'answer_too_late',
  ],
  ['a reaction', saying({ kind: 'unsupported', whatsappType: 'reactionMessage' }), 'nothing_to_answer'],
])('%s: left, without a word', async (_, changes, code) => {
  expect(await judge(changes)).toEqual({ kind: 'leave', code, messages: [] })
})

test('a picture with a text is asked about', async () => {
  expect(await judge(saying({ kind: 'unsupported', whatsappType: 'imageMessage' }, 'This one?'))).toEqual({
    kind: 'ask',
  })
})

test.each(conversationState.options)('in a conversation that is %s', async (state) => {
  const conversation = { ...turnOf('hi').conversation, state }
  const isWithPerson = state === 'waiting' || state === 'human'
  const leave = { kind: 'leave', code: 'conversation_with_person', messages: [] }
  expect(await judge({ conversation })).toEqual(isWithPerson ? leave : { kind: 'ask' })
})

describe('the list of those who are never answered', () => {
  const leave = { kind: 'leave', code: 'contact_ignored', messages: [] }
  test('counts for each of the contact’s numbers and LIDs', async () => {
    const company: CompanySettings = { ignore: ['4917600000001', '123456789012345'] }
    expect(await judge({ addresses: ['491', '4917600000001'] }, { company })).toEqual(leave)
    expect(await judge({ addresses: ['123456789012345'] }, { company })).toEqual(leave)
    expect(await judge({ addresses: ['4917600000002'] }, { company })).toEqual({ kind: 'ask' })
  })
  test('also when a person is asked for, and at night', async () => {
    const words = { ...saying('human'), addresses: ['4917600000001'] }
    expect(await judge(words, { company: settings, at: NIGHT })).toEqual(leave)
  })
})

describe('words for a human', () => {
  const handedOver = {
    kind: 'leave',
    code: 'conversation_with_person',
    messages: [{ kind: 'text', text: 'One moment, we are getting somebody.' }],
    handoff: { reason: 'customer_asked' },
  }
  test.each(['Human!', 'can I TALK to a person, please?', 'a húman'])('%s', async (text) => {
    expect(await judge(saying('hi', text))).toEqual(handedOver)
  })
  test.each(['humanity', 'talk to a friend, a person', 'superhuman'])('not: %s', async (text) => {
    expect(await judge(saying(text))).toEqual({ kind: 'ask' })
  })
  test('count at night as well', async () => {
    expect(await judge(saying('human'), { at: NIGHT })).toEqual(handedOver)
  })
  test('without a text of the company nothing is said', async () => {
    expect(await judge(saying('human'), { company: { handoff: { words: ['human'] } } })).toEqual({
      ...handedOver,
      messages: [],
    })
  })
})

describe('quiet hours', () => {
  const held = { kind: 'leave', code: 'quiet_hours', messages: [], holdUntil: MORNING }
  const said = { from: 'bot', text: 'We answer at 8.' } as const
  test('hold the turn until they end, and say so', async () => {
    expect(await judge({}, { at: NIGHT })).toEqual({ ...held, messages: [{ kind: 'text', text: 'We answer at 8.' }] })
  })
  test('say so once in a night, also to whom has been handed over and given back meanwhile', async () => {
    expect(await judge({ heldUntil: MORNING }, { at: NIGHT })).toEqual(held)
    expect(await judge({}, { at: NIGHT, past: [{ ...said, at: new Date('2026-11-02T21:30:00Z') }] })).toEqual(held)
  })
  test('say so again in the next night', async () => {
    const past = [{ ...said, at: new Date('2026-11-02T06:59:00Z') }]
    expect(await judge({}, { at: NIGHT, past })).toMatchObject({ messages: [{ text: 'We answer at 8.' }] })
  })
  test('say nothing without a text', async () => {
    const company = { quietHours: { timeZone: 'Europe/Berlin', from: '22:00', to: '08:00' } }
    expect(await judge({}, { at: NIGHT, company })).toEqual(held)
  })
  test('when they end, what was held is asked about, however long the night was', async () => {
    const messages = turnOf('hi').messages.map((each) => ({ ...each, sentAt: new Date('2026-11-01T21:00:00Z') }))
    expect(await judge({ heldUntil: MORNING, messages }, { at: MORNING })).toEqual({ kind: 'ask' })
  })
})

describe('a loop with another bot', () => {
  const past = Array.from(
    { length: 12 },
    (_, place): PastMessage => ({
      from: place % 2 === 0 ? 'bot' : 'customer',
      text: place % 2 === 0 ? `Answer ${place}` : 'We are closed.',
      at: new Date(NOON.getTime() - (12 - place) * 5000),
    }),
  )
  const conversation = { ...turnOf('hi').conversation, turns: 6 }
  test('is handed over to a person', async () => {
    const leave = { kind: 'leave', code: 'conversation_loop', messages: [], handoff: { reason: 'loop_suspected' } }
    expect(await judge({ conversation, ...saying('We are closed.') }, { past })).toEqual(leave)
  })
  test('is not looked for before there are answers: nothing is read from the past', async () => {
    const history = () => Promise.reject(new Error('read'))
    const turn = { ...turnOf('hi'), ...saying('hi') }
    const company = effectiveSettings({}, { batching: { quietMs: 0, maxMs: 0, maxMessages: 1 } })
    expect(await judgeTurn(turn, company, { at: NOON, history })).toEqual({ kind: 'ask' })
  })
})
