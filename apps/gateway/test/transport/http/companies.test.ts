import { afterAll, beforeAll, expect, it } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { until } from '../../support/until.ts'
import { startTestApi, type TestApi } from './support/test-api.ts'

let api: TestApi
beforeAll(async () => {
  api = await startTestApi()
})
afterAll(() => api[Symbol.asyncDispose]())

it('are created by the platform, which hands them their first key', async () => {
  const settings = { batching: { quietMs: 900 } }
  const created = await api.call('POST', '/v1/companies', {
    key: api.platformKey,
    json: { name: '  Salon Margot ', settings },
  })
  expect(created).toMatchObject({ status: 201, body: { name: 'Salon Margot', settings } })
  const path = `/v1/companies/${created.body.id}`
  expect(created.headers.get('location')).toBe(path)
  expect(await api.call('GET', path, { key: api.platformKey })).toMatchObject({ status: 200, body: created.body })

  const key = await api.call('POST', `${path}/api-keys`, { key: api.platformKey, json: { name: 'first' } })
  expect(key.status).toBe(201)
  expect(await api.call('GET', '/v1/company', { key: key.body.key })).toMatchObject({ body: created.body })
  const keys = await api.call('GET', `${path}/api-keys`, { key: api.platformKey })
  expect(keys.body.items).toMatchObject([{ id: key.body.id, name: 'first' }])

  const events = await until(async () => {
    const { body } = await api.call('GET', '/v1/events', { key: key.body.key })
    return body.items.length > 0 ? body.items : undefined
  })
  expect(events).toMatchObject([{ type: 'company.created', subjectId: created.body.id, data: {} }])
})

it('that do not exist are not found', async () => {
  for (const id of [newId(), 'x']) {
    expect(await api.call('GET', `/v1/companies/${id}`, { key: api.platformKey })).toMatchObject({ status: 404 })
    expect(await api.call('GET', `/v1/companies/${id}/api-keys`, { key: api.platformKey })).toMatchObject({
      status: 404,
    })
    const create = { key: api.platformKey, json: { name: 'x' } }
    expect(await api.call('POST', `/v1/companies/${id}/api-keys`, create)).toMatchObject({ status: 404 })
  }
})

it('are listed in pages, each once', async () => {
  const made = new Set<string>()
  for (let number = 0; number < 5; number++) made.add((await api.createCompany(`Company ${number}`)).id)
  const seen: string[] = []
  let next: string | null = null
  do {
    const query: string = next === null ? '' : `&cursor=${next}`
    const page = await api.call('GET', `/v1/companies?limit=2${query}`, { key: api.platformKey })
    expect(page.body.items.length).toBeLessThanOrEqual(2)
    seen.push(...page.body.items.map(({ id }) => id))
    next = page.body.next
  } while (next !== null)
  expect(seen).toEqual([...new Set(seen)].sort())
  for (const id of made) expect(seen).toContain(id)
  expect(await api.call('GET', '/v1/companies?cursor=nonsense', { key: api.platformKey })).toMatchObject({
    status: 400,
    body: { code: 'invalid_request', errors: [{ field: 'cursor' }] },
  })
})

it('change their name and single settings; null takes a setting back', async () => {
  const { id, key } = await api.createCompany('Before')
  const patch = async (json: unknown) => (await api.call('PATCH', '/v1/company', { key, json })).body
  expect(await patch({ settings: { batching: { quietMs: 500 }, responders: [{ kind: 'none' }] } })).toMatchObject({
    name: 'Before',
    settings: { batching: { quietMs: 500 }, responders: [{ kind: 'none' }] },
  })
  expect(await patch({ name: 'After', settings: { batching: { maxMs: 4000 } } })).toMatchObject({
    name: 'After',
    settings: { batching: { maxMs: 4000 }, responders: [{ kind: 'none' }] },
  })
  const last = await patch({ settings: { batching: null } })
  expect(last['settings']).toEqual({ responders: [{ kind: 'none' }] })
  expect(await api.call('GET', `/v1/companies/${id}`, { key: api.platformKey })).toMatchObject({ body: last })
})

it('lose none of two changes that are made at the same moment', async () => {
  const { key } = await api.createCompany()
  const changes = [{ batching: { quietMs: 500 } }, { responders: [{ kind: 'none' }] }]
  await Promise.all(changes.map((settings) => api.call('PATCH', '/v1/company', { key, json: { settings } })))
  const { body } = await api.call('GET', '/v1/company', { key })
  expect(body['settings']).toEqual({ batching: { quietMs: 500 }, responders: [{ kind: 'none' }] })
})

it.each([
  [{ name: '' }, 'name'],
  [{ name: 'x'.repeat(201) }, 'name'],
  [{ settings: { batching: { quietMs: -1 } } }, 'settings.batching.quietMs'],
  [{ settings: { responders: [{ kind: 'http', url: 'file:///etc/passwd' }] } }, 'settings.responders.0.url'],
  [{ settings: { multiTenant: true } }, 'settings.multiTenant'],
])('refuse what is not valid: %j', async (json, field) => {
  const { key } = await api.createCompany()
  const answer = await api.call('PATCH', '/v1/company', { key, json })
  expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_request', errors: [{ field }] } })
})

it('have every change in the audit, with who made it and without values', async () => {
  const created = await api.call('POST', '/v1/companies', { key: api.platformKey, json: { name: 'Audited' } })
  const id = created.body.id
  const first = await api.call('POST', `/v1/companies/${id}/api-keys`, { key: api.platformKey, json: { name: 'one' } })
  const key = first.body.key
  const second = await api.call('POST', '/v1/api-keys', { key, json: { name: 'two' } })
  await api.call('DELETE', `/v1/api-keys/${second.body.id}`, { key })
  const responder = { kind: 'http', url: 'https://salon.example/secret-path' }
  await api.call('PATCH', '/v1/company', { key, json: { name: 'New', settings: { responders: [responder] } } })
  await api.call('PATCH', '/v1/company', { key, json: { name: '' } })

  const entries = await api.database.database.worker
    .selectFrom('audit_entry')
    .selectAll()
    .where('company_id', '=', id)
    .orderBy('id')
    .execute()
  const platform = await api.apiKeys.authenticate(api.platformKey)
  const by = [platform?.apiKeyId, platform?.apiKeyId, first.body.id, first.body.id, first.body.id]
  expect(entries.map(({ action, subject_id }) => [action, subject_id])).toEqual([
    ['company.created', id],
    ['api_key.created', first.body.id],
    ['api_key.created', second.body.id],
    ['api_key.revoked', second.body.id],
    ['company.updated', id],
  ])
  expect(entries.map(({ api_key_id }) => api_key_id)).toEqual(by)
  expect(entries.at(-1)?.detail).toEqual({ changed: ['name', 'settings.responders'] })
  expect(JSON.stringify(entries)).not.toContain('secret-path')
})
