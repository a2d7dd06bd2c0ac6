import { type HttpResponderSettings, MAX_TEXT_LENGTH, responderRequest } from '@frontdesk/api-contract'
import { Webhook } from 'standardwebhooks'
import { expect, onTestFinished, test } from 'vitest'
import { CircuitBreaker } from '#src/services/responders/circuit-breaker.ts'
import { createHttpResponder } from '#src/services/responders/http-responder.ts'
import type { ResponderFailure } from '#src/services/responders/post-turn.ts'
import { createOutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'
import { newSecret } from '#src/services/webhooks/webhook-secrets.ts'
import { hangUp, json, raw, silence, startCompanySystem, status, texts } from './company-system.ts'
import { replyTools } from './reply-tools.ts'
import { turnOf } from './turn-of.ts'

function setUp(settings: Partial<HttpResponderSettings> & { url: string }, allowedHosts = ['127.0.0.1']) {
  const failures: ResponderFailure[] = []
  const urlGuard = createOutgoingUrlGuard(allowedHosts)
  onTestFinished(() => urlGuard[Symbol.asyncDispose]())
  const breaker = new CircuitBreaker()
  const responder = createHttpResponder(
    { kind: 'http', ...settings },
    { urlGuard, breaker, onFailure: (_, failure) => failures.push(failure), firstRetryMs: 1 },
  )
  return { responder, failures }
}

test('the turn is posted in the documented form, with its id as idempotency key, and the answer is taken', async () => {
  await using system = await startCompanySystem(texts('Yes!', 'See you.'))
  const { responder } = setUp({ url: system.url })
  const turn = turnOf('Hi!', 'do you do balayage?', { kind: 'unsupported', whatsappType: 'imageMessage' })
  expect(await responder.answer(turn, replyTools())).toEqual({
    outcome: 'answered',
    messages: [
      { kind: 'text', text: 'Yes!' },
      { kind: 'text', text: 'See you.' },
    ],
    trace: { attempts: 1 },
  })
  const [call] = system.calls
  expect(call?.method).toBe('POST')
  expect(call?.headers).toMatchObject({ 'idempotency-key': turn.id, 'content-type': 'application/json' })
  const posted = responderRequest.parse(call?.body)
  expect(posted).toMatchObject({ turnId: turn.id, contact: turn.contact, session: turn.session, company: turn.company })
  expect(posted.messages).toEqual(turn.messages.map((message) => ({ ...message, sentAt: '2026-11-02T09:15:04.120Z' })))
})

test.each([
  ['{}', json({})],
  ['an empty list', json({ messages: [] })],
  ['204', status(204)],
])('%s means no answer, which is no error', async (_, reply) => {
  await using system = await startCompanySystem(reply)
  const { responder } = setUp({ url: system.url })
  expect(await responder.answer(turnOf('Hi!'), replyTools())).toMatchObject({ outcome: 'silent', messages: [] })
})

test.each([
  ['500, again and again', 'responder_failed', 3, [status(500)]],
  ['429, again and again', 'responder_failed', 3, [status(429)]],
  ['404', 'responder_failed', 1, [status(404)]],
  ['a redirect', 'responder_failed', 1, [status(302, { location: 'http://127.0.0.1:1/' })]],
  ['silence', 'responder_timed_out', 3, [silence]],
  ['a broken connection', 'responder_unreachable', 3, [hangUp]],
  ['nothing at all', 'responder_answer_invalid', 1, [raw('')]],
  ['garbage', 'responder_answer_invalid', 1, [raw('<html>oops</html>')]],
  ['JSON of another form', 'responder_answer_invalid', 1, [json({ answer: 'Yes!' })]],
  ['null', 'responder_answer_invalid', 1, [raw('null')]],
  ['an unknown kind of message', 'responder_answer_invalid', 1, [json({ messages: [{ kind: 'song', url: 'x' }] })]],
  ['a message too long', 'responder_answer_invalid', 1, [texts('x'.repeat(MAX_TEXT_LENGTH + 1))]],
  ['a message of which nothing remains', 'responder_answer_invalid', 1, [texts('\u202E\u0000')]],
  ['too many messages', 'responder_answer_invalid', 1, [texts(...Array<string>(11).fill('Yes!'))]],
  ['a huge answer', 'responder_answer_invalid', 1, [texts('x'.repeat(1024 * 1024))]],
])('%s: the next responder is asked, and the cause stands beside it', async (_, errorCode, calls, replies) => {
  await using system = await startCompanySystem(...replies)
  const { responder, failures } = setUp({ url: system.url, timeoutMs: 100 })
  expect(await responder.answer(turnOf('Hi!'), replyTools())).toEqual({
    outcome: 'failed',
    messages: [],
    errorCode,
    trace: { attempts: calls, detail: expect.any(String) },
  })
  expect(system.calls.length).toBe(calls)
  expect(new Set(system.calls.map(({ headers }) => headers['idempotency-key'])).size).toBe(1)
  expect(failures.map((failure) => failure.errorCode)).toEqual(Array(calls).fill(errorCode))
})

test('a later attempt that succeeds leaves no error', async () => {
  await using system = await startCompanySystem(status(503), hangUp, texts('Yes!'))
  const { responder, failures } = setUp({ url: system.url })
  expect(await responder.answer(turnOf('Hi!'), replyTools())).toMatchObject({
    messages: [{ kind: 'text', text: 'Yes!' }],
  })
  expect(failures.map(({ errorCode }) => errorCode)).toEqual(['responder_failed', 'responder_unreachable'])
})

test('what must not be sent is taken out of the answer', async () => {
  await using system = await startCompanySystem(texts('Y\u0007es\u202E!\r\n'))
  const { responder } = setUp({ url: system.url })
  expect(await responder.answer(turnOf('Hi!'), replyTools())).toMatchObject({
    messages: [{ kind: 'text', text: 'Yes!\n' }],
  })
})

test('an answer that never ends is cut off at the limit', async () => {
  await using system = await startCompanySystem((response) => {
    const chunk = Buffer.alloc(64 * 1024, 'x')
    const more = () => {
      while (!response.destroyed && response.write(chunk));
    }
    response.on('drain', more)
    more()
  })
  const { responder } = setUp({ url: system.url })
  expect(await responder.answer(turnOf('Hi!'), replyTools())).toMatchObject({ errorCode: 'responder_answer_invalid' })
})

test('a URL in a private network is not called', async () => {
  await using system = await startCompanySystem(texts('inside'))
  for (const url of [system.url, system.url.replace('127.0.0.1', 'localhost')]) {
    const { responder } = setUp({ url }, [])
    expect(await responder.answer(turnOf('Hi!'), replyTools())).toMatchObject({
      messages: [],
      errorCode: 'url_not_allowed',
    })
  }
  expect(system.calls).toEqual([])
})

test('a host that does not exist is unreachable', async () => {
  const { responder } = setUp({ url: 'http://nobody.invalid/', retries: 0 })
  expect(await responder.answer(turnOf('Hi!'), replyTools())).toMatchObject({
    messages: [],
    errorCode: 'responder_unreachable',
  })
})

test('the details of failures hold nothing of the messages', async () => {
  await using system = await startCompanySystem(json({ messages: [{ kind: 'text', text: 17, secret: 'do you do' }] }))
  const { responder, failures } = setUp({ url: system.url })
  await responder.answer(turnOf('do you do balayage?'), replyTools())
  expect(failures.length).toBe(1)
  expect(JSON.stringify(failures)).not.toMatch(/do you|balayage/)
})

test('an abort ends an attempt under way and the waiting between attempts', async () => {
  const shutdown = new AbortController()
  await using system = await startCompanySystem((response) => {
    shutdown.abort(new Error('shutting down'))
    silence(response, { method: '', headers: {}, text: '', body: undefined })
  })
  const { responder } = setUp({ url: system.url })
  await expect(responder.answer(turnOf('Hi!'), replyTools({ signal: shutdown.signal }))).rejects.toThrow()
})

const secretOf = (value: string | undefined) =>
  replyTools({ secret: async (name) => (name === 'answers' ? value : undefined) })

test('a request is signed as webhooks are, with the secret that the settings name; the turn is its id', async () => {
  await using system = await startCompanySystem(status(503), texts('Yes!'))
  const { responder } = setUp({ url: system.url, secret: 'answers' })
  const secret = newSecret()
  const turn = turnOf('Hi!')
  expect(await responder.answer(turn, secretOf(secret))).toMatchObject({ outcome: 'answered', trace: { attempts: 2 } })
  expect(system.calls).toHaveLength(2)
  for (const { headers, text } of system.calls) {
    expect(headers['webhook-id']).toBe(turn.id)
    const verified = new Webhook(secret).verify(text, headers as Record<string, string>)
    expect(responderRequest.parse(verified).turnId).toBe(turn.id)
    expect(() => new Webhook(newSecret()).verify(text, headers as Record<string, string>)).toThrow()
  }
})

test('without a secret in the settings nothing is signed', async () => {
  await using system = await startCompanySystem(texts('Yes!'))
  const { responder } = setUp({ url: system.url })
  await responder.answer(turnOf('Hi!'), secretOf(newSecret()))
  expect(system.calls[0]?.headers).not.toHaveProperty('webhook-signature')
})

test.each([
  ['is not there', undefined],
  ['is of another form', 'a-password-that-signs-nothing'],
])('nothing is sent unsigned: a secret that %s makes the responder fail', async (_, value) => {
  await using system = await startCompanySystem(texts('Yes!'))
  const { responder } = setUp({ url: system.url, secret: 'answers' })
  const reply = await responder.answer(turnOf('Hi!'), secretOf(value))
  expect(reply).toMatchObject({ outcome: 'failed', errorCode: 'secret_missing' })
  expect(JSON.stringify(reply)).not.toContain('a-password')
  expect(system.calls).toEqual([])
})

test('the system hears how the conversation stands', async () => {
  await using system = await startCompanySystem(texts('Yes!'))
  const { responder } = setUp({ url: system.url })
  const heldUntil = new Date('2026-11-02T09:00:00.000Z')
  const turn = { ...turnOf('Hi!'), isFirst: true, heldUntil }
  turn.conversation = { ...turn.conversation, labels: ['vip'] }
  await responder.answer(turn, replyTools())
  expect(responderRequest.parse(system.calls[0]?.body)).toMatchObject({
    isTrial: false,
    conversation: {
      ...{ id: turn.conversation.id, state: 'bot', labels: ['vip'], isFirst: true },
      heldUntil: heldUntil.toISOString(),
    },
  })
})

test('an answer may pass, hand over, label and say for how long somebody types', async () => {
  const message = { kind: 'text', text: 'One moment.', typingMs: 1500 }
  await using system = await startCompanySystem(
    json({ pass: true, labels: ['asked'] }),
    json({ messages: [message], handoff: { reason: 'wants\u0007 a person' }, labels: ['vip'] }),
    json({ pass: true, messages: [message] }),
  )
  const { responder } = setUp({ url: system.url })
  const ask = () => responder.answer(turnOf('Hi!'), replyTools())
  expect(await ask()).toMatchObject({ outcome: 'passed', messages: [], labels: ['asked'] })
  expect(await ask()).toMatchObject({
    ...{ outcome: 'answered', messages: [message] },
    ...{ handoff: 'wants a person', labels: ['vip'] },
  })
  expect(await ask()).toMatchObject({ outcome: 'failed', errorCode: 'responder_answer_invalid' })
})

test('a system that asks for a moment gets it', async () => {
  await using system = await startCompanySystem(status(503, { 'retry-after': '1' }), texts('Yes!'))
  const { responder } = setUp({ url: system.url })
  const beganAt = performance.now()
  expect(await responder.answer(turnOf('Hi!'), replyTools())).toMatchObject({ outcome: 'answered' })
  // A timer may fire up to a millisecond early.
  expect(performance.now() - beganAt).toBeGreaterThanOrEqual(999)
})

test('a system that asks for more time than a customer has is not asked again for this turn', async () => {
  await using system = await startCompanySystem(status(429, { 'retry-after': '3600' }), texts('Yes!'))
  const { responder } = setUp({ url: system.url })
  expect(await responder.answer(turnOf('Hi!'), replyTools())).toMatchObject({ errorCode: 'responder_failed' })
  expect(system.calls).toHaveLength(1)
  // The next turn asks anew.
  expect(await responder.answer(turnOf('Hi!'), replyTools())).toMatchObject({ outcome: 'answered' })
})

test('a system that fails again and again is not asked for a while, by this company; another company asks its own way', async () => {
  await using system = await startCompanySystem(hangUp)
  const { responder } = setUp({ url: system.url, retries: 5 })
  const turn = turnOf('Hi!')
  const ofThis = () => responder.answer({ ...turnOf('Hi!'), company: turn.company }, replyTools())
  expect(await ofThis()).toMatchObject({ errorCode: 'responder_unreachable', trace: { attempts: 6 } })
  // The tenth failure in a row ends the attempts.
  expect(await ofThis()).toMatchObject({ errorCode: 'responder_unreachable', trace: { attempts: 4 } })
  expect(await ofThis()).toEqual({ outcome: 'failed', messages: [], errorCode: 'responder_paused', trace: {} })
  expect(system.calls).toHaveLength(10)
  expect(await responder.answer(turnOf('Hi!'), replyTools())).toMatchObject({ errorCode: 'responder_unreachable' })
})
