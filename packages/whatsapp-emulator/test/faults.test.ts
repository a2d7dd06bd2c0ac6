import { expect, test } from 'vitest'
import { type Fault, startEmulator } from '../src/index.ts'
import { BaileysClient, linkBaileys } from './support/baileys-client.ts'
import { ANNA, BAKERY, jidOf, SALON } from './support/numbers.ts'
import { collectUnhandledRejections } from './support/unhandled-rejections.ts'
import { until } from './support/until.ts'

/** docs/faults.md says for each where Baileys decides so. */
const ENDINGS: [Fault, number][] = [
  [{ kind: 'stream_error', code: '403' }, 403],
  [{ kind: 'stream_error', code: '405' }, 405],
  [{ kind: 'stream_error', code: '408' }, 408],
  [{ kind: 'stream_error', code: '411' }, 411],
  [{ kind: 'stream_error', code: '428' }, 428],
  [{ kind: 'stream_error', code: '440' }, 440],
  [{ kind: 'stream_error', code: '500' }, 500],
  [{ kind: 'stream_error', code: '503' }, 503],
  [{ kind: 'stream_error', code: '515' }, 515],
  [{ kind: 'stream_end' }, 428],
  [{ kind: 'drop' }, 428],
]

test.each(ENDINGS)('%j ends the connection as %i, and the next login works', async (fault, code) => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)

  await emulator.fault(fault)

  expect(await salon.closed()).toBe(code)
  using again = await new BaileysClient(emulator, salon.store).opened()
  expect(again.isOpen).toBe(true)
})

test('a stream that ends with 401 takes the link with it', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)

  await emulator.fault({ kind: 'stream_error', code: '401', phone: SALON })

  expect(await salon.closed()).toBe(401)
  using again = new BaileysClient(emulator, salon.store)
  expect(await again.closed()).toBe(401)
  expect((await emulator.phones()).flatMap(({ devices }) => devices)).toEqual([])
})

test('a fault hits one number’s companion and no other', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  using bakery = await linkBaileys(emulator, BAKERY)

  await emulator.fault({ kind: 'drop', phone: SALON })

  expect(await salon.closed()).toBe(428)
  await bakery.send(jidOf(ANNA), 'still here')
  expect(bakery.closeCode).toBeUndefined()
})

test('a fault without anybody to hit is refused for a number, and nothing for all', async () => {
  await using emulator = await startEmulator()

  await expect(emulator.fault({ kind: 'drop', phone: SALON })).rejects.toThrow('nothing to disturb')
  await expect(emulator.fault({ kind: 'lose_acks', phone: SALON, count: 1 })).rejects.toThrow('nothing to disturb')
  await emulator.fault({ kind: 'drop' })
})

test('a stalled socket is silent until the client loses patience', async () => {
  await using emulator = await startEmulator()
  using linked = await linkBaileys(emulator, SALON)
  await linked.end()
  using salon = await new BaileysClient(emulator, linked.store, { keepAliveIntervalMs: 100 }).opened()

  await emulator.fault({ kind: 'stall', phone: SALON })
  await emulator.sendText({ from: ANNA, to: SALON, text: 'into the void' })

  expect(await salon.closed()).toBe(408)
  expect(salon.texts()).toEqual([])
  using again = await new BaileysClient(emulator, salon.store).opened()
  await again.text('into the void')
})

test('a corrupt frame is an unhandled rejection in Baileys, and the stanzas after it arrive', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  using rejections = collectUnhandledRejections()

  await emulator.fault({ kind: 'corrupt_frame', phone: SALON })

  await until('the rejection was seen', () => rejections.reasons.length > 0)
  expect(String(rejections.reasons[0])).toContain('unable to authenticate data')
  await emulator.sendText({ from: ANNA, to: SALON, text: 'after it' })
  await salon.text('after it')
})

test('acks are swallowed for so many messages', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  await emulator.fault({ kind: 'lose_acks', phone: SALON, count: 2 })

  const ids: string[] = []
  for (const text of ['one', 'two', 'three']) ids.push(await salon.send(jidOf(ANNA), text))

  await until('the third was acknowledged', () => salon.acks.length > 0)
  expect(salon.acks.map((ack) => ack.attrs['id'])).toEqual([ids[2]])
  await until('Anna saw all', async () => (await emulator.chats(ANNA))[0]?.messages.length === 3)
})

test('acks are held back for so many messages, and come in the end', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  await emulator.fault({ kind: 'delay_acks', phone: SALON, count: 1, delayMs: 300 })

  const late = await salon.send(jidOf(ANNA), 'late')
  const prompt = await salon.send(jidOf(ANNA), 'prompt')

  await until('both were acknowledged', () => salon.acks.length === 2)
  expect(salon.acks.map((ack) => ack.attrs['id'])).toEqual([prompt, late])
})

test('a stanza comes twice, and Baileys takes it once', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  await emulator.sendText({ from: ANNA, to: SALON, text: 'before' })
  await salon.text('before')
  await emulator.fault({ kind: 'duplicate', phone: SALON, count: 1 })

  const { id } = await emulator.sendText({ from: ANNA, to: SALON, text: 'twice' })
  await emulator.sendText({ from: ANNA, to: SALON, text: 'after' })

  await salon.text('after')
  const sent = (await emulator.wire()).filter(({ tag, attrs }) => tag === 'message' && attrs['id'] === id)
  expect(sent).toHaveLength(2)
  expect(salon.texts()).toEqual(['before', 'twice', 'after'])
  await until('both copies were answered', async () => (await emulator.pending()) === 0)
})

test('stanzas change places in pairs, and each is decrypted', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  await emulator.sendText({ from: ANNA, to: SALON, text: 'zero' })
  await salon.text('zero')
  await emulator.fault({ kind: 'reorder', phone: SALON, count: 4 })

  for (const text of ['one', 'two', 'three', 'four', 'five']) await emulator.sendText({ from: ANNA, to: SALON, text })

  await salon.text('five')
  expect(salon.texts()).toEqual(['zero', 'two', 'one', 'four', 'three', 'five'])
})

test('a stanza that waits for its partner survives the end of the connection', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  await emulator.fault({ kind: 'reorder', phone: SALON, count: 2 })
  await emulator.sendText({ from: ANNA, to: SALON, text: 'held' })

  await emulator.fault({ kind: 'drop', phone: SALON })
  await salon.closed()

  using again = await new BaileysClient(emulator, salon.store).opened()
  await again.text('held')
})

test('new connections are refused while that is on', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  await emulator.fault({ kind: 'refuse_connections', isOn: true })

  using refused = new BaileysClient(emulator)
  expect(await refused.closed()).toBe(408)
  expect(salon.closeCode).toBeUndefined()

  await emulator.fault({ kind: 'refuse_connections', isOn: false })
  using accepted = new BaileysClient(emulator)
  await accepted.qr()
})

test('a refusal by HTTP reaches Baileys, which does nothing about it', async () => {
  await using emulator = await startEmulator()
  await emulator.fault({ kind: 'refuse_connections', isOn: true, how: 'http_503' })

  using refused = new BaileysClient(emulator)
  const status = await new Promise((resolve) =>
    refused.socket.ws.on('unexpected-response', (_request, response) => resolve(response.statusCode)),
  )

  expect(status).toBe(503)
  expect(refused.closeCode).toBeUndefined()
})

test('a message is refused by its ack, and is not delivered', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  await emulator.fault({ kind: 'refuse_messages', phone: SALON, error: '463', count: 1 })
  const restricted = await salon.send(jidOf(ANNA), 'restricted')
  await until('the first was answered', () => salon.acks.length === 1)
  await emulator.fault({ kind: 'refuse_messages', phone: SALON, error: '429', count: 1 })
  const tooMany = await salon.send(jidOf(ANNA), 'too many')
  await salon.send(jidOf(ANNA), 'welcome')

  await until('all were answered', () => salon.acks.length === 3)
  expect(salon.acks.map(({ attrs }) => attrs['error'])).toEqual(['463', '429', undefined])
  await until('Baileys reported both', () => salon.statuses(tooMany).length > 0)
  expect([salon.statuses(restricted), salon.statuses(tooMany)]).toEqual([[0], [0]])
  const [chat] = await until('Anna saw one', async () => {
    const chats = await emulator.chats(ANNA)
    return chats.length > 0 ? chats : undefined
  })
  expect(chat?.messages.map(({ text }) => text)).toEqual(['welcome'])
})

test('a message comes without its content, which the phone hands over when it is asked', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  await emulator.fault({ kind: 'unavailable_messages', phone: SALON, count: 1 })

  const { id } = await emulator.sendText({ from: ANNA, to: SALON, text: 'kept back' })
  await emulator.sendText({ from: ANNA, to: SALON, text: 'not kept back' })

  await salon.text('not kept back')
  const placeholder = salon.received.find(({ message }) => message.key.id === id)
  expect(placeholder?.message.messageStubParameters).toEqual(['Message absent from node'])
  const { message } = await salon.text('kept back')
  expect(message.key).toMatchObject({ id, remoteJid: jidOf(ANNA), fromMe: false })
  await until('nothing was left to acknowledge', async () => (await emulator.pending()) === 0)
})

test('a number without devices can get them back', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  await emulator.fault({ kind: 'no_devices', phone: ANNA })
  expect(await salon.socket.onWhatsApp(ANNA)).toEqual([])

  await emulator.fault({ kind: 'no_devices', phone: ANNA, isOn: false })

  expect(await salon.socket.onWhatsApp(ANNA)).toMatchObject([{ exists: true }])
})

test('nothing that libsignal prints reaches the console, and everything else does', async () => {
  const lines: unknown[][] = []
  const print = console.info
  console.info = (...values: unknown[]) => lines.push(values)
  try {
    const { silenceLibsignal } = await import('../src/signal/silence-libsignal.ts')
    silenceLibsignal()
    await using emulator = await startEmulator()
    using salon = await linkBaileys(emulator, SALON)
    await emulator.sendText({ from: ANNA, to: SALON, text: 'hi' })
    await salon.text('hi')
    // A second session with Anna closes the first, which libsignal would print with its private keys.
    await salon.send(jidOf(ANNA), 'hello')
    await until('Anna saw it', async () => (await emulator.chats(ANNA))[0]?.messages.length === 2)
    console.info('from the application')
  } finally {
    console.info = print
  }
  expect(lines).toEqual([['from the application']])
})
