import { initAuthCreds } from 'baileys'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Emulator, startEmulator } from 'whatsapp-emulator'
import { createBaileysProvider } from '#src/providers/baileys/create-baileys-provider.ts'
import { credsChange } from '#src/providers/baileys/credentials.ts'
import type { Provider, ProviderSettings } from '#src/providers/provider.ts'
import { until } from '../support/until.ts'
import { MemorySessionStore } from './support/memory-session-store.ts'
import { type OpenSession, TestSession } from './support/test-session.ts'

let emulator: Emulator
let provider: Provider
let phones = 0

beforeAll(async () => {
  emulator = await startEmulator()
  provider = createBaileysProvider({ emulator })
})
afterAll(() => emulator.close())

function newPhone(): string {
  phones += 1
  return `4917000000${String(phones).padStart(2, '0')}`
}

const closing = ({ events }: OpenSession) => until(() => events.closings[0])

/** A new session that wants to be linked by a code typed at this phone. */
function pairing(phone: string, settings: Partial<ProviderSettings> = {}, by = provider) {
  const store = new MemorySessionStore()
  const linking = { kind: 'pairing_code', phone } as const
  return { store, session: new TestSession({ provider: by, store, linking, settings, id: phone }) }
}

describe('linking by QR code', () => {
  test('a phone that scans it brings the session online, after the restart that the server asks for', async () => {
    const phone = newPhone()
    const session = new TestSession({ provider, store: new MemorySessionStore() })
    const first = session.open()
    const code = await until(() => first.events.codes[0])
    expect(code.expiresAt.getTime()).toBeGreaterThan(Date.now())
    const { lid } = await emulator.scanQr({ phone, qr: code.qr })
    await closing(first)
    expect(first.events.linkedAs).toEqual([expect.objectContaining({ phone, lid: lid.split('@')[0]?.split(':')[0] })])
    expect(first.events.closings).toEqual([{ reason: 'restart_required', detail: expect.any(String) }])
    expect(first.events.onlineAs).toEqual([])

    const second = await session.online()
    expect(second.events.onlineAs).toEqual([expect.objectContaining({ phone })])
    expect(second.events.codes).toEqual([])
    await second.connection.close()
    expect(second.events.closings).toEqual([{ reason: 'closed_by_us', detail: expect.any(String) }])
  })

  test('the companion bears its name, in a form that the phone shows', async () => {
    const phone = newPhone()
    const session = new TestSession({ provider, store: new MemorySessionStore(), settings: { deviceName: 'Salon' } })
    const { connection } = await session.link(emulator, phone)
    const device = (await emulator.phones()).find((one) => one.phone === phone)?.devices[0]
    expect(device?.platform).toBe('Chrome (Salon)')
    await connection.close()
  })

  test('no code is shown for longer than WhatsApp keeps it', async () => {
    const shown = async (settings: Partial<ProviderSettings>) => {
      const session = new TestSession({ provider, store: new MemorySessionStore(), settings })
      const open = session.open()
      const { expiresAt } = await until(() => open.events.codes[0])
      await open.connection.close()
      return Math.round((expiresAt.getTime() - Date.now()) / 10_000)
    }
    expect(await shown({ qrTimeoutMs: 300_000 })).toBe(6)
    expect(await shown({ qrTimeoutMs: 30_000 })).toBe(3)
  })

  test('codes that nobody scans expire', async () => {
    const settings = { qrTimeoutMs: 50, maxQrAttempts: 3 }
    const open = new TestSession({ provider, store: new MemorySessionStore(), settings }).open()
    expect(await closing(open)).toMatchObject({ reason: 'linking_expired' })
    expect(new Set(open.events.codes.map(({ qr }) => qr)).size).toBe(3)
  })

  test('codes expire when WhatsApp ends the offer', async () => {
    await using impatient = await startEmulator({ behaviour: { qrValidityMs: { first: 100, later: 20 } } })
    const open = new TestSession({
      provider: createBaileysProvider({ emulator: impatient }),
      store: new MemorySessionStore(),
    }).open()
    expect(await closing(open)).toMatchObject({ reason: 'linking_expired' })
    // The root key holds for the whole process.
    createBaileysProvider({ emulator })
  })
})

describe('linking by pairing code', () => {
  test('a code of two groups, typed at the phone, links the session', async () => {
    const phone = newPhone()
    const { session } = pairing(phone)
    const first = session.open()
    const { code, expiresAt } = await until(() => first.events.pairingCodes[0])
    expect(code).toMatch(/^[1-9A-HJ-NP-TV-Z]{4}-[1-9A-HJ-NP-TV-Z]{4}$/)
    const lastsMs = expiresAt.getTime() - Date.now()
    expect(lastsMs).toBeGreaterThan(140_000)
    expect(lastsMs).toBeLessThanOrEqual(160_000)
    expect(first.events.codes).toEqual([])
    await emulator.enterPairingCode({ phone, code })
    expect(await closing(first)).toMatchObject({ reason: 'restart_required' })
    expect(first.events.linkedAs).toEqual([expect.objectContaining({ phone })])

    const second = await session.online()
    expect(second.events.onlineAs).toEqual([expect.objectContaining({ phone })])
    await second.connection.close()
  })

  test('a name that WhatsApp does not know is no obstacle, and is shown on the phone', async () => {
    const phone = newPhone()
    const { session } = pairing(phone, { deviceName: 'Salon' })
    const open = session.open()
    const { code } = await until(() => open.events.pairingCodes[0])
    await emulator.enterPairingCode({ phone, code })
    await closing(open)
    const device = (await emulator.phones()).find((one) => one.phone === phone)?.devices[0]
    expect(device?.platform).toBe('Chrome (Salon)')
  })

  test('a wrong code leaves the right one usable', async () => {
    const phone = newPhone()
    const open = pairing(phone).session.open()
    const { code } = await until(() => open.events.pairingCodes[0])
    await expect(emulator.enterPairingCode({ phone, code: 'AAAA-AAAA' })).rejects.toThrow()
    expect(open.events.closings).toEqual([])
    await emulator.enterPairingCode({ phone, code })
    expect(await closing(open)).toMatchObject({ reason: 'restart_required' })
  })

  test('a code that nobody types expires, and the next one is another', async () => {
    const phone = newPhone()
    const hasty = createBaileysProvider({ emulator, timeouts: { linkingMs: 300 } })
    const { session } = pairing(phone, {}, hasty)
    const first = session.open()
    expect(await closing(first)).toMatchObject({ reason: 'linking_expired' })
    const second = session.open()
    const again = await until(() => second.events.pairingCodes[0])
    expect(again.code).not.toBe(first.events.pairingCodes[0]?.code)
    await second.connection.close()
  })

  test.each([
    ['closed', ({ connection }: OpenSession) => connection.close()],
    ['found dead', async ({ connection }: OpenSession) => connection.abandon('unresponsive', 'The test cut it off.')],
  ])('an attempt that is %s leaves nothing behind', async (_how, end) => {
    const phone = newPhone()
    const { store, session } = pairing(phone)
    const first = session.open()
    const { code } = await until(() => first.events.pairingCodes[0])
    await expect(emulator.enterPairingCode({ phone, code: 'AAAA-AAAA' })).rejects.toThrow()
    await end(first)
    await closing(first)
    expect([...store.keys.keys()]).toEqual([])
    await expect(emulator.enterPairingCode({ phone, code })).rejects.toThrow()
    // The next attempt is no login, by whichever method.
    const online = await new TestSession({ provider, store, id: phone }).link(emulator, phone)
    await online.connection.close()
  })

  test('what an earlier version stored of such an attempt is no login either', async () => {
    const phone = newPhone()
    const store = new MemorySessionStore()
    const creds = { ...initAuthCreds(), me: { id: `${phone}@s.whatsapp.net`, name: '~' }, pairingCode: 'AAAAAAAA' }
    store.publish({ keys: [credsChange(creds)] })
    const open = new TestSession({ provider, store, id: phone }).open()
    await until(() => open.events.codes[0])
    await open.connection.close()
  })

  test('a number that WhatsApp does not know is refused', async () => {
    const phone = newPhone()
    await emulator.fault({ kind: 'no_devices', phone })
    const { store, session } = pairing(phone)
    const open = session.open()
    expect(await closing(open)).toMatchObject({ reason: 'linking_refused' })
    expect(open.events.pairingCodes).toEqual([])
    expect(store.keys.size).toBe(0)
  })

  test.each([
    ['throttled', 'linking_throttled'],
    ['blocked', 'linking_blocked'],
  ] as const)('a number whose linking is %s gets no code, and one once that is over', async (how, reason) => {
    const phone = newPhone()
    await emulator.fault({ kind: 'refuse_linking', phone, isOn: true, how })
    const { store, session } = pairing(phone)
    const refused = session.open()
    expect(await closing(refused)).toMatchObject({ reason })
    expect(refused.events.pairingCodes).toEqual([])
    expect(store.keys.size).toBe(0)
    await emulator.fault({ kind: 'refuse_linking', phone, isOn: false })
    const later = session.open()
    await until(() => later.events.pairingCodes[0])
    await later.connection.close()
  })
})
