import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Emulator, startEmulator } from 'whatsapp-emulator'
import { requestCommand } from '#src/storage/session-requests.ts'
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
})
afterAll(async () => {
  await emulator.close()
  await database[Symbol.asyncDispose]()
})

const newPhone = () => {
  phones += 1
  return `49172000${String(phones).padStart(4, '0')}`
}
/** In a company of its own: there is a limit to how often one may try. */
const newSession = async (host: TestSessions) => {
  companyId = await database.createCompany()
  return (await host.sessions.create(companyId, { name: 'main' }, ACTOR)).id
}
const pairingCodeOf = (host: TestSessions, id: string) =>
  until(
    async () => {
      const session = await host.sessions.get(companyId, id)
      if (session.state !== 'linking' || session.reason !== 'pairing_code') return undefined
      const code = await host.sessions.linkingCode(companyId, id)
      return code.kind === 'pairing_code' ? code : undefined
    },
    { what: 'a pairing code is shown' },
  )
const ended = (host: TestSessions, id: string, reason: string) =>
  until(
    async () => {
      const session = await host.sessions.get(companyId, id)
      return session.state === 'created' && session.reason === reason ? session : undefined
    },
    { what: `linking has ended: ${reason}` },
  )

describe('linking by pairing code', () => {
  test('at once where that is asked for: the code is typed on the phone, and the session is online', async () => {
    await using host = await TestSessions.start(database, emulator)
    const phone = newPhone()
    const id = await newSession(host)
    await host.sessions.link(companyId, id, { method: 'pairing_code', phone }, ACTOR)
    const { code, expiresAt } = await pairingCodeOf(host, id)
    expect(code).toMatch(/^[A-Z0-9]{4}-[A-Z0-9]{4}$/)
    expect(Date.parse(expiresAt)).toBeGreaterThan(Date.now())
    await expect(emulator.enterPairingCode({ phone, code: 'WRNG-CODE' })).rejects.toThrow()
    expect(await host.sessions.get(companyId, id)).toMatchObject({ state: 'linking', reason: 'pairing_code' })
    await emulator.enterPairingCode({ phone, code })
    expect(await host.inState(companyId, id, 'online')).toMatchObject({ phone })
  })

  test('by itself when nobody has scanned the QR codes and the number is known', async () => {
    await using host = await TestSessions.start(database, emulator, { qrTimeoutMs: 100, maxQrAttempts: 2 })
    const phone = newPhone()
    const id = await newSession(host)
    await host.sessions.link(companyId, id, { method: 'qr', phone }, ACTOR)
    await host.inState(companyId, id, 'linking')
    const { code } = await pairingCodeOf(host, id)
    await emulator.enterPairingCode({ phone, code })
    await host.inState(companyId, id, 'online')
    expect((await rows.statesOf(id)).map(([, reason]) => reason)).toContain('linking_expired')
  })

  test('the number of an earlier link is known', async () => {
    await using host = await TestSessions.start(database, emulator, { usePairingCode: true })
    const phone = newPhone()
    companyId = await database.createCompany()
    const id = await host.link(companyId, emulator, phone)
    await emulator.unlink({ phone })
    await host.inState(companyId, id, 'logged_out')
    await until(() => host.listener.callsOf(id).at(-1) === 'released')
    await host.sessions.start(companyId, id, ACTOR)
    await emulator.enterPairingCode({ phone, code: (await pairingCodeOf(host, id)).code })
    await host.inState(companyId, id, 'online')
  })

  test.each([
    ['throttled', 'linking_throttled'],
    ['blocked', 'linking_blocked'],
  ] as const)('WhatsApp refuses (%s): it ends with the reason, and leaves nothing', async (how, reason) => {
    await using host = await TestSessions.start(database, emulator)
    const phone = newPhone()
    await emulator.fault({ kind: 'refuse_linking', phone, isOn: true, how })
    const id = await newSession(host)
    await host.sessions.link(companyId, id, { method: 'pairing_code', phone }, ACTOR)
    await ended(host, id, reason)
    const { next_attempt_at, linked_at, linking_code, desired } = await rows.session(id)
    expect({ linked_at, linking_code, desired }).toEqual({ linked_at: null, linking_code: null, desired: 'stopped' })
    if (how === 'throttled') expect(next_attempt_at?.getTime()).toBeGreaterThan(Date.now())
    else expect(next_attempt_at).toBeNull()
    expect(await rows.keyCount(id)).toBe(0)
    // When WhatsApp lets the number link again, so does the session.
    await emulator.fault({ kind: 'refuse_linking', phone, isOn: false })
    await host.sessions.link(companyId, id, { method: 'pairing_code', phone }, ACTOR)
    await emulator.enterPairingCode({ phone, code: (await pairingCodeOf(host, id)).code })
    await host.inState(companyId, id, 'online')
  })
})

describe('beginning anew', () => {
  test('on request there is a fresh code, of the kind that is wanted now; the old one is worth nothing', async () => {
    await using host = await TestSessions.start(database, emulator)
    const phone = newPhone()
    const id = await newSession(host)
    await host.sessions.link(companyId, id, { method: 'qr' }, ACTOR)
    await host.inState(companyId, id, 'linking')
    const first = await host.sessions.linkingCode(companyId, id)
    await host.sessions.link(companyId, id, { method: 'pairing_code', phone }, ACTOR)
    await pairingCodeOf(host, id)
    await host.sessions.link(companyId, id, { method: 'qr' }, ACTOR)
    const fresh = await until(async () => {
      const { state, reason } = await host.sessions.get(companyId, id)
      return state === 'linking' && reason === 'qr' ? await host.sessions.linkingCode(companyId, id) : undefined
    })
    if (first.kind !== 'qr' || fresh.kind !== 'qr') throw new Error('These are no QR codes.')
    expect(fresh.qr).not.toBe(first.qr)
    await expect(emulator.scanQr({ phone, qr: first.qr })).rejects.toThrow()
    await host.scan(companyId, id, emulator, phone)
    await host.inState(companyId, id, 'online')
    expect((await rows.commands(id)).map(({ state, error_code }) => [state, error_code])).toEqual([
      ['done', null],
      ['done', null],
    ])
  })

  test('a fresh code that is asked for while the last one expires is shown', async () => {
    await using host = await TestSessions.start(database, emulator, { qrTimeoutMs: 300, maxQrAttempts: 1 })
    const id = await newSession(host)
    await host.sessions.link(companyId, id, { method: 'qr' }, ACTOR)
    await host.inState(companyId, id, 'linking')
    // Stored, and its owner has not heard of it yet.
    await database.database.asCompany(companyId, (db) => requestCommand(companyId, db, id, 'new_code'))
    await until(async () => (await rows.statesOf(id)).filter(([, reason]) => reason === 'qr').length >= 2)
    await until(async () => (await rows.commands(id))[0]?.state === 'done')
    await ended(host, id, 'linking_expired')
    expect(await rows.session(id)).toMatchObject({ desired: 'stopped' })
  })

  test('a restart during linking begins to link anew, over one connection', async () => {
    await using host = await TestSessions.start(database, emulator)
    const id = await newSession(host)
    await host.sessions.start(companyId, id, ACTOR)
    await host.inState(companyId, id, 'linking')
    const before = await host.sessions.linkingCode(companyId, id)
    const { connections } = await emulator.counters()
    await host.sessions.restart(companyId, id, ACTOR)
    await until(async () => (await rows.statesOf(id)).filter(([state]) => state === 'linking').length === 2)
    expect(await host.sessions.linkingCode(companyId, id)).not.toEqual(before)
    expect((await emulator.counters()).connections).toBe(connections)
  })

  test('an abandoned linking leaves nothing, and the next one is not mistaken for a login', async () => {
    await using host = await TestSessions.start(database, emulator)
    const phone = newPhone()
    const id = await newSession(host)
    await host.sessions.link(companyId, id, { method: 'pairing_code', phone }, ACTOR)
    await pairingCodeOf(host, id)
    await host.sessions.pause(companyId, id, ACTOR)
    await ended(host, id, 'stopped')
    expect(await rows.keyCount(id)).toBe(0)
    expect(await rows.session(id)).toMatchObject({ linking_code: null, linked_at: null, phone: null })
    await host.sessions.link(companyId, id, { method: 'qr' }, ACTOR)
    await until(async () => (await host.sessions.get(companyId, id)).reason === 'qr')
    await host.scan(companyId, id, emulator, phone)
    await host.inState(companyId, id, 'online')
  })
})

describe('a number that another session holds', () => {
  test('is refused: the phone loses the new link, nothing of it is kept, and the first session stays', async () => {
    await using host = await TestSessions.start(database, emulator)
    const phone = newPhone()
    companyId = await database.createCompany()
    const first = await host.link(companyId, emulator, phone)
    const firstCompany = companyId
    const second = await newSession(host)
    await host.sessions.start(companyId, second, ACTOR)
    await host.inState(companyId, second, 'linking')
    await host.scan(companyId, second, emulator, phone)
    await ended(host, second, 'number_taken')
    expect(await rows.keyCount(second)).toBe(0)
    expect(await rows.session(second)).toMatchObject({ linked_at: null, phone: null, desired: 'stopped' })
    const [owner] = (await emulator.phones()).filter((known) => known.phone === phone)
    expect(owner?.devices).toHaveLength(1)
    expect(await host.sessions.get(firstCompany, first)).toMatchObject({ state: 'online', phone })
    // It never was online in between: no message could go through it.
    expect(host.listener.callsOf(second)).not.toContain('online')
  })
})
