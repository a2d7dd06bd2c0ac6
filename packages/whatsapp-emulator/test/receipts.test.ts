import { proto } from 'baileys'
import { expect, test } from 'vitest'
import { type Emulator, startEmulator } from '../src/index.ts'
import { linkBaileys } from './support/baileys-client.ts'
import { ANNA, jidOf, SALON } from './support/numbers.ts'
import { until } from './support/until.ts'

const { DELIVERY_ACK, READ } = proto.WebMessageInfo.Status

test('a companion’s message is delivered, then read when the customer’s phone takes its time', async () => {
  await using emulator = await startEmulator({ behaviour: { receipts: 'read', readDelayMs: 50 } })
  using salon = await linkBaileys(emulator, SALON)

  const id = await salon.send(jidOf(ANNA), 'Hello')

  await until('both receipts came', () => salon.statuses(id).length === 2)
  expect(salon.statuses(id)).toEqual([DELIVERY_ACK, READ])
  expect(await ownStatus(emulator, SALON)).toBe('read')
})

test('the customer’s phone reads when its owner does', async () => {
  await using emulator = await startEmulator({ behaviour: { receipts: 'delivered' } })
  using salon = await linkBaileys(emulator, SALON)
  const ids: string[] = []
  for (const text of ['one', 'two', 'three']) ids.push(await salon.send(jidOf(ANNA), text))
  await until('all were delivered', () => ids.every((id) => salon.statuses(id).includes(DELIVERY_ACK)))
  expect(await unread(emulator, ANNA)).toBe(3)

  await emulator.markRead({ phone: ANNA, from: SALON })

  await until('all were read', () => ids.every((id) => salon.statuses(id).includes(READ)))
  expect(await unread(emulator, ANNA)).toBe(0)
  const read = (await emulator.wire()).filter(({ tag, attrs }) => tag === 'receipt' && attrs['type'] === 'read')
  expect(read).toEqual([expect.objectContaining({ children: ['list'] })])
  await emulator.markRead({ phone: ANNA, from: SALON })
  expect((await emulator.wire()).filter(({ attrs }) => attrs['type'] === 'read')).toHaveLength(1 + 1)
})

test('phones can keep their receipts to themselves', async () => {
  await using emulator = await startEmulator({ behaviour: { receipts: 'none' } })
  using salon = await linkBaileys(emulator, SALON)

  await salon.send(jidOf(ANNA), 'Hello')
  await until('Anna saw it', async () => (await emulator.chats(ANNA)).length > 0)

  expect(await ownStatus(emulator, SALON)).toBe('sent')
})

test('the customer sees the ticks that the companion causes', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)

  await emulator.sendText({ from: ANNA, to: SALON, text: 'one' })
  await emulator.sendText({ from: ANNA, to: SALON, text: 'two' })
  await until('both were delivered', async () => (await ownStatuses(emulator, ANNA)).every((s) => s === 'delivered'))
  await salon.text('two')
  expect(await unread(emulator, SALON)).toBe(2)

  await salon.socket.readMessages(salon.received.map(({ message }) => message.key))

  await until('both were read', async () => (await ownStatuses(emulator, ANNA)).every((s) => s === 'read'))
  expect(await unread(emulator, SALON)).toBe(0)
})

test('nothing is left to acknowledge when everybody is quiet', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  await emulator.sendText({ from: ANNA, to: SALON, text: 'Hi!' })
  await salon.text('Hi!')
  await salon.send(jidOf(ANNA), 'Hello')

  await until('nothing was pending', async () => (await emulator.pending()) === 0)
})

test('typing shows on both sides, and ends with the message', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)

  await emulator.setTyping({ from: ANNA, to: SALON, isTyping: true })
  await until('the companion saw it', () => salon.typing.length === 1)
  await emulator.setTyping({ from: ANNA, to: SALON, isTyping: false })
  await until('the companion saw the end', () => salon.typing.length === 2)
  expect(salon.typing).toEqual([
    { from: jidOf(ANNA), state: 'composing' },
    { from: jidOf(ANNA), state: 'available' },
  ])

  await salon.socket.sendPresenceUpdate('composing', jidOf(ANNA))
  await until('Anna saw it', () => isTyping(emulator, ANNA))
  await salon.socket.sendPresenceUpdate('paused', jidOf(ANNA))
  await until('Anna saw the end', async () => !(await isTyping(emulator, ANNA)))
  await salon.socket.sendPresenceUpdate('composing', jidOf(ANNA))
  await until('Anna saw it again', () => isTyping(emulator, ANNA))
  await salon.send(jidOf(ANNA), 'Hello')
  await until('Anna saw the message', async () => !(await isTyping(emulator, ANNA)))
})

async function ownStatuses(emulator: Emulator, phone: string): Promise<string[]> {
  const messages = (await emulator.chats(phone)).flatMap((chat) => chat.messages)
  return messages.filter(({ fromMe }) => fromMe).map(({ status }) => status)
}

async function ownStatus(emulator: Emulator, phone: string): Promise<string | undefined> {
  return (await ownStatuses(emulator, phone)).at(-1)
}

async function chatsOf(emulator: Emulator, phone: string) {
  return (await emulator.phones()).find((candidate) => candidate.phone === phone)?.chats ?? []
}

async function unread(emulator: Emulator, phone: string): Promise<number | undefined> {
  return (await chatsOf(emulator, phone))[0]?.unread
}

async function isTyping(emulator: Emulator, phone: string): Promise<boolean> {
  return (await chatsOf(emulator, phone)).some((chat) => chat.isTyping)
}
