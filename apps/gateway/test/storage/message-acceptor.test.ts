import { afterAll, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { newWhatsAppId } from '#src/model/whatsapp-id.ts'
import { connect, connectionConfig } from '#src/storage/connection.ts'
import { MessageAcceptor } from '#src/storage/message-acceptor.ts'
import { createTestDatabase } from '../support/database.ts'
import { until } from '../support/until.ts'
import { somebodyWaits } from './somebody-waits.ts'

const testDatabase = await createTestDatabase()
afterAll(() => testDatabase[Symbol.asyncDispose]())

test('a message that is accepted while its contact is being merged goes to the one that remains', async () => {
  const { database } = testDatabase
  const companyId = await testDatabase.createCompany()
  const sessionId = await testDatabase.createSession(companyId)
  await database.worker.updateTable('session').set({ linked_at: new Date() }).where('id', '=', sessionId).execute()
  const [remaining, gone] = [newId(), newId()]
  await database.worker
    .insertInto('contact')
    .values([remaining, gone].map((id) => ({ id, company_id: companyId })))
    .execute()
  const merger = await connect(connectionConfig(testDatabase.url))
  // Inside of its transaction, the merger would see the activity of one moment for ever.
  const watcher = await connect(connectionConfig(testDatabase.url))
  await merger.query('begin')
  await merger.query('select from contact where id = $1 for update', [gone])
  await merger.query('update contact set merged_into = $2 where id = $1', [gone, remaining])

  await using acceptor = new MessageAcceptor(database)
  const accepted = acceptor.accept([
    {
      ...{ id: newId(), companyId, sessionId, newContactId: newId(), whatsappId: newWhatsAppId() },
      ...{ sendAt: null, expiresAt: new Date(Date.now() + 60_000) },
      to: { contactId: gone },
      content: { kind: 'text', text: 'hello' },
      agent: undefined,
      idempotencyKey: undefined,
      requestHash: new Uint8Array(32),
    },
  ])
  await until(() => somebodyWaits(watcher))
  await merger.query('commit')
  await Promise.all([merger.end(), watcher.end()])
  expect(await accepted).toMatchObject([{ kind: 'queued', contactId: remaining }])
})
