import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Emulator, startEmulator } from 'whatsapp-emulator'
import { claimLease } from '../../support/claim-lease.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { sessionRows } from './support/session-rows.ts'
import { ACTOR, TestSessions } from './support/test-sessions.ts'

let emulator: Emulator
let database: TestDatabase
let companyId: string
let rows: ReturnType<typeof sessionRows>
let phones = 0

beforeAll(async () => {
  emulator = await startEmulator({ behaviour: { sendsHistory: false } })
  database = await createTestDatabase()
  rows = sessionRows(database)
  companyId = await database.createCompany()
})
afterAll(async () => {
  await emulator.close()
  await database[Symbol.asyncDispose]()
})

const newPhone = () => {
  phones += 1
  return `49170000${String(phones).padStart(4, '0')}`
}
describe('linking', () => {
  test('from a new session to one that is online, each state stored with its reason and announced', async () => {
    await using host = await TestSessions.start(database, emulator)
    const phone = newPhone()
    const created = await host.sessions.create(companyId, { name: 'main' }, ACTOR)
    expect(created).toMatchObject({ name: 'main', provider: 'baileys', state: 'created', phone: null, linkedAt: null })
    const { id } = created
    await expect(host.sessions.linkingCode(companyId, id)).rejects.toMatchObject({ code: 'session_not_linking' })

    await host.sessions.start(companyId, id, ACTOR)
    await host.inState(companyId, id, 'linking')
    const code = await host.sessions.linkingCode(companyId, id)
    expect(Date.parse(code.expiresAt)).toBeGreaterThan(Date.now())
    await host.scan(companyId, id, emulator, phone)
    const online = await host.inState(companyId, id, 'online')
    expect(online).toMatchObject({ phone, reason: null, linkedAt: expect.any(String) })
    await expect(host.sessions.linkingCode(companyId, id)).rejects.toMatchObject({ code: 'session_not_linking' })
    expect(await rows.statesOf(id)).toEqual([
      ['connecting', null],
      ['linking', 'qr'],
      ['connecting', 'linked'],
      ['reconnecting', 'restart_required'],
      ['online', null],
    ])
    expect(host.listener.callsOf(id)).toEqual(['owned 1', 'offline', 'online'])
  })

  test('a code that nobody scans leads back to the beginning, with nothing left', async () => {
    await using host = await TestSessions.start(database, emulator, { qrTimeoutMs: 50, maxQrAttempts: 2 })
    const { id } = await host.sessions.create(companyId, { name: 'unscanned' }, ACTOR)
    await host.sessions.start(companyId, id, ACTOR)
    await host.inState(companyId, id, 'linking')
    const session = await host.inState(companyId, id, 'created')
    expect(session).toMatchObject({ reason: 'linking_expired', linkedAt: null })
    expect(await rows.keyCount(id)).toBe(0)
    await host.sessions.start(companyId, id, ACTOR)
    await host.inState(companyId, id, 'linking')
  })

  test('a session that cannot even show a code gives up', async () => {
    await using host = await TestSessions.start(database, emulator)
    const { id } = await host.sessions.create(companyId, { name: 'unreachable' }, ACTOR)
    await emulator.fault({ kind: 'refuse_connections', isOn: true, how: 'http_503' })
    await host.sessions.start(companyId, id, ACTOR)
    const session = await until(async () => {
      const now = await host.sessions.get(companyId, id)
      return now.state === 'created' && now.reason !== null ? now : undefined
    })
    await emulator.fault({ kind: 'refuse_connections', isOn: false })
    expect(session.reason).toBe('service_unavailable')
  })

  test('names are unique in a company, and another company sees nothing', async () => {
    await using host = await TestSessions.start(database, emulator)
    const other = await database.createCompany('Another one')
    const { id } = await host.sessions.create(companyId, { name: 'unique' }, ACTOR)
    await expect(host.sessions.create(companyId, { name: 'unique' }, ACTOR)).rejects.toMatchObject({
      code: 'session_name_taken',
    })
    await host.sessions.create(other, { name: 'unique' }, ACTOR)
    const calls = [
      () => host.sessions.get(other, id),
      () => host.sessions.start(other, id, ACTOR),
      () => host.sessions.pause(other, id, ACTOR),
      () => host.sessions.linkingCode(other, id),
    ]
    for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'not_found' })
    expect((await host.sessions.list(other)).map(({ name }) => name)).toEqual(['unique'])
  })
})

describe('staying connected', () => {
  test('a stopped session is paused, and online again without a new link when it is started', async () => {
    await using host = await TestSessions.start(database, emulator)
    const id = await host.link(companyId, emulator, newPhone())
    await host.sessions.pause(companyId, id, ACTOR)
    expect(await host.inState(companyId, id, 'paused')).toMatchObject({ reason: 'stopped' })
    await until(() => host.listener.callsOf(id).at(-1) === 'released')
    await host.sessions.start(companyId, id, ACTOR)
    await host.inState(companyId, id, 'online')
    expect((await rows.statesOf(id)).filter(([state]) => state === 'linking')).toHaveLength(1)
  })

  test('starting twice opens one connection', async () => {
    await using host = await TestSessions.start(database, emulator)
    const id = await host.link(companyId, emulator, newPhone())
    const { logins } = await emulator.counters()
    await Promise.all([host.sessions.start(companyId, id, ACTOR), host.sessions.start(companyId, id, ACTOR)])
    await host.inState(companyId, id, 'online')
    expect((await emulator.counters()).logins).toBe(logins)
  })

  test('what its company wants to run runs again after a restart of the gateway', async () => {
    const first = await TestSessions.start(database, emulator)
    const id = await first.link(companyId, emulator, newPhone())
    const stopped = await first.link(companyId, emulator, newPhone())
    await first.sessions.pause(companyId, stopped, ACTOR)
    await first.inState(companyId, stopped, 'paused')
    await first[Symbol.asyncDispose]()

    await using second = await TestSessions.start(database, emulator)
    expect(await second.sessions.get(companyId, id)).toMatchObject({ state: 'reconnecting', reason: 'gateway_stopped' })
    second.host.claimAll()
    await second.inState(companyId, id, 'online')
    expect(await second.sessions.get(companyId, stopped)).toMatchObject({ state: 'paused' })
    expect(second.listener.callsOf(id)).toEqual(['owned 2', 'online'])
  })

  test.each(['428', '503', '515'] as const)('the server ends it with %s: it comes back by itself', async (code) => {
    await using host = await TestSessions.start(database, emulator)
    const phone = newPhone()
    const id = await host.link(companyId, emulator, phone)
    await emulator.fault({ kind: 'stream_error', code, phone })
    await until(() => host.listener.callsOf(id).filter((call) => call === 'online').length === 2)
    await host.inState(companyId, id, 'online')
    expect((await rows.statesOf(id)).at(-2)?.[0]).toBe('reconnecting')
  })

  test('another connection in its place is a conflict: it does not fight for the number', async () => {
    await using host = await TestSessions.start(database, emulator)
    const phone = newPhone()
    const id = await host.link(companyId, emulator, phone)
    await emulator.fault({ kind: 'stream_error', code: '440', phone })
    // It may have been a stray one: it looks once whether it can come back.
    await until(() => host.listener.callsOf(id).filter((call) => call === 'online').length === 2)
    await emulator.fault({ kind: 'stream_error', code: '440', phone })
    expect(await host.inState(companyId, id, 'conflict')).toMatchObject({ reason: 'replaced' })
    await until(() => host.listener.callsOf(id).at(-1) === 'released')
  })

  test('unlinked on the phone: its keys are gone, and the next start links anew', async () => {
    await using host = await TestSessions.start(database, emulator)
    const phone = newPhone()
    const id = await host.link(companyId, emulator, phone)
    expect(await rows.keyCount(id)).toBeGreaterThan(0)
    await emulator.unlink({ phone })
    expect(await host.inState(companyId, id, 'logged_out')).toMatchObject({ reason: 'logged_out', linkedAt: null })
    expect(await rows.keyCount(id)).toBe(0)
    await until(() => host.listener.callsOf(id).at(-1) === 'released')
    await host.sessions.start(companyId, id, ACTOR)
    await host.inState(companyId, id, 'linking')
    await host.scan(companyId, id, emulator, phone)
    await host.inState(companyId, id, 'online')
  })

  test('whoever loses the lease closes the socket by itself and says nothing more', async () => {
    await using host = await TestSessions.start(database, emulator)
    const phone = newPhone()
    const id = await host.link(companyId, emulator, phone)
    const states = await rows.statesOf(id)
    await claimLease(database.database, crypto.randomUUID(), id)
    const { id: messageId } = await emulator.sendText({ from: '4917188880001', to: phone, text: 'for the next owner' })
    await until(() => host.listener.callsOf(id).at(-1) === 'released')
    expect(await rows.statesOf(id)).toEqual(states)
    const stored = await database.database.worker
      .selectFrom('message')
      .select('id')
      .where('session_id', '=', id)
      .where('whatsapp_id', '=', messageId)
      .execute()
    expect(stored).toEqual([])
    expect(await emulator.pending()).toBeGreaterThan(0)
  })
})
