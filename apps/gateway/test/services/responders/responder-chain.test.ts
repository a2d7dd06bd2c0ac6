import { expect, test } from 'vitest'
import type { Reply, Responder } from '#src/services/responders/responder.ts'
import { askResponders } from '#src/services/responders/responder-chain.ts'
import { replyTools } from './reply-tools.ts'
import { turnOf } from './turn-of.ts'

const text = (of: string) => ({ kind: 'text' as const, text: of })
const responder = (name: Responder['name'], reply: Partial<Reply> | Error): Responder => ({
  name,
  answer: async () => {
    if (reply instanceof Error) throw reply
    return { outcome: 'passed', messages: [], ...reply }
  },
})

async function ask(responders: Responder[], fallback?: string) {
  const errors: unknown[] = []
  const reply = await askResponders(responders, {
    ...{ turn: turnOf('Hi!'), tools: replyTools(), fallback },
    onError: (error) => errors.push(error),
  })
  return { ...reply, errors }
}

test('each is asked when the one before has passed or failed, and the first that knows decides', async () => {
  const reply = await ask([
    responder('rules', { labels: ['a', 'b'] }),
    responder('http', { outcome: 'failed', errorCode: 'responder_failed', labels: ['b', 'c'] }),
    responder('ai', { outcome: 'answered', messages: [text('Yes!')] }),
    responder('none', { outcome: 'silent' }),
  ])
  expect(reply).toMatchObject({
    messages: [text('Yes!')],
    responder: 'ai',
    labels: ['a', 'b', 'c'],
    usedFallback: false,
  })
  expect(reply).not.toHaveProperty('errorCode')
  expect(reply.steps.map(({ responder: name, outcome, code }) => [name, outcome, code])).toEqual([
    ['rules', 'passed', undefined],
    ['http', 'failed', 'responder_failed'],
    ['ai', 'answered', undefined],
  ])
})

test('when nobody knows an answer, the fallback is said, with the first failure as its reason', async () => {
  const responders = [
    responder('http', { outcome: 'failed', errorCode: 'responder_timed_out' }),
    responder('http', { outcome: 'failed', errorCode: 'responder_failed' }),
    responder('rules', {}),
  ]
  expect(await ask(responders, 'One moment.')).toMatchObject({
    ...{ messages: [text('One moment.')], responder: 'rules', errorCode: 'responder_timed_out', usedFallback: true },
  })
  expect(await ask(responders)).toMatchObject({ messages: [], usedFallback: false })
})

test('who is silent, or hands over, ends it: nobody else is asked and no fallback is said', async () => {
  const next = responder('rules', { outcome: 'answered', messages: [text('No!')] })
  expect(await ask([responder('none', { outcome: 'silent' }), next], 'x')).toMatchObject({ messages: [] })
  expect(await ask([responder('ai', { outcome: 'failed', handoff: 'limit' }), next], 'x')).toMatchObject({
    ...{ messages: [], handoff: 'limit', usedFallback: false },
  })
})

test('what one who passes wants to be said opens the answer of another, or the fallback; alone it is not said', async () => {
  const welcoming = responder('rules', { messages: [text('Welcome!')] })
  const knows = responder('ai', { outcome: 'answered', messages: [text('Yes!')] })
  expect((await ask([welcoming, knows])).messages).toEqual([text('Welcome!'), text('Yes!')])
  expect((await ask([welcoming], 'One moment.')).messages).toEqual([text('Welcome!'), text('One moment.')])
  expect((await ask([welcoming])).messages).toEqual([])
  expect((await ask([welcoming, responder('none', { outcome: 'silent' })])).messages).toEqual([])
})

test('one that fails in a way that nobody foresaw is passed over, and told of', async () => {
  const error = new Error('oops')
  expect(await ask([responder('ai', error)], 'One moment.')).toMatchObject({
    ...{ messages: [text('One moment.')], errorCode: 'internal', errors: [error] },
  })
})

test('what several have cost is counted together', async () => {
  const usage = { inputTokens: 100, outputTokens: 10, costMicros: 5 }
  const reply = await ask([
    responder('ai', { outcome: 'failed', errorCode: 'internal', usage }),
    responder('ai', { outcome: 'answered', messages: [text('Yes!')], usage }),
  ])
  expect(reply.usage).toEqual({ inputTokens: 200, outputTokens: 20, costMicros: 10 })
})
