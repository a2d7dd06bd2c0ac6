import { webhookPayload } from '@frontdesk/api-contract'
import { sql } from 'kysely'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { OPERATOR } from '#src/services/security/actor.ts'
import { resealCompany } from '#src/storage/reseal.ts'
import { until } from '../../support/until.ts'
import { createContact, storeInbound } from '../support/messages.ts'
import { type Received, type Reply, silence, startReceiver, status, taken } from './receiver.ts'
import { startWebhookDesk, type WebhookDesk } from './webhook-desk.ts'

let desk: WebhookDesk
let companyId: string
beforeAll(async () => {
  desk = await startWebhookDesk()
})
beforeEach(async () => {
  companyId = await desk.testDatabase.createCompany()
})
afterAll(() => desk[Symbol.asyncDispose]())

const happens = (type = 'company.created') => desk.append({ companyId, type })
const inChat = (contactId: string, n: number) =>
  desk.append({ companyId, type: 'message.queued', data: { contactId, n } })
const verify = (secret: string, { body, headers }: Received) => new Webhook(secret).verify(body, headers)

describe('an event', () => {
  test('arrives with its message, signed, with the custom headers', async () => {
    await using receiver = await startReceiver()
    const endpoint = await desk.createEndpoint(companyId, { url: receiver.url, headers: { 'X-Salon': 'Aurora' } })
    const sessionId = await desk.testDatabase.createSession(companyId)
    const contactId = await createContact(desk.database, companyId)
    const place = { companyId, sessionId, contactId }
    const [message] = await storeInbound(desk.database, place, ['do you do balayage?'])
    if (message === undefined) throw new Error('nothing was stored')
    const data = { contactId, direction: 'inbound' }
    await desk.append({ companyId, type: 'message.received', sessionId, subjectId: message.id, data })

    await desk.untilStates(endpoint, { delivered: 1 })
    const [received] = receiver.received
    if (received === undefined) throw new Error('nothing was received')
    expect(verify(endpoint.secret, received)).toEqual(received.payload)
    expect(received.headers).toMatchObject({ 'x-salon': 'Aurora', 'content-type': 'application/json' })
    expect(webhookPayload.parse(received.payload)).toMatchObject({
      id: received.headers['webhook-id'],
      ...{ type: 'message.received', companyId, sessionId, subjectId: message.id, data },
      message: { id: message.id, content: { kind: 'text', text: 'do you do balayage?' }, contact: { id: contactId } },
    })
    const [delivery] = await desk.deliveriesOf(endpoint)
    expect(delivery?.attempt_log).toMatchObject([{ status: 204, code: null, answer: '' }])
  })

  test('goes to every endpoint that wants it, and to no other company', async () => {
    await using all = await startReceiver()
    await using some = await startReceiver()
    await using theirs = await startReceiver()
    const wantsAll = await desk.createEndpoint(companyId, { url: all.url })
    const wantsSome = await desk.createEndpoint(companyId, { url: some.url, eventTypes: ['session.created'] })
    const another = await desk.testDatabase.createCompany()
    const anothers = await desk.createEndpoint(another, { url: theirs.url })
    await desk.append(
      { companyId, type: 'company.created' },
      { companyId, type: 'session.created' },
      { companyId: another, type: 'company.created' },
    )
    await Promise.all([
      desk.untilStates(wantsAll, { delivered: 2 }),
      desk.untilStates(wantsSome, { delivered: 1 }),
      desk.untilStates(anothers, { delivered: 1 }),
    ])
    expect(all.types().sort()).toEqual(['company.created', 'session.created'])
    expect(some.types()).toEqual(['session.created'])
    expect(theirs.received.map(({ payload }) => payload.companyId)).toEqual([another])
  })

  test('is not sent when its transaction is rolled back, nor when the endpoint is disabled', async () => {
    await using receiver = await startReceiver()
    const endpoint = await desk.createEndpoint(companyId, { url: receiver.url })
    const undone = desk.database.asCompany(companyId, async (db) => {
      await sql`insert into event (company_id, type) values (${companyId}, 'session.created')`.execute(db)
      throw new Error('undone')
    })
    await expect(undone).rejects.toThrow('undone')
    await desk.endpoints.update(companyId, endpoint.id, { isEnabled: false }, OPERATOR)
    await happens('turn.opened')
    await desk.endpoints.update(companyId, endpoint.id, { isEnabled: true }, OPERATOR)
    await happens()
    await desk.untilStates(endpoint, { delivered: 1 })
    expect(receiver.types()).toEqual(['company.created'])
  })

  test('is delivered by one of several processes', async () => {
    await using _other = desk.startDispatcher()
    await using receiver = await startReceiver()
    const endpoint = await desk.createEndpoint(companyId, { url: receiver.url })
    for (let n = 0; n < 20; n++)
      await desk.append(...Array.from({ length: 10 }, () => ({ companyId, type: 'turn.opened' })))
    await desk.untilStates(endpoint, { delivered: 200 })
    expect(receiver.received).toHaveLength(200)
    expect(new Set(receiver.received.map(({ payload }) => payload.id)).size).toBe(200)
    // Connections are used again.
    expect(new Set(receiver.received.map(({ connection }) => connection)).size).toBeLessThanOrEqual(40)
  })

  test('that was claimed by a process that is gone is delivered by another', async () => {
    await using receiver = await startReceiver()
    const endpoint = await desk.createEndpoint(companyId, { url: receiver.url })
    const { worker } = desk.database
    // As a process that was killed has left it.
    await sql`update webhook_endpoint set paused_until = now() + interval '1 hour' where id = ${endpoint.id}`.execute(
      worker,
    )
    await happens()
    await sql`update webhook_delivery set claim = 1, next_attempt_at = now() + interval '5 seconds'
      where endpoint_id = ${endpoint.id}`.execute(worker)
    await desk.passTime(endpoint)
    await desk.untilStates(endpoint, { delivered: 1 })
    expect(receiver.received).toHaveLength(1)
  })

  test('whose attempt takes long is left to whoever makes it', async () => {
    await using _other = desk.startDispatcher()
    await using receiver = await startReceiver(silence)
    const endpoint = await desk.createEndpoint(companyId, { url: receiver.url })
    await happens()
    await until(() => receiver.received.length === 1)
    const claim = () =>
      desk.database.worker
        .selectFrom('webhook_delivery')
        .select(['claim', 'next_attempt_at as until'])
        .where('endpoint_id', '=', endpoint.id)
        .executeTakeFirstOrThrow()
    const first = await claim()
    await until(async () => (await claim()).until > first.until, { what: 'the claim is kept' })
    expect((await claim()).claim).toBe(first.claim)
    expect(receiver.received).toHaveLength(1)
  })
})

describe('a test event', () => {
  test('goes to its endpoint alone, whatever types that asks for', async () => {
    await using tested = await startReceiver()
    await using other = await startReceiver()
    const endpoint = await desk.createEndpoint(companyId, { url: tested.url, eventTypes: ['turn.opened'] })
    const bystander = await desk.createEndpoint(companyId, { url: other.url })
    const { id } = await desk.endpoints.test(companyId, endpoint.id, OPERATOR)
    await desk.untilStates(endpoint, { delivered: 1 })
    expect(await desk.deliveries.get(companyId, id)).toMatchObject({ state: 'delivered', eventType: 'webhook.test' })
    expect(tested.types()).toEqual(['webhook.test'])
    expect(await desk.deliveriesOf(bystander)).toEqual([])
  })
})

describe('a rotation', () => {
  test('leaves no gap: for a while both secrets sign, then the new one alone', async () => {
    await using receiver = await startReceiver()
    const { id, secret: former } = await desk.createEndpoint(companyId, { url: receiver.url })
    const { secret: current } = await desk.endpoints.rotateSecret(companyId, id, { formerValidMs: 60_000 }, OPERATOR)
    await happens()
    await until(() => receiver.received.length === 1)
    for (const secret of [former, current]) verify(secret, receiver.received[0] as Received)

    const { secret: last } = await desk.endpoints.rotateSecret(companyId, id, { formerValidMs: 0 }, OPERATOR)
    await happens()
    await until(() => receiver.received.length === 2)
    const received = receiver.received[1] as Received
    verify(last, received)
    for (const secret of [former, current]) expect(() => verify(secret, received)).toThrow('No matching signature')
  })
})

test("secrets are sealed anew with the company's data key, and sign as before", async () => {
  await using receiver = await startReceiver()
  const endpoint = await desk.createEndpoint(companyId, { url: receiver.url })
  const { secrets: before } = await desk.endpoint(endpoint)
  const { database, keyRing } = desk.testDatabase
  const sealer = await keyRing.sealerOf(companyId)
  expect(await resealCompany(database.worker, { companyId, keyNumber: 2, sealer })).toBe(1)
  expect(Buffer.from((await desk.endpoint(endpoint)).secrets)).not.toEqual(Buffer.from(before))
  await happens()
  await until(() => receiver.received.length === 1)
  verify(endpoint.secret, receiver.received[0] as Received)
})

describe('an attempt that fails', () => {
  test.each<[string, Reply, { status: number | null; code: string; answer?: string }]>([
    ['500', status(500, {}, 'oops'), { status: 500, code: 'webhook_failed', answer: 'oops' }],
    ['a redirect', status(302, { location: 'http://10.0.0.1/' }), { status: 302, code: 'webhook_failed' }],
    ['a broken connection', (response) => response.destroy(), { status: null, code: 'webhook_unreachable' }],
  ])('%s: is written down, and made again with the same id', async (_, reply, attempt) => {
    await using receiver = await startReceiver(reply)
    const endpoint = await desk.createEndpoint(companyId, { url: receiver.url })
    const before = Date.now()
    await happens()
    await desk.untilFailed(endpoint, 1)
    const [delivery] = await desk.deliveriesOf(endpoint)
    expect(delivery?.attempt_log).toMatchObject([attempt])
    expect(delivery?.next_attempt_at.getTime()).toBeGreaterThan(before + 2_000)
    receiver.reply = taken
    await desk.passTime(endpoint)
    await desk.untilStates(endpoint, { delivered: 1 })
    const [first, second] = receiver.received
    expect(second?.headers['webhook-id']).toBe(first?.headers['webhook-id'])
    expect(second?.body).toBe(first?.body)
    expect((await desk.deliveriesOf(endpoint))[0]?.attempt_log).toMatchObject([attempt, { status: 204, code: null }])
    expect((await desk.endpoint(endpoint)).failures).toBe(0)
  })

  test('waits as long as the endpoint asks', async () => {
    await using receiver = await startReceiver(status(429, { 'retry-after': '3600' }))
    const endpoint = await desk.createEndpoint(companyId, { url: receiver.url })
    const before = Date.now()
    await happens()
    await desk.untilFailed(endpoint, 1)
    const [delivery] = await desk.deliveriesOf(endpoint)
    expect(delivery?.next_attempt_at.getTime()).toBeGreaterThanOrEqual(before + 3_600_000)
  })

  test('for the last time makes it dead, and a replay begins anew', async () => {
    await using receiver = await startReceiver(status(500))
    const endpoint = await desk.createEndpoint(companyId, { url: receiver.url })
    await happens()
    await desk.untilFailed(endpoint, 1)
    await sql`update webhook_delivery set give_up_at = now() where endpoint_id = ${endpoint.id}`.execute(
      desk.database.worker,
    )
    await desk.passTime(endpoint)
    await desk.untilStates(endpoint, { dead: 1 })
    receiver.reply = taken
    const [dead] = await desk.deliveriesOf(endpoint)
    await desk.deliveries.replay(companyId, String(dead?.id), OPERATOR)
    await desk.untilStates(endpoint, { delivered: 1 })
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
  })

  test('with 410 disables the endpoint, with an alert', async () => {
    await using receiver = await startReceiver(status(410))
    const endpoint = await desk.createEndpoint(companyId, { url: receiver.url })
    await happens()
    await desk.untilStates(endpoint, { dead: 1 })
    expect((await desk.endpoint(endpoint)).is_enabled).toBe(false)
    const alerts = async () => (await desk.alerts.list(companyId, { state: 'raised', limit: 10 })).items
    await until(async () => (await alerts()).length === 1)
    expect(await alerts()).toMatchObject([{ kind: 'webhook_gone', webhookEndpointId: endpoint.id }])
    await happens()
    expect(await desk.deliveriesOf(endpoint)).toHaveLength(1)
  })
})

describe('an endpoint that keeps failing', () => {
  test('is paused with one alert; when it comes back, one delivery finds out and all follow', async () => {
    await using receiver = await startReceiver(status(500))
    const endpoint = await desk.createEndpoint(companyId, {
      url: receiver.url,
      eventTypes: ['turn.opened', 'turn.closed'],
    })
    await desk.append(...Array.from({ length: 10 }, () => ({ companyId, type: 'turn.opened' })))
    await desk.untilFailed(endpoint, 10)
    await desk.append(...Array.from({ length: 30 }, () => ({ companyId, type: 'turn.closed' })))
    await desk.passTime(endpoint)
    await desk.untilFailed(endpoint, 11)
    // The trial alone: the others were due, too.
    expect(receiver.received).toHaveLength(11)
    const failing = async (state: 'raised' | 'all') =>
      (await desk.alerts.list(companyId, { state, limit: 10 })).items.filter(({ kind }) => kind === 'webhook_failing')
    await until(async () => (await failing('all')).length === 1)

    receiver.reply = taken
    await desk.passTime(endpoint)
    await desk.untilFailed(endpoint, 0)
    await desk.passTime(endpoint)
    await desk.untilStates(endpoint, { delivered: 40 })
    await until(async () => (await failing('raised')).length === 0)
    expect(await failing('all')).toHaveLength(1)
    expect((await desk.endpoint(endpoint)).paused_until).toBeNull()
  })
})

describe('a slow endpoint', () => {
  test('slows nobody else, and has a bounded number of deliveries under way', async () => {
    await using slow = await startReceiver(silence)
    await using well = await startReceiver()
    const held = await desk.createEndpoint(companyId, { url: slow.url })
    const free = await desk.createEndpoint(companyId, { url: well.url })
    for (let n = 0; n < 10; n++)
      await desk.append(...Array.from({ length: 10 }, () => ({ companyId, type: 'turn.opened' })))
    await desk.untilStates(free, { delivered: 100 })
    await until(() => slow.underWay === 16)
    expect(slow.mostUnderWay).toBe(16)
    await desk.endpoints.delete(companyId, held.id, OPERATOR)
  })

  test('with 50,000 waiting comes back in its own time, while others are told at once', {
    timeout: 120_000,
  }, async () => {
    await using back = await startReceiver()
    await using well = await startReceiver()
    const endpoint = await desk.createEndpoint(companyId, { url: back.url, eventTypes: ['turn.opened'] })
    await sql`update webhook_endpoint set failures = 10, paused_until = 'infinity' where id = ${endpoint.id}`.execute(
      desk.database.worker,
    )
    await sql`insert into event (company_id, type) select ${companyId}, 'turn.opened' from generate_series(1, 50000)`.execute(
      desk.database.worker,
    )
    const other = await desk.createEndpoint(companyId, { url: well.url, eventTypes: ['turn.closed'] })
    await desk.endpoints.update(companyId, endpoint.id, {}, OPERATOR)
    await until(() => back.received.length >= 100)
    await happens('turn.closed')
    await desk.untilStates(other, { delivered: 1 })
    await until(() => back.received.length >= 1_000)
    // As if other processes had done most of it: what is left goes out to the last one.
    await sql`update webhook_delivery set state = 'delivered' where id in (
      select id from webhook_delivery
      where endpoint_id = ${endpoint.id} and state = 'waiting' and next_attempt_at <= now()
        and id < (select max(id) - 500 from webhook_delivery where endpoint_id = ${endpoint.id})
      order by id for update)`.execute(desk.database.worker)
    const waiting = desk.database.worker
      .selectFrom('webhook_delivery')
      .select('id')
      .where('endpoint_id', '=', endpoint.id)
      .where('state', '=', 'waiting')
      .limit(1)
    await until(async () => (await waiting.execute()).length === 0, { what: 'nothing waits any more' })
    await desk.untilStates(endpoint, { delivered: 50_000 })
    expect(back.mostUnderWay).toBeLessThanOrEqual(16)
    expect(new Set(back.received.map(({ payload }) => payload.id)).size).toBe(back.received.length)
  })
})

describe('order by chat', () => {
  test('holds a chat until its first is taken, while other chats go on', async () => {
    const [mia, tom] = [newId(), newId()]
    const place = ({ payload }: Received) =>
      `${payload.data['contactId'] === mia ? 'mia' : 'tom'} ${String(payload.data['n'])}`
    const refusesMia: Reply = (response, { payload }) =>
      response.writeHead(payload.data['contactId'] === mia ? 500 : 204).end()
    await using receiver = await startReceiver(refusesMia)
    const endpoint = await desk.createEndpoint(companyId, { url: receiver.url, ordering: 'chat' })
    for (let n = 0; n < 5; n++) {
      await inChat(mia, n)
      await inChat(tom, n)
    }
    await desk.untilStates(endpoint, { delivered: 5 })
    expect(receiver.received.map(place).filter((each) => each.startsWith('tom'))).toEqual(
      [0, 1, 2, 3, 4].map((n) => `tom ${n}`),
    )
    expect(new Set(receiver.received.map(place).filter((each) => each.startsWith('mia')))).toEqual(new Set(['mia 0']))
    receiver.reply = taken
    const refused = receiver.received.length
    await desk.passTime(endpoint)
    await desk.untilStates(endpoint, { delivered: 10 })
    expect(receiver.received.slice(refused).map(place)).toEqual([0, 1, 2, 3, 4].map((n) => `mia ${n}`))
  })

  test("keeps a message's progress behind its arrival", async () => {
    await using receiver = await startReceiver()
    const sessionId = await desk.testDatabase.createSession(companyId)
    const contactId = await createContact(desk.database, companyId)
    const [message] = await storeInbound(desk.database, { companyId, sessionId, contactId }, ['hello'])
    const endpoint = await desk.createEndpoint(companyId, { url: receiver.url, ordering: 'chat' })
    const subjectId = message?.id ?? ''
    await desk.append(
      { companyId, type: 'message.queued', sessionId, subjectId, data: { contactId } },
      { companyId, type: 'message.status_changed', sessionId, subjectId, data: { status: 'sent' } },
      { companyId, type: 'message.status_changed', sessionId, subjectId, data: { status: 'read' } },
    )
    await desk.untilStates(endpoint, { delivered: 3 })
    expect(new Set((await desk.deliveriesOf(endpoint)).map(({ lane }) => lane))).toEqual(new Set([contactId]))
    expect(receiver.received.map(({ payload }) => payload.data['status'])).toEqual([undefined, 'sent', 'read'])
  })
})
