import { conversation, conversationNote } from '@frontdesk/api-contract'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { createContact, readEvents } from '../../services/support/messages.ts'
import { startTestApi, type TestApi } from './support/test-api.ts'

let api: TestApi
beforeAll(async () => {
  api = await startTestApi()
})
afterAll(() => api[Symbol.asyncDispose]())

let company: { id: string; key: string }
let sessionId: string
let id: string
beforeEach(async () => {
  company = await api.createCompany()
  sessionId = await api.database.createSession(company.id)
  id = await begin()
})

const database = () => api.database.database
async function begin(
  changes: { state?: 'bot' | 'waiting'; labels?: string[]; assignee?: string } = {},
): Promise<string> {
  const conversationId = newId()
  const contactId = await createContact(database(), company.id)
  await database()
    .worker.insertInto('conversation')
    .values({ id: conversationId, company_id: company.id, session_id: sessionId, contact_id: contactId, ...changes })
    .execute()
  return conversationId
}
const call = (method: string, path: string, json?: unknown, key = company.key) =>
  api.call(method, `/v1/conversations${path}`, { key, ...(json !== undefined && { json }) })
const list = async (query: string) => (await call('GET', `?${query}`)).body.items.map((item) => item.id)

test('a conversation is read, with its contact', async () => {
  const { status, body } = await call('GET', `/${id}`)
  expect(status).toBe(200)
  expect(conversation.parse(body)).toMatchObject({
    ...{
      id,
      sessionId,
      state: 'bot',
      returnsAt: null,
      assignee: null,
      labels: [],
      responders: null,
      turns: 0,
      cost: 0,
    },
    contact: { name: 'Ada', lid: null },
  })
})

test('conversations are listed in pages, and by each filter', async () => {
  const waiting = await begin({ state: 'waiting' })
  const labelled = await begin({ labels: ['vip', 'colour'], assignee: 'Lena' })
  expect(await list('')).toEqual([labelled, waiting, id])
  expect(await list('state=waiting')).toEqual([waiting])
  expect(await list('label=vip')).toEqual([labelled])
  expect(await list('assignee=Lena')).toEqual([labelled])
  expect(await list(`sessionId=${sessionId}`)).toHaveLength(3)
  expect(await list(`sessionId=${newId()}`)).toEqual([])
  const { contact } = conversation.parse((await call('GET', `/${waiting}`)).body)
  expect(await list(`contactId=${contact.id}`)).toEqual([waiting])
  const first = await call('GET', '?limit=2')
  expect(first.body.items.map((item) => item.id)).toEqual([labelled, waiting])
  expect(await list(`limit=2&cursor=${first.body.next}`)).toEqual([id])
})

describe('a conversation is changed', () => {
  test('taken over and given back, with the settings’ times unless told', async () => {
    const before = Date.now()
    const taken = conversation.parse((await call('PATCH', `/${id}`, { state: 'human', assignee: 'Lena' })).body)
    expect(taken).toMatchObject({ state: 'human', reason: 'set_by_api', assignee: 'Lena' })
    expect(Date.parse(taken.returnsAt ?? '')).toBeGreaterThanOrEqual(before + 1_800_000)
    expect((await call('PATCH', `/${id}`, { returnsAt: null })).body).toMatchObject({ state: 'human', returnsAt: null })
    const back = { state: 'bot', reason: 'set_by_api', returnsAt: null, assignee: 'Lena' }
    expect((await call('PATCH', `/${id}`, { state: 'bot' })).body).toMatchObject(back)
    const events = await readEvents(database(), company.id)
    expect(events.filter(({ type }) => type === 'conversation.state_changed').map(({ data }) => data)).toMatchObject([
      ...[
        { state: 'bot', reason: 'customer_wrote' },
        { state: 'human', assignee: 'Lena', returnsAt: taken.returnsAt },
      ],
      { state: 'bot', returnsAt: null },
    ])
  })

  test('labels, assignee and responders are set and taken away, with one event each time', async () => {
    const responders = [{ kind: 'none' }]
    const change = { labels: ['vip', 'vip', 'colour'], assignee: 'Lena', responders }
    expect((await call('PATCH', `/${id}`, change)).body).toMatchObject({
      ...change,
      labels: ['vip', 'colour'],
      state: 'bot',
    })
    expect((await call('PATCH', `/${id}`, {})).body).toMatchObject({ labels: ['vip', 'colour'], responders })
    const none = { labels: [], assignee: null, responders: null }
    expect((await call('PATCH', `/${id}`, none)).body).toMatchObject(none)
    const events = await readEvents(database(), company.id)
    expect(events.map(({ type }) => type)).toEqual([
      ...['conversation.state_changed', 'conversation.updated', 'conversation.updated'],
    ])
  })

  test('who changed what is in the audit log', async () => {
    await call('PATCH', `/${id}`, { state: 'closed', labels: ['done'] })
    await call('POST', `/${id}/notes`, { text: 'Paid.' })
    const entries = database().worker.selectFrom('audit_entry').select(['action', 'detail', 'api_key_id'])
    expect(await entries.where('subject_id', '=', id).orderBy('id').execute()).toEqual([
      { action: 'conversation.updated', detail: { changed: ['state', 'labels'] }, api_key_id: expect.any(String) },
      { action: 'conversation.note_added', detail: {}, api_key_id: expect.any(String) },
    ])
  })

  test.each([
    ['an unknown state', { state: 'lost' }],
    ['a moment to return for a conversation of the bot', { returnsAt: '2030-01-01T00:00:00.000Z' }],
    ['a moment to return when it is closed', { state: 'closed', returnsAt: '2030-01-01T00:00:00.000Z' }],
    ['too many labels', { labels: Array.from({ length: 21 }, (_, place) => `label ${place}`) }],
    ['an empty label', { labels: [' '] }],
    ['an empty chain', { responders: [] }],
    ['an unknown field', { mood: 'good' }],
  ])('not with %s', async (_, change) => {
    expect(await call('PATCH', `/${id}`, change)).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
    expect((await call('GET', `/${id}`)).body).toMatchObject({ state: 'bot', labels: [] })
  })
})

describe('notes', () => {
  test('are listed newest first, in pages, and announced without their text', async () => {
    const first = await call('POST', `/${id}/notes`, { author: 'Lena', text: 'Wants the same colour as in May.' })
    expect(first.status).toBe(201)
    expect(conversationNote.parse(first.body)).toMatchObject({ author: 'Lena' })
    const second = await call('POST', `/${id}/notes`, { text: 'She has paid.' })
    const page = await call('GET', `/${id}/notes?limit=1`)
    expect(page.body.items).toEqual([second.body])
    expect((await call('GET', `/${id}/notes?limit=1&cursor=${page.body.next}`)).body).toEqual({
      ...{ items: [first.body], next: null },
    })
    const events = await readEvents(database(), company.id)
    expect(events.filter(({ type }) => type === 'conversation.note_added')).toMatchObject([
      { subject_id: id, session_id: sessionId, data: { noteId: first.body.id } },
      { data: { noteId: second.body.id } },
    ])
  })

  test('need a text', async () => {
    for (const note of [{}, { text: ' ' }, { text: 'x'.repeat(4001) }]) {
      expect((await call('POST', `/${id}/notes`, note)).status).toBe(400)
    }
  })
})

test('a message of an agent takes the conversation over; the same request again is the same message', async () => {
  const { contact } = conversation.parse((await call('GET', `/${id}`)).body)
  const send = (agent: string) =>
    api.call('POST', '/v1/messages', {
      key: company.key,
      headers: { 'idempotency-key': 'one' },
      json: { sessionId, to: contact.id, content: { kind: 'text', text: 'Lena here.' }, agent },
    })
  const sent = await send('Lena')
  expect(sent.status).toBe(202)
  expect((await send('Lena')).body.id).toBe(sent.body.id)
  expect(await send('Ben')).toMatchObject({ status: 409, body: { code: 'idempotency_key_reused' } })
  const taken = { state: 'human', reason: 'written_by_agent', assignee: 'Lena' }
  expect((await call('GET', `/${id}`)).body).toMatchObject(taken)
})

test('nothing of another company is found, changed or listed', async () => {
  const other = await api.createCompany()
  await call('POST', `/${id}/notes`, { text: 'Secret.' })
  for (const [method, path, json] of [
    ['GET', `/${id}`, undefined],
    ['PATCH', `/${id}`, { state: 'closed' }],
    ['GET', `/${id}/notes`, undefined],
    ['POST', `/${id}/notes`, { text: 'Hello.' }],
  ] as const) {
    expect(await call(method, path, json, other.key)).toMatchObject({ status: 404, body: { code: 'not_found' } })
  }
  const { contact } = conversation.parse((await call('GET', `/${id}`)).body)
  for (const query of ['', `?sessionId=${sessionId}`, `?contactId=${contact.id}`]) {
    expect((await call('GET', query, undefined, other.key)).body.items).toEqual([])
  }
  expect((await call('GET', `/${id}`)).body).toMatchObject({ state: 'bot' })
  expect((await call('GET', `/${id}/notes`)).body.items).toHaveLength(1)
})
