import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Emulator, startEmulator } from 'whatsapp-emulator'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { sessionRows } from './support/session-rows.ts'
import { ACTOR, TestSessions } from './support/test-sessions.ts'

// The table of disconnect-table.test.ts for a session that is not linked. It has no number yet that a fault could name:
// hence an emulator of its own, where every fault hits all there are.
let emulator: Emulator
let database: TestDatabase
let host: TestSessions
let rows: ReturnType<typeof sessionRows>
let count = 0

beforeAll(async () => {
  emulator = await startEmulator({ behaviour: { sendsHistory: false } })
  database = await createTestDatabase()
  rows = sessionRows(database)
  host = await TestSessions.start(database, emulator)
})
afterAll(async () => {
  await host[Symbol.asyncDispose]()
  await emulator.close()
  await database[Symbol.asyncDispose]()
})

const ended = (reason: string) => ({ state: 'created', reason })
/** Another attempt follows. */
const anew = (reason: string) => ({ state: 'connecting', reason })

const refusals = [
  ['401', ended('linking_refused')],
  ['402', ended('temporarily_banned')],
  ['403', ended('linking_blocked')],
  ['405', ended('client_outdated')],
  ['406', ended('linking_blocked')],
  ['411', { state: 'failed', reason: 'multi_device_mismatch' }],
  ['500', anew('bad_session')],
  ['503', anew('service_unavailable')],
] as const

/** In a company of its own, with a version of its own: one that is refused is refused to all who announce it. */
async function create() {
  count += 1
  const [phone, waVersion] = [`49175000${String(count).padStart(4, '0')}`, `2.3000.${count}`]
  const companyId = await database.createCompany()
  const { id } = await host.sessions.create(companyId, { name: 'main' }, ACTOR)
  await host.sessions.update(companyId, id, { settings: { waVersion } }, ACTOR)
  return { companyId, id, phone }
}

test.each(refusals)('while it asks for a code: %s', async (code, { state, reason }) => {
  const { companyId, id, phone } = await create()
  const isOnce = state === 'connecting'
  await emulator.fault({ kind: 'refuse_logins', isOn: true, reason: code, ...(isOnce && { count: 1 }) })
  await host.sessions.start(companyId, id, ACTOR)
  const announced = await until(
    async () => (await rows.eventsOf(id)).find((data) => data['reason'] === reason && data['state'] === state),
    { what: `${state} because of ${reason}` },
  )
  if (isOnce) {
    expect(Date.parse(String(announced['nextAttemptAt']))).toBeLessThan(Date.now() + 60_000)
  } else {
    // A ban for a while says when it ends.
    expect(announced['nextAttemptAt']).toEqual(code === '402' ? expect.any(String) : null)
    expect(await host.sessions.get(companyId, id)).toMatchObject({ state, reason, desired: 'paused', linkedAt: null })
    expect(await rows.keyCount(id)).toBe(0)
    await expect(host.sessions.linkingCode(companyId, id)).rejects.toMatchObject({ code: 'session_not_linking' })
    await emulator.fault({ kind: 'refuse_logins', isOn: false })
    await host.sessions.update(companyId, id, { settings: { waVersion: `2.3000.${1000 + count}` } }, ACTOR)
    await host.sessions.start(companyId, id, ACTOR)
  }
  // Whatever it was: when it is over, the session can be linked.
  await host.inState(companyId, id, 'linking')
  await host.scan(companyId, id, emulator, phone)
  expect(await host.inState(companyId, id, 'online')).toMatchObject({ phone })
})

test('while it shows its code: the server ends the stream, and the offer is over', async () => {
  await emulator.configure({ qrValidityMs: { first: 50, later: 20 } })
  const { companyId, id } = await create()
  await host.sessions.start(companyId, id, ACTOR)
  const session = await until(async () => {
    const now = await host.sessions.get(companyId, id)
    return now.state === 'created' && now.reason !== null ? now : undefined
  })
  expect(session).toMatchObject({ reason: 'linking_expired', next: { action: 'link' } })
  expect(await rows.keyCount(id)).toBe(0)
  await emulator.configure({ qrValidityMs: { first: 60_000, later: 20_000 } })
})
