import { initAuthCreds } from 'baileys'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Emulator, startEmulator } from 'whatsapp-emulator'
import { createBaileysProvider } from '#src/providers/baileys/create-baileys-provider.ts'
import { credsChange } from '#src/providers/baileys/credentials.ts'
import { isFromOwnPhone } from '#src/providers/baileys/own-phone.ts'
import type { Provider } from '#src/providers/provider.ts'
import { until } from '../support/until.ts'
import { startFreezableEmulator } from './support/freezable-emulator.ts'
import { MemorySessionStore } from './support/memory-session-store.ts'
import { sendText, TestSession } from './support/test-session.ts'

let emulator: Emulator
let provider: Provider
let phones = 0

beforeAll(async () => {
  emulator = await startEmulator({ behaviour: { sendsHistory: false } })
  provider = createBaileysProvider({ emulator })
})
afterAll(() => emulator.close())

async function linked() {
  phones += 1
  const phone = `49170000${String(phones).padStart(4, '0')}`
  const store = new MemorySessionStore()
  const session = new TestSession({ provider, store, id: phone })
  return { phone, store, session, open: await session.link(emulator, phone) }
}

const pings = async () => (await emulator.counters()).iqs['w:p/get/ping'] ?? 0

describe('a probe', () => {
  test('is answered by the server, and heard', async () => {
    const { open } = await linked()
    const { lastHeardAtMs } = open.connection
    expect(lastHeardAtMs).toBeLessThanOrEqual(performance.now())
    await open.connection.probe(5000)
    expect(open.connection.lastHeardAtMs).toBeGreaterThan(lastHeardAtMs)
    await open.connection.close()
  })

  test('is the only ping: Baileys sends none of its own', async () => {
    phones += 1
    const phone = `49170000${String(phones).padStart(4, '0')}`
    const settings = { keepAliveIntervalMs: 20 }
    const open = await new TestSession({ provider, store: new MemorySessionStore(), settings, id: phone }).link(
      emulator,
      phone,
    )
    const whileLinking = await pings()
    await Promise.all([open.connection.probe(5000), open.connection.probe(5000)])
    await open.connection.probe(5000)
    expect(await pings()).toBe(whileLinking + 3)
    await open.connection.close()
  })

  test('fails when nothing is heard in time, without ending the connection', async () => {
    const { phone, open } = await linked()
    await emulator.fault({ kind: 'stall', phone })
    await expect(open.connection.probe(100)).rejects.toThrow('in time')
    expect(open.events.closings).toEqual([])
    await open.connection.close()
  })

  test('fails at once when the connection ends meanwhile, and when it is not open', async () => {
    const { phone, session, open } = await linked()
    await emulator.fault({ kind: 'stall', phone })
    const probe = open.connection.probe(60_000)
    const failed = expect(probe).rejects.toThrow('has ended')
    open.connection.abandon('unresponsive', 'The test says so.')
    await failed
    await expect(open.connection.probe(1000)).rejects.toThrow('not connected')
    const opening = session.open()
    await expect(opening.connection.probe(1000)).rejects.toThrow('not connected')
    await opening.connection.close()
  })

  test('leaves no timer behind', async () => {
    const { open } = await linked()
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    const before = timers()
    for (let round = 0; round < 50; round += 1) await open.connection.probe(60_000)
    expect(timers()).toBeLessThanOrEqual(before)
    await open.connection.close()
  })
})

describe('a server that has frozen', () => {
  /** Less than the half minute that Baileys and its WebSocket would wait for the other side. */
  const soon = { timeoutMs: 15_000 }

  test.each([
    ['abandoning', 'unresponsive'],
    ['closing', 'closed_by_us'],
  ] as const)('%s the connection ends it soon, and what is under way with it', async (how, reason) => {
    await using frozen = await startFreezableEmulator()
    const store = new MemorySessionStore()
    const session = new TestSession({ provider: createBaileysProvider({ emulator: frozen.info }), store })
    const open = await linkBy(session, frozen)
    frozen.freeze()
    const sending = expect(sendText(open, { phone: '491719990001' }, 'never acknowledged')).rejects.toMatchObject({
      stage: 'unacknowledged',
    })
    if (how === 'closing') void open.connection.close()
    else open.connection.abandon('unresponsive', 'A probe was not answered.')
    await until(() => open.events.closings[0], soon)
    expect(open.events.closings).toEqual([{ reason, detail: expect.any(String) }])
    await sending
    // The root key holds for the whole process.
    createBaileysProvider({ emulator })
  })
})

async function linkBy(session: TestSession, { control }: Awaited<ReturnType<typeof startFreezableEmulator>>) {
  const { events } = session.open()
  const { qr } = await until(() => events.codes[0])
  await control.scanQr({ phone: '491700000001', qr })
  await until(() => events.closings[0])
  return session.online()
}

describe('the phone', () => {
  const customer = '491719990001'

  test('is seen when it writes and when it confirms; a customer who writes is not the phone', async () => {
    const { phone, open, store } = await linked()
    await emulator.sendText({ from: customer, to: phone, text: 'is anybody there?' })
    await until(() => store.messages[0])
    expect(open.events.phoneSeenAt).toEqual([])
    await emulator.sendText({ from: phone, to: customer, text: 'written on the phone' })
    const at = await until(() => open.events.phoneSeenAt[0])
    expect(Math.abs(at.getTime() - Date.now())).toBeLessThan(60_000)
    await open.connection.close()
  })

  test.each([
    ['from its number', { from: '491700000001@s.whatsapp.net' }, true],
    ['from its LID', { from: '99000000000001@lid' }, true],
    ['as a participant', { from: '491719990001@s.whatsapp.net', participant: '491700000001:0@s.whatsapp.net' }, true],
    ['from another companion', { from: '491700000001:7@s.whatsapp.net' }, false],
    ['from a customer', { from: '491719990001@s.whatsapp.net' }, false],
    ['from the server', { from: '@s.whatsapp.net' }, false],
    ['from nobody', {}, false],
  ])('is known by the address of its stanzas: %s', (_what, attrs, isPhone) => {
    const me = { id: '491700000001:3@s.whatsapp.net', lid: '99000000000001:3@lid' }
    expect(isFromOwnPhone({ tag: 'receipt', attrs }, me)).toBe(isPhone)
  })
})

describe('pre-keys', () => {
  const uploads = async () => (await emulator.counters()).iqs['encrypt/set/registration'] ?? 0
  const keysIn = (store: MemorySessionStore) =>
    [...store.keys.keys()].filter((key) => key.startsWith('pre-key/')).length

  /** A number that was linked without a login, whose pre-keys the server counts so. */
  async function online(claimedPreKeys: number) {
    phones += 1
    const phone = `49170000${String(phones).padStart(4, '0')}`
    const creds = initAuthCreds()
    const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
    const { keyPair, signature, keyId } = creds.signedPreKey
    const [companion] = await emulator.provision([
      {
        phone,
        noiseKey: base64(creds.noiseKey.public),
        identityKey: base64(creds.signedIdentityKey.public),
        registrationId: creds.registrationId,
        signedPreKey: { id: keyId, key: base64(keyPair.public), signature: base64(signature) },
        claimedPreKeys,
      },
    ])
    if (!companion) throw new Error('The emulator has linked nothing.')
    const { jid, lid, account } = companion
    const store = new MemorySessionStore()
    store.publish({
      keys: [
        credsChange({
          ...creds,
          me: { id: jid, lid, name: 'Salon' },
          account: {
            details: Buffer.from(account.details, 'base64'),
            accountSignature: Buffer.from(account.accountSignature, 'base64'),
            accountSignatureKey: Buffer.from(account.accountSignatureKey, 'base64'),
          },
          accountSyncCounter: 1,
        }),
      ],
    })
    const open = await new TestSession({ provider, store, id: phone }).online()
    return { phone, open, store }
  }

  test.each([
    ['many', 800, 0],
    ['few', 20, 130],
    ['hardly any, for which Baileys would upload five', 3, 147],
    ['none, for which Baileys does it', 0, 812],
  ])('a login that finds %s on the server', async (_how, count, uploaded) => {
    const before = await uploads()
    const { open, store } = await online(count)
    if (uploaded > 0) await until(async () => (await uploads()) > before)
    expect(keysIn(store)).toBe(uploaded)
    expect(await uploads()).toBe(before + (uploaded > 0 ? 1 : 0))
    await open.connection.close()
  })

  test('are topped up when the server says that they run out', async () => {
    const { phone, open, store } = await linked()
    const before = await uploads()
    expect(keysIn(store)).toBe(812)
    // Each new customer takes one.
    await emulator.prepareBurst({ to: [phone], customers: 808, each: 808 })
    await until(async () => (await uploads()) > before)
    expect(keysIn(store)).toBeGreaterThan(812 + 140)
    await open.connection.close()
  })
})

describe('a pace that WhatsApp does not want', () => {
  test.each(['463', '429'] as const)('is told by code %s, and the message is not lost', async (error) => {
    const { phone, open } = await linked()
    const to = { phone: '491719990002' }
    await emulator.fault({ kind: 'refuse_messages', phone, count: 1, error })
    await expect(sendText(open, to, 'too fast')).rejects.toMatchObject({ stage: 'throttled', whatsappCode: error })
    expect(open.events.closings).toEqual([])
    await sendText(open, to, 'slower')
    await open.connection.close()
  })
})
