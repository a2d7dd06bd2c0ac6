import { sql } from 'kysely'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { maintain } from '#src/storage/retention.ts'
import { startWriter, type Writer } from '#src/storage/writer/writer.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { openTestSession, type SessionFixture } from './session-fixture.ts'

const [PN, LID] = ['4915112345678@s.whatsapp.net', '87654321987654@lid']
const plaintext = Buffer.from('what was sent')

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

const keep = (whatsappId: string) =>
  session.store.committed(session.store.publish({ sent: [{ whatsappId, recipient: PN, plaintext }] }))
const request = (whatsappId: string, device = 'phone/0', recipients: string[] | undefined = [LID, PN]) =>
  session.store.requestSent({ whatsappId, device, recipients })

test('is given out as it was sent, by either address of its recipient, and to the own devices', async () => {
  await keep('A')
  await keep('A')
  expect(await request('A')).toEqual({ whatsappId: 'A', recipient: PN, plaintext, requests: 1 })
  expect(await session.store.requestSent({ whatsappId: 'A', device: 'own/0', recipients: undefined })).toMatchObject({
    requests: 1,
  })
})

test('is given to nobody else, in no other session, and is nothing that nobody sent', async () => {
  await keep('B')
  const other = await openTestSession(testDatabase, writer)
  expect(await request('B', 'thief/0', ['4915199999999@s.whatsapp.net'])).toBeUndefined()
  expect(await request('B', 'thief/0', [])).toBeUndefined()
  const elsewhere = { whatsappId: 'B', device: 'phone/0', recipients: [PN] }
  expect(await other.store.requestSent(elsewhere)).toBeUndefined()
  expect(await request('UNKNOWN')).toBeUndefined()
})

test('counts how often each device has asked, all at once as well', async () => {
  await keep('C')
  const counts = await Promise.all(Array.from({ length: 12 }, async () => (await request('C'))?.requests))
  expect(counts.toSorted((a = 0, b = 0) => a - b)).toEqual(Array.from({ length: 12 }, (_, index) => index + 1))
  expect(await request('C', 'tablet/3')).toMatchObject({ requests: 1 })
})

test('is sealed at rest', async () => {
  await keep('D')
  const { rows } = await sql<{ plaintext: Buffer }>`
    select plaintext from sent_plaintext where session_id = ${session.sessionId}`.execute(testDatabase.database.worker)
  expect(rows.length).toBeGreaterThan(0)
  for (const row of rows) expect(row.plaintext.includes('what was sent')).toBe(false)
})

test('is not given out after a week, and then deleted', async () => {
  await keep('OLD')
  await keep('NEW')
  await sql`update sent_plaintext set created_at = now() - interval '7 days 1 minute' where whatsapp_id = 'OLD'`.execute(
    testDatabase.database.worker,
  )
  expect(await request('OLD')).toBeUndefined()
  expect(await maintain(testDatabase.database, new Date())).toMatchObject({ sentPlaintextsDeleted: 1 })
  expect(await request('NEW')).toMatchObject({ requests: 1 })
})
