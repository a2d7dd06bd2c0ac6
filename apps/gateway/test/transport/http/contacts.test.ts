import { contact } from '@frontdesk/api-contract'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { createContactBook } from '#src/storage/contacts.ts'
import { startTestApi, type TestApi } from './support/test-api.ts'

const [phone, lid] = ['4917012345678', '87654321987654']

let api: TestApi
let company: { id: string; key: string }
beforeAll(async () => {
  api = await startTestApi()
  company = await api.createCompany()
})
afterAll(() => api[Symbol.asyncDispose]())

const read = (contactId: string, key = company.key) => api.call('GET', `/v1/contacts/${contactId}`, { key })

test('a contact has all its known addresses, and is found by the id of one that was merged into it', async () => {
  const book = createContactBook(api.database.database, company.id)
  const byPhone = await book.contactOf({ phone }, 'Ada')
  const byLid = await book.contactOf({ lid })
  expect((await read(byLid)).body).toEqual({ id: byLid, phone: null, lid, name: null, optedOutAt: null })
  await book.contactOf({ phone, lid })
  for (const id of [byPhone, byLid]) {
    const answer = await read(id)
    expect(answer.status).toBe(200)
    expect(contact.parse(answer.body)).toEqual({ id: byPhone, phone, lid, name: 'Ada', optedOutAt: null })
  }
})

test('a contact of another company, or of none, is not found', async () => {
  const other = await api.createCompany()
  const theirs = await createContactBook(api.database.database, other.id).contactOf({ phone })
  expect((await read(theirs)).status).toBe(404)
  expect((await read(theirs, other.key)).status).toBe(200)
  expect((await read(newId())).status).toBe(404)
})

test('a contact can be opted out and in; what is sent to it meanwhile is stored as failed', async () => {
  const sessionId = await api.database.createSession(company.id)
  const id = await createContactBook(api.database.database, company.id).contactOf({ phone: '4917012345699' })
  const update = (isOptedOut: boolean) =>
    api.call('PATCH', `/v1/contacts/${id}`, { key: company.key, json: { isOptedOut } })
  const send = () =>
    api.call('POST', '/v1/messages', {
      key: company.key,
      json: { sessionId, to: id, content: { kind: 'text', text: 'Hello' } },
    })
  const before = await send()
  expect((await update(true)).body['optedOutAt']).toEqual(expect.any(String))
  expect(await send()).toMatchObject({ status: 202, body: { status: 'failed' } })
  expect((await api.call('GET', `/v1/messages/${before.body['id']}`, { key: company.key })).body).toMatchObject({
    status: 'failed',
    error: { code: 'contact_opted_out' },
  })
  expect(await update(false)).toMatchObject({ status: 200, body: { id, optedOutAt: null } })
  expect((await send()).body['status']).toBe('queued')
})

test("another company's contact cannot be opted out", async () => {
  const other = await api.createCompany()
  const theirs = await createContactBook(api.database.database, other.id).contactOf({ phone })
  const answer = await api.call('PATCH', `/v1/contacts/${theirs}`, { key: company.key, json: { isOptedOut: true } })
  expect(answer.status).toBe(404)
  expect((await read(theirs, other.key)).body['optedOutAt']).toBe(null)
})
