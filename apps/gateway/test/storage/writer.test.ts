import { sql } from 'kysely'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import type { ReceiptUpdate } from '#src/model/session-store.ts'
import { startWriter, type Writer } from '#src/storage/writer/writer.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { keyChange, openTestSession, type SessionFixture } from './session-fixture.ts'

let testDatabase: TestDatabase
let writer: Writer
let session: SessionFixture
beforeAll(async () => {
  testDatabase = await createTestDatabase()
  writer = await startWriter({ database: testDatabase.database, log: pino({ level: 'silent' }) })
  session = await openTestSession(testDatabase, writer)
})
afterAll(async () => {
  await writer[Symbol.asyncDispose]()
  await testDatabase[Symbol.asyncDispose]()
})

const worker = () => testDatabase.database.worker

describe('a change', () => {
  test('is committed whole: keys, message and journal', async () => {
    const own = await openTestSession(testDatabase, writer)
    const message = own.message('hello')
    const sequence = own.store.publish({
      keys: [keyChange('session', 'alice.0', 'ratchet')],
      messages: [message],
      journal: [{ ciphertextHash: Buffer.alloc(32, 7), plaintext: Buffer.from('peer') }],
    })
    expect(own.store.isCommitted(sequence)).toBe(false)
    expect(own.store.pendingOperations).toBe(1)
    await own.store.committed(sequence)
    expect(own.store.isCommitted(sequence)).toBe(true)
    expect(own.store.pendingOperations).toBe(0)
    expect(await own.storedTexts()).toEqual(['hello'])
    expect(await own.store.readKeys('session', ['alice.0', 'bob.0'])).toEqual(
      new Map([['alice.0', Buffer.from('ratchet')]]),
    )
    expect(await own.store.findPlaintext(Buffer.alloc(32, 7))).toEqual(Buffer.from('peer'))
    expect(await own.store.findPlaintext(message.ciphertextHash)).toEqual(message.raw)
    const { sessionId, companyId } = own
    expect(own.news).toEqual([{ sessionId, companyId, messages: [message], receipts: [] }])
  })

  test('that changes nothing is committed as well', async () => {
    const sequence = session.store.publish({})
    await session.store.committed(sequence)
    expect(session.store.isCommitted(sequence)).toBe(true)
  })

  test('is committed together with all that was published before it and not flushed', async () => {
    const others = await Promise.all([openTestSession(testDatabase, writer), openTestSession(testDatabase, writer)])
    const sequences = others.flatMap((other) =>
      ['one', 'two', 'three'].map((text) => ({
        other,
        sequence: other.store.publish({ messages: [other.message(text)] }),
      })),
    )
    await Promise.all(sequences.map(({ other, sequence }) => other.store.committed(sequence)))
    const { rows } = await sql`
      select distinct xmin from message where session_id = any (${others.map(({ sessionId }) => sessionId)}::uuid[])`.execute(
      worker(),
    )
    expect(rows).toHaveLength(1)
  })

  test('is heard of before those who wait for it go on', async () => {
    const own = await openTestSession(testDatabase, writer)
    await own.receive('hello')
    expect(own.news).toHaveLength(1)
  })
})

describe('a key', () => {
  test('is encoded once, and only in its last form of a batch', async () => {
    const encoded: string[] = []
    const change = (value: string) => ({
      kind: 'session' as const,
      id: 'once',
      encode: () => {
        encoded.push(value)
        return Buffer.from(value)
      },
    })
    for (const value of ['first', 'second', 'last']) session.store.publish({ keys: [change(value)] })
    await session.store.committed(session.store.published)
    expect(encoded).toEqual(['last'])
    expect(await session.store.readKeys('session', ['once'])).toEqual(new Map([['once', Buffer.from('last')]]))
  })

  test('is read as it was published last, committed or not', async () => {
    session.store.publish({ keys: [keyChange('pre-key', '7', 'first')] })
    session.store.publish({ keys: [keyChange('pre-key', '7', 'second')] })
    expect(await session.store.readKeys('pre-key', ['7'])).toEqual(new Map([['7', Buffer.from('second')]]))
  })

  test('is gone when it was deleted, and back when it was written after that', async () => {
    session.store.publish({ keys: [keyChange('pre-key', '8', 'first')] })
    session.store.publish({ keys: [{ kind: 'pre-key', id: '8', encode: null }] })
    expect(await session.store.readKeys('pre-key', ['8'])).toEqual(new Map())
    session.store.publish({ keys: [keyChange('pre-key', '8', 'again')] })
    expect(await session.store.readKeys('pre-key', ['8'])).toEqual(new Map([['8', Buffer.from('again')]]))
    session.store.publish({ keys: [{ kind: 'pre-key', id: '8', encode: null }] })
    expect(await session.store.readKeys('pre-key', ['8'])).toEqual(new Map())
  })

  test('of one session or kind is not that of another', async () => {
    const other = await openTestSession(testDatabase, writer)
    session.store.publish({ keys: [keyChange('session', '9', 'ours'), keyChange('identity-key', '9', 'identity')] })
    other.store.publish({ keys: [keyChange('session', '9', 'theirs')] })
    expect(await session.store.readKeys('session', ['9'])).toEqual(new Map([['9', Buffer.from('ours')]]))
    expect(await session.store.readKeys('identity-key', ['9'])).toEqual(new Map([['9', Buffer.from('identity')]]))
    expect(await other.store.readKeys('session', ['9'])).toEqual(new Map([['9', Buffer.from('theirs')]]))
  })

  test('is sealed at rest, and does not open in the place of another', async () => {
    session.store.publish({
      keys: [keyChange('session', 'sealed', 'verysecret'), keyChange('session', 'moved', 'other')],
    })
    await session.store.committed(session.store.published)
    const { rows } = await sql<{ value: Buffer }>`select value from signal_key`.execute(worker())
    expect(rows.some(({ value }) => value.includes('verysecret'))).toBe(false)
    await sql`update signal_key set value = (select value from signal_key where id = 'sealed') where id = 'moved'`.execute(
      worker(),
    )
    await expect(session.store.readKeys('session', ['moved'])).rejects.toThrow()
  })
})

describe('a plaintext', () => {
  test('is found before it is committed', async () => {
    const message = session.message('soon')
    session.store.publish({
      messages: [message],
      journal: [{ ciphertextHash: Buffer.alloc(32, 9), plaintext: Buffer.from('p') }],
    })
    expect(await session.store.findPlaintext(message.ciphertextHash)).toEqual(message.raw)
    expect(await session.store.findPlaintext(Buffer.alloc(32, 9))).toEqual(Buffer.from('p'))
  })

  test('of another session is not found', async () => {
    const other = await openTestSession(testDatabase, writer)
    const message = await session.receive('ours')
    expect(await other.store.findPlaintext(message.ciphertextHash)).toBeUndefined()
  })

  test('in the journal is sealed at rest', async () => {
    await session.store.committed(
      session.store.publish({
        journal: [{ ciphertextHash: Buffer.alloc(32, 8), plaintext: Buffer.from('verysecret') }],
      }),
    )
    const { rows } = await sql<{ plaintext: Buffer }>`select plaintext from journal`.execute(worker())
    expect(rows.some(({ plaintext }) => plaintext.includes('verysecret'))).toBe(false)
  })
})

describe('a message', () => {
  test('that comes again is neither stored, announced nor heard of again', async () => {
    const own = await openTestSession(testDatabase, writer)
    const first = await own.receive('once', { whatsappId: 'SAME' })
    await own.receive('once', { whatsappId: 'SAME' })
    own.store.publish({ messages: [own.message('twice', { whatsappId: 'OTHER' })] })
    await own.receive('twice', { whatsappId: 'OTHER' })
    expect(await own.storedTexts()).toEqual(['once', 'twice'])
    expect(own.news.flatMap(({ messages }) => messages.map(({ whatsappId }) => whatsappId))).toEqual(['SAME', 'OTHER'])
    const events = await own.storedEvents()
    expect(events).toHaveLength(2)
    expect(events[0]).toEqual({
      type: 'message.received',
      subject_id: first.id,
      data: { contactId: own.contactId, direction: 'inbound', isAnswerable: true },
    })
  })

  test('of another contact with the same WhatsApp id is another message', async () => {
    const own = await openTestSession(testDatabase, writer)
    const stranger = newId()
    await worker().insertInto('contact').values({ id: stranger, company_id: own.companyId }).execute()
    await own.receive('one', { whatsappId: 'SAME' })
    await own.receive('two', { whatsappId: 'SAME', contactId: stranger })
    expect(await own.storedTexts()).toEqual(['one', 'two'])
  })

  test('of a merged contact belongs to the one that remains, and comes again there', async () => {
    const own = await openTestSession(testDatabase, writer)
    const gone = newId()
    await worker()
      .insertInto('contact')
      .values({ id: gone, company_id: own.companyId, merged_into: own.contactId })
      .execute()
    await own.receive('by number', { whatsappId: 'SAME' })
    await own.receive('by lid', { whatsappId: 'SAME', contactId: gone })
    await own.receive('new', { contactId: gone })
    expect(await own.storedTexts()).toEqual(['by number', 'new'])
    expect(own.news.flatMap(({ messages }) => messages.map(({ contactId }) => contactId))).toEqual([
      own.contactId,
      own.contactId,
    ])
  })

  test('holds what no database stores, without harm to the session', async () => {
    const own = await openTestSession(testDatabase, writer)
    await own.receive('nul \0 and half \ud800', { whatsappId: 'ID\0', envelope: { 'name\0': '\0' } })
    expect(await own.storedTexts()).toEqual(['nul \ufffd and half \ufffd'])
    expect(own.failures).toEqual([])
  })

  test('keeps its raw form and all that came with it', async () => {
    const sentAt = new Date('2026-01-02T03:04:05.678Z')
    const message = await session.receive('raw', { raw: Buffer.from([0, 1, 255]), envelope: { t: '1' }, sentAt })
    const row = await worker().selectFrom('message').selectAll().where('id', '=', message.id).executeTakeFirstOrThrow()
    expect(row).toMatchObject({
      company_id: session.companyId,
      session_id: session.sessionId,
      contact_id: session.contactId,
      status: 'received',
      raw: Buffer.from([0, 1, 255]),
      envelope: { t: '1' },
      content: { kind: 'text', text: 'raw' },
      sent_at: sentAt,
    })
  })

  test('is answerable unless it is old, or our own', async () => {
    const isAnswerable = async ({ id }: { id: string }) =>
      (await worker().selectFrom('message').select('is_answerable').where('id', '=', id).executeTakeFirst())
        ?.is_answerable
    expect(await isAnswerable(await session.receive('new'))).toBe(true)
    expect(await isAnswerable(await session.receive('old', { sentAt: new Date(Date.now() - 25 * 3_600_000) }))).toBe(
      false,
    )
    expect(await isAnswerable(await session.receive('own', { direction: 'outbound', origin: 'phone' }))).toBe(false)
  })

  test('whose sender has no idea of the time is stored', async () => {
    const message = await session.receive('when', { sentAt: new Date(Number.NaN) })
    const row = await worker().selectFrom('message').select('sent_at').where('id', '=', message.id).executeTakeFirst()
    expect(row?.sent_at).toBeInstanceOf(Date)
  })
})

describe('a receipt', () => {
  const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 12, minute))
  const queue = async (own: SessionFixture, status: 'queued' | 'failed' = 'queued') => {
    const whatsappId = `3EB0${newId()}`
    const id = newId()
    await worker()
      .insertInto('message')
      .values({
        id,
        company_id: own.companyId,
        session_id: own.sessionId,
        contact_id: own.contactId,
        direction: 'outbound',
        origin: 'api',
        whatsapp_id: whatsappId,
        status,
        error_code: status === 'failed' ? 'gave_up' : null,
        content: JSON.stringify({ kind: 'text', text: 'out' }),
      })
      .execute()
    return { id, whatsappId }
  }
  const confirm = async (own: SessionFixture, whatsappId: string, ...receipts: [ReceiptUpdate['status'], number][]) => {
    for (const [status, minute] of receipts)
      own.store.publish({ receipts: [{ whatsappIds: [whatsappId], status, at: at(minute) }] })
    await own.store.committed(own.store.published)
  }
  const progress = (id: string) =>
    worker()
      .selectFrom('message')
      .select(['status', 'sent_at', 'delivered_at', 'read_at', 'error_code'])
      .where('id', '=', id)
      .executeTakeFirstOrThrow()

  test('moves its message forward, step by step', async () => {
    const own = await openTestSession(testDatabase, writer)
    const { id, whatsappId } = await queue(own)
    await confirm(own, whatsappId, ['sent', 1])
    await confirm(own, whatsappId, ['delivered', 2])
    await confirm(own, whatsappId, ['read', 3])
    await confirm(own, whatsappId, ['played', 4])
    const times = { sent_at: at(1), delivered_at: at(2), read_at: at(3) }
    expect(await progress(id)).toEqual({ status: 'played', ...times, error_code: null })
    expect((await own.storedEvents()).map(({ type, subject_id, data }) => [type, subject_id, data['status']])).toEqual(
      ['sent', 'delivered', 'read', 'played'].map((status) => ['message.status_changed', id, status]),
    )
    expect(own.news.flatMap(({ receipts }) => receipts.map(({ status }) => status))).toEqual([
      'sent',
      'delivered',
      'read',
      'played',
    ])
    expect(own.news[0]?.receipts).toEqual([{ messageId: id, contactId: own.contactId, whatsappId, status: 'sent' }])
  })

  test('never moves it back, and what changes nothing is not announced', async () => {
    const own = await openTestSession(testDatabase, writer)
    const { id, whatsappId } = await queue(own)
    await confirm(own, whatsappId, ['read', 3])
    await confirm(own, whatsappId, ['delivered', 4])
    await confirm(own, whatsappId, ['sent', 5], ['read', 6])
    expect(await progress(id)).toMatchObject({ status: 'read', read_at: at(3) })
    expect(await own.storedEvents()).toHaveLength(1)
    expect(own.news).toHaveLength(1)
  })

  test('implies the steps that WhatsApp has left out', async () => {
    const own = await openTestSession(testDatabase, writer)
    const { id, whatsappId } = await queue(own)
    await confirm(own, whatsappId, ['read', 3])
    expect(await progress(id)).toMatchObject({ status: 'read', sent_at: at(3), delivered_at: at(3), read_at: at(3) })
  })

  test('in any order within one commit comes to the same', async () => {
    const own = await openTestSession(testDatabase, writer)
    const { id, whatsappId } = await queue(own)
    await confirm(own, whatsappId, ['read', 3], ['sent', 1], ['delivered', 2])
    const times = { sent_at: at(1), delivered_at: at(2), read_at: at(3) }
    expect(await progress(id)).toMatchObject({ status: 'read', ...times })
  })

  test('for many messages moves all of them', async () => {
    const own = await openTestSession(testDatabase, writer)
    const messages = [await queue(own), await queue(own)]
    own.store.publish({
      receipts: [{ whatsappIds: messages.map(({ whatsappId }) => whatsappId), status: 'read', at: at(1) }],
    })
    await own.store.committed(own.store.published)
    for (const { id } of messages) expect(await progress(id)).toMatchObject({ status: 'read' })
  })

  test('proves that what counted as failed has come through', async () => {
    const own = await openTestSession(testDatabase, writer)
    const { id, whatsappId } = await queue(own, 'failed')
    await confirm(own, whatsappId, ['delivered', 1])
    expect(await progress(id)).toMatchObject({ status: 'delivered', error_code: null })
  })

  test('that comes in one commit with an own message from the phone counts', async () => {
    const own = await openTestSession(testDatabase, writer)
    const message = own.message('from the phone', { direction: 'outbound', origin: 'phone' })
    own.store.publish({ messages: [message] })
    await confirm(own, message.whatsappId, ['read', 1])
    expect(await progress(message.id)).toMatchObject({ status: 'read', sent_at: message.sentAt, read_at: at(1) })
  })

  test('of one session does not touch a message of another', async () => {
    const [own, other] = [await openTestSession(testDatabase, writer), await openTestSession(testDatabase, writer)]
    const { id, whatsappId } = await queue(other)
    await confirm(own, whatsappId, ['read', 1])
    expect(await progress(id)).toMatchObject({ status: 'queued' })
  })
})

describe('a session', () => {
  test('is open once', async () => {
    const sealer = await testDatabase.keyRing.sealerOf(session.companyId)
    expect(() => writer.openSession({ ...session.lease, sealer })).toThrow(/open already/)
  })

  test('that closes commits what it has published, and can be opened again', async () => {
    const own = await openTestSession(testDatabase, writer)
    const sequence = own.store.publish({ messages: [own.message('last words')] })
    await own.store.close()
    expect(own.store.isCommitted(sequence)).toBe(true)
    expect(own.failures).toEqual([])
    const late = own.store.publish({ messages: [own.message('too late')] })
    await expect(own.store.committed(late)).rejects.toMatchObject({ reason: 'store_failed' })
    expect(await own.storedTexts()).toEqual(['last words'])
    const sealer = await testDatabase.keyRing.sealerOf(own.companyId)
    const again = writer.openSession({ ...own.lease, sealer })
    await again.committed(again.publish({ messages: [own.message('again')] }))
    expect(await own.storedTexts()).toEqual(['last words', 'again'])
  })

  test('that waits for what is published while it closes is told that it never will be', async () => {
    const own = await openTestSession(testDatabase, writer)
    own.store.publish({ messages: [own.message('one')] })
    const closing = own.store.close()
    const late = own.store.committed(own.store.publish({ messages: [own.message('two')] }))
    await expect(late).rejects.toMatchObject({ reason: 'store_failed' })
    await closing
  })
})

test('a listener that fails harms neither the commit nor the other listeners', async () => {
  const own = await openTestSession(testDatabase, writer)
  const heard: string[] = []
  const stopFirst = writer.onCommitted(() => {
    throw new Error('listener')
  })
  const stopSecond = writer.onCommitted((batch) => heard.push(...batch.map(({ sessionId }) => sessionId)))
  await own.receive('hello')
  stopFirst()
  stopSecond()
  await own.receive('unheard')
  expect(heard).toEqual([own.sessionId])
  expect(own.failures).toEqual([])
})

test('much at once is committed in full and in order', async () => {
  const own = await openTestSession(testDatabase, writer)
  const texts = Array.from({ length: 2_000 }, (_, index) => String(index))
  for (const text of texts)
    own.store.publish({ keys: [keyChange('session', `${Number(text) % 50}`, text)], messages: [own.message(text)] })
  await own.store.committed(own.store.published)
  expect(await own.storedTexts()).toEqual(texts)
  expect(own.news.flatMap(({ messages }) => messages).map(({ raw }) => raw?.toString())).toEqual(texts)
  const keys = await own.store.readKeys('session', ['0', '49'])
  expect(keys).toEqual(
    new Map([
      ['0', Buffer.from('1950')],
      ['49', Buffer.from('1999')],
    ]),
  )
})
