import { expect, test } from 'vitest'
import { startEmulator } from '../src/index.ts'
import { linkBaileys } from './support/baileys-client.ts'
import { ANNA, BAKERY, jidOf, SALON } from './support/numbers.ts'
import { until } from './support/until.ts'

test('a companion that cannot decrypt asks again without keys, and gets the message in a fresh session', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  const retries: { count: number; hasKeys: boolean }[] = []
  emulator.on('retry', ({ count, hasKeys }) => retries.push({ count, hasKeys }))

  const { id } = await emulator.sendText({ from: ANNA, to: SALON, text: 'broken', isCorrupt: true })

  const { message } = await salon.text('broken')
  expect(message.key.id).toBe(id)
  expect(retries).toEqual([{ count: 1, hasKeys: false }])
  await until('nothing was pending', async () => (await emulator.pending()) === 0)
})

test('a companion that still cannot decrypt sends its keys along, and the phone uses them', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  const retries: { count: number; hasKeys: boolean }[] = []
  emulator.on('retry', ({ count, hasKeys }) => retries.push({ count, hasKeys }))
  // The server goes on handing out pre-keys that the companion does not know any more.
  salon.store.lose('pre-key')

  await emulator.sendText({ from: ANNA, to: SALON, text: 'unreadable' })

  await salon.text('unreadable')
  expect(retries).toEqual([
    { count: 1, hasKeys: false },
    { count: 2, hasKeys: true },
  ])
})

test('a phone that lost its sessions asks again with its keys, and displays the message once', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  await salon.send(jidOf(ANNA), 'before')
  await until('Anna saw it', async () => (await emulator.chats(ANNA)).length > 0)

  await emulator.fault({ kind: 'lose_sessions', phone: ANNA })
  const id = await salon.send(jidOf(ANNA), 'after')

  const chat = await until('Anna saw it', async () =>
    (await emulator.chats(ANNA)).find(({ messages }) => messages.some(({ text }) => text === 'after')),
  )
  expect(chat.messages.map(({ text }) => text)).toEqual(['before', 'after'])
  const { decryptFailures } = await emulator.counters()
  expect(decryptFailures).toBe(1)
  const retry = (await emulator.wire()).filter(
    ({ direction, attrs }) => direction === 'to_companion' && attrs['type'] === 'retry',
  )
  expect(retry).toEqual([expect.objectContaining({ attrs: expect.objectContaining({ id }) })])
  expect(retry[0]?.children).toEqual(['retry', 'registration', 'keys'])
})

test('the own phone can lose its sessions too: its copy is asked for again', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  await salon.send(jidOf(ANNA), 'before')
  await until('the phone shows it', async () => (await emulator.chats(SALON))[0]?.messages.length === 1)

  await emulator.fault({ kind: 'lose_sessions', phone: SALON })
  await salon.send(jidOf(ANNA), 'after')

  await until('the phone shows it', async () => (await emulator.chats(SALON))[0]?.messages.length === 2)
  expect((await emulator.chats(ANNA))[0]?.messages.map(({ text }) => text)).toEqual(['before', 'after'])
})

test('without retries an undecryptable message is not displayed', async () => {
  await using emulator = await startEmulator({ behaviour: { asksRetry: false } })
  using salon = await linkBaileys(emulator, SALON)
  await salon.send(jidOf(ANNA), 'before')
  await until('Anna saw it', async () => (await emulator.chats(ANNA)).length > 0)

  await emulator.fault({ kind: 'lose_sessions', phone: ANNA })
  await salon.send(jidOf(ANNA), 'after')

  await until('it failed', async () => (await emulator.counters()).decryptFailures === 1)
  expect((await emulator.chats(ANNA))[0]?.messages).toHaveLength(1)
})

test('between companions a request to repeat goes through to the sender', async () => {
  await using emulator = await startEmulator()
  // Baileys' own cache does not find what it sent when a device asks for it, so it asks the application.
  using salon = await linkBaileys(emulator, SALON, { getMessage: async () => ({ conversation: 'after' }) })
  using bakery = await linkBaileys(emulator, BAKERY)
  await salon.send(jidOf(BAKERY), 'before')
  await bakery.text('before')

  bakery.store.lose('session')
  const id = await salon.send(jidOf(BAKERY), 'after')

  const { message } = await bakery.text('after')
  expect(message.key.id).toBe(id)
})
