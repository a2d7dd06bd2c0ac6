import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Emulator, type Fault, startEmulator } from 'whatsapp-emulator'
import type { DisconnectReason } from '#src/model/disconnect-reason.ts'
import { StoreError } from '#src/model/store-error.ts'
import { UnreadableError } from '#src/model/unreadable-error.ts'
import { createBaileysProvider } from '#src/providers/baileys/create-baileys-provider.ts'
import { endingOf, endingOfHttp } from '#src/providers/baileys/disconnect-reasons.ts'
import type { Provider } from '#src/providers/provider.ts'
import { until } from '../support/until.ts'
import { MemorySessionStore } from './support/memory-session-store.ts'
import { type OpenSession, TestSession } from './support/test-session.ts'

let emulator: Emulator
let provider: Provider
let phones = 0

beforeAll(async () => {
  emulator = await startEmulator({ behaviour: { sendsHistory: false } })
  provider = createBaileysProvider({ emulator, timeouts: { ackMs: 1000 } })
})
afterAll(() => emulator.close())

async function linked(settings = {}): Promise<{ phone: string; session: TestSession; open: OpenSession }> {
  phones += 1
  const phone = `49170000${String(phones).padStart(4, '0')}`
  const session = new TestSession({ provider, store: new MemorySessionStore(), settings, id: phone })
  return { phone, session, open: await session.link(emulator, phone) }
}

describe('how a connection ends', () => {
  const faults: [string, (phone: string) => Fault, DisconnectReason][] = [
    ['the phone unlinks it', (phone) => ({ kind: 'stream_error', code: '401', phone }), 'logged_out'],
    ['the number is banned', (phone) => ({ kind: 'stream_error', code: '403', phone }), 'forbidden'],
    ['the client is outdated', (phone) => ({ kind: 'stream_error', code: '405', phone }), 'client_outdated'],
    ['the server has waited too long', (phone) => ({ kind: 'stream_error', code: '408', phone }), 'timed_out'],
    ['no multi-device', (phone) => ({ kind: 'stream_error', code: '411', phone }), 'multi_device_mismatch'],
    ['the server ends it', (phone) => ({ kind: 'stream_error', code: '428', phone }), 'connection_closed'],
    ['the stream cannot go on', (phone) => ({ kind: 'stream_error', code: '500', phone }), 'bad_session'],
    ['another one takes its place', (phone) => ({ kind: 'stream_error', code: '440', phone }), 'replaced'],
    ['the server is overloaded', (phone) => ({ kind: 'stream_error', code: '503', phone }), 'service_unavailable'],
    ['the server asks for a restart', (phone) => ({ kind: 'stream_error', code: '515', phone }), 'restart_required'],
    ['the stream ends', (phone) => ({ kind: 'stream_end', phone }), 'connection_closed'],
    ['the TCP connection breaks', (phone) => ({ kind: 'drop', phone }), 'connection_closed'],
    ['a frame is corrupt', (phone) => ({ kind: 'corrupt_frame', phone }), 'bad_session'],
  ]
  test.each(faults)('%s', async (_what, fault, reason) => {
    const { phone, open } = await linked()
    await emulator.fault(fault(phone))
    await until(() => open.events.closings[0])
    await open.connection.close()
    expect(open.events.closings).toEqual([{ reason, detail: expect.any(String) }])
  })

  test('a device that the phone has unlinked is refused at the next login', async () => {
    const { phone, session, open } = await linked()
    await emulator.unlink({ phone })
    await until(() => open.events.closings[0])
    const again = session.open()
    expect(await until(() => again.events.closings[0])).toMatchObject({ reason: 'logged_out' })
  })

  test.each([
    ['401', 'logged_out'],
    ['403', 'forbidden'],
    ['405', 'client_outdated'],
    ['406', 'forbidden'],
    ['411', 'multi_device_mismatch'],
    ['500', 'bad_session'],
    ['503', 'service_unavailable'],
  ] as const)('a login that WhatsApp refuses with %s', async (reason, expected) => {
    const { phone, session, open } = await linked()
    await open.connection.close()
    await emulator.fault({ kind: 'refuse_logins', phone, isOn: true, reason, count: 1 })
    const again = session.open()
    expect(await until(() => again.events.closings[0])).toEqual({ reason: expected, detail: expect.any(String) })
    expect(again.events.onlineAs).toEqual([])
  })

  test('a ban for a while is told with its end, and over then', async () => {
    const { phone, session, open } = await linked()
    await open.connection.close()
    await emulator.fault({ kind: 'refuse_logins', phone, isOn: true, reason: '402', banSeconds: 1 })
    const banned = session.open()
    const { reason, retryAt } = await until(() => banned.events.closings[0])
    expect(reason).toBe('temporarily_banned')
    const end = await until(() => retryAt?.getTime())
    expect(end).toBeLessThanOrEqual(Date.now() + 1000)
    await until(() => Date.now() > end)
    const again = await session.online()
    await again.connection.close()
  })

  test('a version that is outdated is refused, and another one is not', async () => {
    const { session, open } = await linked({ waVersion: '2.3000.1' })
    await open.connection.close()
    await emulator.configure({ oldestVersion: [2, 3000, 2] })
    const outdated = session.open()
    expect(await until(() => outdated.events.closings[0])).toMatchObject({ reason: 'client_outdated' })
    const { store, id } = session
    const newer = await new TestSession({ provider, store, id, settings: { waVersion: '2.3000.2' } }).online()
    await newer.connection.close()
    await emulator.configure({ oldestVersion: [0, 0, 0] })
  })

  test.each([
    ['reset', 'timed_out'],
    ['http_503', 'service_unavailable'],
  ] as const)('a server that refuses connections with %s', async (how, reason) => {
    const { session, open } = await linked()
    await open.connection.close()
    await emulator.fault({ kind: 'refuse_connections', isOn: true, how })
    const again = session.open()
    const closing = await until(() => again.events.closings[0])
    await emulator.fault({ kind: 'refuse_connections', isOn: false })
    expect(closing.reason).toBe(reason)
  })

  test('a server that is not there', async () => {
    const gone = await startEmulator()
    const { url, rootKey } = gone
    await gone.close()
    const lost = createBaileysProvider({ emulator: { url, rootKey } })
    const { events } = new TestSession({ provider: lost, store: new MemorySessionStore() }).open()
    // The root key holds for the whole process.
    createBaileysProvider({ emulator })
    expect(await until(() => events.closings[0])).toMatchObject({ reason: 'timed_out' })
  })

  test('logging out unlinks the device on the phone', async () => {
    const { phone, open } = await linked()
    await open.connection.logout()
    expect(open.events.closings).toEqual([{ reason: 'logged_out', detail: expect.any(String) }])
    const devices = (await emulator.phones()).find((one) => one.phone === phone)?.devices ?? []
    expect(devices).toEqual([])
  })

  test('a logout that WhatsApp does not confirm has not happened', async () => {
    const { phone, open } = await linked()
    await emulator.fault({ kind: 'stall', phone })
    await expect(open.connection.logout()).rejects.toThrow()
    expect(open.events.closings).toEqual([])
    const again = expect(open.connection.logout()).rejects.toThrow('ended before')
    await open.connection.close()
    await again
  })

  test('credentials that cannot be read end it, and are not quoted', async () => {
    const store = new MemorySessionStore()
    store.keys.set('creds/main', Buffer.from('{"noiseKey": secret'))
    const { events } = new TestSession({ provider, store }).open()
    const closing = await until(() => events.closings[0])
    expect(closing.reason).toBe('credentials_unreadable')
    expect(closing.detail).not.toContain('secret')
  })

  test('credentials that cannot be opened end it', async () => {
    const store = new MemorySessionStore()
    store.readKeys = () => Promise.reject(new UnreadableError('sealed with another key'))
    const { events } = new TestSession({ provider, store }).open()
    expect(await until(() => events.closings[0])).toMatchObject({ reason: 'credentials_unreadable' })
  })

  test('closing while it opens', async () => {
    const { connection, events } = new TestSession({ provider, store: new MemorySessionStore() }).open()
    await connection.close()
    expect(events.closings).toEqual([{ reason: 'closed_by_us', detail: expect.any(String) }])
  })
})

describe('what a status of Baileys means', () => {
  const error = (statusCode: number, data?: unknown) =>
    Object.assign(new Error('Failed for 491700000001'), { output: { statusCode }, data })

  test.each([
    [401, 'logged_out', 'linking_refused'],
    [402, 'temporarily_banned', 'temporarily_banned'],
    [403, 'forbidden', 'linking_blocked'],
    [405, 'client_outdated', 'client_outdated'],
    [406, 'forbidden', 'linking_blocked'],
    [408, 'timed_out', 'timed_out'],
    [411, 'multi_device_mismatch', 'multi_device_mismatch'],
    [428, 'connection_closed', 'connection_closed'],
    [429, 'connection_closed', 'linking_throttled'],
    [440, 'replaced', 'replaced'],
    [500, 'bad_session', 'bad_session'],
    [503, 'service_unavailable', 'service_unavailable'],
    [515, 'restart_required', 'restart_required'],
    [418, 'connection_closed', 'connection_closed'],
  ] as const)('%d: %s, and %s to a session that is not linked', (statusCode, whenLinked, whileLinking) => {
    expect(endingOf(error(statusCode), { isLinked: true })).toEqual({ reason: whenLinked, detail: 'Failed for …' })
    expect(endingOf(error(statusCode), { isLinked: false }).reason).toBe(whileLinking)
  })

  test('a temporary ban ends when WhatsApp says', () => {
    const { retryAt } = endingOf(error(402, { reason: '402', code: '101', expire: '3600' }), { isLinked: true })
    expect(Math.round(((retryAt?.getTime() ?? 0) - Date.now()) / 60_000)).toBe(60)
    for (const expire of [undefined, '', '0', '-5', 'soon', '1e300'])
      expect(endingOf(error(402, { expire }), { isLinked: true })).not.toHaveProperty('retryAt')
  })

  test.each([
    [403, 'connection_closed'],
    [405, 'connection_closed'],
    [429, 'service_unavailable'],
    [500, 'service_unavailable'],
    [503, 'service_unavailable'],
  ] as const)('HTTP %d instead of a WebSocket says nothing of the account: %s', (status, reason) => {
    expect(endingOfHttp(status)).toEqual({ reason, detail: expect.stringContaining(String(status)) })
  })
})

describe('what ends one session leaves the others alone', () => {
  test('a corrupt frame', async () => {
    const [broken, healthy] = [await linked(), await linked()]
    const rejections: unknown[] = []
    const note = (error: unknown) => rejections.push(error)
    process.on('unhandledRejection', note)
    await emulator.fault({ kind: 'corrupt_frame', phone: broken.phone })
    await until(() => broken.open.events.closings[0])
    const { id } = await emulator.sendText({ from: '4917188880001', to: healthy.phone, text: 'still there?' })
    const store = healthy.session.store as MemorySessionStore
    await until(() => store.messages.find(({ whatsappId }) => whatsappId === id))
    process.off('unhandledRejection', note)
    expect(rejections).toEqual([])
    expect(healthy.open.events.closings).toEqual([])
    await healthy.open.connection.close()
  })

  test('a contact book that fails: the message is not asked for again, but waits for the next connection', async () => {
    const { phone, session, open } = await linked()
    await open.connection.close()
    const contacts = { contactOf: () => Promise.reject(new Error('the database is away')) }
    const failing = await new TestSession({ provider, store: session.store, contacts, id: session.id }).online()
    const { retryReceipts } = await emulator.counters()
    const before = await emulator.pending()
    await emulator.sendText({ from: '4917188880003', to: phone, text: 'wait for me' })
    expect(await until(() => failing.events.closings[0])).toMatchObject({ reason: 'store_failed' })
    expect(await emulator.pending()).toBe(before + 1)
    expect((await emulator.counters()).retryReceipts).toBe(retryReceipts)
    const recovered = await session.online()
    const store = session.store as MemorySessionStore
    await until(() => store.messages.length > 0)
    await recovered.connection.close()
  })

  test.each(['store_failed', 'lease_lost'] as const)('a store that ends with %s', async (failure) => {
    const [failing, healthy] = [await linked(), await linked()]
    const store = failing.session.store as MemorySessionStore
    store.isHeld = true
    const before = await emulator.pending()
    await emulator.sendText({ from: '4917188880002', to: failing.phone, text: 'not stored' })
    await until(() => store.published > 0)
    store.fail(new StoreError(failure, 'The test ended it.'))
    expect(await until(() => failing.open.events.closings[0])).toMatchObject({ reason: failure })
    expect(await emulator.pending()).toBe(before + 1)
    expect(healthy.open.events.closings).toEqual([])
    await healthy.open.connection.close()
  })
})
