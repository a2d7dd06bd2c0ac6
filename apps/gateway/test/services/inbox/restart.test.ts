import { afterAll, expect, test } from 'vitest'
import { createTestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { openDesk, setSettings } from '../support/desk.ts'
import { type Fault, openFaultyDatabase } from '../support/faulty-database.ts'
import { createContact, readOutbound, readTurns, storeInbound } from '../support/messages.ts'
import { CustomerPhones, ScriptedConnection } from '../support/scripted-connection.ts'

const testDatabase = await createTestDatabase()
const { database } = testDatabase
afterAll(() => testDatabase[Symbol.asyncDispose]())

/** A customer has written twice, and the company sends a reminder at the same time. */
async function setUp() {
  const companyId = await testDatabase.createCompany()
  const sessionId = await testDatabase.createSession(companyId)
  const contactId = await createContact(database, companyId)
  await setSettings(database, companyId, {
    responders: [{ kind: 'rules', keywords: [{ any: ['hi'], answer: 'Hello!' }] }],
    fallback: 'Pardon?',
  })
  const received = await storeInbound(database, { companyId, sessionId, contactId }, ['hi', 'there'])
  const phones = new CustomerPhones()

  const isDone = async () => {
    const [turns, outbound] = await Promise.all([readTurns(database, sessionId), readOutbound(database, sessionId)])
    return (
      turns.some(({ state }) => state !== 'open') &&
      outbound.length === 2 &&
      outbound.every(({ status }) => status === 'sent')
    )
  }

  /** One life of a process: until all is done, or it dies. What is refused is asked for again, as a client does. */
  async function live(fault?: Fault): Promise<number> {
    await using mine = openFaultyDatabase(testDatabase.url, fault)
    await using desk = openDesk(mine, { batching: { quietMs: 0, maxMs: 0, maxMessages: 50 }, acceptor: mine.acceptor })
    const persistently = async <T>(work: () => Promise<T>): Promise<T> => {
      for (;;) {
        try {
          return await work()
        } catch (error) {
          if (mine.hasCrashed || fault?.what !== 'break') throw error
        }
      }
    }
    const work = async () => {
      const lease = await persistently(() => desk.own(sessionId))
      const connection = new ScriptedConnection(mine, sessionId, phones)
      desk.outbox.online({ lease, store: connection.store }, connection, Promise.resolve())
      desk.inbox.receive(sessionId, received)
      const request = {
        sessionId,
        to: { contactId },
        content: { kind: 'text', text: 'See you tomorrow.' },
        idempotencyKey: 'reminder',
        requestHash: new Uint8Array(32),
      } as const
      await persistently(() => desk.intake.accept(companyId, request))
    }
    const working = work().catch((error: unknown) => {
      if (!mine.hasCrashed) throw error
    })
    await Promise.race([working, mine.crashed])
    await until(async () => mine.hasCrashed || (await isDone()))
    return mine.statements
  }

  async function expectAllOnce(): Promise<void> {
    expect(await readTurns(database, sessionId)).toMatchObject([{ state: 'answered', responder: 'rules' }])
    expect(phones.texts.toSorted()).toEqual(['Hello!', 'See you tomorrow.'])
    expect((await readOutbound(database, sessionId)).length).toBe(2)
  }
  return { live, expectAllOnce }
}

async function countStatements(): Promise<number> {
  const { live, expectAllOnce } = await setUp()
  const statements = await live()
  await expectAllOnce()
  expect(statements).toBeGreaterThan(10)
  return statements
}

test('one turn, one answer, each message shown once: whichever statement the process dies at', async () => {
  const statements = await countStatements()
  for (let atStatement = 1; atStatement <= statements; atStatement += 1) {
    for (const when of ['before', 'after'] as const) {
      const { live, expectAllOnce } = await setUp()
      await live({ what: 'crash', when, atStatement })
      await live()
      await expectAllOnce()
    }
  }
})

test('also when the process lives on and only the answer to a statement is lost', async () => {
  const statements = await countStatements()
  await Promise.all(
    Array.from({ length: statements }, async (_, index) => {
      const { live, expectAllOnce } = await setUp()
      await live({ what: 'break', when: 'after', atStatement: index + 1 })
      await expectAllOnce()
    }),
  )
})

test('also when its successors die again and again', async () => {
  const { live, expectAllOnce } = await setUp()
  for (let atStatement = 1; atStatement <= 12; atStatement += 1) {
    await live({ what: 'crash', when: 'after', atStatement })
  }
  await live()
  await expectAllOnce()
})
