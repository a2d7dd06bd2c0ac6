import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import type { ReceiptUpdate } from '#src/model/session-store.ts'
import { newWhatsAppId } from '#src/model/whatsapp-id.ts'
import { startWriter, type Writer } from '#src/storage/writer/writer.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { openTestSession, type SessionFixture } from './session-fixture.ts'

let testDatabase: TestDatabase
let writer: Writer
beforeAll(async () => {
  testDatabase = await createTestDatabase()
  writer = await startWriter({ database: testDatabase.database, log: pino({ level: 'silent' }) })
})
afterAll(async () => {
  await writer[Symbol.asyncDispose]()
  await testDatabase[Symbol.asyncDispose]()
})

const worker = () => testDatabase.database.worker
const onPhone = (session: SessionFixture, changes: Parameters<SessionFixture['message']>[1] = {}) =>
  session.message('Margot here.', { direction: 'outbound', origin: 'phone', ...changes })
const readConversation = ({ sessionId }: SessionFixture) =>
  worker().selectFrom('conversation').selectAll().where('session_id', '=', sessionId).executeTakeFirst()

async function queueAnswer({ companyId, sessionId, contactId }: SessionFixture): Promise<string> {
  const whatsappId = newWhatsAppId()
  await worker()
    .insertInto('message')
    .values({
      ...{ id: newId(), company_id: companyId, session_id: sessionId, contact_id: contactId, whatsapp_id: whatsappId },
      ...{ direction: 'outbound', origin: 'responder', status: 'queued', content: '{"kind":"text","text":"Hello."}' },
    })
    .execute()
  return whatsappId
}

test('a message of the phone and the change of who answers are one commit', async () => {
  const session = await openTestSession(testDatabase, writer)
  await session.store.committed(session.store.publish({ messages: [onPhone(session, { isOffline: true })] }))
  expect(await readConversation(session)).toMatchObject({ state: 'human', contact_id: session.contactId })
})

test('answers that were sent in the same commit stay sent, those that wait are taken back', async () => {
  const session = await openTestSession(testDatabase, writer)
  const [sent, waiting] = [await queueAnswer(session), await queueAnswer(session)]
  const receipts: ReceiptUpdate[] = [{ whatsappIds: [sent], status: 'sent', at: new Date() }]
  await session.store.committed(session.store.publish({ receipts, messages: [onPhone(session)] }))
  const rows = worker().selectFrom('message').select(['whatsapp_id', 'status', 'error_code'])
  const answers = await rows.where('session_id', '=', session.sessionId).where('origin', '=', 'responder').execute()
  expect(new Map(answers.map((row) => [row.whatsapp_id, row.status]))).toEqual(
    new Map([
      [sent, 'sent'],
      [waiting, 'failed'],
    ]),
  )
})

test('the history that the phone hands over changes nothing', async () => {
  const session = await openTestSession(testDatabase, writer)
  const history = onPhone(session, { isHistory: true, envelope: {} })
  await session.store.committed(session.store.publish({ messages: [history] }))
  expect(await readConversation(session)).toBe(undefined)
})

test('a burst of the phone in many chats at once takes all of them over', async () => {
  const session = await openTestSession(testDatabase, writer)
  const contacts = Array.from({ length: 50 }, () => newId())
  await worker()
    .insertInto('contact')
    .values(contacts.map((id) => ({ id, company_id: session.companyId })))
    .execute()
  const messages = contacts.flatMap((contactId) => [onPhone(session, { contactId }), onPhone(session, { contactId })])
  await session.store.committed(session.store.publish({ messages }))
  const taken = worker().selectFrom('conversation').select('contact_id').where('state', '=', 'human')
  expect((await taken.where('session_id', '=', session.sessionId).execute()).length).toBe(50)
})
