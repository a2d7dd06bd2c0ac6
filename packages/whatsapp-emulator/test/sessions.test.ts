import { once } from 'node:events'
import { Curve, WA_CERT_DETAILS } from 'baileys'
import { afterEach, expect, test } from 'vitest'
import { startEmulator } from '../src/index.ts'
import { isSignedBy } from '../src/noise/keys.ts'
import { BaileysClient, linkBaileys, provisionBaileys } from './support/baileys-client.ts'
import { ANNA, jidOf, SALON } from './support/numbers.ts'
import { until } from './support/until.ts'

const TRUSTED_ROOT = WA_CERT_DETAILS.PUBLIC_KEY
const LENIENT_VERIFY = Curve.verify

afterEach(() => {
  WA_CERT_DETAILS.PUBLIC_KEY = TRUSTED_ROOT
  Curve.verify = LENIENT_VERIFY
})

test('a client that checks every signature trusts the emulator’s root and nobody else’s', async () => {
  await using emulator = await startEmulator()
  Curve.verify = isSignedBy
  using distrustful = new BaileysClient(emulator)
  expect(await distrustful.closed()).toBe(400)
  expect(distrustful.closeReason).toContain('certificate signature invalid')

  WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(emulator.rootKey, 'hex')
  using salon = await linkBaileys(emulator, SALON)
  expect(salon.isOpen).toBe(true)
})

test('a linked companion logs in again from what it saved', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  await salon.send(jidOf(ANNA), 'before')
  await salon.end()
  salon.store.reload()

  using again = await new BaileysClient(emulator, salon.store).opened()

  await again.send(jidOf(ANNA), 'after')
  await until('Anna saw both', async () => (await emulator.chats(ANNA))[0]?.messages.length === 2)
  expect(await emulator.counters()).toMatchObject({ logins: 2, decryptFailures: 0 })
})

test('a second login of the same companion replaces the first', async () => {
  await using emulator = await startEmulator()
  using first = await linkBaileys(emulator, SALON)

  using second = await new BaileysClient(emulator, first.store).opened()

  expect(await first.closed()).toBe(440)
  await emulator.sendText({ from: ANNA, to: SALON, text: 'to the second' })
  await second.text('to the second')
  await until('only one was connected', async () => (await emulator.counters()).connections === 1)
})

test('a provisioned companion logs in, writes and receives', async () => {
  await using emulator = await startEmulator()
  using salon = await provisionBaileys(emulator, SALON)

  await emulator.sendText({ from: ANNA, to: SALON, text: 'Hi!' })
  await salon.text('Hi!')
  await salon.send(jidOf(ANNA), 'Hello')

  await until('Anna saw it', async () => (await emulator.chats(ANNA))[0]?.messages.length === 2)
  expect((await emulator.counters()).iqs['encrypt/set/registration']).toBeUndefined()
})

test('what came while the companion was away waits for it, in order, marked as offline', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  await until('the history was acknowledged', async () => (await emulator.pending()) === 0)
  await salon.end()
  const texts = Array.from({ length: 25 }, (_, index) => `while away ${index}`)
  for (const text of texts) await emulator.sendText({ from: ANNA, to: SALON, text })
  expect(await emulator.pending()).toBe(25)

  using again = await new BaileysClient(emulator, salon.store).opened()

  await until('all had arrived', () => again.texts().length === texts.length)
  expect(again.texts()).toEqual(texts)
  expect(new Set(again.received.map(({ upsert }) => upsert))).toEqual(new Set(['append']))
  await until('all were acknowledged', async () => (await emulator.pending()) === 0)
  const wire = await emulator.wire()
  expect(wire.filter(({ tag, children }) => tag === 'ib' && children[0] === 'offline_preview')).toHaveLength(1)
  expect(wire.filter(({ attrs }) => attrs['offline'] !== undefined)).toHaveLength(25)
})

test('receipts wait too', async () => {
  await using emulator = await startEmulator({ behaviour: { receipts: 'delivered' } })
  using salon = await linkBaileys(emulator, SALON)
  const id = await salon.send(jidOf(ANNA), 'Hello')
  await until('it was delivered', () => salon.statuses(id).length === 1)
  await salon.end()
  await emulator.markRead({ phone: ANNA, from: SALON })

  using again = await new BaileysClient(emulator, salon.store).opened()

  await until('the read receipt arrived', () => again.statuses(id).length === 1)
})

test('the owner unlinks the companion on the phone', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  using office = await linkBaileys(emulator, SALON)

  await emulator.unlink({ phone: SALON, deviceId: 1 })

  expect(await salon.closed()).toBe(401)
  expect(office.closeCode).toBeUndefined()
  using again = new BaileysClient(emulator, salon.store)
  expect(await again.closed()).toBe(401)
  await emulator.unlink({ phone: SALON })
  expect(await office.closed()).toBe(401)
  await expect(emulator.unlink({ phone: SALON, deviceId: 7 })).rejects.toThrow('no linked device 7')
})

test('a companion that is unlinked while away learns it at its next login', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  await salon.end()
  await emulator.sendText({ from: ANNA, to: SALON, text: 'too late' })

  await emulator.unlink({ phone: SALON })

  using again = new BaileysClient(emulator, salon.store)
  expect(await again.closed()).toBe(401)
  expect(await emulator.pending()).toBe(0)
})

test('a companion logs out by itself', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  const unlinked: string[] = []
  emulator.on('unlinked', ({ by }) => unlinked.push(by))

  await salon.socket.logout()

  await until('the device was gone', () => unlinked.length > 0)
  expect(unlinked).toEqual(['companion'])
  expect((await emulator.phones()).flatMap(({ devices }) => devices)).toEqual([])
})

test('what is not WhatsApp’s protocol is turned away', async () => {
  await using emulator = await startEmulator()
  const violations: string[] = []
  emulator.on('violation', ({ reason }) => violations.push(reason))

  for (const bytes of [Buffer.from('hello, world'), Buffer.from([0x57, 0x41, 6, 3, 0, 0, 3, 1, 2, 3])]) {
    const socket = new WebSocket(emulator.url)
    socket.addEventListener('open', () => socket.send(bytes))
    await once(socket, 'close')
  }

  expect(violations).toHaveLength(2)
  expect(violations[0]).toContain('Noise header')
})

test('a companion with another Noise key than at the linking is nobody', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  await salon.end()
  salon.store.save({ noiseKey: Curve.generateKeyPair() })

  using stranger = new BaileysClient(emulator, salon.store)

  expect(await stranger.closed()).toBe(401)
})

test('closing ends every connection and leaves nothing running', async () => {
  const emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)

  await emulator.close()

  expect(await salon.closed()).toBe(428)
  await expect(fetch(emulator.pageUrl)).rejects.toThrow()
})
