import { EVENT_TYPES, event } from '@frontdesk/api-contract'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { appendEvents } from '#src/storage/events.ts'
import { until } from '../../support/until.ts'
import { startTestApi, type TestApi } from './support/test-api.ts'

let api: TestApi
beforeAll(async () => {
  api = await startTestApi()
})
afterAll(() => api[Symbol.asyncDispose]())

async function companyWithEvents() {
  const company = await api.createCompany()
  const subjects = [newId(), newId(), newId(), newId()]
  for (const [index, subjectId] of subjects.entries()) {
    const type = index % 2 === 0 ? 'message.received' : 'message.queued'
    const data = { contactId: newId(), direction: 'inbound' }
    await appendEvents(api.database.database.worker, [{ companyId: company.id, type, subjectId, data }])
  }
  return { ...company, subjects }
}

it('can be followed: each event once and in order, also those that come later', async () => {
  const { id, key, subjects } = await companyWithEvents()
  const seen: unknown[] = []
  let after = ''
  // The log ends before the oldest transaction that is still running, in other tests' databases too.
  const follow = (count: number) =>
    until(async () => {
      const { body } = await api.call('GET', `/v1/events?limit=3${after}`, { key })
      if (body.next !== null) after = `&after=${body.next}`
      for (const item of body.items) seen.push(event.parse(item).subjectId)
      return seen.length >= count
    })
  await follow(4)
  expect(seen).toEqual(subjects)
  const later = newId()
  await appendEvents(api.database.database.worker, [{ companyId: id, type: 'company.created', subjectId: later }])
  await follow(5)
  expect(seen).toEqual([...subjects, later])
})

it('can be narrowed to types', async () => {
  const { key, subjects } = await companyWithEvents()
  await until(async () => (await api.call('GET', '/v1/events', { key })).body.items.length === 4)
  const types = async (value: string) => (await api.call('GET', `/v1/events?types=${value}`, { key })).body
  expect((await types('message.queued')).items.map(({ subjectId }) => subjectId)).toEqual([subjects[1], subjects[3]])
  expect((await types('message.queued, message.received')).items).toHaveLength(4)
  expect(await types('message.queued,nonsense')).toMatchObject({
    code: 'invalid_request',
    errors: [{ field: 'types' }],
  })
})

it('are empty with nothing to go on from, before the first one', async () => {
  const { key } = await api.createCompany()
  expect(await api.call('GET', '/v1/events', { key })).toMatchObject({ status: 200, body: { items: [], next: null } })
})

it.each(['after=x', 'after=', 'after=1-2-3', 'after=99999999999999999999-1', 'limit=1001'])(
  'refuse %s',
  async (query) => {
    const { key } = await api.createCompany()
    expect(await api.call('GET', `/v1/events?${query}`, { key })).toMatchObject({
      status: 400,
      body: { code: 'invalid_request' },
    })
  },
)

it('of a type that this version does not know are left out, and the rest stays readable', async () => {
  const { id, key } = await api.createCompany()
  const subjectId = newId()
  await appendEvents(api.database.database.worker, [
    { companyId: id, type: 'moon.risen', subjectId },
    { companyId: id, type: 'company.created', subjectId },
  ])
  const items = await until(async () => {
    const { body } = await api.call('GET', '/v1/events', { key })
    return body.items.length > 0 ? body.items : undefined
  })
  expect(items.map(({ type }) => type)).toEqual(['company.created'])
  expect(EVENT_TYPES).not.toContain('moon.risen')
})
