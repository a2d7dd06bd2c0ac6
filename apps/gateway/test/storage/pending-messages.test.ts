import type { PendingReason } from '@frontdesk/api-contract'
import { pino } from 'pino'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { firstIdAt, newId } from '#src/model/ids.ts'
import type { ReceivedMessage } from '#src/model/session-store.ts'
import { createContactBook } from '#src/storage/contacts.ts'
import { maintain } from '#src/storage/retention.ts'
import { startWriter, type Writer } from '#src/storage/writer/writer.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { startFaultyProxy } from './faulty-proxy.ts'
import { openTestSession, randomPhone, type SessionFixture } from './session-fixture.ts'

const DAY_MS = 24 * 60 * 60 * 1000

const log = pino({ level: 'silent' })

let testDatabase: TestDatabase
let writer: Writer
let session: SessionFixture
beforeAll(async () => {
  testDatabase = await createTestDatabase()
  writer = await startWriter({ database: testDatabase.database, log })
})
beforeEach(async () => {
  session = await openTestSession(testDatabase, writer)
})
afterAll(async () => {
  await writer[Symbol.asyncDispose]()
  await testDatabase[Symbol.asyncDispose]()
})

const pendingCopy = (message: ReceivedMessage, reason: PendingReason = 'undecrypted'): ReceivedMessage => ({
  ...message,
  id: newId(),
  raw: null,
  ciphertextHash: null,
  content: { kind: 'pending', reason },
})
const publish = async (...messages: ReceivedMessage[]) => {
  await session.store.committed(session.store.publish({ messages }))
}
const rows = () =>
  testDatabase.database.worker
    .selectFrom('message')
    .select(['id', 'content', 'raw', 'is_answerable', 'contact_id'])
    .where('session_id', '=', session.sessionId)
    .orderBy('id')
    .execute()
const eventTypes = async () => (await session.storedEvents()).map(({ type, subject_id }) => [type, subject_id])

test('a pending message is a row at once, is not answered, and takes its content over in place', async () => {
  const message = session.message('at last')
  const pending = pendingCopy(message)
  await publish(pending)
  expect(await rows()).toMatchObject([{ id: pending.id, content: pending.content, raw: null, is_answerable: false }])

  await publish(message)
  expect(await rows()).toMatchObject([
    { id: pending.id, content: message.content, raw: message.raw, is_answerable: true },
  ])
  expect(await eventTypes()).toEqual([
    ['message.received', pending.id],
    ['message.resolved', pending.id],
  ])
  // The inbox hears of the row that there is, and only now of one that it answers.
  expect(session.news.flatMap(({ messages }) => messages).map(({ id, content }) => [id, content.kind])).toEqual([
    [pending.id, 'pending'],
    [pending.id, 'text'],
  ])
  expect(await session.store.findPlaintext(message.ciphertextHash)).toEqual(message.raw)
})

test('whatever comes after its content changes nothing more', async () => {
  const message = session.message('first')
  await publish(pendingCopy(message))
  await publish(message)
  await publish(session.message('second', { whatsappId: message.whatsappId }))
  await publish(pendingCopy(message, 'undecryptable'))
  expect(await session.storedTexts()).toEqual(['first'])
  expect(await eventTypes()).toHaveLength(2)
})

test('pending and resolved in one commit is one message that was received', async () => {
  const message = session.message('quick')
  const pending = pendingCopy(message)
  session.store.publish({ messages: [pending] })
  session.store.publish({ messages: [message] })
  session.store.publish({ messages: [session.message('late copy', { whatsappId: message.whatsappId })] })
  await session.store.committed(session.store.published)
  expect(await rows()).toMatchObject([{ id: pending.id, content: message.content, is_answerable: true }])
  expect(await eventTypes()).toEqual([['message.received', pending.id]])
})

test('a resolution whose commit loses its answer is heard of once, under the id of the row', async () => {
  const { database } = testDatabase
  await using proxy = await startFaultyProxy(database.url)
  await using behindProxy = await startWriter({ database: { ...database, url: proxy.url }, log })
  session = await openTestSession(testDatabase, behindProxy)
  const message = session.message('once')
  const pending = pendingCopy(message)
  await publish(pending)
  proxy.loseAnswerTo('frontdesk_flush')
  await publish(message)
  expect(proxy.lost).toBe(1)
  expect(session.news.flatMap(({ messages }) => messages).map(({ id, content }) => [id, content.kind])).toEqual([
    [pending.id, 'pending'],
    [pending.id, 'text'],
  ])
  expect(await eventTypes()).toHaveLength(2)
})

test('one that fails for the last time says so once, and can still come', async () => {
  const message = session.message('after all')
  const pending = pendingCopy(message)
  await publish(pending)
  await publish(pendingCopy(message, 'undecryptable'))
  await publish(pendingCopy(message, 'undecryptable'))
  expect(await rows()).toMatchObject([{ id: pending.id, content: { kind: 'pending', reason: 'undecryptable' } }])
  await publish(message)
  expect(await rows()).toMatchObject([{ id: pending.id, content: message.content }])
  expect(await eventTypes()).toEqual([
    ['message.received', pending.id],
    ['message.undecryptable', pending.id],
    ['message.resolved', pending.id],
  ])
})

test('after two weeks nobody waits for it any more', async () => {
  const at = (days: number) => firstIdAt(new Date(Date.now() - days * DAY_MS))
  const [old, kept, young] = [at(15), at(16), at(13)]
  await publish({ ...pendingCopy(session.message('old')), id: old })
  await publish({ ...pendingCopy(session.message('seen once'), 'view_once'), id: kept })
  await publish({ ...pendingCopy(session.message('young'), 'unavailable'), id: young })
  await maintain(testDatabase.database, new Date())
  await maintain(testDatabase.database, new Date())
  const reasons = (await rows()).map(({ id, content }) => [id, content.kind === 'pending' && content.reason])
  expect(reasons).toEqual([
    [kept, 'view_once'],
    [old, 'undecryptable'],
    [young, 'unavailable'],
  ])
  expect((await eventTypes()).filter(([type]) => type === 'message.undecryptable')).toEqual([
    ['message.undecryptable', old],
  ])
})

test('pending under one address and come by the other, it is one message when the two turn out to be one', async () => {
  const [phone, lid] = [randomPhone(), randomPhone()]
  const book = createContactBook(testDatabase.database, session.companyId)
  const [byPhone, byLid] = [await book.contactOf({ phone }), await book.contactOf({ lid })]
  const message = session.message('by lid', { contactId: byLid })
  const pending = { ...pendingCopy(message), contactId: byPhone }
  await publish(pending)
  await publish(message)
  expect(await rows()).toHaveLength(2)
  await book.contactOf({ phone, lid })
  expect(await rows()).toMatchObject([
    { id: pending.id, contact_id: byPhone, content: message.content, raw: message.raw, is_answerable: true },
  ])
  expect((await eventTypes()).at(-1)).toEqual(['message.resolved', pending.id])
})
