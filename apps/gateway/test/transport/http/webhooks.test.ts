import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { appendEvents } from '#src/storage/events.ts'
import { startReceiver, status, taken } from '../../services/webhooks/receiver.ts'
import { until } from '../../support/until.ts'
import { startTestApi, type TestApi } from './support/test-api.ts'

const PATH = '/v1/webhook-endpoints'
const URL = 'https://salon.example/hook'

let api: TestApi
let company: { id: string; key: string }
beforeAll(async () => {
  api = await startTestApi()
})
beforeEach(async () => {
  company = await api.createCompany()
})
afterAll(() => api[Symbol.asyncDispose]())

const call = (method: string, path: string, json?: unknown) =>
  api.call(method, path, { key: company.key, ...(json !== undefined && { json }) })
const create = (input: object) => call('POST', PATH, input)
const finished = async (path: string) => {
  let last = await call('GET', path)
  await until(async () => {
    last = await call('GET', path)
    return last.body['state'] !== 'waiting'
  })
  return last
}

describe('an endpoint', () => {
  it('is created, shown without its secrets, changed and deleted', async () => {
    const created = await create({ url: URL, eventTypes: ['message.received'], headers: { 'X-Token': 'verysecret' } })
    expect(created).toMatchObject({
      status: 201,
      body: { url: URL, eventTypes: ['message.received'], headerNames: ['X-Token'], ordering: 'none', isEnabled: true },
    })
    expect(created.body['secret']).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    const path = `${PATH}/${created.body.id}`
    expect(created.headers.get('location')).toBe(path)

    for (const shown of [await call('GET', path), await call('GET', PATH)]) {
      expect(shown.status).toBe(200)
      expect(shown.text).not.toContain('verysecret')
      expect(shown.text).not.toContain('whsec_')
    }
    const changed = await call('PATCH', path, { eventTypes: null, ordering: 'chat', headers: {}, isEnabled: false })
    expect(changed).toMatchObject({
      status: 200,
      body: { url: URL, eventTypes: null, ordering: 'chat', headerNames: [], isEnabled: false },
    })
    expect((await call('DELETE', path)).status).toBe(204)
    expect((await call('GET', path)).status).toBe(404)
    expect((await call('GET', PATH)).body.items).toEqual([])
  })

  it('keeps its secrets sealed', async () => {
    const { body } = await create({ url: URL, headers: { 'X-Token': 'verysecret' } })
    const { rows } = await sql<{ row: string }>`
      select webhook_endpoint::text || encode(secrets, 'escape') as row from webhook_endpoint
      where id = ${body.id}`.execute(api.database.database.worker)
    expect(rows).toHaveLength(1)
    for (const secret of ['verysecret', String(body['secret']).slice(6, 20)]) expect(rows[0]?.row).not.toContain(secret)
    expect(api.log.join()).not.toContain('verysecret')
  })

  it.each([
    [{}, 'url'],
    [{ url: 'ftp://salon.example/' }, 'url'],
    [{ url: 'https://user:password@salon.example/' }, 'url'],
    [{ url: `https://salon.example/${'x'.repeat(2000)}` }, 'url'],
    [{ url: URL, eventTypes: [] }, 'eventTypes'],
    [{ url: URL, eventTypes: ['message.sung'] }, 'eventTypes.0'],
    [{ url: URL, headers: { 'Webhook-Id': 'mine' } }, 'headers.Webhook-Id'],
    [{ url: URL, headers: { Host: 'inside' } }, 'headers.Host'],
    [{ url: URL, headers: { 'X-Token': 'a\r\nHost: inside' } }, 'headers.X-Token'],
    [{ url: URL, headers: Object.fromEntries(Array.from({ length: 21 }, (_, n) => [`X-${n}`, 'x'])) }, 'headers'],
    [{ url: URL, ordering: 'alphabet' }, 'ordering'],
  ])('is refused with what is not valid: %j', async (input, field) => {
    expect(await create(input)).toMatchObject({ status: 400, body: { code: 'invalid_request', errors: [{ field }] } })
  })

  it.each(['http://10.0.0.1/', 'http://169.254.169.254/', 'http://[::1]:5432/', 'http://2852039166/'])(
    'is refused in a private network: %s',
    async (url) => {
      const refused = { status: 400, body: { code: 'url_not_allowed' } }
      expect(await create({ url })).toMatchObject(refused)
      const { body } = await create({ url: URL })
      expect(await call('PATCH', `${PATH}/${body.id}`, { url })).toMatchObject(refused)
    },
  )

  it('is one of ten at most', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => create({ url: URL })))
    expect(answers.filter(({ status: code }) => code === 201)).toHaveLength(10)
    expect(answers.find(({ status: code }) => code === 409)?.body).toMatchObject({
      code: 'webhook_endpoint_limit_reached',
    })
  })

  it("does not exist for another company's key", async () => {
    const { body } = await create({ url: URL })
    const path = `${PATH}/${body.id}`
    company = await api.createCompany()
    expect((await call('GET', PATH)).body.items).toEqual([])
    for (const [method, each] of [
      ['GET', path],
      ['DELETE', path],
      ['POST', `${path}/test`],
    ] as const)
      expect((await call(method, each)).status).toBe(404)
    expect((await call('PATCH', path, { isEnabled: false })).status).toBe(404)
    expect((await call('POST', `${path}/rotate-secret`, {})).status).toBe(404)
  })

  it('gets another secret, beside which the former one is valid for a while', async () => {
    const { body } = await create({ url: URL })
    const rotated = await call('POST', `${PATH}/${body.id}/rotate-secret`, {})
    expect(rotated).toMatchObject({ status: 200, body: { id: body.id, secrets: 2 } })
    expect(rotated.body['secret']).not.toBe(body['secret'])
    const last = await call('POST', `${PATH}/${body.id}/rotate-secret`, { formerValidMs: 0 })
    expect(last.body['secrets']).toBe(1)
  })
})

describe('deliveries', () => {
  it('tell what became of a test event, and can be replayed', async () => {
    await using receiver = await startReceiver(status(200, {}, 'thanks'))
    const { body: endpoint } = await create({ url: receiver.url })
    const tested = await call('POST', `${PATH}/${endpoint.id}/test`)
    expect(tested).toMatchObject({ status: 202, body: { eventType: 'webhook.test', state: 'waiting' } })
    const path = tested.headers.get('location') ?? ''
    expect((await finished(path)).body).toMatchObject({
      state: 'delivered',
      eventId: receiver.received[0]?.payload.id,
      attempts: [{ status: 200, code: null, answer: 'thanks' }],
      nextAttemptAt: null,
    })
    expect((await call('POST', `${path}/replay`)).status).toBe(202)
    expect((await finished(path)).body['attempts']).toHaveLength(2)

    await call('PATCH', `${PATH}/${endpoint.id}`, { isEnabled: false })
    for (const each of [`${path}/replay`, `${PATH}/${endpoint.id}/test`])
      expect(await call('POST', each)).toMatchObject({ status: 409, body: { code: 'webhook_endpoint_disabled' } })
    company = await api.createCompany()
    expect((await call('GET', path)).status).toBe(404)
    expect((await call('POST', `${path}/replay`)).status).toBe(404)
    expect((await call('GET', '/v1/webhook-deliveries/x')).status).toBe(404)
  })

  it('are listed and replayed by endpoint, type, state and time', async () => {
    await using receiver = await startReceiver(status(500))
    const { worker } = api.database.database
    const { body: endpoint } = await create({ url: receiver.url })
    const types = ['turn.opened', 'turn.closed', 'turn.opened', 'company.created']
    await appendEvents(
      worker,
      types.map((type) => ({ companyId: company.id, type })),
    )
    // Given up an hour apart, the newest now.
    await sql`update webhook_delivery set state = 'dead', finished_at = now(), claim = claim + 1,
      created_at = now() - make_interval(hours => (select max(id) from webhook_delivery)::int - id::int)
      where endpoint_id = ${endpoint.id}`.execute(worker)
    const list = (query: string) => call('GET', `/v1/webhook-deliveries?${query}`)
    const listedTypes = async (query: string) => (await list(query)).body.items.map((item) => item['eventType'])

    expect(await listedTypes('')).toEqual(types.toReversed())
    expect(await listedTypes('eventType=turn.opened')).toHaveLength(2)
    expect(await listedTypes(`endpointId=${newId()}`)).toEqual([])
    expect(await listedTypes('state=delivered')).toEqual([])
    const first = await list('limit=3')
    expect((await list(`limit=3&cursor=${first.body.next}`)).body).toMatchObject({
      items: [{ eventType: 'turn.opened' }],
      next: null,
    })
    expect(await list('state=lost')).toMatchObject({ status: 400, body: { code: 'invalid_request' } })

    receiver.reply = taken
    const replay = async (filter: object) =>
      (await call('POST', '/v1/webhook-deliveries/replay', filter)).body['replayed']
    const hoursAgo = (hours: number) => new Date(Date.now() - hours * 3_600_000).toISOString()
    expect(await replay({ endpointId: newId() })).toBe(0)
    expect(await replay({ from: hoursAgo(2.5), until: hoursAgo(0.5) })).toBe(2)
    await until(async () => (await listedTypes('state=delivered')).length === 2)
    expect(await listedTypes('state=delivered')).toEqual(['turn.opened', 'turn.closed'])
    expect(await replay({ eventType: 'company.created' })).toBe(1)
    expect(await replay({})).toBe(1)
    await until(async () => (await listedTypes('state=delivered')).length === 4)
    expect(receiver.received.filter(({ payload }) => payload.type === 'company.created').length).toBeGreaterThanOrEqual(
      1,
    )
  })
})
