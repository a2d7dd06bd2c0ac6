import { randomBytes } from 'node:crypto'
import { Curve } from 'baileys'
import { expect, test } from 'vitest'
import { startEmulator } from '../src/index.ts'
import { BaileysClient, linkBaileys } from './support/baileys-client.ts'
import { MemoryStore } from './support/memory-store.ts'
import { ANNA, SALON } from './support/numbers.ts'
import { until } from './support/until.ts'

test('a phone scans the QR code, the companion signs its identity and logs in', async () => {
  await using emulator = await startEmulator()
  using client = new BaileysClient(emulator)
  const qr = await client.qr()

  const linked = await emulator.scanQr({ phone: SALON, qr })

  expect(await client.closed()).toBe(515)
  expect(client.store.creds.me).toMatchObject({ id: linked.jid, lid: linked.lid })
  expect(linked.jid).toBe(`${SALON}:1@s.whatsapp.net`)
  using companion = await new BaileysClient(emulator, client.store).opened()
  expect(companion.socket.user?.id).toBe(linked.jid)
  const [phone] = await emulator.phones()
  expect(phone).toMatchObject({ phone: SALON, devices: [{ id: 1, jid: linked.jid, isConnected: true }] })
})

test('the first login ends with the history, so that no client waits for it', async () => {
  await using emulator = await startEmulator()
  using client = await linkBaileys(emulator, SALON)

  await until('the history was taken in', () => (client.store.creds.accountSyncCounter ?? 0) > 0)

  expect(client.store.creds.myAppStateKeyId).toBeDefined()
  await until('nothing was left to acknowledge', async () => (await emulator.pending()) === 0)
})

test('a waiting companion is pending until it is linked or gone, with its code once that is announced', async () => {
  await using emulator = await startEmulator()
  using client = new BaileysClient(emulator)
  const qr = await client.qr()
  expect(await emulator.pendingLinks()).toEqual([
    { id: expect.any(String), platform: 'Chrome (Mac OS)', since: expect.any(String) },
  ])

  await emulator.announceQr({ qr })
  const [pending] = await emulator.pendingLinks()
  expect(pending?.qr).toBe(qr)

  await client.end()
  await until('the companion was forgotten', async () => (await emulator.pendingLinks()).length === 0)
  await expect(emulator.scanQr({ phone: SALON, qr })).rejects.toThrow('unknown or has expired')
})

test('a phone can have several companions, each with its own number', async () => {
  await using emulator = await startEmulator()
  using first = await linkBaileys(emulator, SALON)
  using second = await linkBaileys(emulator, SALON)

  expect(first.socket.user?.id).toBe(`${SALON}:1@s.whatsapp.net`)
  expect(second.socket.user?.id).toBe(`${SALON}:2@s.whatsapp.net`)
})

test('a code that no companion shows is refused', async () => {
  await using emulator = await startEmulator()
  using client = new BaileysClient(emulator)
  const [, ...keys] = (await client.qr()).split(',')

  const unknown = ['2@unknown', ...keys].join(',')
  await expect(emulator.scanQr({ phone: SALON, qr: unknown })).rejects.toThrow('unknown or has expired')
  await expect(emulator.announceQr({ qr: unknown })).rejects.toThrow('unknown or has expired')
  await expect(emulator.scanQr({ phone: SALON, qr: 'https://example.com/' })).rejects.toThrow('no QR code of WhatsApp')
})

test('a code with keys that are not the companion’s is refused', async () => {
  await using emulator = await startEmulator()
  using client = new BaileysClient(emulator)
  const [ref, , ...others] = (await client.qr()).split(',')
  const forged = [ref, randomBytes(32).toString('base64'), ...others].join(',')

  await expect(emulator.scanQr({ phone: SALON, qr: forged })).rejects.toThrow('forged')
  expect(client.closeCode).toBeUndefined()
})

test('a code with another secret is refused by the companion, and nothing is linked', async () => {
  await using emulator = await startEmulator()
  using client = new BaileysClient(emulator)
  const parts = (await client.qr()).split(',')
  parts[3] = randomBytes(32).toString('base64')

  await expect(emulator.scanQr({ phone: SALON, qr: parts.join(',') })).rejects.toThrow('The companion refused the link')
  expect(await emulator.phones()).toEqual([])
})

test('a code works once', async () => {
  await using emulator = await startEmulator()
  using client = new BaileysClient(emulator)
  const qr = await client.qr()
  const scan = emulator.scanQr({ phone: SALON, qr })

  await expect(emulator.scanQr({ phone: ANNA, qr })).rejects.toThrow('scanned already')
  await scan
})

test('a companion that signs with another identity is not linked', async () => {
  await using emulator = await startEmulator()
  const violations: string[] = []
  emulator.on('violation', ({ reason }) => violations.push(reason))
  using client = new BaileysClient(emulator)
  const qr = await client.qr()
  client.store.creds.signedIdentityKey.private = Curve.generateKeyPair().private

  await expect(emulator.scanQr({ phone: SALON, qr })).rejects.toThrow('The companion refused the link')
  expect(violations).toEqual(['The companion did not sign its identity with its identity key'])
  expect(await emulator.phones()).toEqual([])
})

test('a companion whose pre-key is not signed with its identity is turned away', async () => {
  await using emulator = await startEmulator()
  const store = new MemoryStore()
  store.creds.signedPreKey.signature = randomBytes(64)
  using client = new BaileysClient(emulator, store)

  expect(await client.closed()).toBe(400)
})

test('a QR code is valid for a while, and a companion that nobody links is sent away', async () => {
  await using emulator = await startEmulator({ behaviour: { qrValidityMs: { first: 1, later: 50 } } })
  using client = new BaileysClient(emulator)
  const qr = await client.qr()

  await expect(emulator.scanQr({ phone: SALON, qr })).rejects.toThrow('unknown or has expired')
  expect(await client.closed()).toBe(428)
  expect(await emulator.pendingLinks()).toEqual([])
})

test('a companion that counts the time itself ends before the server does', async () => {
  await using emulator = await startEmulator({ behaviour: { qrValidityMs: { first: 100, later: 100 } } })
  using client = new BaileysClient(emulator, undefined, { qrTimeout: 50 })

  expect(await client.closed()).toBe(408)
  expect(new Set(client.qrs).size).toBe(6)
})

test('a phone links four companions and no fifth', async () => {
  await using emulator = await startEmulator()
  for (let count = 0; count < 4; count++) {
    using client = new BaileysClient(emulator)
    await emulator.scanQr({ phone: SALON, qr: await client.qr() })
    await client.closed()
  }
  using fifth = new BaileysClient(emulator)
  const { code } = await fifth.pairingCode(SALON)

  await expect(emulator.scanQr({ phone: SALON, qr: await fifth.qr() })).rejects.toThrow('4 linked devices')
  await expect(emulator.enterPairingCode({ phone: SALON, code })).rejects.toThrow('4 linked devices')
  await emulator.unlink({ phone: SALON, deviceId: 2 })
  await emulator.enterPairingCode({ phone: SALON, code })
  expect(await fifth.closed()).toBe(515)
})

test.each([
  ['throttled', '429', 'rate-overlimit', 'Try again later'],
  ['blocked', '403', 'forbidden', 'restricted'],
] as const)(
  'linking that is %s fails at the companion and on the phone, until that ends',
  async (how, code, text, said) => {
    await using emulator = await startEmulator()
    using client = new BaileysClient(emulator)
    await emulator.fault({ kind: 'refuse_linking', phone: SALON, isOn: true, how })

    const { answer } = await client.pairingCode(SALON)
    expect(answer).toMatchObject({ attrs: { type: 'error' }, content: [{ attrs: { code, text } }] })
    await expect(emulator.scanQr({ phone: SALON, qr: await client.qr() })).rejects.toThrow(said)
    expect(client.closeCode).toBeUndefined()

    await emulator.fault({ kind: 'refuse_linking', phone: SALON, isOn: false })
    await emulator.scanQr({ phone: SALON, qr: await client.qr() })
    expect(await client.closed()).toBe(515)
  },
)

test('what is no phone number cannot scan', async () => {
  await using emulator = await startEmulator()
  using client = new BaileysClient(emulator)
  const qr = await client.qr()

  for (const phone of ['', '+491700000001', '0170000001', '4917x', '12345678901234567'])
    await expect(emulator.scanQr({ phone, qr })).rejects.toThrow('is not a phone number')
})
