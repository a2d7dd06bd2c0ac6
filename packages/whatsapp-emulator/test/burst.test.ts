import { expect, test } from 'vitest'
import { startEmulator } from '../src/index.ts'
import { BaileysClient, provisionBaileys } from './support/baileys-client.ts'
import { BAKERY, SALON } from './support/numbers.ts'
import { until } from './support/until.ts'

test('a burst reaches every number from several customers, and the next one continues their sessions', async () => {
  await using emulator = await startEmulator()
  using salon = await provisionBaileys(emulator, SALON)
  using bakery = await provisionBaileys(emulator, BAKERY)

  expect(await emulator.prepareBurst({ to: [SALON, BAKERY], customers: 3, each: 12, text: 'load' })).toEqual({
    count: 24,
    preKeyMessages: 24,
  })
  expect(salon.texts()).toEqual([])
  const sent = await emulator.fireBurst()

  await until('all had arrived', () => salon.texts().length + bakery.texts().length === 24)
  // Between customers Baileys keeps no order.
  expect(salon.texts().sort()).toEqual(Array.from({ length: 12 }, (_, index) => `load ${index}`).sort())
  expect(new Set(sent.map(({ id }) => id)).size).toBe(24)
  expect(new Set(sent.filter(({ to }) => to === SALON).map(({ from }) => from)).size).toBe(3)
  await until('all were acknowledged', async () => (await emulator.pending()) === 0)

  for (const { from } of sent.slice(0, 6)) await salon.send(`${from}@s.whatsapp.net`, 'reply')
  await until('the replies were seen', async () => (await emulator.counters()).decrypted >= 12)
  const again = await emulator.prepareBurst({ to: [SALON], customers: 3, each: 3 })
  expect(again.preKeyMessages).toBe(0)
})

test('a burst to somebody who is away waits for him', async () => {
  await using emulator = await startEmulator()
  using salon = await provisionBaileys(emulator, SALON)
  await emulator.prepareBurst({ to: [SALON], customers: 1, each: 5, text: 'load' })
  await salon.end()

  await emulator.fireBurst()

  expect(await emulator.pending()).toBe(5)
  using again = await new BaileysClient(emulator, salon.store).opened()
  await until('all had arrived', () => again.texts().length === 5)
})

test('a burst keeps its pace', async () => {
  await using emulator = await startEmulator()
  using salon = await provisionBaileys(emulator, SALON)
  await emulator.prepareBurst({ to: [SALON], customers: 2, each: 20 })

  const sent = await emulator.fireBurst({ perSecond: 100 })

  // The last of 20 is due 190 ms after the first; a slow machine only makes it later.
  expect((sent.at(-1)?.atMs ?? 0) - (sent[0]?.atMs ?? 0)).toBeGreaterThanOrEqual(185)
  await until('all had arrived', () => salon.texts().length === 20)
})

test('without books nothing is kept', async () => {
  await using emulator = await startEmulator({ behaviour: { keepsBooks: false } })
  using salon = await provisionBaileys(emulator, SALON)
  await emulator.prepareBurst({ to: [SALON], customers: 1, each: 3 })
  await emulator.fireBurst()
  await until('all had arrived', () => salon.texts().length === 3)

  expect(await emulator.wire()).toEqual([])
  expect(await emulator.chats(SALON)).toEqual([])
})
