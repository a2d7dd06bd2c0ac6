import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Lanes } from '#src/services/lanes/lanes.ts'
import type { Lease } from '#src/storage/leases.ts'
import { createTestDatabase } from '../support/database.ts'
import { until } from '../support/until.ts'
import { openDesk, setSettings, UNLIMITED } from './support/desk.ts'
import { createContact, readOutbound, readTurns, storeInbound } from './support/messages.ts'
import { failAt, ScriptedConnection } from './support/scripted-connection.ts'

const HOUR_MS = 60 * 60 * 1000

const testDatabase = await createTestDatabase()
const { database } = testDatabase
afterAll(() => testDatabase[Symbol.asyncDispose]())

let companyId: string
let sessionId: string
let contactId: string
beforeEach(async () => {
  companyId = await testDatabase.createCompany()
  sessionId = await testDatabase.createSession(companyId)
  contactId = await createContact(database, companyId)
})
afterEach(() => {
  vi.restoreAllMocks()
})

/** Somebody sets the clock of the process's machine; it goes on from there. */
function setClock(byMs: number): void {
  const now = Date.now.bind(Date)
  vi.spyOn(Date, 'now').mockImplementation(() => now() + byMs)
}

// Each of them would take an hour, far longer than a test waits, if a moment were compared with the clock that was set.
describe.each([
  ['back', -HOUR_MS],
  ['forward', HOUR_MS],
])('the clock is set %s by an hour', (_direction, byMs) => {
  test('while a burst is gathered: it is answered after its quiet time', async () => {
    await setSettings(database, companyId, {
      responders: [{ kind: 'rules' }],
      fallback: 'Thank you!',
      batching: { quietMs: 200, maxMs: 60_000 },
    })
    await using desk = openDesk(database)
    await desk.own(sessionId)
    desk.inbox.receive(sessionId, await storeInbound(database, { companyId, sessionId, contactId }, ['one']))
    setClock(byMs)
    desk.inbox.receive(sessionId, await storeInbound(database, { companyId, sessionId, contactId }, ['two']))
    await until(async () => {
      const turns = await readTurns(database, sessionId)
      return turns.length > 0 && turns.every(({ state }) => state === 'answered')
    })
    await until(async () => (await readOutbound(database, sessionId)).length > 0)
  })

  test('while a message waits for its next attempt: the attempt is made', async () => {
    await using desk = openDesk(database)
    const lease = await desk.own(sessionId)
    const failing = new ScriptedConnection(database, sessionId).next(failAt('unacknowledged'))
    const { scripted, accept } = online(desk, lease, failing)
    await accept('hello')
    await until(async () => (await readOutbound(database, sessionId)).some(({ attempts }) => attempts === 1))
    setClock(byMs)
    await until(() => scripted.sends.length === 2)
  })

  test('while a chat waits for its turn: it goes on at its pace', async () => {
    await using desk = openDesk(database, { pacing: { ...UNLIMITED, chatMessagesPerMinute: 60 } })
    const lease = await desk.own(sessionId)
    const { scripted, accept } = online(desk, lease)
    // As many as a minute allows may go at once.
    await Promise.all(Array.from({ length: 60 }, (_, index) => accept(`at once ${index}`)))
    await until(() => scripted.sends.length >= 60)
    setClock(byMs)
    await accept('one by one')
    await until(() => scripted.sends.length === 61)
  })

  function online(
    desk: ReturnType<typeof openDesk>,
    lease: Lease,
    scripted = new ScriptedConnection(database, sessionId),
  ) {
    desk.outbox.online({ lease, store: scripted.store }, scripted, Promise.resolve())
    const accept = (text: string) =>
      desk.intake.accept(companyId, {
        ...{ sessionId, to: { contactId }, content: { kind: 'text', text } },
        requestHash: new Uint8Array(32),
      })
    return { scripted, accept }
  }
})

test('a lane that waits longer than a timer can goes on waiting', async () => {
  let tries = 0
  const lanes = new Lanes<string>({
    ...{ concurrency: 1, concurrencyPerGroup: 1 },
    process: async () => {
      tries += 1
      return { againInMs: 30 * 24 * HOUR_MS }
    },
    onError: (error) => expect(error).toBeUndefined(),
  })
  lanes.add('group', 'key', 'item')
  await until(() => tries === 1)
  // A timer that is too long fires at once.
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 1))
  expect(tries).toBe(1)
  lanes.drop('group')
})
