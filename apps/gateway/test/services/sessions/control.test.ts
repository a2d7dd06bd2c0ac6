import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Emulator, startEmulator } from 'whatsapp-emulator'
import { newId } from '#src/model/ids.ts'
import { newWhatsAppId } from '#src/model/whatsapp-id.ts'
import { createContactBook } from '#src/storage/contacts.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { sessionRows } from './support/session-rows.ts'
import { ACTOR, TestSessions } from './support/test-sessions.ts'

const CUSTOMER = '491719990002'
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
  return `49173000${String(phones).padStart(4, '0')}`
}
/** A linked session in a company of its own, which is online. */
const linked = async (host: TestSessions) => {
  companyId = await database.createCompany()
  const phone = newPhone()
  return { phone, id: await host.link(companyId, emulator, phone) }
}
const devicesOf = async (phone: string) =>
  (await emulator.phones()).find((known) => known.phone === phone)?.devices ?? []
/** Resolves when the connections of the session have been so many. */
const onlineTimes = (host: TestSessions, id: string, times: number) =>
  until(() => host.listener.callsOf(id).filter((call) => call === 'online').length === times, {
    what: `the session is online for the ${times}. time`,
  })
const queue = async (sessionId: string, text = 'queued') => {
  const contactId = await createContactBook(database.database, companyId).contactOf({ phone: CUSTOMER })
  const id = newId()
  await database.database.worker
    .insertInto('message')
    .values({
      ...{ id, company_id: companyId, session_id: sessionId, contact_id: contactId },
      ...{ direction: 'outbound', origin: 'api', status: 'queued', whatsapp_id: newWhatsAppId() },
      content: JSON.stringify({ kind: 'text', text }),
    })
    .execute()
  return id
}

describe('pausing and starting', () => {
  test('a start right behind a pause leaves one connection, and the session online', async () => {
    await using host = await TestSessions.start(database, emulator)
    const { id, phone } = await linked(host)
    await host.sessions.pause(companyId, id, ACTOR)
    await host.sessions.start(companyId, id, ACTOR)
    await until(async () => {
      const { state } = await host.sessions.get(companyId, id)
      return state === 'online' && (await devicesOf(phone))[0]?.isConnected
    })
    expect((await emulator.counters()).replacedLogins).toBe(0)
  })

  test('start while starting opens one socket', async () => {
    await using host = await TestSessions.start(database, emulator)
    const { id, phone } = await linked(host)
    await host.sessions.pause(companyId, id, ACTOR)
    await host.inState(companyId, id, 'paused')
    const { logins } = await emulator.counters()
    await Promise.all(Array.from({ length: 5 }, () => host.sessions.start(companyId, id, ACTOR)))
    await host.inState(companyId, id, 'online')
    await host.sessions.start(companyId, id, ACTOR)
    const { logins: later, replacedLogins } = await emulator.counters()
    expect({ logins: later - logins, replacedLogins }).toEqual({ logins: 1, replacedLogins: 0 })
    expect((await devicesOf(phone)).filter(({ isConnected }) => isConnected)).toHaveLength(1)
  })

  test('a restart connects anew at once, also one that waits to be tried again', async () => {
    await using host = await TestSessions.start(database, emulator, { reconnectDelayMs: 3_600_000 })
    const { id, phone } = await linked(host)
    await host.sessions.restart(companyId, id, ACTOR)
    await onlineTimes(host, id, 2)
    await until(async () => (await rows.statesOf(id)).some(([, reason]) => reason === 'restarted'))
    await emulator.fault({ kind: 'drop', phone })
    const waiting = await until(async () => {
      const session = await host.sessions.get(companyId, id)
      return session.reason === 'connection_closed' ? session : undefined
    })
    expect(waiting).toMatchObject({ state: 'reconnecting', attempts: 1 })
    await host.sessions.restart(companyId, id, ACTOR)
    await onlineTimes(host, id, 3)
    await until(async () => (await rows.commands(id)).every(({ state }) => state === 'done'))
  })

  test('what is wanted of a session is found also when nobody has told its owner', async () => {
    await using host = await TestSessions.start(database, emulator)
    const { id } = await linked(host)
    // As a process leaves it that dies between the commit and the wake-up.
    await database.database.worker.updateTable('session').set({ desired: 'stopped' }).where('id', '=', id).execute()
    await host.inState(companyId, id, 'paused')
  })

  test('a process that ends does not wait for a session that cannot be taken up, since the database is away', async () => {
    companyId = await database.createCompany()
    const host = await TestSessions.start(database, emulator)
    // As the inbox does it, while it cannot read what waits.
    const taken = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    host.listener.owned = () => {
      begun.resolve()
      return taken.promise
    }
    host.listener.released = () => taken.resolve()
    const { id } = await host.sessions.create(companyId, { name: 'main' }, ACTOR)
    await host.sessions.start(companyId, id, ACTOR)
    await begun.promise
    await host[Symbol.asyncDispose]()
    expect((await rows.session(id)).desired).toBe('running')
  })

  test('a session that was in trouble and is restarted is said to be in trouble no longer', async () => {
    await using host = await TestSessions.start(database, emulator, { maxReconnectAttempts: 0 })
    const { id, phone } = await linked(host)
    const alerts = async () => (await host.alerts.list(companyId, { state: 'raised', limit: 10 })).items
    await emulator.fault({ kind: 'drop', phone })
    expect(await until(async () => (await alerts())[0])).toMatchObject({ kind: 'session_unstable', sessionId: id })
    await host.sessions.restart(companyId, id, ACTOR)
    await onlineTimes(host, id, 2)
    await until(async () => (await alerts()).length === 0)
  })

  test('another version of WhatsApp Web holds at once; a setting that can wait changes nothing', async () => {
    await using host = await TestSessions.start(database, emulator)
    const { id } = await linked(host)
    await host.sessions.update(companyId, id, { settings: { reconnectDelay: 30 } }, ACTOR)
    await host.sessions.update(companyId, id, { settings: { waVersion: '2.3000.1030000000' } }, ACTOR)
    await onlineTimes(host, id, 2)
    expect(host.listener.callsOf(id).filter((call) => call === 'offline')).toHaveLength(2)
  })

  test('a command that nobody has taken up in time is refused, not done late', async () => {
    await using host = await TestSessions.start(database, emulator)
    const { id } = await linked(host)
    const worker = database.database.worker
    const command = { company_id: companyId, session_id: id, kind: 'restart' as const }
    await worker
      .insertInto('session_command')
      .values({ ...command, id: newId(), created_at: new Date(Date.now() - 61_000) })
      .execute()
    host.host.lookAt(id)
    const [answered] = await until(async () => {
      const commands = await rows.commands(id)
      return commands[0]?.state === 'waiting' ? undefined : commands
    })
    expect(answered).toMatchObject({ state: 'failed', error_code: 'unavailable' })
    expect(host.listener.callsOf(id).filter((call) => call === 'online')).toHaveLength(1)
  })
})

describe('logging out', () => {
  test('unlinks on the phone; the keys are put aside for a while, and the number is free', async () => {
    await using host = await TestSessions.start(database, emulator)
    const { id, phone } = await linked(host)
    const keys = await rows.keyCount(id)
    await host.sessions.logout(companyId, id, ACTOR)
    expect(await host.inState(companyId, id, 'logged_out')).toMatchObject({
      reason: 'logout_requested',
      linkedAt: null,
      desired: 'paused',
    })
    expect(await devicesOf(phone)).toEqual([])
    expect(await rows.keyCount(id)).toBe(0)
    expect(await rows.keyCount(id, 'retired_signal_key')).toBeGreaterThanOrEqual(keys)
    const second = await linkTo(host, phone)
    expect(await host.sessions.get(companyId, second)).toMatchObject({ phone })
  })

  test('of a paused session connects it first', async () => {
    await using host = await TestSessions.start(database, emulator)
    const { id, phone } = await linked(host)
    await host.sessions.pause(companyId, id, ACTOR)
    await host.inState(companyId, id, 'paused')
    await host.sessions.logout(companyId, id, ACTOR)
    await host.inState(companyId, id, 'logged_out')
    expect(await devicesOf(phone)).toEqual([])
    expect(host.listener.callsOf(id).filter((call) => call === 'online')).toHaveLength(1)
  })

  test('while the network is gone is done when it returns', async () => {
    await using host = await TestSessions.start(database, emulator, { maxReconnectAttempts: 1000 })
    const { id, phone } = await linked(host)
    await emulator.fault({ kind: 'refuse_connections', isOn: true })
    await emulator.fault({ kind: 'drop', phone })
    await host.inState(companyId, id, 'reconnecting')
    await host.sessions.logout(companyId, id, ACTOR)
    const seen = (await rows.eventsOf(id)).length
    await until(async () => (await rows.eventsOf(id)).length > seen)
    expect(await host.sessions.get(companyId, id)).toMatchObject({ state: 'reconnecting', desired: 'logged_out' })
    expect(await devicesOf(phone)).toHaveLength(1)
    await emulator.fault({ kind: 'refuse_connections', isOn: false })
    await host.inState(companyId, id, 'logged_out')
    expect(await devicesOf(phone)).toEqual([])
  })
})

describe('deleting', () => {
  test('unlinks on the phone, fails what waits to be sent, keeps messages, and removes everything secret', async () => {
    await using host = await TestSessions.start(database, emulator)
    const { id, phone } = await linked(host)
    await emulator.sendText({ from: CUSTOMER, to: phone, text: 'kept' })
    await until(async () => (await rows.messages(id)).length === 1)
    await queue(id)
    await host.sessions.delete(companyId, id, ACTOR)
    await until(async () => (await rows.session(id)).deleted_at)
    await expect(host.sessions.get(companyId, id)).rejects.toMatchObject({ code: 'not_found' })
    expect(await devicesOf(phone)).toEqual([])
    expect(await rows.keyCount(id)).toBe(0)
    expect(await rows.keyCount(id, 'retired_signal_key')).toBe(0)
    expect((await rows.messages(id)).map(({ status, error_code }) => [status, error_code])).toEqual([
      ['received', null],
      ['failed', 'session_deleted'],
    ])
    expect((await rows.eventsOf(id)).at(-1)).toMatchObject({ state: 'logged_out', reason: 'deleted' })
    await until(() => host.listener.callsOf(id).at(-1) === 'released')
    expect(await linkTo(host, phone, `session ${phone}`)).not.toBe(id)
  })

  test('during a send ends the message as sent or failed, never half', async () => {
    await using host = await TestSessions.start(database, emulator)
    const { id, phone } = await linked(host)
    const messageId = await queue(id, 'on its way')
    const whatsappId = (await rows.messages(id))[0]?.whatsapp_id ?? ''
    await emulator.fault({ kind: 'delay_acks', phone, delayMs: 200, count: 1 })
    const content = { kind: 'text', text: 'on its way' } as const
    // What has become of it is in the database.
    const sending = host.listener.connections
      .get(id)
      ?.send({ whatsappId, to: { phone: CUSTOMER }, content })
      .catch(() => undefined)
    await until(async () => (await emulator.counters()).messagesFromCompanions > 0)
    await host.sessions.delete(companyId, id, ACTOR)
    await until(async () => (await rows.session(id)).deleted_at)
    await sending
    const [message] = await rows.messages(id)
    expect(message?.id).toBe(messageId)
    expect(['sent', 'delivered', 'read', 'failed']).toContain(message?.status)
    if (message?.status === 'failed') expect(message.error_code).toBe('session_deleted')
  })

  test('of one that is being linked ends the linking', async () => {
    await using host = await TestSessions.start(database, emulator)
    companyId = await database.createCompany()
    const { id } = await host.sessions.create(companyId, { name: 'linking' }, ACTOR)
    await host.sessions.start(companyId, id, ACTOR)
    await host.inState(companyId, id, 'linking')
    await host.sessions.delete(companyId, id, ACTOR)
    await until(async () => (await rows.session(id)).deleted_at)
    expect(await rows.session(id)).toMatchObject({ linking_code: null, linked_at: null })
  })

  test('of one that never ran just removes it', async () => {
    await using host = await TestSessions.start(database, emulator)
    companyId = await database.createCompany()
    const { id } = await host.sessions.create(companyId, { name: 'never ran' }, ACTOR)
    const { logins } = await emulator.counters()
    await host.sessions.delete(companyId, id, ACTOR)
    await until(async () => (await rows.session(id)).deleted_at)
    expect((await emulator.counters()).logins).toBe(logins)
  })
})

describe('a session whose stored secrets are spoilt', () => {
  test('fails with a reason and keeps what it has; the others live', async () => {
    await using host = await TestSessions.start(database, emulator)
    const { id } = await linked(host)
    const spoiltCompany = companyId
    const other = await linked(host)
    await host.sessions.pause(spoiltCompany, id, ACTOR)
    await host.inState(spoiltCompany, id, 'paused')
    const keys = await rows.keyCount(id)
    await database.database.worker
      .updateTable('signal_key')
      .set({ value: Buffer.from('spoilt') })
      .where('session_id', '=', id)
      .execute()
    await host.sessions.start(spoiltCompany, id, ACTOR)
    expect(await host.inState(spoiltCompany, id, 'failed')).toMatchObject({ reason: 'credentials_unreadable' })
    expect(await rows.keyCount(id)).toBe(keys)
    expect(await host.sessions.get(companyId, other.id)).toMatchObject({ state: 'online' })
  })

  test('does not connect past a proxy that cannot be read', async () => {
    await using host = await TestSessions.start(database, emulator)
    const { id } = await linked(host)
    await database.database.worker
      .updateTable('session')
      .set({ proxy: Buffer.from('spoilt') })
      .where('id', '=', id)
      .execute()
    const { logins } = await emulator.counters()
    await host.sessions.restart(companyId, id, ACTOR)
    expect(await host.inState(companyId, id, 'failed')).toMatchObject({ reason: 'credentials_unreadable' })
    expect((await emulator.counters()).logins).toBe(logins)
  })
})

async function linkTo(host: TestSessions, phone: string, name = 'another one'): Promise<string> {
  const { id } = await host.sessions.create(companyId, { name }, ACTOR)
  await host.sessions.start(companyId, id, ACTOR)
  await host.inState(companyId, id, 'linking')
  await host.scan(companyId, id, emulator, phone)
  await host.inState(companyId, id, 'online')
  return id
}
