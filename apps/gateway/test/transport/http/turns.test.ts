import { turnDetails, turnResource } from '@frontdesk/api-contract'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { startCompanySystem, texts } from '../../services/responders/company-system.ts'
import { openDesk, setSettings } from '../../services/support/desk.ts'
import { createContact, storeInbound } from '../../services/support/messages.ts'
import { until } from '../../support/until.ts'
import { startTestApi, type TestApi } from './support/test-api.ts'

let api: TestApi
let company: { id: string; key: string }
let sessionId: string
beforeAll(async () => {
  api = await startTestApi()
  company = await api.createCompany()
  sessionId = await api.database.createSession(company.id)
})
afterAll(() => api[Symbol.asyncDispose]())

const database = () => api.database.database
const read = (turnId: string, key = company.key) => api.call('GET', `/v1/turns/${turnId}`, { key })
const list = (query = '', key = company.key) => api.call('GET', `/v1/turns${query}`, { key })

/** A turn as it is stored while it is open; `change` says what is otherwise. */
async function storeTurn(change: Partial<{ id: string; contactId: string; heldUntil: Date; companyId: string }> = {}) {
  const { id = newId(), companyId = company.id, heldUntil = null } = change
  const contactId = change.contactId ?? (await createContact(database(), companyId))
  const session = companyId === company.id ? sessionId : await api.database.createSession(companyId)
  await database()
    .worker.insertInto('turn')
    .values({ id, company_id: companyId, session_id: session, contact_id: contactId, held_until: heldUntil })
    .execute()
  return { id, contactId }
}

test('a turn tells what came, who was asked, which rules applied, and what was sent', async () => {
  await using system = await startCompanySystem(texts('We are.'))
  await setSettings(database(), company.id, {
    responders: [
      { kind: 'rules', keywords: [{ any: ['price'], answer: 'It is 120 €.' }], patterns: [] },
      { kind: 'http', url: system.url },
    ],
  })
  await using desk = openDesk(database())
  await desk.own(sessionId)
  const place = { companyId: company.id, sessionId, contactId: await createContact(database(), company.id) }
  const answered = async (text: string, count: number) => {
    const stored = await storeInbound(database(), place, [text])
    desk.inbox.receive(sessionId, stored)
    await until(async () => (await list(`?contactId=${place.contactId}&state=answered`)).body.items.length === count)
    const [newest] = (await list(`?contactId=${place.contactId}`)).body.items
    return { received: stored.map(({ id }) => id), turn: turnDetails.parse((await read(newest?.id ?? '')).body) }
  }
  const byRule = await answered('What is the price?', 1)
  expect(byRule.turn).toMatchObject({
    ...{ state: 'answered', responder: 'rules', code: null, received: byRule.received, sent: [expect.any(String)] },
    trace: {
      guard: null,
      steps: [{ responder: 'rules', outcome: 'answered', rules: ['keywords[0]'] }],
      usedFallback: false,
    },
  })
  const bySystem = await answered('Are you open?', 2)
  expect(bySystem.turn).toMatchObject({
    ...{ responder: 'http', received: bySystem.received },
    trace: {
      steps: [
        { responder: 'rules', outcome: 'passed' },
        { responder: 'http', outcome: 'answered', attempts: 1 },
      ],
    },
  })
  expect(bySystem.turn.conversationId).toBe(byRule.turn.conversationId)
})

test('a list is in pages, newest first, by session, contact, conversation and state, and without traces', async () => {
  const { contactId } = await storeTurn()
  const ids = [
    await storeTurn({ contactId }),
    await storeTurn({ contactId, heldUntil: new Date(Date.now() + 3_600_000) }),
  ]
  const first = await list(`?contactId=${contactId}&limit=2`)
  expect(first.body.items.map(({ id }) => id)).toEqual([ids[1]?.id, ids[0]?.id])
  for (const item of first.body.items) expect(turnResource.parse(item)).toEqual(item)
  const rest = await list(`?contactId=${contactId}&limit=2&cursor=${first.body.next}`)
  expect(rest.body).toMatchObject({ items: [{ contactId }], next: null })
  expect((await list(`?contactId=${contactId}&state=held`)).body.items).toMatchObject([
    { id: ids[1]?.id, state: 'held', heldUntil: expect.any(String) },
  ])
  expect((await list(`?contactId=${contactId}&state=open`)).body.items).toHaveLength(2)
  expect((await list(`?contactId=${contactId}&sessionId=${newId()}`)).body.items).toEqual([])
  expect((await list(`?contactId=${contactId}&conversationId=${newId()}`)).body.items).toEqual([])
  expect(await list('?state=unknown')).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
})

test('an open turn has no trace yet; another company finds neither the turn nor its trace', async () => {
  const { id } = await storeTurn()
  expect((await read(id)).body).toMatchObject({ state: 'open', trace: null, closedAt: null, received: [], sent: [] })
  const other = await api.createCompany()
  expect((await read(id, other.key)).status).toBe(404)
  expect((await list('', other.key)).body.items).toEqual([])
  expect((await read(newId())).status).toBe(404)
})
