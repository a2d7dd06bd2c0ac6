import { expect, test } from 'vitest'
import { startEmulator } from '../src/index.ts'
import { BaileysClient, linkBaileys } from './support/baileys-client.ts'
import { ANNA, BAKERY, jidOf, SALON } from './support/numbers.ts'
import { until } from './support/until.ts'

test('the phone’s owner types the pairing code, and the companion logs in and writes', async () => {
  await using emulator = await startEmulator()
  using client = new BaileysClient(emulator)
  const { code } = await client.pairingCode(SALON)
  expect(await emulator.pendingLinks()).toMatchObject([{ pairingPhone: SALON, platform: 'Chrome (Mac OS)' }])

  const linked = await emulator.enterPairingCode({ phone: SALON, code })

  expect(await client.closed()).toBe(515)
  expect(client.store.creds.me).toMatchObject({ id: linked.jid, lid: linked.lid })
  expect(await emulator.pendingLinks()).toEqual([])
  using companion = await new BaileysClient(emulator, client.store).opened()
  await companion.send(jidOf(ANNA), 'linked by code')
  await until('Anna saw it', async () => (await emulator.chats(ANNA))[0]?.messages.length === 1)
})

test('the code may be typed as it is shown, with a hyphen and in small letters', async () => {
  await using emulator = await startEmulator()
  using client = new BaileysClient(emulator)
  const { code } = await client.pairingCode(SALON)

  await emulator.enterPairingCode({ phone: SALON, code: ` ${code.slice(0, 4)}-${code.slice(4)} `.toLowerCase() })

  expect(await client.closed()).toBe(515)
})

test('a wrong code is refused, links nothing, and the right one still works', async () => {
  await using emulator = await startEmulator()
  using client = new BaileysClient(emulator)
  const { code } = await client.pairingCode(SALON)

  await expect(emulator.enterPairingCode({ phone: SALON, code: 'WRNG-1234' })).rejects.toThrow('not the code')
  expect(await emulator.phones()).toEqual([])
  expect(client.closeCode).toBeUndefined()

  await emulator.enterPairingCode({ phone: SALON, code })
  expect(await client.closed()).toBe(515)
})

test('after a wrong code the QR code that Baileys shows links nothing any more', async () => {
  await using emulator = await startEmulator()
  using client = new BaileysClient(emulator)
  await client.pairingCode(SALON)
  await expect(emulator.enterPairingCode({ phone: SALON, code: 'WRNG-1234' })).rejects.toThrow('not the code')

  await expect(emulator.scanQr({ phone: SALON, qr: await client.qr() })).rejects.toThrow('The companion refused')
  expect(client.store.creds.registered).toBe(true)
})

test('a code is refused for another number, and so is what is no code', async () => {
  await using emulator = await startEmulator()
  using client = new BaileysClient(emulator)
  const { code } = await client.pairingCode(SALON)

  await expect(emulator.enterPairingCode({ phone: BAKERY, code })).rejects.toThrow('No companion waits')
  await expect(emulator.enterPairingCode({ phone: SALON, code: 'ABCD' })).rejects.toThrow('eight letters and digits')
})

test('a new code takes the place of the one before it', async () => {
  await using emulator = await startEmulator()
  using client = new BaileysClient(emulator)
  const { code: first } = await client.pairingCode(SALON)
  const { code: second } = await client.pairingCode(SALON)

  await expect(emulator.enterPairingCode({ phone: SALON, code: first })).rejects.toThrow('not the code')
  await emulator.enterPairingCode({ phone: SALON, code: second })
  expect(await client.closed()).toBe(515)
})

test('a code ends with the connection that asked for it', async () => {
  await using emulator = await startEmulator()
  using client = new BaileysClient(emulator)
  const { code } = await client.pairingCode(SALON)
  await client.end()
  await until('the companion was forgotten', async () => (await emulator.pendingLinks()).length === 0)

  await expect(emulator.enterPairingCode({ phone: SALON, code })).rejects.toThrow('No companion waits')
})

test('a companion that goes while its code is checked is not linked', async () => {
  await using emulator = await startEmulator()
  using client = new BaileysClient(emulator)
  const { code } = await client.pairingCode(SALON)
  client.socket.ws.on('CB:notification,type:link_code_companion_reg', () => void client.socket.end(undefined))

  await expect(emulator.enterPairingCode({ phone: SALON, code })).rejects.toThrow('The companion refused the link')
  expect(await emulator.phones()).toEqual([])
})

test('aborted pairing leaves credentials with which no login works', async () => {
  await using emulator = await startEmulator()
  using client = new BaileysClient(emulator)
  await client.pairingCode(SALON)
  await client.end()

  using again = new BaileysClient(emulator, client.store)
  expect(await again.closed()).toBe(401)
})

test.each([
  ['what is no phone number', '0123', {}],
  ['a system that is none', SALON, { browser: ['Acme', 'Chrome', '1.0'] as [string, string, string] }],
])('a pairing code for %s is refused as a bad request, and Baileys does not say so', async (_what, phone, config) => {
  await using emulator = await startEmulator()
  using client = new BaileysClient(emulator, undefined, config)

  const { code, answer } = await client.pairingCode(phone)

  expect(code).toHaveLength(8)
  expect(answer).toMatchObject({ attrs: { type: 'error' }, content: [{ attrs: { code: '400', text: 'bad-request' } }] })
  expect((await emulator.pendingLinks()).some(({ pairingPhone }) => pairingPhone !== undefined)).toBe(false)
})

test('the QR code still works while a pairing code is shown', async () => {
  await using emulator = await startEmulator()
  using client = new BaileysClient(emulator)
  await client.pairingCode(SALON)

  await emulator.scanQr({ phone: SALON, qr: await client.qr() })

  expect(await client.closed()).toBe(515)
  using other = await linkBaileys(emulator, BAKERY)
  expect(other.isOpen).toBe(true)
})
