import { secret } from '@frontdesk/api-contract'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { CompanySecrets } from '#src/services/security/company-secrets.ts'
import { until } from '../../support/until.ts'
import { startTestApi, type TestApi } from './support/test-api.ts'

const VALUE = 'sk-proj-0123456789abcdef'

let api: TestApi
let company: { id: string; key: string }
beforeAll(async () => {
  api = await startTestApi()
})
beforeEach(async () => {
  company = await api.createCompany()
})
afterAll(() => api[Symbol.asyncDispose]())

const put = (name: string, value: unknown, key = company.key) =>
  api.call('PUT', `/v1/secrets/${name}`, { key, json: { value } })
const list = async (key = company.key) => (await api.call('GET', '/v1/secrets', { key })).body.items
const remove = (name: string, key = company.key) => api.call('DELETE', `/v1/secrets/${name}`, { key })
/** As another process has them. */
const secretsElsewhere = () => {
  const { database, keyRing } = api.database
  return new CompanySecrets({ database, keyRing })
}

test('a secret is stored, told by its end, replaced and deleted, and never shown', async () => {
  const stored = await put('openai', VALUE)
  expect(stored.status).toBe(200)
  expect(secret.parse(stored.body)).toMatchObject({ name: 'openai', hint: 'cdef' })
  await put('a-password', 'short-one')
  expect(await list()).toMatchObject([
    { name: 'a-password', hint: '' },
    { name: 'openai', hint: 'cdef' },
  ])
  await put('openai', 'sk-proj-0123456789abcxyz')
  const secrets = secretsElsewhere()
  expect(await secrets.read(company.id, 'openai')).toBe('sk-proj-0123456789abcxyz')
  expect(await remove('openai')).toMatchObject({ status: 204 })
  expect(await remove('openai')).toMatchObject({ status: 404, body: { code: 'not_found' } })
  expect(await list()).toMatchObject([{ name: 'a-password' }])
})

test.each([
  ['a name with capitals', 'OpenAI', VALUE, 404],
  ['an empty value', 'openai', '', 400],
  ['a value that can be guessed', 'openai', '1234567', 400],
  ['a value with a line break', 'openai', `${VALUE}\n`, 400],
  ['a value too long', 'openai', 'x'.repeat(4001), 400],
  ['no text', 'openai', 12345678, 400],
])('%s is refused', async (_, name, value, status) => {
  expect((await put(name, value)).status).toBe(status)
  expect(await list()).toEqual([])
})

test('another company neither sees nor deletes it, and one of the same name is its own', async () => {
  await put('openai', VALUE)
  const other = await api.createCompany()
  expect(await list(other.key)).toEqual([])
  expect((await remove('openai', other.key)).status).toBe(404)
  await put('openai', 'the-other-company', other.key)
  const secrets = secretsElsewhere()
  expect(await secrets.read(company.id, 'openai')).toBe(VALUE)
  expect(await secrets.read(other.id, 'openai')).toBe('the-other-company')
})

test('the rights of a company do not reach the value, not even the sealed one', async () => {
  await put('openai', VALUE)
  const attempt = api.database.database.asCompany(company.id, (db) =>
    db.selectFrom('company_secret').select('value').execute(),
  )
  await expect(attempt).rejects.toThrow(/permission denied/)
})

test('a company has fifty at most; one that is there can still be replaced', async () => {
  // Two at once compete for the last places.
  const answers = await Promise.all(Array.from({ length: 52 }, (_, number) => put(`s${number}`, VALUE)))
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(50)
  const refused = answers.filter(({ status }) => status === 409)
  expect(refused.map(({ body }) => body['code'])).toEqual(['secret_limit_reached', 'secret_limit_reached'])
  const [there] = await list()
  expect((await put(String(there?.['name']), 'another-value')).status).toBe(200)
})

test('who has changed it stands in the audit log; neither that nor the log holds the value', async () => {
  await put('openai', VALUE)
  await remove('openai')
  const entries = await api.database.database.worker
    .selectFrom('audit_entry')
    .select(['action', 'detail', 'api_key_id'])
    .where('company_id', '=', company.id)
    .where('action', 'like', 'secret.%')
    .orderBy('id')
    .execute()
  expect(entries).toMatchObject([
    { action: 'secret.put', detail: { name: 'openai' }, api_key_id: expect.any(String) },
    { action: 'secret.deleted', detail: { name: 'openai' } },
  ])
  expect(JSON.stringify(entries)).not.toContain(VALUE)
  expect(api.log.join('')).not.toContain(VALUE)
})

test('a change counts at once where it was made, and soon everywhere else', async () => {
  const here = secretsElsewhere()
  const elsewhere = secretsElsewhere()
  const actor = { apiKeyId: null }
  await here.put(company.id, 'openai', { value: 'the-first-one' }, actor)
  expect(await elsewhere.read(company.id, 'openai')).toBe('the-first-one')
  expect(await here.read(company.id, 'openai')).toBe('the-first-one')
  await here.put(company.id, 'openai', { value: 'the-second-one' }, actor)
  expect(await here.read(company.id, 'openai')).toBe('the-second-one')
  await until(async () => (await elsewhere.read(company.id, 'openai')) === 'the-second-one')
  await here.delete(company.id, 'openai', actor)
  expect(await here.read(company.id, 'openai')).toBeUndefined()
  await until(async () => (await elsewhere.read(company.id, 'openai')) === undefined)
})
