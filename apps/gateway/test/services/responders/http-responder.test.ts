import { type HttpResponderSettings, MAX_TEXT_LENGTH, responderRequest } from '@frontdesk/api-contract'
import { expect, onTestFinished, test } from 'vitest'
import { CircuitBreaker } from '#src/services/responders/circuit-breaker.ts'
import { createHttpResponder } from '#src/services/responders/http-responder.ts'
import type { ResponderFailure } from '#src/services/responders/post-turn.ts'
import { createOutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'
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
    silence(response, { method: '', headers: {}, body: undefined })
  })
  const { responder } = setUp({ url: system.url })
  await expect(responder.answer(turnOf('Hi!'), replyTools({ signal: shutdown.signal }))).rejects.toThrow()
})
