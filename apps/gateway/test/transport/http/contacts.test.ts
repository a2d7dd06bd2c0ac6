import { messageContact } from '@frontdesk/api-contract'
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
  expect((await read(byLid)).body).toEqual({ id: byLid, phone: null, lid, name: null })
  await book.contactOf({ phone, lid })
  for (const id of [byPhone, byLid]) {
    const answer = await read(id)
    expect(answer.status).toBe(200)
    expect(messageContact.parse(answer.body)).toEqual({ id: byPhone, phone, lid, name: 'Ada' })
  }
})

test('a contact of another company, or of none, is not found', async () => {
  const other = await api.createCompany()
  const theirs = await createContactBook(api.database.database, other.id).contactOf({ phone })
  expect((await read(theirs)).status).toBe(404)
  expect((await read(theirs, other.key)).status).toBe(200)
  expect((await read(newId())).status).toBe(404)
})
