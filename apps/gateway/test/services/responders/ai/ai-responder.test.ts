import { answerMessage } from '@frontdesk/api-contract'
import { hostileReplies, type ModelReply } from 'model-emulator'
import { describe, expect, test } from 'vitest'
import type { PastMessage } from '#src/model/turn.ts'
import { replyTools } from '../reply-tools.ts'
import { turnOf } from '../turn-of.ts'
import { busy, setUpAi } from './ai-desk.ts'

const past = (from: PastMessage['from'], text: string): PastMessage => ({ from, text, at: new Date(0) })
const price = { inputPerMillion: 2, outputPerMillion: 10 }

test('the model knows the company, the conversation and the burst, and its answer is sent', async () => {
  const { model, responder } = await setUpAi([{ text: 'Balayage is 120 €.', usage: { input: 200, output: 10 } }], {
    settings: { instructions: 'Be brief.', price },
  })
  const reply = await responder.answer(
    turnOf('Hi!', 'do you do balayage?'),
    replyTools({
      business: { address: 'Main Street 1', prices: [{ item: 'Balayage', price: '120 €' }] },
      history: async () => [past('customer', 'Are you open?'), past('bot', 'Yes.'), past('person', 'Come in!')],
    }),
  )
  expect(reply).toEqual({
    outcome: 'answered',
    messages: [{ kind: 'text', text: 'Balayage is 120 €.' }],
    usage: { inputTokens: 200, outputTokens: 10, costMicros: 500 },
    trace: { model: 'some-model', steps: 1, tools: [], tokens: { input: 200, output: 10 }, cost: 0.0005 },
  })
  const [system, ...conversation] = model.requests[0]?.messages ?? []
  expect(system).toMatchObject({
    role: 'system',
    content: expect.stringMatching(/Salon Margot[\s\S]*Be brief\.[\s\S]*120 €/),
  })
  expect(conversation).toMatchObject([
    { role: 'user', content: 'Are you open?' },
    { role: 'assistant', content: 'Yes.\nCome in!' },
    { role: 'user', content: 'Hi!\ndo you do balayage?' },
  ])
})

test('the key is sent, and is in no failure', async () => {
  const key = 'sk-very-secret'
  const { model, responder } = await setUpAi([{ text: 'Yes!' }], { settings: { apiKey: 'openai' }, apiKey: key })
  const secret = async (name: string) => (name === 'openai' ? key : undefined)
  expect(await responder.answer(turnOf('Hi!'), replyTools({ secret }))).toMatchObject({ outcome: 'answered' })
  const refused = await responder.answer(turnOf('Hi!'), replyTools({ secret: async () => 'sk-wrong-key' }))
  expect(refused).toMatchObject({ outcome: 'failed', errorCode: 'model_failed', trace: { detail: 'Status 401.' } })
  expect(JSON.stringify(refused)).not.toContain('sk-')
  expect(model.requests.length).toBe(1)
})

test('without the secret the model is not asked', async () => {
  const { model, responder, failures } = await setUpAi([{ text: 'Yes!' }], { settings: { apiKey: 'openai' } })
  expect(await responder.answer(turnOf('Hi!'), replyTools())).toMatchObject({
    ...{ outcome: 'failed', errorCode: 'secret_missing' },
  })
  expect(model.requests).toEqual([])
  expect(failures).toMatchObject([{ errorCode: 'secret_missing' }])
})

test('a burst without text is passed on', async () => {
  const { model, responder } = await setUpAi([{ text: 'Yes!' }])
  const picture = turnOf({ kind: 'unsupported', whatsappType: 'imageMessage' })
  expect(await responder.answer(picture, replyTools())).toEqual({ outcome: 'passed', messages: [] })
  expect(model.requests).toEqual([])
})

test('handing over ends the answer, with what the model tells the person and the customer', async () => {
  const { model, responder } = await setUpAi([
    {
      toolCalls: [
        { name: 'hand_over', arguments: { reason: 'Wants a refund.', message: 'Margot will write to you.' } },
      ],
    },
  ])
  expect(await responder.answer(turnOf('I want my money back!'), replyTools())).toMatchObject({
    outcome: 'answered',
    messages: [{ kind: 'text', text: 'Margot will write to you.' }],
    handoff: 'Wants a refund.',
    trace: { steps: 1, tools: [{ name: 'hand_over', result: { handedOver: true } }] },
  })
  expect(model.requests.length).toBe(1)
})

test('what a model thinks aloud, and its Markdown, do not reach the customer', async () => {
  const { responder } = await setUpAi([{ text: '<think>Hm, prices.</think>\n## Prices\n**Cut**: 40 €\u202E' }])
  expect(await responder.answer(turnOf('Prices?'), replyTools())).toMatchObject({
    messages: [{ kind: 'text', text: '*Prices*\n*Cut*: 40 €' }],
  })
})

test('the model is told how long its answer may be, and how free', async () => {
  const { model, responder } = await setUpAi([{ text: 'Yes!' }], {
    settings: { maxOutputTokens: 77, temperature: 0.5 },
  })
  await responder.answer(turnOf('Hi!'), replyTools())
  expect(model.requests[0]).toMatchObject({ max_tokens: 77, temperature: 0.5 })
})

describe('limits', () => {
  const asked = { conversation: { turns: 3, costMicros: 40 }, today: { turns: 100, costMicros: 4000 } }
  const turn = () => {
    const fresh = turnOf('Hi!')
    return { ...fresh, conversation: { ...fresh.conversation, ...asked.conversation }, today: asked.today }
  }

  test.each([
    ['turns of the conversation', { turnsPerConversation: 3 }, 'The limit of the conversation is reached.'],
    ['cost of the conversation', { costPerConversation: 0.00004 }, 'The limit of the conversation is reached.'],
    ['turns of the day', { turnsPerDay: 100 }, undefined],
    ['cost of the day', { costPerDay: 0.004 }, undefined],
  ])('%s: the model is not asked', async (_, limits, handoff) => {
    const { model, responder } = await setUpAi([{ text: 'Yes!' }], { settings: { limits, price } })
    const reply = await responder.answer(turn(), replyTools())
    expect(reply).toMatchObject({ outcome: 'failed', errorCode: 'ai_limit_reached', messages: [] })
    expect(reply.handoff).toBe(handoff)
    expect(model.requests).toEqual([])
  })

  test('just below all of them, it is', async () => {
    const limits = { turnsPerConversation: 4, costPerConversation: 0.00005, turnsPerDay: 101, costPerDay: 0.005 }
    const { responder } = await setUpAi([{ text: 'Yes!' }], { settings: { limits, price } })
    expect(await responder.answer(turn(), replyTools())).toMatchObject({ outcome: 'answered' })
  })

  test('a model that spends too much in one answer is stopped', async () => {
    const reply: ModelReply = { ...hostileReplies.toolLoop('nothing'), usage: { input: 1000, output: 100 } }
    const { model, responder } = await setUpAi([reply], { settings: { limits: { costPerConversation: 0.005 }, price } })
    expect(await responder.answer(turnOf('Hi!'), replyTools())).toMatchObject({
      ...{ outcome: 'failed', errorCode: 'ai_limit_reached', usage: { costMicros: 6000 } },
    })
    expect(model.requests.length).toBe(2)
  })
})

describe('a model or a network at its worst', () => {
  test.each<[string, string, number, ModelReply[]]>([
    ['429, again and again', 'model_failed', 4, [busy(429)]],
    ['503, again and again', 'model_failed', 4, [busy(503)]],
    ['400', 'model_failed', 1, [{ raw: { status: 400, body: '{"error":{"message":"no such model"}}' } }]],
    ['404 in HTML', 'model_failed', 1, [{ raw: { status: 404, body: '<html>' } }]],
    ['a connection that breaks in the middle', 'model_unreachable', 4, [hostileReplies.cutStream]],
    ['no JSON', 'model_answer_invalid', 1, [hostileReplies.invalidJson]],
    ['JSON of another form', 'model_answer_invalid', 1, [hostileReplies.wrongForm]],
    ['a page', 'model_answer_invalid', 1, [hostileReplies.html]],
    ['ten megabytes', 'model_answer_invalid', 1, [hostileReplies.hugeAnswer]],
    ['nothing said', 'model_answer_invalid', 1, [hostileReplies.emptyAnswer]],
    ['nothing visible said', 'model_answer_invalid', 1, [{ text: ' \u202E\u0000\n ' }]],
    ['nothing but thoughts', 'model_answer_invalid', 1, [{ text: '<think>Hm.</think>' }]],
    [
      'a redirect',
      'model_failed',
      1,
      [{ raw: { status: 302, headers: { location: 'http://127.0.0.1:1/' }, body: '' } }],
    ],
    ['a loop of tools', 'ai_limit_reached', 6, [hostileReplies.wrongTool]],
  ])('%s: failed, and the next responder is asked', async (_, errorCode, requests, replies) => {
    const { model, responder, failures } = await setUpAi(replies)
    const reply = await responder.answer(turnOf('do you do balayage?'), replyTools())
    expect(reply).toMatchObject({ outcome: 'failed', messages: [], errorCode, trace: { detail: expect.any(String) } })
    expect(reply.handoff).toBeUndefined()
    expect(model.requests.length).toBe(requests)
    expect(failures).toMatchObject([{ errorCode }])
    expect(JSON.stringify(failures)).not.toMatch(/balayage|busy|no such model/)
  })

  test('429, 5xx and a broken connection that pass are waited out', async () => {
    const { model, responder } = await setUpAi([
      busy(429),
      hostileReplies.serverError,
      hostileReplies.cutStream,
      { text: 'Yes!' },
    ])
    expect(await responder.answer(turnOf('Hi!'), replyTools())).toMatchObject({ outcome: 'answered' })
    expect(model.requests.length).toBe(4)
  })

  test.each([
    ['never answers', hostileReplies.neverAnswers],
    ['answers too slowly', hostileReplies.slowTokens],
    ['answers too late', { text: 'Late.', delayMs: 3_600_000 }],
  ])('one that %s is given up after the time for an answer', async (_, reply) => {
    const { responder } = await setUpAi([reply], { settings: { timeoutMs: 1000 } })
    expect(await responder.answer(turnOf('Hi!'), replyTools())).toMatchObject({
      ...{ outcome: 'failed', errorCode: 'model_timed_out', trace: { detail: 'No answer within 1000 ms.' } },
    })
  })

  test('one that asks to come again when it is too late is not waited for', async () => {
    const later = { raw: { status: 429, headers: { 'retry-after': '301' }, body: '{}' } }
    const { model, responder } = await setUpAi([later], { settings: { timeoutMs: 300_000 } })
    expect(await responder.answer(turnOf('Hi!'), replyTools())).toMatchObject({
      ...{ outcome: 'failed', errorCode: 'model_failed', trace: { detail: 'Status 429.' } },
    })
    expect(model.requests.length).toBe(1)
  })

  test('one that is not there', async () => {
    const { model, responder } = await setUpAi([{ text: 'Yes!' }], { settings: { timeoutMs: 60_000 } })
    await model.close()
    expect(await responder.answer(turnOf('Hi!'), replyTools())).toMatchObject({ errorCode: 'model_unreachable' })
  })

  test('one in a private network is not asked', async () => {
    const { model, responder } = await setUpAi([{ text: 'inside' }], { allowedHosts: [] })
    expect(await responder.answer(turnOf('Hi!'), replyTools())).toMatchObject({ errorCode: 'url_not_allowed' })
    const named = await setUpAi([{ text: 'inside' }], {
      ...{ allowedHosts: [], settings: { baseUrl: model.baseUrl.replace('127.0.0.1', 'localhost') } },
    })
    expect(await named.responder.answer(turnOf('Hi!'), replyTools())).toMatchObject({ errorCode: 'url_not_allowed' })
    expect(model.requests).toEqual([])
  })

  test('an answer that was cut off at the limit of tokens ends with a whole sentence', async () => {
    const body = JSON.stringify({
      ...{ id: 'a', object: 'chat.completion', created: 0, model: 'some-model' },
      choices: [
        {
          index: 0,
          finish_reason: 'length',
          message: { role: 'assistant', content: 'It is 4.5 km. Take the bus. From the' },
        },
      ],
    })
    const { responder } = await setUpAi([{ raw: { status: 200, body } }])
    expect(await responder.answer(turnOf('Where?'), replyTools())).toMatchObject({
      ...{ messages: [{ text: 'It is 4.5 km. Take the bus.' }], usage: { inputTokens: 0, outputTokens: 0 } },
    })
  })

  test('a long answer becomes several messages that can be sent', async () => {
    const { responder } = await setUpAi([{ text: 'A sentence about hair. '.repeat(1000) }])
    const { messages } = await responder.answer(turnOf('Tell me all!'), replyTools())
    expect(messages.length).toBe(5)
    for (const message of messages) expect(answerMessage.parse(message)).toEqual(message)
  })

  test('an abort ends it', async () => {
    const shutdown = new AbortController()
    const { responder } = await setUpAi(() => {
      shutdown.abort(new Error('shutting down'))
      return { isSilent: true }
    })
    await expect(responder.answer(turnOf('Hi!'), replyTools({ signal: shutdown.signal }))).rejects.toThrow(
      'shutting down',
    )
  })
})
