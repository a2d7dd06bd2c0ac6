import { afterAll, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { newWhatsAppId } from '#src/model/whatsapp-id.ts'
import { closeTurn, holdTurn } from '#src/storage/answer-turn.ts'
import { connect, connectionConfig } from '#src/storage/connection.ts'
import { openTurn } from '#src/storage/turns.ts'
import { createContact, storeInbound } from '../services/support/messages.ts'
import { claimLease } from '../support/claim-lease.ts'
import { createTestDatabase } from '../support/database.ts'
import { until } from '../support/until.ts'
import { somebodyWaits } from './somebody-waits.ts'

const testDatabase = await createTestDatabase()
const { database } = testDatabase
afterAll(() => testDatabase[Symbol.asyncDispose]())

/** An open turn, and an answer to it. */
async function setUp() {
  const companyId = await testDatabase.createCompany()
  const sessionId = await testDatabase.createSession(companyId)
  const lease = await claimLease(database, newId(), sessionId)
  const contactId = await createContact(database, companyId)
  await storeInbound(database, { companyId, sessionId, contactId }, ['STOP'])
  const turnId = newId()
  await openTurn(database.worker, lease, { turnId, contactId, contactIds: [contactId], limit: 50 })
  const id = newId()
  const content = { kind: 'text' as const, text: 'Yes?' }
  const messages = [{ id, whatsappId: newWhatsAppId(), content, typingMs: null, expiresAt: null }]
  const answer = () =>
    database.worker.selectFrom('message').select(['status', 'error_code']).where('id', '=', id).executeTakeFirst()
  return { companyId, contactId, lease, turnId, messages, answer }
}

type Place = Awaited<ReturnType<typeof setUp>>

test.each([
  {
    what: 'an answer',
    queue: ({ lease, turnId, messages }: Place) => closeTurn(database, lease, { turnId, responder: 'http', messages }),
    outcome: { sends: false },
  },
  {
    what: 'a word for the night',
    queue: ({ companyId, turnId, messages }: Place) =>
      holdTurn(companyId, database.worker, { turnId, until: new Date(Date.now() + 60_000), messages }),
    outcome: true,
  },
])('$what is not sent to a contact who is opting out in the same moment', async ({ queue, outcome }) => {
  const place = await setUp()
  const optingOut = await connect(connectionConfig(testDatabase.url))
  // Inside of a transaction, one would see the activity of one moment for ever.
  const watcher = await connect(connectionConfig(testDatabase.url))
  await optingOut.query('begin')
  await optingOut.query('update contact set opted_out_at = now() where id = $1', [place.contactId])
  const queued = queue(place)
  await until(() => somebodyWaits(watcher))
  await optingOut.query('commit')
  await Promise.all([optingOut.end(), watcher.end()])
  expect(await queued).toEqual(outcome)
  expect(await place.answer()).toEqual({ status: 'failed', error_code: 'contact_opted_out' })
})
