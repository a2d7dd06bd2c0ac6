import { type PlaygroundRequest, playgroundAnswer, responderRequest } from '@frontdesk/api-contract'
import { startModelEmulator } from 'model-emulator'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { silence, startCompanySystem, texts } from '../../services/responders/company-system.ts'
import { setSettings } from '../../services/support/desk.ts'
import { until } from '../../support/until.ts'
import { startTestApi, type TestApi } from './support/test-api.ts'

let api: TestApi
let company: { id: string; key: string }
beforeAll(async () => {
  api = await startTestApi()
})
beforeEach(async () => {
  company = await api.createCompany()
})
afterAll(() => api[Symbol.asyncDispose]())

const call = (request: unknown) => api.call('POST', '/v1/playground', { key: company.key, json: request })
async function tryOut(request: PlaygroundRequest) {
  const answer = await call(request)
  expect(answer).toMatchObject({ status: 200 })
  return playgroundAnswer.parse(answer.body)
}
const rules = (settings: object) => ({ responders: [{ kind: 'rules' as const, ...settings }] })

test('the draft stands in place of what is set, key by key, and the trace names the rules that applied', async () => {
  await setSettings(api.database.database, company.id, {
    ...rules({ keywords: [{ any: ['price'], answer: 'It was 100 €.' }] }),
    fallback: 'We will come back to you.',
  })
  expect(await tryOut({ messages: ['price?'] })).toMatchObject({ messages: [{ text: 'It was 100 €.' }] })
  const draft = rules({
    greeting: { keywords: ['hi'], answer: 'Hi!', opening: 'Hi!' },
    keywords: [{ any: ['price'], answer: 'It is 120 €.' }],
  })
  expect(await tryOut({ settings: draft, messages: ['Hi!', 'What is the price?'] })).toMatchObject({
    messages: [{ kind: 'text', text: 'Hi! It is 120 €.' }],
    ...{ responder: 'rules', code: null, heldUntil: null, labels: [] },
    trace: { guard: null, steps: [{ responder: 'rules', rules: ['greeting', 'keywords[0]'] }] },
  })
  expect(await tryOut({ settings: draft, messages: ['bicycle'] })).toMatchObject({
    messages: [{ text: 'We will come back to you.' }],
    trace: { usedFallback: true },
  })
})

test('it is the moment that was asked for: rules for closed hours apply on a Sunday', async () => {
  const settings = {
    ...rules({ patterns: [{ pattern: '.', answer: 'We are closed.', when: 'closed' }] }),
    openingHours: { timeZone: 'Europe/Berlin', weekly: { monday: [{ from: '09:00', to: '18:00' }] } },
  }
  const at = (moment: string) => tryOut({ settings, messages: ['Are you there?'], at: moment })
  expect((await at('2026-11-22T10:00:00Z')).messages).toMatchObject([{ text: 'We are closed.' }])
  expect((await at('2026-11-23T10:00:00Z')).messages).toEqual([])
})

test('the guardrails hold, and say so', async () => {
  const settings = { ...rules({ keywords: [{ any: ['stop'], answer: 'No.' }] }), optOut: { stopWords: ['stop'] } }
  expect(await tryOut({ settings, messages: ['STOP'] })).toMatchObject({
    ...{ messages: [], responder: null, code: 'contact_opted_out' },
    trace: { guard: 'contact_opted_out', steps: [] },
  })
})

test('a contact who was written to before is not welcomed', async () => {
  const settings = rules({ welcome: 'Welcome!', keywords: [{ any: ['price'], answer: '120 €.' }] })
  expect((await tryOut({ settings, messages: ['price?'] })).messages).toMatchObject([{ text: 'Welcome! 120 €.' }])
  const history = [{ from: 'company' as const, text: 'Hello' }]
  expect((await tryOut({ settings, history, messages: ['price?'] })).messages).toMatchObject([{ text: '120 €.' }])
})

test('nothing of it is stored, and the company’s system hears that it is a trial', async () => {
  await using system = await startCompanySystem(texts('Yes!'))
  const countAll = async () => {
    const { worker } = api.database.database
    const tables = ['message', 'turn', 'turn_trace', 'conversation', 'contact', 'event', 'answer_usage'] as const
    return await Promise.all(
      tables.map(async (table) => (await worker.selectFrom(table).select('company_id').execute()).length),
    )
  }
  const before = await countAll()
  const settings = { responders: [{ kind: 'http' as const, url: system.url }] }
  const { messages } = await tryOut({ settings, messages: ['Hi'], contact: { name: 'Ada' } })
  expect(messages).toEqual([{ kind: 'text', text: 'Yes!' }])
  expect(responderRequest.parse(system.calls[0]?.body)).toMatchObject({ isTrial: true, contact: { name: 'Ada' } })
  expect(await countAll()).toEqual(before)
})

test('what a model costs is counted, and reaches the limit of the day like that of customers', async () => {
  await using model = await startModelEmulator({ script: [{ text: 'It is 120 €.' }] })
  const ai = {
    kind: 'ai' as const,
    ...{ baseUrl: model.baseUrl, model: 'gpt-4.1-mini', limits: { turnsPerDay: 1 } },
    price: { inputPerMillion: 1, outputPerMillion: 1 },
  }
  const first = await tryOut({ settings: { responders: [ai] }, messages: ['How much is it?'] })
  expect(first).toMatchObject({
    messages: [{ text: 'It is 120 €.' }],
    responder: 'ai',
    trace: { steps: [{ steps: 1 }] },
  })
  const usage = await api.database.database.worker
    .selectFrom('answer_usage')
    .select(['turns', 'cost_micros', 'input_tokens'])
    .where('company_id', '=', company.id)
    .execute()
  expect(usage).toMatchObject([{ turns: 1 }])
  expect(Number(usage[0]?.cost_micros)).toBeGreaterThan(0)
  const second = await tryOut({ settings: { responders: [ai] }, messages: ['And a beard?'] })
  expect(second.trace.steps).toMatchObject([{ code: 'ai_limit_reached' }])
  expect(model.requests).toHaveLength(1)
})

test('quiet hours would hold it: what is said meanwhile, and until when', async () => {
  const settings = {
    ...rules({ keywords: [{ any: ['price'], answer: '120 €.' }] }),
    quietHours: { timeZone: 'Europe/Berlin', from: '22:00', to: '07:00', text: 'We answer in the morning.' },
  }
  expect(await tryOut({ settings, messages: ['price?'], at: '2026-11-22T23:00:00Z' })).toMatchObject({
    ...{ messages: [{ text: 'We answer in the morning.' }], code: 'quiet_hours' },
    heldUntil: '2026-11-23T06:00:00.000Z',
  })
})

test('a company tries two at once, which slows down no other company', async () => {
  await using system = await startCompanySystem(silence)
  const settings = { responders: [{ kind: 'http' as const, url: system.url, retries: 0, timeoutMs: 60_000 }] }
  const leaving = new AbortController()
  const waiting = [1, 2].map(() =>
    fetch(`${api.url}/v1/playground`, {
      method: 'POST',
      headers: { authorization: `Bearer ${company.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ settings, messages: ['Hi'] }),
      signal: leaving.signal,
    }).catch((error: unknown) => error),
  )
  await until(() => system.calls.length === 2)
  expect(await call({ messages: ['Hi'] })).toMatchObject({ status: 429, body: { code: 'playground_busy' } })
  const other = await api.createCompany()
  const theirs = await api.call('POST', '/v1/playground', { key: other.key, json: { messages: ['Hi'] } })
  expect(theirs.status).toBe(200)
  // Who does not wait any longer makes room.
  leaving.abort()
  await Promise.all(waiting)
  await until(async () => (await call({ messages: ['Hi'] })).status === 200)
})

test.each([
  ['no message', { messages: [] }, 'messages'],
  ['a setting that does not exist', { settings: { colour: 'red' }, messages: ['Hi'] }, 'settings'],
  [
    'a pattern that RE2 does not know',
    { settings: rules({ patterns: [{ pattern: '(a)\\1', answer: 'x' }] }), messages: ['Hi'] },
    'settings.responders.0.patterns.0.pattern',
  ],
  ['a moment that is none', { messages: ['Hi'], at: 'tomorrow' }, 'at'],
])('%s is refused, with the field', async (_, request, field) => {
  const answer = await call(request)
  expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
  expect(JSON.stringify(answer.body['errors'])).toContain(field)
})
