import { expect, test } from 'vitest'
import { type Emulator, startEmulator } from '../src/index.ts'
import { linkBaileys } from './support/baileys-client.ts'
import { ANNA, BAKERY, jidOf, SALON } from './support/numbers.ts'
import { until } from './support/until.ts'

test('a customer’s first message opens a Signal session, the later ones ratchet on', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  const types = recordCiphertextTypes(emulator)

  const { id } = await emulator.sendText({ from: ANNA, to: SALON, text: 'Hi!' })
  const { message, upsert } = await salon.text('Hi!')

  expect(upsert).toBe('notify')
  expect(message.key).toMatchObject({ id, remoteJid: jidOf(ANNA), fromMe: false, addressingMode: 'pn' })
  expect(message.pushName).toBe('Phone 9991')
  await salon.send(jidOf(ANNA), 'Hello')
  await until('Anna saw the answer', async () => (await textsOf(emulator, ANNA)).includes('Hello'))
  await emulator.sendText({ from: ANNA, to: SALON, text: 'do you do balayage?' })
  await salon.text('do you do balayage?')
  expect(await types()).toEqual(['pkmsg', 'msg'])
})

test('a customer can write under the LID, with the number beside it', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)

  await emulator.sendText({ from: ANNA, to: SALON, text: 'first' })
  await salon.text('first')
  await emulator.sendText({ from: ANNA, to: SALON, text: 'by LID', addressing: 'lid' })

  const { message } = await salon.text('by LID')
  const lid = await lidOf(emulator, ANNA)
  expect(message.key).toMatchObject({ remoteJid: lid, remoteJidAlt: jidOf(ANNA), addressingMode: 'lid' })
})

test('a companion writes to a number: the customer’s phone decrypts it, the own phone shows a copy', async () => {
  await using emulator = await startEmulator({ behaviour: { receipts: 'none' } })
  using salon = await linkBaileys(emulator, SALON)

  const id = await salon.send(jidOf(ANNA), 'Yes, we do')

  await until('Anna saw it', async () => (await emulator.chats(ANNA)).length > 0)
  expect(await emulator.chats(ANNA)).toEqual([
    { with: SALON, messages: [expect.objectContaining({ id, fromMe: false, text: 'Yes, we do' })] },
  ])
  expect(await emulator.chats(SALON)).toEqual([
    { with: ANNA, messages: [expect.objectContaining({ id, fromMe: true, text: 'Yes, we do', status: 'sent' })] },
  ])
  await until('the server acknowledged it', () => salon.acks.some((ack) => ack.attrs['id'] === id))
  expect(await emulator.counters()).toMatchObject({ messagesFromCompanions: 1, decrypted: 2, decryptFailures: 0 })
})

test('a companion writes to a LID, and receipts come back under it', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  await emulator.sendText({ from: ANNA, to: SALON, text: 'hi', addressing: 'lid' })
  await salon.text('hi')
  const lid = await lidOf(emulator, ANNA)

  const id = await salon.send(lid, 'hello, LID')

  await until('Anna saw it', async () => (await textsOf(emulator, ANNA)).includes('hello, LID'))
  const receipt = await until('a receipt came back', async () =>
    (await emulator.wire()).find(({ tag, attrs }) => tag === 'receipt' && attrs['id'] === id),
  )
  expect(receipt.attrs['from']).toBe(lid)
})

test('messages are displayed in the order of sending, each of them once', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  const texts = Array.from({ length: 30 }, (_, index) => `message ${index}`)

  for (const text of texts) await emulator.sendText({ from: ANNA, to: SALON, text })
  await until('all had arrived', () => salon.texts().length === texts.length)
  expect(salon.texts()).toEqual(texts)

  for (const text of texts) await salon.send(jidOf(ANNA), `re: ${text}`)
  const replies = texts.map((text) => `re: ${text}`)
  await until('Anna saw all', async () => (await textsOf(emulator, ANNA)).length === 2 * texts.length)
  expect((await textsOf(emulator, ANNA)).slice(texts.length)).toEqual(replies)
})

test('two companies write to each other: companion to companion, and to both phones', async () => {
  await using emulator = await startEmulator()
  using salon = await linkBaileys(emulator, SALON)
  using bakery = await linkBaileys(emulator, BAKERY)

  await salon.send(jidOf(BAKERY), 'Two croissants, please')
  const { message } = await bakery.text('Two croissants, please')
  expect(message.key).toMatchObject({ remoteJid: jidOf(SALON), fromMe: false })
  await bakery.send(jidOf(SALON), 'With pleasure')
  await salon.text('With pleasure')

  expect(await textsOf(emulator, SALON)).toEqual(['Two croissants, please', 'With pleasure'])
  expect(await textsOf(emulator, BAKERY)).toEqual(['Two croissants, please', 'With pleasure'])
  const [order] = (await emulator.chats(SALON))[0]?.messages ?? []
  expect(order?.status).toBe('delivered')
})

test('what one companion sends, the other companions of the number get as a copy', async () => {
  await using emulator = await startEmulator()
  using desk = await linkBaileys(emulator, SALON)
  using office = await linkBaileys(emulator, SALON)

  await desk.send(jidOf(ANNA), 'from the desk')

  const { message } = await office.text('from the desk')
  expect(message.key).toMatchObject({ remoteJid: jidOf(ANNA), fromMe: true })
})

test.each(['pn', 'lid'] as const)(
  'the owner writes on the phone (%s): the customer gets it, the companions get a copy',
  async (addressing) => {
    await using emulator = await startEmulator()
    using salon = await linkBaileys(emulator, SALON)
    await emulator.sendText({ from: ANNA, to: SALON, text: 'hi' })
    await salon.text('hi')

    const { id } = await emulator.sendText({ from: SALON, to: ANNA, text: 'I am at the back', addressing })

    const { message } = await salon.text('I am at the back')
    const remoteJid = addressing === 'pn' ? jidOf(ANNA) : await lidOf(emulator, ANNA)
    expect(message.key).toMatchObject({ id, remoteJid, fromMe: true })
    expect(await textsOf(emulator, ANNA)).toEqual(['hi', 'I am at the back'])
    await until('the copy was acknowledged', async () => (await emulator.pending()) === 0)
  },
)

test('customers write to each other without any companion', async () => {
  await using emulator = await startEmulator()

  await emulator.sendText({ from: ANNA, to: BAKERY, text: 'hello' })

  expect(await emulator.chats(ANNA)).toEqual([
    { with: BAKERY, messages: [expect.objectContaining({ fromMe: true, status: 'read' })] },
  ])
})

test('a pre-key message without the identity that the phone has signed is not displayed', async () => {
  await using emulator = await startEmulator()
  const violations: string[] = []
  emulator.on('violation', ({ reason }) => violations.push(reason))
  using salon = await linkBaileys(emulator, SALON)
  const { account } = salon.store.creds
  if (!account) throw new Error('Linking left no account')
  account.accountSignature = Buffer.alloc(64)

  await salon.send(jidOf(ANNA), 'trust me')

  await until('the violation was seen', () => violations.length > 0)
  expect(violations[0]).toContain('without the identity')
  expect(await emulator.chats(ANNA)).toEqual([])
})

function recordCiphertextTypes(emulator: Emulator): () => Promise<string[]> {
  let last = 0
  return async () => {
    const entries = await emulator.wire({ after: last, limit: 20_000 })
    last = entries.at(-1)?.number ?? last
    const messages = entries.filter(
      ({ tag, direction, attrs }) =>
        tag === 'message' && direction === 'to_companion' && attrs['category'] === undefined,
    )
    return messages.flatMap(({ ciphertexts }) => ciphertexts ?? [])
  }
}

async function lidOf(emulator: Emulator, phone: string): Promise<string> {
  const found = (await emulator.phones()).find((candidate) => candidate.phone === phone)
  if (!found) throw new Error(`${phone} has no phone`)
  return `${found.lid}@lid`
}

async function textsOf(emulator: Emulator, phone: string): Promise<string[]> {
  return (await emulator.chats(phone)).flatMap(({ messages }) => messages.map(({ text }) => text))
}
