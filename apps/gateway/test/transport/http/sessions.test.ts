import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { proxyContext } from '#src/storage/sealed-columns.ts'
import { type OwnersState, showSession } from './support/shown-sessions.ts'
import { startTestApi, type TestApi } from './support/test-api.ts'

let api: TestApi
let company: { id: string; key: string }
beforeAll(async () => {
  api = await startTestApi()
  company = await api.createCompany()
})
afterAll(() => api[Symbol.asyncDispose]())

let created = 0
async function newSession(state?: OwnersState): Promise<{ id: string; path: string }> {
  created += 1
  const json = { name: `session ${created}` }
  const { body } = await api.call('POST', '/v1/sessions', { key: company.key, json })
  if (state !== undefined) await showSession(api.database, body.id, state)
  return { id: body.id, path: `/v1/sessions/${body.id}` }
}

const ask = (path: string, action: string) => api.call('POST', `${path}/${action}`, { key: company.key })
const read = (path: string) => api.call('GET', path, { key: company.key })
const patch = (path: string, json: unknown) => api.call('PATCH', path, { key: company.key, json })
const remove = (path: string) => api.call('DELETE', path, { key: company.key })
const worker = () => api.database.database.worker
const rowOf = (id: string) => worker().selectFrom('session').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
const commandsOf = async (id: string) => {
  const rows = await worker().selectFrom('session_command').select('kind').where('session_id', '=', id).execute()
  return rows.map(({ kind }) => kind)
}
const auditOf = async (id: string) => {
  const rows = await worker()
    .selectFrom('audit_entry')
    .select('action')
    .where('subject_id', '=', id)
    .orderBy('id')
    .execute()
  return rows.map(({ action }) => action)
}

describe('a session', () => {
  it('is created and listed', async () => {
    const answer = await api.call('POST', '/v1/sessions', { key: company.key, json: { name: ' main ' } })
    const path = `/v1/sessions/${answer.body.id}`
    expect(answer).toMatchObject({
      status: 201,
      body: {
        ...{ name: 'main', state: 'created', provider: 'baileys', phone: null, desired: 'paused', hasProxy: false },
        ...{ attempts: 0, settings: {}, next: { action: 'link', at: null } },
      },
    })
    expect(answer.headers.get('location')).toBe(path)
    const list = await api.call('GET', '/v1/sessions', { key: company.key })
    expect(list).toMatchObject({ body: { items: [{ name: 'main' }], next: null } })
  })

  it.each([{}, { name: '' }, { name: 'x'.repeat(101) }, { name: 1 }])('needs a name: %j', async (json) => {
    expect(await api.call('POST', '/v1/sessions', { key: company.key, json })).toMatchObject({
      status: 400,
      body: { code: 'invalid_request', errors: [{ field: 'name' }] },
    })
  })
})

describe('what is asked of a session', () => {
  it('is stored, its owner is told, and asking twice changes nothing more', async () => {
    const { id, path } = await newSession({ state: 'paused', isLinked: true })
    for (const [action, desired] of [
      ['start', 'running'],
      ['start', 'running'],
      ['pause', 'paused'],
      ['pause', 'paused'],
      ['start', 'running'],
      ['logout', 'logged_out'],
      ['logout', 'logged_out'],
    ] as const) {
      expect(await ask(path, action)).toMatchObject({ status: 200, body: { desired } })
    }
    expect(await auditOf(id)).toEqual([
      ...['session.created', 'session.started', 'session.paused', 'session.started', 'session.logged_out'],
    ])
    expect(api.changedSessions.filter((each) => each === id)).toHaveLength(7)
  })

  it('may come with an empty object, as some clients always send one', async () => {
    const { path } = await newSession({ state: 'paused', isLinked: true })
    expect(await api.call('POST', `${path}/start`, { key: company.key, json: {} })).toMatchObject({ status: 200 })
    const headers = { 'content-type': 'application/json' }
    expect(await api.call('POST', `${path}/pause`, { key: company.key, headers })).toMatchObject({ status: 200 })
  })

  it('is a command when the session runs and is to be restarted; a paused one starts', async () => {
    const { id, path } = await newSession({ state: 'paused', isLinked: true })
    expect(await ask(path, 'restart')).toMatchObject({ status: 200, body: { desired: 'running' } })
    expect(await commandsOf(id)).toEqual([])
    expect(await ask(path, 'restart')).toMatchObject({ status: 200, body: { desired: 'running' } })
    expect(await commandsOf(id)).toEqual(['restart'])
  })

  it('cannot be a logout where there is no link', async () => {
    const { path } = await newSession()
    expect(await ask(path, 'logout')).toMatchObject({ status: 409, body: { code: 'session_not_linked' } })
  })

  it('is final when it is to be deleted', async () => {
    const { id, path } = await newSession({ state: 'online', isLinked: true })
    expect(await remove(path)).toMatchObject({ status: 202, body: { desired: 'deleted', next: { action: 'delete' } } })
    expect(await remove(path)).toMatchObject({ status: 202 })
    for (const action of ['start', 'pause', 'restart', 'logout']) {
      expect(await ask(path, action)).toMatchObject({ status: 409, body: { code: 'session_deleted' } })
    }
    expect(await patch(path, { name: 'other' })).toMatchObject({ status: 409, body: { code: 'session_deleted' } })
    expect(await rowOf(id)).toMatchObject({ desired: 'deleted' })
    expect(await auditOf(id)).toEqual(['session.created', 'session.deleted'])

    // When its owner has done it, it is gone, and its name is free.
    const { name } = (await read(path)).body
    await worker().updateTable('session').set({ deleted_at: new Date() }).where('id', '=', id).execute()
    expect(await read(path)).toMatchObject({ status: 404 })
    expect(await remove(path)).toMatchObject({ status: 404 })
    expect(await api.call('POST', '/v1/sessions', { key: company.key, json: { name } })).toMatchObject({ status: 201 })
  })
})

describe('the status', () => {
  const soon = new Date(Date.now() + 30_000)

  it.each<[OwnersState, string, object, RegExp]>([
    [{ state: 'created', reason: null }, 'pause', { action: 'link', at: null }, /Link it/],
    [{ state: 'created', reason: 'linking_expired' }, 'pause', { action: 'link' }, /Nobody used the code/],
    [{ state: 'created', reason: 'linking_blocked' }, 'pause', { action: 'link' }, /wait a day/],
    [
      { state: 'created', reason: 'linking_throttled', nextAttemptAt: soon },
      'pause',
      { action: 'link', at: soon.toISOString() },
      /too many attempts/,
    ],
    [{ state: 'created', reason: 'linking_refused' }, 'pause', { action: 'link' }, /number is right/],
    [{ state: 'created', reason: 'number_taken' }, 'pause', { action: 'link' }, /another session/],
    [{ state: 'online', reason: null, isLinked: true }, 'start', { action: 'none', at: null }, /messages flow/],
    [
      { state: 'reconnecting', reason: 'connection_closed', isLinked: true, attempts: 3, nextAttemptAt: soon },
      'start',
      { action: 'connect', at: soon.toISOString() },
      /opened again by itself/,
    ],
    [
      { state: 'reconnecting', reason: 'client_outdated', isLinked: true },
      'start',
      { action: 'connect' },
      /operator .* `waVersion`/,
    ],
    [{ state: 'paused', reason: 'stopped', isLinked: true }, 'pause', { action: 'start' }, /Start it/],
    // The owner has not got to it yet: what was asked for counts, not why it stood still before.
    [
      { state: 'paused', reason: 'stopped', isLinked: true },
      'start',
      { action: 'connect', at: null },
      /being connected/,
    ],
    [{ state: 'logged_out', reason: 'logged_out' }, 'pause', { action: 'link' }, /has unlinked/],
    [
      { state: 'online', reason: null, isLinked: true },
      'logout',
      { action: 'log_out' },
      /as soon as it can be reached/,
    ],
    [
      { state: 'failed', reason: 'credentials_unreadable', isLinked: true },
      'pause',
      { action: 'relink' },
      /Restore them from a backup/,
    ],
    [
      { state: 'failed', reason: 'a_reason_of_another_version', isLinked: true },
      'pause',
      { action: 'relink' },
      /Log it out/,
    ],
  ])('of %j after %s says what happens next: %j', async (state, action, next, explanation) => {
    company = await api.createCompany()
    const { path } = await newSession({ state: 'paused', isLinked: state.isLinked ?? false })
    await ask(path, action)
    await showSession(api.database, (await read(path)).body.id, state)
    const { body } = await read(path)
    const { state: stateName, reason = null, attempts = 0 } = state
    expect(body).toMatchObject({ state: stateName, reason, attempts, next })
    expect(body['next']).toMatchObject({ explanation: expect.stringMatching(explanation) as string })
  })

  it('tells of the past: uptime, last messages, and when the phone was seen', async () => {
    const { id, path } = await newSession()
    expect((await read(path)).body).toMatchObject({
      uptime: { last24Hours: null, last30Days: null, last90Days: null },
      ...{ lastInboundAt: null, lastOutboundAt: null, phoneSeenAt: null },
    })
    const at = new Date(Date.now() - 1000)
    const day = (daysAgo: number) => new Date(Date.now() - daysAgo * 86_400_000).toISOString().slice(0, 10)
    await worker()
      .insertInto('session_activity')
      .values({ session_id: id, company_id: company.id, last_inbound_at: at, last_outbound_at: at, phone_seen_at: at })
      .execute()
    await worker()
      .insertInto('session_uptime')
      .values([
        { session_id: id, company_id: company.id, day: day(0), online_ms: 999, meant_ms: 1000 },
        { session_id: id, company_id: company.id, day: day(60), online_ms: 0, meant_ms: 1000 },
      ])
      .execute()
    expect((await read(path)).body).toMatchObject({
      uptime: { last24Hours: 0.999, last30Days: 0.999, last90Days: 0.4995 },
      ...{ lastInboundAt: at.toISOString(), lastOutboundAt: at.toISOString(), phoneSeenAt: at.toISOString() },
    })
  })
})

describe('the settings of a session', () => {
  it('are changed one by one, and taken back by null', async () => {
    const { id, path } = await newSession()
    const settings = { reconnectDelay: 100, usePairingCode: true, deviceName: 'Salon' }
    expect(await patch(path, { settings })).toMatchObject({ status: 200, body: { settings } })
    const answer = await patch(path, { name: 'renamed', settings: { usePairingCode: null, maxQRAttempts: 5 } })
    expect(answer.body).toMatchObject({ name: 'renamed' })
    expect(answer.body['settings']).toEqual({ reconnectDelay: 100, deviceName: 'Salon', maxQRAttempts: 5 })
    expect(api.changedSessions.filter((each) => each === id)).toHaveLength(2)
  })

  it('can be set for all sessions of the company', async () => {
    const sessions = { reconnectDelay: 100 }
    const answer = await api.call('PATCH', '/v1/company', { key: company.key, json: { settings: { sessions } } })
    expect(answer).toMatchObject({ status: 200, body: { settings: { sessions } } })
    const wrong = { settings: { sessions: { reconnectDelay: -1 } } }
    expect(await api.call('PATCH', '/v1/company', { key: company.key, json: wrong })).toMatchObject({
      status: 400,
      body: { errors: [{ field: 'settings.sessions.reconnectDelay' }] },
    })
  })

  it.each([
    [{ settings: { reconnectDelays: 1 } }, 'settings.reconnectDelays'],
    [{ settings: { reconnectDelay: -1 } }, 'settings.reconnectDelay'],
    [{ settings: { maxQRAttempts: 0 } }, 'settings.maxQRAttempts'],
    [{ settings: { waVersion: 'newest' } }, 'settings.waVersion'],
    [{ settings: { usePairingCode: 'yes' } }, 'settings.usePairingCode'],
    [{ settings: { deviceName: 'x'.repeat(51) } }, 'settings.deviceName'],
    [{ name: '' }, 'name'],
    [{ provider: 'browser' }, 'provider'],
    [{ proxy: 'proxy.example:1080' }, 'proxy'],
    [{ proxy: 'ftp://proxy.example' }, 'proxy'],
    [{ proxy: 'socks4://proxy.example' }, 'proxy'],
    [{ proxy: 'socks5:///' }, 'proxy'],
    [{ proxy: 'file:///etc/passwd' }, 'proxy'],
    [{ proxy: 1080 }, 'proxy'],
  ])('are refused: %j', async (json, field) => {
    const { id, path } = await newSession()
    expect(await patch(path, json)).toMatchObject({
      status: 400,
      body: { code: 'invalid_request', errors: [{ field }] },
    })
    expect(api.changedSessions).not.toContain(id)
  })

  it('may not take the name of another session', async () => {
    const [{ path }, other] = [await newSession(), await newSession()]
    const { name } = (await read(other.path)).body
    expect(await patch(path, { name })).toMatchObject({ status: 409, body: { code: 'session_name_taken' } })
  })
})

describe('a proxy', () => {
  const PROXY = 'socks5://salon:s3cret-password@93.184.216.34:1080'

  it('is stored sealed and never shown', async () => {
    const { id, path } = await newSession()
    const answer = await patch(path, { proxy: PROXY })
    expect(answer).toMatchObject({ status: 200, body: { hasProxy: true } })
    const { proxy } = await rowOf(id)
    const sealer = await api.database.keyRing.sealerOf(company.id)
    expect(Buffer.from(await sealer.open(proxy ?? new Uint8Array(), proxyContext(id))).toString()).toBe(PROXY)
    const texts = [answer.text, (await read(path)).text, ...api.log, Buffer.from(proxy ?? []).toString('latin1')]
    for (const text of texts) expect(text).not.toContain('s3cret-password')

    expect(await patch(path, { settings: {} })).toMatchObject({ body: { hasProxy: true } })
    expect(await patch(path, { proxy: null })).toMatchObject({ body: { hasProxy: false } })
    expect(await rowOf(id)).toMatchObject({ proxy: null })
  })

  it.each([
    'http://10.0.0.1:3128',
    'https://192.168.1.1',
    'socks5://169.254.169.254:80',
    'socks5://0x7f.2:1080',
    'socks5://2130706434:1080',
    'socks5://[::1]:1080',
    'http://localhost:3128',
    'socks5://localhost:1080',
  ])('may not be in a private network: %s', async (proxy) => {
    const { id, path } = await newSession()
    expect(await patch(path, { proxy })).toMatchObject({ status: 400, body: { code: 'url_not_allowed' } })
    expect(await rowOf(id)).toMatchObject({ proxy: null })
  })

  it.each(['http://127.0.0.1:3128', 'socks5://127.0.0.1:1080'])(
    'may be where the operator allows it: %s',
    async (proxy) => {
      const { path } = await newSession()
      expect(await patch(path, { proxy })).toMatchObject({ status: 200, body: { hasProxy: true } })
    },
  )
})
