import { MAX_TEXT_LENGTH, type MessageResource, messageResource } from '@frontdesk/api-contract'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { type Answer, startTestApi, type TestApi } from './support/test-api.ts'

let api: TestApi
let company: { id: string; key: string }
let sessionId: string

beforeAll(async () => {
  api = await startTestApi()
  company = await api.createCompany()
  sessionId = await api.database.createSession(company.id, 'main')
})
afterAll(() => api[Symbol.asyncDispose]())

const send = (message: { to?: string; text?: string; sessionId?: string }, headers: Record<string, string> = {}) =>
  api.call('POST', '/v1/messages', {
    key: company.key,
    json: {
      sessionId: message.sessionId ?? sessionId,
      to: message.to ?? '4917012345678',
      content: { kind: 'text', text: message.text ?? 'Hello' },
    },
    headers,
  })

const read = async (accepted: Answer): Promise<MessageResource> => {
  const answer = await api.call('GET', `/v1/messages/${accepted.body.id}`, { key: company.key })
  expect(answer.status).toBe(200)
  return messageResource.parse(answer.body)
}

describe('sending', () => {
  it('is accepted as soon as the message is stored, and the message can be read', async () => {
    const accepted = await send({ text: 'Your appointment is tomorrow.' })
    expect(accepted).toMatchObject({ status: 202, body: { status: 'queued', sessionId } })
    expect(accepted.headers.get('location')).toBe(`/v1/messages/${accepted.body.id}`)
    expect(await read(accepted)).toMatchObject({
      id: accepted.body.id,
      modelVersion: 1,
      direction: 'outbound',
      origin: 'api',
      status: 'queued',
      content: { kind: 'text', text: 'Your appointment is tomorrow.' },
      contact: { id: accepted.body.contactId, phone: '4917012345678', lid: null, name: null },
      turnId: null,
      error: null,
      sentAt: null,
    })
  })

  it.each([
    '4917012345678',
    '+4917012345678',
    '+49 170 1234-5678',
    ' +49 (170) 12.34/56.78 ',
    '+49\u00a0170\u201112345678',
  ])('knows a number however it is written: %s', async (to) =>
    expect((await read(await send({ to }))).contact.phone).toBe('4917012345678'),
  )

  it.each([
    '017012345678',
    '004917012345678',
    '12345',
    '1234567890123456',
    'hello',
    '+49 170 CALL-ME',
    '49170@s.whatsapp.net',
    '٤٩١٧٠١٢٣٤٥',
  ])('refuses what is no international number: %s', async (to) => {
    expect(await send({ to })).toMatchObject({ status: 400, body: { code: 'invalid_phone_number', stage: 'request' } })
  })

  it("takes a contact's id instead of a number", async () => {
    const first = await send({ to: '4917099999999' })
    const second = await send({ to: first.body.contactId.toUpperCase() })
    expect(second).toMatchObject({ status: 202, body: { contactId: first.body.contactId } })
    expect(await send({ to: newId() })).toMatchObject({ status: 404 })
  })

  it('takes the longest text in whatever encoding, and nothing longer', async () => {
    const text = 'ä'.repeat(MAX_TEXT_LENGTH)
    const escaped = JSON.stringify({ sessionId, to: '4917012345678', content: { kind: 'text', text } }).replaceAll(
      'ä',
      '\\u00e4',
    )
    const headers = { 'content-type': 'application/json' }
    const accepted = await api.call('POST', '/v1/messages', { key: company.key, body: escaped, headers })
    expect(await read(accepted)).toMatchObject({ content: { text } })
    expect(await send({ text: `${text}x` })).toMatchObject({
      status: 400,
      body: { code: 'invalid_request', errors: [{ field: 'content.text' }] },
    })
  })

  it.each(['', '  \n '])('refuses a text that says nothing: %j', async (text) => {
    expect(await send({ text })).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
  })

  it('needs a session that was linked', async () => {
    const created = await api.call('POST', '/v1/sessions', { key: company.key, json: { name: 'never linked' } })
    const unlinked = await send({ sessionId: created.body.id })
    expect(unlinked).toMatchObject({ status: 409, body: { code: 'session_not_linked', stage: 'accept' } })
    expect(await send({ sessionId: newId() })).toMatchObject({ status: 404, body: { code: 'not_found' } })
  })
})

describe('an idempotency key', () => {
  it('makes the same request the same message, in whatever order and form it is written', async () => {
    const headers = { 'idempotency-key': newId() }
    const first = await send({ to: '+49 170 1111111' }, headers)
    const again = await api.call('POST', '/v1/messages', {
      key: company.key,
      json: { content: { text: 'Hello', kind: 'text' }, to: '491701111111', sessionId },
      headers,
    })
    expect(again).toMatchObject({ status: 202, body: first.body })
  })

  it('is refused with another body, and free for another company', async () => {
    const headers = { 'idempotency-key': newId() }
    const first = await send({ text: 'one' }, headers)
    expect(await send({ text: 'two' }, headers)).toMatchObject({
      status: 409,
      body: { code: 'idempotency_key_reused' },
    })
    const other = await api.createCompany()
    const json = {
      sessionId: await api.database.createSession(other.id),
      to: '4917012345678',
      content: { kind: 'text', text: 'two' },
    }
    const theirs = await api.call('POST', '/v1/messages', { key: other.key, json, headers })
    expect(theirs.status).toBe(202)
    expect(theirs.body.id).not.toBe(first.body.id)
  })

  it.each(['two words', 'x'.repeat(256), 'caf\u00e9'])('must be visible ASCII and short: %s', async (key) => {
    expect(await send({}, { 'idempotency-key': key })).toMatchObject({
      status: 400,
      body: { code: 'invalid_request', errors: [{ field: 'idempotency-key' }] },
    })
  })
})

describe('the list', () => {
  it('has the newest first, in pages, by session and by contact', async () => {
    const chat = await api.createCompany()
    const [one, two] = [await api.database.createSession(chat.id), await api.database.createSession(chat.id)]
    const sent: string[] = []
    for (const [session, to] of [
      [one, '491701'],
      [one, '491702'],
      [two, '491701'],
      [one, '491701'],
    ] as const) {
      const json = { sessionId: session, to: `${to}0000`, content: { kind: 'text', text: 'Hi' } }
      const accepted = await api.call('POST', '/v1/messages', { key: chat.key, json })
      sent.unshift(accepted.body.id)
    }
    const ids = async (query: string) => {
      const { body } = await api.call('GET', `/v1/messages?${query}`, { key: chat.key })
      return { ids: body.items.map(({ id }) => id), next: body.next }
    }
    expect(await ids('')).toEqual({ ids: sent, next: null })
    const page = await ids('limit=3')
    expect(page.ids).toEqual(sent.slice(0, 3))
    expect(await ids(`limit=3&cursor=${page.next}`)).toEqual({ ids: sent.slice(3), next: null })
    expect((await ids(`sessionId=${two}`)).ids).toEqual([sent[1]])
    const { body } = await api.call('GET', `/v1/messages/${sent[0]}`, { key: chat.key })
    const contact = messageResource.parse(body).contact.id
    expect((await ids(`contactId=${contact}`)).ids).toEqual([sent[0], sent[1], sent[3]])
    expect((await ids(`contactId=${newId()}`)).ids).toEqual([])
  })

  it('finds a merged contact by its former id', async () => {
    const { contact } = await read(await send({ to: '4917055555555' }))
    const former = newId()
    await api.database.database.worker
      .insertInto('contact')
      .values({ id: former, company_id: company.id, name: null, merged_into: contact.id })
      .execute()
    const { body } = await api.call('GET', `/v1/messages?contactId=${former}`, { key: company.key })
    expect(body.items).toHaveLength(1)
  })

  it('says why a message failed', async () => {
    const accepted = await send({ to: '4917066666666' })
    await api.database.database.worker
      .updateTable('message')
      .set({ status: 'failed', error_code: 'recipient_unreachable' })
      .where('id', '=', accepted.body.id)
      .execute()
    expect((await read(accepted)).error).toMatchObject({
      code: 'recipient_unreachable',
      title: expect.stringMatching(/no device/),
    })
  })

  it.each(['limit=0', 'limit=201', 'limit=', 'limit=1&limit=2', 'sessionId=x', 'cursor=x'])(
    'refuses %s',
    async (query) => {
      const field = query.split('=')[0]
      const answer = await api.call('GET', `/v1/messages?${query}`, { key: company.key })
      expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_request', errors: [{ field }] } })
    },
  )
})

describe('scheduling and cancelling', () => {
  const schedule = (when: Record<string, string>, headers: Record<string, string> = {}) =>
    api.call('POST', '/v1/messages', {
      key: company.key,
      json: { sessionId, to: '4917012345678', content: { kind: 'text', text: 'Later' }, ...when },
      headers,
    })
  const hours = (count: number) => new Date(Date.now() + count * 3600 * 1000).toISOString()
  const cancel = (id: string, key = company.key) => api.call('DELETE', `/v1/messages/${id}`, { key })

  it('a scheduled message says when it goes, and until when', async () => {
    const [sendAt, expiresAt] = [hours(2), hours(3)]
    expect(await read(await schedule({ sendAt, expiresAt }))).toMatchObject({
      status: 'queued',
      nextAttemptAt: sendAt,
      waitReason: 'scheduled',
      expiresAt,
    })
  })

  it('without an expiry, it is a day after the moment', async () => {
    const sendAt = hours(2)
    const { expiresAt } = await read(await schedule({ sendAt }))
    expect(Date.parse(expiresAt ?? '')).toBe(Date.parse(sendAt) + 24 * 3600 * 1000)
  })

  it.each([{ sendAt: 'tomorrow' }, { sendAt: hours(24 * 400) }, { expiresAt: hours(-1) }])(
    'refuses %j',
    async (when) => {
      expect(await schedule(when)).toMatchObject({ status: 400, body: { code: 'invalid_request' } })
    },
  )

  it('the moment is part of what an idempotency key stands for', async () => {
    const headers = { 'idempotency-key': newId() }
    const sendAt = hours(2)
    const first = await schedule({ sendAt }, headers)
    expect((await schedule({ sendAt }, headers)).body['id']).toBe(first.body['id'])
    expect(await schedule({ sendAt: hours(4) }, headers)).toMatchObject({ status: 409 })
  })

  it('cancels what waits, once', async () => {
    const { body } = await schedule({ sendAt: hours(2) })
    expect(await cancel(body['id'])).toMatchObject({
      status: 200,
      body: { status: 'failed', error: { code: 'cancelled' }, nextAttemptAt: null, waitReason: null },
    })
    expect(await cancel(body['id'])).toMatchObject({ status: 409, body: { code: 'message_not_cancellable' } })
  })

  it("does not cancel another company's message", async () => {
    const { body } = await schedule({ sendAt: hours(2) })
    const other = await api.createCompany()
    expect(await cancel(body['id'], other.key)).toMatchObject({ status: 404 })
    expect(await cancel(newId())).toMatchObject({ status: 404 })
  })
})
