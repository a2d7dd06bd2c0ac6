import type { HttpToolSettings } from '@frontdesk/api-contract'
import { hostileReplies, type ModelReply } from 'model-emulator'
import { describe, expect, test } from 'vitest'
import { json, raw, silence, startCompanySystem, status } from '../company-system.ts'
import { replyTools } from '../reply-tools.ts'
import { turnOf } from '../turn-of.ts'
import { setUpAi } from './ai-desk.ts'

const asks = (name: string, input: unknown): ModelReply => ({ toolCalls: [{ name, arguments: input }] })
const DONE: ModelReply = { text: 'Done.' }

const prices = (url: string): HttpToolSettings => ({
  name: 'prices',
  description: 'What a service costs.',
  parameters: {
    type: 'object',
    properties: { service: { type: 'string', pattern: '^[a-z]+$' }, length: { enum: ['short', 'long'] } },
    required: ['service'],
  },
  url,
})

/** What the model was told about its calls, in the last request. */
const toldIn = (requests: { messages: { role: string; content?: unknown }[] }[]) =>
  (requests.at(-1)?.messages ?? []).filter(({ role }) => role === 'tool').map(({ content }) => content)

test('a tool is called for this turn and this customer, and its result is handed to the model', async () => {
  await using system = await startCompanySystem(json({ price: '120 €' }))
  const { model, responder } = await setUpAi([asks('prices', { service: 'balayage' }), { text: 'It is 120 €.' }], {
    settings: { tools: [{ ...prices(system.url), headers: { 'X-Salon': 'main', Authorization: { secret: 'crm' } } }] },
  })
  const turn = turnOf('How much is balayage?')
  const reply = await responder.answer(turn, replyTools({ secret: async (name) => `Bearer ${name}` }))
  const [call] = system.calls
  const callId = String(call?.headers['idempotency-key'])
  expect(callId).toContain(turn.id)
  expect(call?.headers).toMatchObject({ 'x-salon': 'main', authorization: 'Bearer crm' })
  const { company, contact } = turn
  expect(call?.body).toEqual({ turnId: turn.id, callId, company, contact, arguments: { service: 'balayage' } })
  expect(model.requests[0]?.tools?.map((tool) => tool.function.name)).toEqual(['prices', 'hand_over'])
  expect(toldIn(model.requests)).toEqual(['{"price":"120 €"}'])
  expect(reply).toMatchObject({
    messages: [{ text: 'It is 120 €.' }],
    trace: {
      steps: 2,
      tools: [{ callId, name: 'prices', arguments: { service: 'balayage' }, result: { price: '120 €' } }],
    },
  })
})

test('a turn that is answered again calls with the same ids, in whichever order, and the same call twice with two', async () => {
  await using system = await startCompanySystem(json({}))
  const a = { name: 'prices', arguments: { service: 'cut', length: 'long' } }
  const b = { name: 'prices', arguments: { service: 'colour' } }
  const sameAsA = { name: 'prices', arguments: { length: 'long', service: 'cut' } }
  const { model, responder } = await setUpAi([{ toolCalls: [a, b, a] }, DONE], {
    settings: { tools: [prices(system.url)] },
  })
  const turn = turnOf('Hi!')
  await responder.answer(turn, replyTools())
  model.follow([{ toolCalls: [b, sameAsA, a] }, DONE])
  await responder.answer(turn, replyTools())
  const ids = system.calls.map(({ headers }) => headers['idempotency-key'])
  expect(new Set(ids.slice(0, 3)).size).toBe(3)
  expect(new Set(ids.slice(3))).toEqual(new Set(ids.slice(0, 3)))
  const other = turnOf('Hi!')
  model.follow([{ toolCalls: [a] }, DONE])
  await responder.answer(other, replyTools())
  expect(ids).not.toContain(system.calls.at(-1)?.headers['idempotency-key'])
})

test.each<[string, unknown]>([
  ['a missing argument', {}],
  ['another type', { service: 17 }],
  ['another value', { service: 'cut', length: 'medium' }],
  ['what the pattern refuses', { service: 'CUT; DROP TABLE' }],
  ['more than is asked for', { service: 'cut', contactId: 'another' }],
  ['a list', ['cut']],
  ['a text', '"cut"'],
  ['null', null],
  ['no JSON', '{"service": "cut'],
  ['too much', { service: 'c'.repeat(20_000) }],
  ['a prototype', '{"service":"cut","__proto__":{"isAdmin":true}}'],
])('arguments with %s never reach the company', async (_, input) => {
  await using system = await startCompanySystem(json({}))
  const { model, responder } = await setUpAi([asks('prices', input), DONE], {
    settings: { tools: [prices(system.url)] },
  })
  const reply = await responder.answer(turnOf('Hi!'), replyTools())
  expect(system.calls).toEqual([])
  expect(reply).toMatchObject({ outcome: 'answered', messages: [{ text: 'Done.' }] })
  expect(reply.trace?.tools).toMatchObject([{ name: 'prices', error: expect.stringMatching(/^Not called: /) }])
  expect(toldIn(model.requests).length).toBe(1)
})

test('a tool that is not there is refused, and told', async () => {
  const { model, responder } = await setUpAi([hostileReplies.wrongTool, DONE])
  const reply = await responder.answer(turnOf('Hi!'), replyTools())
  expect(reply.trace?.tools).toMatchObject([{ name: 'delete_everything', error: expect.any(String) }])
  expect(toldIn(model.requests).length).toBe(1)
})

test.each([
  ['500', status(500), 'Status 500.'],
  ['422 with the reason', raw('There is no free time.', 422), 'Status 422. There is no free time.'],
  ['a redirect', status(302, { location: 'http://127.0.0.1:1/' }), 'Status 302.'],
  ['silence', silence, 'No answer within 200 ms.'],
])('%s of a tool is told to the model, which goes on', async (_, answer, error) => {
  await using system = await startCompanySystem(answer)
  const { model, responder } = await setUpAi([asks('prices', { service: 'cut' }), { text: 'I do not know.' }], {
    // Only silence is waited for to its end.
    settings: { tools: [{ ...prices(system.url), ...(answer === silence && { timeoutMs: 200 }) }] },
  })
  const reply = await responder.answer(turnOf('Hi!'), replyTools())
  expect(reply).toMatchObject({ messages: [{ text: 'I do not know.' }], trace: { tools: [{ error }] } })
  expect(toldIn(model.requests)).toEqual([JSON.stringify({ error })])
})

test('a tool in a private network is not called', async () => {
  await using system = await startCompanySystem(json({}))
  const named = system.url.replace('127.0.0.1', 'localhost')
  const { responder } = await setUpAi([asks('prices', { service: 'cut' }), DONE], {
    settings: { tools: [prices(named)] },
  })
  const reply = await responder.answer(turnOf('Hi!'), replyTools())
  expect(reply.trace?.tools).toMatchObject([{ error: expect.stringContaining('private network') }])
  expect(system.calls).toEqual([])
})

test('without the secret of a header a tool is not called', async () => {
  await using system = await startCompanySystem(json({}))
  const { responder } = await setUpAi([asks('prices', { service: 'cut' }), DONE], {
    settings: { tools: [{ ...prices(system.url), headers: { authorization: { secret: 'crm' } } }] },
  })
  const reply = await responder.answer(turnOf('Hi!'), replyTools())
  expect(reply.trace?.tools).toMatchObject([{ error: 'The secret "crm" is not there.' }])
  expect(system.calls).toEqual([])
})

test('a result of megabytes is cut, one over the limit is none', async () => {
  await using system = await startCompanySystem(raw('x'.repeat(1_000_000)), raw('x'.repeat(5_000_000)))
  const twice = [asks('prices', { service: 'cut' }), asks('prices', { service: 'colour' }), DONE]
  const { model, responder } = await setUpAi(twice, { settings: { tools: [prices(system.url)] } })
  const reply = await responder.answer(turnOf('Hi!'), replyTools())
  expect(reply.trace?.tools).toMatchObject([{ result: expect.stringMatching(/x… \(cut off\)$/) }, { error: /over/ }])
  for (const told of toldIn(model.requests)) expect(String(told).length).toBeLessThan(17_000)
})

test('when tools are not to be called, the model is told so and nobody is', async () => {
  await using system = await startCompanySystem(json({}))
  const { model, responder } = await setUpAi([asks('prices', { service: 'cut' }), DONE], {
    settings: { tools: [prices(system.url)] },
  })
  const reply = await responder.answer(turnOf('Hi!'), replyTools({ callsTools: false }))
  expect(system.calls).toEqual([])
  expect(reply.trace?.tools).toMatchObject([{ arguments: { service: 'cut' }, result: { note: /trial/ } }])
  expect(toldIn(model.requests)).toEqual([expect.stringContaining('trial')])
})

test('the last call of the model is for an answer', async () => {
  await using system = await startCompanySystem(json({}))
  const { model, responder } = await setUpAi(
    ({ tool_choice }) => (tool_choice === 'none' ? { text: 'That is all.' } : asks('prices', { service: 'cut' })),
    { settings: { tools: [prices(system.url)], limits: { steps: 3 } } },
  )
  const reply = await responder.answer(turnOf('Hi!'), replyTools())
  expect(reply).toMatchObject({ outcome: 'answered', messages: [{ text: 'That is all.' }], trace: { steps: 3 } })
  expect(model.requests.length).toBe(3)
  expect(system.calls.length).toBe(2)
})

test('a model that asks for a hundred calls at once gets some of them', async () => {
  await using system = await startCompanySystem(json({}))
  const many = Array.from({ length: 100 }, (_, index) => ({
    name: 'prices',
    arguments: { service: 'a'.repeat(index + 1) },
  }))
  const { responder } = await setUpAi([{ toolCalls: many }, DONE], { settings: { tools: [prices(system.url)] } })
  expect(await responder.answer(turnOf('Hi!'), replyTools())).toMatchObject({ outcome: 'answered' })
  expect(system.calls.length).toBe(30)
})

describe('handing over', () => {
  test('with wrong arguments is refused, and the model goes on', async () => {
    const { responder } = await setUpAi([asks('hand_over', { reason: '' }), { text: 'How can I help?' }])
    const reply = await responder.answer(turnOf('Hi!'), replyTools())
    expect(reply).toMatchObject({ outcome: 'answered', messages: [{ text: 'How can I help?' }] })
    expect(reply.handoff).toBeUndefined()
  })

  test('without a word for the customer is silent', async () => {
    const { responder } = await setUpAi([asks('hand_over', { reason: 'Angry.', message: '' })])
    expect(await responder.answer(turnOf('Hi!'), replyTools())).toMatchObject({
      ...{ outcome: 'silent', messages: [], handoff: 'Angry.' },
    })
  })

  test('works in a trial too', async () => {
    const { responder } = await setUpAi([asks('hand_over', { reason: 'Angry.', message: 'Wait.' })])
    const reply = await responder.answer(turnOf('Hi!'), replyTools({ callsTools: false }))
    expect(reply).toMatchObject({ messages: [{ text: 'Wait.' }], handoff: 'Angry.' })
  })
})
