import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { OPERATOR } from '#src/services/security/actor.ts'
import { ApiKeys } from '#src/services/security/api-keys.ts'
import { startTestApi, type TestApi } from './support/test-api.ts'

let api: TestApi
let ours: { id: string; key: string }
let theirs: { id: string; key: string }

beforeAll(async () => {
  api = await startTestApi()
  ours = await api.createCompany('Ours')
  theirs = await api.createCompany('Theirs')
})
afterAll(() => api[Symbol.asyncDispose]())

describe('a key', () => {
  it.each([
    ['none', {}],
    ['another scheme', { authorization: 'Basic YTpi' }],
    ['an empty one', { authorization: 'Bearer ' }],
    ['in another header', { 'x-api-key': 'fd_company_x' }],
  ])('is asked for: %s', async (_name, headers) => {
    const answer = await api.call('GET', '/v1/company', { headers: headers as Record<string, string> })
    expect(answer).toMatchObject({ status: 401, body: { code: 'api_key_missing' } })
    expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="frontdesk"')
  })

  it.each(['x', `fd_company_${'x'.repeat(43)}`, `fd_admin_${'x'.repeat(43)}`, "'or'1'='1"])(
    'is refused when it is not known: %s',
    async (key) => {
      const answer = await api.call('GET', '/v1/company', { key })
      expect(answer).toMatchObject({ status: 401, body: { code: 'api_key_invalid' } })
      expect(answer.headers.get('www-authenticate')).toBe('Bearer realm="frontdesk", error="invalid_token"')
    },
  )

  it('opens the company that it belongs to, whatever else is asked for', async () => {
    expect(await api.call('GET', '/v1/company', { key: ours.key })).toMatchObject({
      status: 200,
      body: { id: ours.id },
    })
    const headers = { 'x-company-id': theirs.id }
    expect(await api.call('GET', '/v1/company', { key: ours.key, headers })).toMatchObject({ body: { id: ours.id } })
    const query = await api.call('GET', `/v1/company?companyId=${theirs.id}`, { key: ours.key })
    expect(query.body.id ?? ours.id).toBe(ours.id)
  })

  it('is stored as its hash only', async () => {
    const rows = await api.database.database.worker.selectFrom('api_key').selectAll().execute()
    expect(JSON.stringify(rows)).not.toContain(ours.key)
    const hash = createHash('sha256').update(ours.key).digest()
    expect(rows.filter((row) => hash.equals(row.hash))).toMatchObject([{ company_id: ours.id }])
  })

  it('stops working the moment that it is revoked', async () => {
    const created = await api.call('POST', '/v1/api-keys', { key: ours.key, json: { name: 'short-lived' } })
    expect(created).toMatchObject({ status: 201, body: { name: 'short-lived', revokedAt: null, expiresAt: null } })
    const key = created.body.key
    expect(key).toMatch(/^fd_company_[A-Za-z0-9_-]{43}$/)
    expect(key.startsWith(created.body.hint)).toBe(true)
    expect(await api.call('GET', '/v1/company', { key })).toMatchObject({ status: 200 })

    const path = `/v1/api-keys/${created.body.id}`
    expect(await api.call('DELETE', path, { key: ours.key })).toMatchObject({ status: 204, text: '' })
    expect(await api.call('GET', '/v1/company', { key })).toMatchObject({
      status: 401,
      body: { code: 'api_key_invalid' },
    })
    // Again is no error, and keeps the first moment.
    expect(await api.call('DELETE', path, { key: ours.key })).toMatchObject({ status: 204 })
  })

  it('is not remembered by a look-up that a revocation overtook', async () => {
    const { id, key } = await api.apiKeys.create(ours.id, { name: 'raced' }, OPERATOR)
    const [, identity] = await Promise.all([api.apiKeys.revoke(ours.id, id, OPERATOR), api.apiKeys.authenticate(key)])
    expect([undefined, ours.id]).toContain(identity?.kind === 'company' ? identity.companyId : undefined)
    expect(await api.apiKeys.authenticate(key)).toBeUndefined()
  })

  it('stops working when it expires', async () => {
    const soon = new Date(Date.now() - 1).toISOString()
    const { key } = await api.apiKeys.create(ours.id, { name: 'expired', expiresAt: soon }, OPERATOR)
    expect(await api.call('GET', '/v1/company', { key })).toMatchObject({
      status: 401,
      body: { code: 'api_key_invalid' },
    })
  })

  it('is shown in lists without its secret', async () => {
    const { body, text } = await api.call('GET', '/v1/api-keys', { key: ours.key })
    expect(body.items.length).toBeGreaterThan(1)
    expect(body.items.every((item) => !('key' in item) && !('hash' in item))).toBe(true)
    expect(text).not.toContain(ours.key)
    expect(body.items.find(({ name }) => name === 'short-lived')?.['revokedAt']).toEqual(expect.any(String))
  })
})

describe('the scope of a key', () => {
  it("keeps a company's key from the platform", async () => {
    for (const [method, path] of [
      ['GET', '/v1/companies'],
      ['GET', `/v1/companies/${ours.id}`],
      ['POST', '/v1/companies'],
      ['POST', `/v1/companies/${theirs.id}/api-keys`],
    ] as const) {
      const answer = await api.call(method, path, { key: ours.key, ...(method === 'POST' && { json: { name: 'x' } }) })
      expect(answer).toMatchObject({ status: 403, body: { code: 'api_key_wrong_scope' } })
    }
  })

  it("keeps the platform's key from a company's things", async () => {
    for (const path of ['/v1/company', '/v1/sessions', '/v1/messages', '/v1/events', '/v1/api-keys']) {
      const answer = await api.call('GET', path, { key: api.platformKey })
      expect(answer).toMatchObject({ status: 403, body: { code: 'api_key_wrong_scope' } })
    }
  })

  it("hides another company's things as if they did not exist", async () => {
    const sessionId = await api.database.createSession(theirs.id, 'main')
    const contact = await api.call('POST', '/v1/messages', {
      key: theirs.key,
      json: { sessionId, to: '4917012345678', content: { kind: 'text', text: 'Hello' } },
    })
    const theirKeys = await api.call('GET', '/v1/api-keys', { key: theirs.key })
    const calls = [
      ['GET', `/v1/sessions/${sessionId}`],
      ['POST', `/v1/sessions/${sessionId}/start`],
      ['POST', `/v1/sessions/${sessionId}/pause`],
      ['POST', `/v1/sessions/${sessionId}/restart`],
      ['POST', `/v1/sessions/${sessionId}/logout`],
      ['GET', `/v1/sessions/${sessionId}/code`],
      ['DELETE', `/v1/sessions/${sessionId}`],
      ['GET', `/v1/messages/${contact.body.id}`],
      ['DELETE', `/v1/api-keys/${theirKeys.body.items[0]?.id}`],
    ] as const
    for (const [method, path] of calls) {
      const foreign = await api.call(method, path, { key: ours.key })
      const absent = await api.call(method, path.replace(/[0-9a-f-]{36}/, newId()), { key: ours.key })
      const { instance: _foreign, ...problem } = foreign.body
      const { instance: _absent, ...expected } = absent.body
      expect(foreign.status, path).toBe(404)
      expect(problem).toEqual(expected)
    }
    const sends = [
      { sessionId, to: '4917012345678' },
      { sessionId: await api.database.createSession(ours.id), to: contact.body.contactId },
    ]
    for (const send of sends) {
      const json = { ...send, content: { kind: 'text', text: 'Hello' } }
      expect(await api.call('POST', '/v1/messages', { key: ours.key, json })).toMatchObject({
        status: 404,
        body: { code: 'not_found' },
      })
    }
    expect((await api.call('GET', `/v1/messages?sessionId=${sessionId}`, { key: ours.key })).body.items).toEqual([])
    expect((await api.call('GET', '/v1/events', { key: ours.key })).text).not.toContain(sessionId)
    expect(await api.call('GET', '/v1/company', { key: theirs.key })).toMatchObject({ status: 200 })
  })
})

describe('the first platform key', () => {
  it('is made once, even by two starts at the same moment', async () => {
    await using fresh = await startTestApi()
    await fresh.database.database.worker.deleteFrom('api_key').execute()
    const two = [new ApiKeys(fresh.database.database), new ApiKeys(fresh.database.database)]
    const keys = await Promise.all(two.map((each) => each.createFirstPlatformKey()))
    expect(keys.filter((key) => key !== undefined)).toHaveLength(1)
    expect(await two[0]?.createFirstPlatformKey()).toBeUndefined()
  })
})
