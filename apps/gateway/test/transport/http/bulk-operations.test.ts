import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { until } from '../../support/until.ts'
import { type OwnersState, showSession } from './support/shown-sessions.ts'
import { startTestApi, type TestApi } from './support/test-api.ts'

let api: TestApi
beforeAll(async () => {
  api = await startTestApi()
})
afterAll(() => api[Symbol.asyncDispose]())

interface Company {
  id: string
  key: string
}

const worker = () => api.database.database.worker
const desiredOf = async (ids: readonly string[]) => {
  const rows = await worker().selectFrom('session').select('desired').where('id', 'in', ids).orderBy('id').execute()
  return rows.map(({ desired }) => desired)
}

let created = 0
async function newSessions({ key }: Company, states: readonly (OwnersState & { runs?: boolean })[]): Promise<string[]> {
  const ids: string[] = []
  for (const { runs, ...state } of states) {
    created += 1
    const { body } = await api.call('POST', '/v1/sessions', { key, json: { name: `session ${created}` } })
    await showSession(api.database, body.id, state)
    if (runs === true)
      await worker().updateTable('session').set({ desired: 'running' }).where('id', '=', body.id).execute()
    ids.push(body.id)
  }
  return ids
}

const ONLINE = { state: 'online', isLinked: true, runs: true } as const
const PAUSED = { state: 'paused', isLinked: true } as const

async function finished({ key }: { key: string }, path: string) {
  return await until(async () => {
    const { body } = await api.call('GET', path, { key })
    return body['finishedAt'] === null ? undefined : body
  })
}

describe("a company's operation on many sessions", () => {
  it('tells each session that is named, and counts', async () => {
    const company = await api.createCompany()
    const ids = await newSessions(company, [ONLINE, ONLINE, PAUSED])
    const json = { action: 'restart', sessionIds: ids }
    const answer = await api.call('POST', '/v1/sessions/bulk', { key: company.key, json })
    expect(answer).toMatchObject({ status: 202, body: { action: 'restart', total: 3, failed: 0, failures: [] } })
    const path = String(answer.headers.get('location'))
    expect(path).toBe(`/v1/bulk/${answer.body.id}`)
    expect(await finished(company, path)).toMatchObject({ total: 3, done: 3, failed: 0 })
    expect(await desiredOf(ids)).toEqual(['running', 'running', 'running'])
    const commands = await worker().selectFrom('session_command').select(['session_id', 'kind']).execute()
    expect(commands.filter(({ session_id }) => ids.includes(session_id))).toHaveLength(2)
    for (const id of ids) expect(api.changedSessions).toContain(id)
  })

  it('says which sessions could not be told, and why', async () => {
    const company = await api.createCompany()
    const ids = await newSessions(company, [ONLINE, { state: 'created' }])
    const json = { action: 'logout', sessionIds: ids }
    const { headers } = await api.call('POST', '/v1/sessions/bulk', { key: company.key, json })
    expect(await finished(company, String(headers.get('location')))).toMatchObject({
      ...{ total: 2, done: 1, failed: 1 },
      failures: [{ sessionId: ids[1], code: 'session_not_linked' }],
    })
  })

  it.each([
    ['start', ['running', 'running', 'stopped'], 1],
    ['pause', ['stopped', 'stopped', 'stopped'], 1],
    ['restart', ['running', 'stopped', 'stopped'], 1],
    ['logout', ['logged_out', 'logged_out', 'stopped'], 2],
    ['delete', ['deleted', 'deleted', 'deleted'], 3],
  ])('for all: %s is for those that it applies to', async (action, desired, total) => {
    const company = await api.createCompany()
    const ids = await newSessions(company, [ONLINE, PAUSED, { state: 'created' }])
    const { headers } = await api.call('POST', '/v1/sessions/bulk', { key: company.key, json: { action, all: true } })
    expect(await finished(company, String(headers.get('location')))).toMatchObject({ total, done: total, failed: 0 })
    expect(await desiredOf(ids)).toEqual(desired)
  })

  it('is over at once when there is nothing to do', async () => {
    const { key } = await api.createCompany()
    const answer = await api.call('POST', '/v1/sessions/bulk', { key, json: { action: 'pause', all: true } })
    expect(answer).toMatchObject({ status: 202, body: { total: 0, finishedAt: expect.any(String) as string } })
  })

  it("with another company's session is refused, and nothing changes", async () => {
    const [ours, theirs] = [await api.createCompany(), await api.createCompany()]
    const [[own = ''], [foreign = '']] = [await newSessions(ours, [ONLINE]), await newSessions(theirs, [ONLINE])]
    for (const other of [foreign, newId()]) {
      const json = { action: 'pause', sessionIds: [own, other] }
      const answer = await api.call('POST', '/v1/sessions/bulk', { key: ours.key, json })
      expect(answer).toMatchObject({ status: 404, body: { code: 'not_found' } })
    }
    expect(await desiredOf([own, foreign])).toEqual(['running', 'running'])
    expect(
      await worker().selectFrom('bulk_operation').select('id').where('company_id', '=', ours.id).execute(),
    ).toEqual([])
  })

  it("is not another company's to read, nor the operator's", async () => {
    const [ours, theirs] = [await api.createCompany(), await api.createCompany()]
    const json = { action: 'pause', all: true }
    const { body } = await api.call('POST', '/v1/sessions/bulk', { key: ours.key, json })
    expect(await api.call('GET', `/v1/bulk/${body.id}`, { key: ours.key })).toMatchObject({ status: 200 })
    expect(await api.call('GET', `/v1/bulk/${body.id}`, { key: theirs.key })).toMatchObject({ status: 404 })
    const path = `/v1/platform/bulk/${body.id}`
    expect(await api.call('GET', path, { key: api.platformKey })).toMatchObject({ status: 404 })
    expect(await api.call('GET', path, { key: ours.key })).toMatchObject({ status: 403 })
  })

  const ids = Array.from({ length: 1001 }, newId)
  it.each([
    [{ action: 'explode', all: true }, 'action'],
    [{ action: 'pause' }, 'sessionIds'],
    [{ action: 'pause', all: false }, 'all'],
    [{ action: 'pause', all: true, sessionIds: ids.slice(0, 1) }, 'sessionIds'],
    [{ action: 'pause', sessionIds: [] }, 'sessionIds'],
    [{ action: 'pause', sessionIds: [ids[0], ids[0]] }, 'sessionIds'],
    [{ action: 'pause', sessionIds: ids }, 'sessionIds'],
    [{ action: 'pause', sessionIds: ['main'] }, 'sessionIds.0'],
    [{ action: 'pause', all: true, state: 'online' }, 'state'],
  ])('is refused when it is not understood: %.60j', async (json, field) => {
    const { key } = await api.createCompany()
    const answer = await api.call('POST', '/v1/sessions/bulk', { key, json })
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
    expect(answer.body['errors']).toEqual(expect.arrayContaining([expect.objectContaining({ field })]))
  })
})

describe("the operator's operation", () => {
  it('is for the sessions of a company, or in a state', async () => {
    const [first, second] = [await api.createCompany(), await api.createCompany()]
    const ids = [
      ...(await newSessions(first, [ONLINE, { state: 'reconnecting', isLinked: true, runs: true }])),
      ...(await newSessions(second, [ONLINE])),
    ]
    const json = { action: 'pause', companyId: first.id, state: 'online' }
    const answer = await api.call('POST', '/v1/platform/sessions/bulk', { key: api.platformKey, json })
    expect(answer).toMatchObject({ status: 202, body: { total: 1 } })
    await finished({ key: api.platformKey }, String(answer.headers.get('location')))
    expect(await desiredOf(ids)).toEqual(['stopped', 'running', 'running'])
    expect(await api.call('POST', '/v1/platform/sessions/bulk', { key: first.key, json })).toMatchObject({
      status: 403,
    })
  })
})

describe('the version of WhatsApp Web', () => {
  const settings = '/v1/platform/settings'
  const change = (json: unknown, key = api.platformKey) => api.call('PATCH', settings, { key, json })

  it('is set while the platform runs, and sessions whose version was refused try again', async () => {
    const company = await api.createCompany()
    const [refused, online] = await newSessions(company, [
      { state: 'reconnecting', reason: 'client_outdated', isLinked: true, runs: true },
      ONLINE,
    ])
    expect(await api.call('GET', settings, { key: api.platformKey })).toMatchObject({ body: { waVersion: null } })
    expect(await change({ waVersion: '2.3000.42' })).toMatchObject({ status: 200, body: { waVersion: '2.3000.42' } })
    expect(await change({})).toMatchObject({ body: { waVersion: '2.3000.42' } })
    await until(() => api.changedSessions.includes(refused ?? ''))
    expect(api.changedSessions).not.toContain(online)
    expect(await change({ waVersion: null })).toMatchObject({ body: { waVersion: null } })
  })

  it.each([
    [{ waVersion: 'newest' }, 'waVersion'],
    [{ waVersion: 2 }, 'waVersion'],
    [{ deviceName: 'x' }, 'deviceName'],
  ])('is refused: %j', async (json, field) => {
    expect(await change(json)).toMatchObject({ status: 400, body: { errors: [{ field }] } })
  })

  it("is not a company's to set", async () => {
    const { key } = await api.createCompany()
    expect(await change({ waVersion: '2.3000.42' }, key)).toMatchObject({ status: 403 })
  })
})
