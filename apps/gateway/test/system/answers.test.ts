import type { CompanySettings, Conversation, List, MessageResource, TurnDetails } from '@frontdesk/api-contract'
import { type ChatRequest, type ModelEmulator, startModelEmulator, textOf } from 'model-emulator'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { json, silence, startCompanySystem } from '../services/responders/company-system.ts'
import { until } from '../support/until.ts'
import { FrontDesk, SALON_PHONE } from './support/front-desk.ts'

const PATIENCE = { timeoutMs: 90_000 }
const HOUR_MS = 3_600_000

let model: ModelEmulator
let system: Awaited<ReturnType<typeof startCompanySystem>>
let replyOfSystem = json({})
let desk: FrontDesk
let settings: CompanySettings

beforeAll(async () => {
  model = await startModelEmulator()
  system = await startCompanySystem((response, call) => replyOfSystem(response, call))
  settings = {
    batching: { quietMs: 0, maxMs: 0 },
    optOut: { stopWords: ['stop'], startWords: ['start'] },
    responders: [
      {
        ...{ kind: 'ai', baseUrl: model.baseUrl, model: 'emulated' },
        tools: [
          {
            ...{ name: 'prices', description: 'What a service costs.', url: system.url },
            parameters: { type: 'object', properties: { service: { type: 'string' } }, required: ['service'] },
          },
        ],
      },
    ],
  }
  desk = await FrontDesk.open(settings)
})
beforeEach(() => setSettings({}))
afterAll(async () => {
  await desk[Symbol.asyncDispose]()
  await system[Symbol.asyncDispose]()
  await model.close()
})

const setSettings = (changed: CompanySettings) =>
  desk.call('PATCH', '/v1/company', { settings: { ...settings, ...changed } })

const write = (from: string, text: string) => desk.emulator.sendText({ from, to: SALON_PHONE, text })

const chatOf = async (customer: string): Promise<MessageResource[]> =>
  (await desk.messages()).filter(({ contact }) => contact.phone === customer)

/** The turn of what the customer wrote last, once it is as it should be; by its own words that it is so. */
function turnOf(customer: string, text: string, isSo: (turn: TurnDetails) => boolean = isOver): Promise<TurnDetails> {
  return until(
    async () => {
      const said = (await chatOf(customer)).findLast(({ content }) => content.kind === 'text' && content.text === text)
      const turn = said?.turnId && (await desk.call<TurnDetails>('GET', `/v1/turns/${said.turnId}`))
      return turn && isSo(turn) ? turn : undefined
    },
    { ...PATIENCE, what: `the turn of “${text}”` },
  )
}

const isOpen = ({ state }: TurnDetails): boolean => state === 'open'
const isOver = ({ closedAt }: TurnDetails): boolean => closedAt !== null

async function conversationOf(customer: string): Promise<Conversation> {
  const { items } = await desk.call<List<Conversation>>('GET', '/v1/conversations?limit=200')
  const found = items.find(({ contact }) => contact.phone === customer)
  if (found === undefined) throw new Error(`There is no conversation with ${customer}.`)
  return found
}

const displayed = (customer: string, texts: readonly string[]): Promise<unknown> =>
  until(async () => (await desk.displayed(customer)).length >= texts.length, {
    ...PATIENCE,
    what: `${customer} sees ${texts.length} messages`,
  }).then(async () => expect(await desk.displayed(customer)).toEqual(texts))

/** What the customer says last to the model, and what tools have returned since. */
function askedOf({ messages }: ChatRequest): { question: string; results: string[] } {
  const place = messages.findLastIndex(({ role }) => role === 'user')
  const results = messages.slice(place + 1).filter(({ role }) => role === 'tool')
  return {
    question: messages
      .slice(place, place + 1)
      .map(textOf)
      .join(),
    results: results.map(textOf),
  }
}

test('three messages at once get one answer, for which two tools are called', async () => {
  const customer = '491719990101'
  const burst = ['Hi!', 'do you cut hair?', 'and colour it? prices please']
  await setSettings({ batching: { quietMs: 60_000, maxMs: 120_000, maxMessages: 3 } })
  replyOfSystem = (response, call) => {
    const { service } = (call.body as { arguments: { service: string } }).arguments
    json({ price: service === 'cut' ? '48 €' : '85 €' })(response, call)
  }
  model.follow((request) => {
    const { results } = askedOf(request)
    if (results.length === 0)
      return { toolCalls: ['cut', 'colour'].map((service) => ({ name: 'prices', arguments: { service } })) }
    return { text: results.map((each) => JSON.parse(each).price).join(' and ') }
  })
  for (const text of burst) await write(customer, text)
  await displayed(customer, ['48 € and 85 €'])

  const turn = await turnOf(customer, 'Hi!')
  expect(turn).toMatchObject({
    state: 'answered',
    responder: 'ai',
    code: null,
    trace: { guard: null, usedFallback: false },
  })
  expect(turn.received).toHaveLength(3)
  expect(turn.sent).toHaveLength(1)
  expect(turn.trace?.steps).toMatchObject([
    {
      ...{ responder: 'ai', outcome: 'answered', model: 'emulated', steps: 2 },
      tools: [
        { name: 'prices', arguments: { service: 'cut' }, result: { price: '48 €' } },
        { name: 'prices', arguments: { service: 'colour' }, result: { price: '85 €' } },
      ],
    },
  ])
  expect(system.calls.map(({ body }) => body)).toMatchObject([
    { turnId: turn.id, contact: { phone: customer }, arguments: { service: 'cut' } },
    { turnId: turn.id, contact: { phone: customer }, arguments: { service: 'colour' } },
  ])
  expect(new Set(system.calls.map(({ headers }) => headers['idempotency-key'])).size).toBe(2)
  expect(model.requests.map((request) => askedOf(request).question)).toEqual([burst.join('\n'), burst.join('\n')])
})

test('the model hands over, the owner writes from the phone, the bot is silent, and after its time-out it answers again', async () => {
  const customer = '491719990102'
  model.follow((request) => {
    const { question } = askedOf(request)
    const handOver = { name: 'hand_over', arguments: { reason: 'Wants a person.', message: 'One moment!' } }
    return question.endsWith('A person, please.') ? { toolCalls: [handOver] } : { text: 'Here I am again.' }
  })
  await write(customer, 'A person, please.')
  expect(await turnOf(customer, 'A person, please.')).toMatchObject({ trace: { handoff: 'Wants a person.' } })
  expect(await conversationOf(customer)).toMatchObject({
    state: 'waiting',
    reason: 'responder',
    detail: 'Wants a person.',
  })
  await displayed(customer, ['One moment!'])

  await desk.emulator.sendText({ from: SALON_PHONE, to: customer, text: 'This is Margot.' })
  await until(async () => (await conversationOf(customer)).state === 'human', PATIENCE)
  expect(await conversationOf(customer)).toMatchObject({ reason: 'written_on_phone', returnsAt: expect.any(String) })
  await write(customer, 'Hello Margot!')
  expect(await turnOf(customer, 'Hello Margot!')).toMatchObject({
    state: 'unanswered',
    code: 'conversation_with_person',
    sent: [],
  })

  // The pause is over: nobody has to wait half an hour for it.
  const { id } = await conversationOf(customer)
  await desk.call('PATCH', `/v1/conversations/${id}`, { returnsAt: new Date().toISOString() })
  await until(async () => (await conversationOf(customer)).state === 'bot', PATIENCE)
  expect(await conversationOf(customer)).toMatchObject({ reason: 'timed_out', returnsAt: null })
  await write(customer, 'And now?')
  await displayed(customer, ['One moment!', 'This is Margot.', 'Here I am again.'])
})

test('after the word for stop nothing is answered, and after the word for start everything is', async () => {
  const customer = '491719990103'
  model.follow([{ text: 'Yes?' }])
  await write(customer, 'STOP')
  expect(await turnOf(customer, 'STOP')).toMatchObject({ state: 'unanswered', code: 'contact_opted_out' })
  const asked = model.requests.length
  await write(customer, 'Anybody there?')
  expect(await turnOf(customer, 'Anybody there?')).toMatchObject({ state: 'unanswered', code: 'contact_opted_out' })
  expect(model.requests).toHaveLength(asked)
  await write(customer, 'Start')
  expect(await turnOf(customer, 'Start')).toMatchObject({ state: 'answered' })
  await displayed(customer, ['Yes?'])
})

test('kill -9 while the model is asked, while a tool is called, and when an answer is stored: each customer gets one', async () => {
  const [thinking, calling, sending] = ['491719990104', '491719990105', '491719990106'] as const
  const send = Promise.withResolvers<void>()
  const before = system.calls.length
  replyOfSystem = silence
  let isSilent = true
  model.follow(async (request) => {
    const { question, results } = askedOf(request)
    if (question === 'Think!') return isSilent ? { isSilent } : { text: 'I have thought.' }
    if (question === 'Send!') await send.promise
    if (question === 'Send!') return { text: 'I have sent.' }
    return results.length > 0
      ? { text: results.join() }
      : { toolCalls: [{ name: 'prices', arguments: { service: 'cut' } }] }
  })
  const isAsked = (text: string) => model.requests.some((request) => askedOf(request).question === text)
  await write(thinking, 'Think!')
  await write(calling, 'Call!')
  await write(sending, 'Send!')
  await until(() => isAsked('Think!') && isAsked('Send!') && system.calls.length > before, PATIENCE)
  const turns = [await turnOf(thinking, 'Think!', isOpen), await turnOf(calling, 'Call!', isOpen)]
  // The answer is stored, and does not get away.
  await desk.emulator.fault({ kind: 'refuse_connections', isOn: true })
  await desk.emulator.fault({ kind: 'drop' })
  send.resolve()
  const sent = await turnOf(sending, 'Send!')
  await desk.kill()
  expect(await desk.displayed(sending)).toEqual([])

  isSilent = false
  replyOfSystem = json('I have called.')
  await desk.emulator.fault({ kind: 'refuse_connections', isOn: false })
  await desk.restart()
  await displayed(thinking, ['I have thought.'])
  await displayed(calling, ['I have called.'])
  await displayed(sending, ['I have sent.'])
  const after = [await turnOf(thinking, 'Think!'), await turnOf(calling, 'Call!'), await turnOf(sending, 'Send!')]
  expect(after.map(({ id }) => id)).toEqual([...turns, sent].map(({ id }) => id))
  for (const { sent } of after) expect(sent).toHaveLength(1)
  const calls = system.calls.slice(before)
  expect(calls).toHaveLength(2)
  expect(calls.map(({ body }) => body)).toMatchObject([{ turnId: turns[1]?.id }, { turnId: turns[1]?.id }])
  expect(calls[0]?.headers['idempotency-key']).toBe(calls[1]?.headers['idempotency-key'])
  await until(async () => (await desk.emulator.pending()) === 0, PATIENCE)
  for (const customer of [thinking, calling, sending]) expect(await desk.displayed(customer)).toHaveLength(1)
  expect(await desk.emulator.counters()).toMatchObject({ decryptFailures: 0 })
}, 180_000)

test('what is written in quiet hours is held, through kill -9, and answered when they are over', async () => {
  const customer = '491719990107'
  const clock = (ms: number) => new Date(Date.now() + ms).toISOString().slice(11, 16)
  const text = 'We are asleep and answer in the morning.'
  const quietHours = { timeZone: 'UTC', from: clock(-HOUR_MS), to: clock(HOUR_MS), text }
  await setSettings({ quietHours })
  model.follow((request) => ({ text: `Good morning! You asked: ${askedOf(request).question.replace('\n', ' ')}` }))
  const asked = model.requests.length
  await write(customer, 'Are you there?')
  await displayed(customer, [text])
  await write(customer, 'On Friday?')
  const held = await turnOf(customer, 'On Friday?', ({ state, received }) => state === 'held' && received.length === 2)
  expect(held).toMatchObject({ code: null, heldUntil: expect.any(String) })
  expect(model.requests).toHaveLength(asked)
  await desk.kill()

  await desk.restart({ clockAheadMs: 2 * HOUR_MS })
  await displayed(customer, [text, 'Good morning! You asked: Are you there? On Friday?'])
  expect(await turnOf(customer, 'On Friday?')).toMatchObject({ id: held.id, state: 'answered' })
}, 180_000)
