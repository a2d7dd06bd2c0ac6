import { INITIAL_PREKEY_COUNT } from 'baileys'
import { expect, test } from 'vitest'
import { startEmulator } from '../src/index.ts'
import { linkBaileys } from './support/baileys-client.ts'
import { ANNA, BAKERY, BERT, jidOf, SALON } from './support/numbers.ts'
import { until } from './support/until.ts'

test('every possible number is on WhatsApp, impossible ones and those without devices are not', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  await emulator.fault({ kind: 'no_devices', phone: BERT })

  const found = await salon.socket.onWhatsApp(ANNA, BERT, '0123')

  expect(found).toEqual([{ jid: jidOf(ANNA), exists: true }])
})

test('usync names LIDs and every device of a number', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  using _office = await linkBaileys(emulator, SALON)

  const devices = await salon.socket.getUSyncDevices([jidOf(ANNA), jidOf(SALON)], false, false)

  expect(devices.map(({ jid }) => jid).sort()).toEqual([jidOf(SALON), jidOf(ANNA), `${SALON}:2@s.whatsapp.net`].sort())
  const lids = await salon.socket.signalRepository.lidMapping.getLIDForPN(jidOf(ANNA))
  expect(lids).toMatch(/^\d+@lid$/)
})

test('a number without devices gets nothing, and Baileys does not say so', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  await emulator.fault({ kind: 'no_devices', phone: BERT })

  const id = await salon.send(jidOf(BERT), 'to nobody')

  await until('the server acknowledged it', () => salon.acks.some((ack) => ack.attrs['id'] === id))
  const sent = (await emulator.wire()).find(({ direction, tag }) => direction === 'from_companion' && tag === 'message')
  expect(sent?.ciphertexts ?? []).toHaveLength(1)
  expect(await emulator.chats(BERT)).toEqual([])
  await emulator.sendText({ from: ANNA, to: BERT, text: 'nor from Anna' })
  expect((await emulator.chats(ANNA))[0]?.messages[0]?.status).toBe('pending')
})

test('a companion uploads pre-keys at its first login, and more when they run out', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  const uploads = async () => (await emulator.counters()).iqs['encrypt/set/registration']
  expect(await uploads()).toBe(1)
  expect(salon.store.ids('pre-key').length).toBeGreaterThanOrEqual(INITIAL_PREKEY_COUNT - 1)

  using bakery = await linkBaileys(emulator, BAKERY)
  // Whoever asks for a bundle takes one.
  const user = { tag: 'user', attrs: { jid: `${SALON}:1@s.whatsapp.net` } }
  await bakery.socket.query({
    tag: 'iq',
    attrs: { to: '@s.whatsapp.net', type: 'get', xmlns: 'encrypt' },
    content: [{ tag: 'key', attrs: {}, content: Array.from({ length: INITIAL_PREKEY_COUNT }, () => user) }],
  })

  await until('the companion uploaded more', async () => (await uploads()) === 3)
  await emulator.sendText({ from: ANNA, to: SALON, text: 'hi' })
  await salon.text('hi')
})

test('a companion rotates its signed pre-key, and new sessions use it', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)

  await salon.socket.rotateSignedPreKey()

  await emulator.sendText({ from: ANNA, to: SALON, text: 'hi' })
  await salon.text('hi')
  expect((await emulator.counters()).retryReceipts).toBe(0)
})
