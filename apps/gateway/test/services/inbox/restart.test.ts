import { afterAll, expect, test } from 'vitest'
import { createTestDatabase } from '../../support/database.ts'
import { type Crash, openCrashingDatabase } from '../support/crashing-database.ts'
import { openDesk, setSettings } from '../support/desk.ts'
import { createContact, readOutbound, readTurns, storeInbound } from '../support/messages.ts'
import { CustomerPhones, ScriptedConnection } from '../support/scripted-connection.ts'
import { until } from '../support/until.ts'

const testDatabase = await createTestDatabase()
const { database } = testDatabase
afterAll(() => testDatabase[Symbol.asyncDispose]())

/** A customer has written twice and the company sends a reminder, while the process dies at the given statement. */
async function setUp() {
  const companyId = await testDatabase.createCompany()
  const sessionId = await testDatabase.createSession(companyId)
  const contactId = await createContact(database, companyId)
  await setSettings(database, companyId, {
    responder: { kind: 'rules', keywords: [{ any: ['hi'], answer: 'Hello!' }], fallback: 'Pardon?' },
  })
  const received = await storeInbound(database, { companyId, sessionId, contactId }, ['hi', 'there'])
  const phones = new CustomerPhones()

  /** One life of the process: until all is done, or it dies. The company's client repeats its request in every life. */
  async function live(crash?: Crash): Promise<number> {
    await using mine = openCrashingDatabase(testDatabase.url, crash)
    await using desk = openDesk(mine, { batching: { quietMs: 0, maxMs: 0 }, acceptor: mine.acceptor })
    const isDone = async () => {
      const [turns, outbound] = await Promise.all([readTurns(database, sessionId), readOutbound(database, sessionId)])
      return (
        turns.some(({ state }) => state !== 'open') &&
        outbound.length === 2 &&
        outbound.every(({ status }) => status === 'sent')
      )
    }
    const work = async () => {
      const lease = await desk.own(sessionId)
      const connection = new ScriptedConnection(mine, sessionId, phones)
      desk.outbox.online({ lease, store: connection.store }, connection)
      desk.inbox.receive(sessionId, received)
      await desk.outbox.accept(companyId, {
        sessionId,
        to: { contactId },
        content: { kind: 'text', text: 'See you tomorrow.' },
        idempotencyKey: 'reminder',
        requestHash: new Uint8Array(32),
      })
    }
    const working = work().catch((error: unknown) => {
      if (!mine.hasCrashed) throw error
    })
    await Promise.race([working, mine.crashed])
    await until(async () => mine.hasCrashed || (await isDone()))
    return mine.statements
  }
  return { sessionId, phones, live }
}

async function expectAllOnce(sessionId: string, phones: CustomerPhones) {
  expect(await readTurns(database, sessionId)).toMatchObject([{ state: 'answered', responder: 'rules' }])
  expect(phones.texts.toSorted()).toEqual(['Hello!', 'See you tomorrow.'])
  expect((await readOutbound(database, sessionId)).length).toBe(2)
}

test('one turn, one answer, each message shown once: whichever statement the process dies at', async () => {
  const undisturbed = await setUp()
  const statements = await undisturbed.live()
  await expectAllOnce(undisturbed.sessionId, undisturbed.phones)
  expect(statements).toBeGreaterThan(10)

  for (let atStatement = 1; atStatement <= statements; atStatement += 1) {
    for (const when of ['before', 'after'] as const) {
      const { sessionId, phones, live } = await setUp()
      await live({ atStatement, when })
      await live()
      await expectAllOnce(sessionId, phones)
    }
  }
})

test('also when its successors die again and again', async () => {
  const { sessionId, phones, live } = await setUp()
  for (let atStatement = 1; atStatement <= 12; atStatement += 1) await live({ atStatement, when: 'after' })
  await live()
  await expectAllOnce(sessionId, phones)
})
