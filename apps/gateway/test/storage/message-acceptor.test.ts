import { afterAll, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { newWhatsAppId } from '#src/model/whatsapp-id.ts'
import { connect, connectionConfig } from '#src/storage/connection.ts'
import { MessageAcceptor, type NewMessage } from '#src/storage/message-acceptor.ts'
import { createTestDatabase } from '../support/database.ts'
import { until } from '../support/until.ts'
import { somebodyWaits } from './somebody-waits.ts'

const testDatabase = await createTestDatabase()
afterAll(() => testDatabase[Symbol.asyncDispose]())

const { database } = testDatabase

/** A linked session with two contacts, and messages to them. */
async function setUp() {
  const companyId = await testDatabase.createCompany()
  const sessionId = await testDatabase.createSession(companyId)
  await database.worker.updateTable('session').set({ linked_at: new Date() }).where('id', '=', sessionId).execute()
  const contacts = [newId(), newId()] as const
  await database.worker
    .insertInto('contact')
    .values(contacts.map((id) => ({ id, company_id: companyId })))
    .execute()
  const messageTo = (contactId: string): NewMessage => ({
    ...{ id: newId(), companyId, sessionId, newContactId: newId(), whatsappId: newWhatsAppId() },
    ...{ sendAt: null, expiresAt: new Date(Date.now() + 60_000) },
    to: { contactId },
    content: { kind: 'text', text: 'hello' },
    agent: undefined,
    idempotencyKey: undefined,
    requestHash: new Uint8Array(32),
  })
  return { contacts, messageTo }
}

test('a message that is accepted while its contact is being merged goes to the one that remains', async () => {
  const { contacts, messageTo } = await setUp()
  const [remaining, gone] = contacts
  const merger = await connect(connectionConfig(testDatabase.url))
  // Inside of its transaction, the merger would see the activity of one moment for ever.
  const watcher = await connect(connectionConfig(testDatabase.url))
  await merger.query('begin')
  await merger.query('select from contact where id = $1 for update', [gone])
  await merger.query('update contact set merged_into = $2 where id = $1', [gone, remaining])

  await using acceptor = new MessageAcceptor(database)
  const accepted = acceptor.accept([messageTo(gone)])
  await until(() => somebodyWaits(watcher))
  await merger.query('commit')
  await Promise.all([merger.end(), watcher.end()])
  expect(await accepted).toMatchObject([{ kind: 'queued', contactId: remaining }])
})

test('messages whose contacts somebody else locks the other way round are accepted all the same', async () => {
  const { contacts, messageTo } = await setUp()
  const [first, second] = contacts
  const merger = await connect(connectionConfig(testDatabase.url))
  const watcher = await connect(connectionConfig(testDatabase.url))
  const lock = 'select from contact where id = $1 for update'
  await merger.query('begin')
  // The one that has waited longer looks for deadlocks first, and is the one that gives way.
  await merger.query(`set local deadlock_timeout = '1min'`)
  await merger.query(lock, [second])

  await using acceptor = new MessageAcceptor(database)
  const accepted = acceptor.accept([messageTo(first), messageTo(second)])
  await until(() => somebodyWaits(watcher))
  await merger.query(lock, [first])
  await merger.query('commit')
  await Promise.all([merger.end(), watcher.end()])
  expect(await accepted).toMatchObject([{ kind: 'queued' }, { kind: 'queued' }])
})
