import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Emulator, startEmulator } from 'whatsapp-emulator'
import { createBaileysProvider } from '#src/providers/baileys/create-baileys-provider.ts'
import type { Provider } from '#src/providers/provider.ts'
import { until } from '../support/until.ts'
import { MemorySessionStore } from './support/memory-session-store.ts'
import { type OpenSession, sendText, TestSession } from './support/test-session.ts'

const COMPANY = '491700000001'
let emulator: Emulator
let provider: Provider
let session: TestSession
let store: MemorySessionStore
let open: OpenSession
let customer: string
let customers = 0

beforeAll(async () => {
  emulator = await startEmulator({ behaviour: { sendsHistory: false } })
  provider = createBaileysProvider({ emulator, timeouts: { ackMs: 1000 } })
  store = new MemorySessionStore()
  session = new TestSession({ provider, store })
  open = await session.link(emulator, COMPANY)
})
beforeEach(async () => {
  customers += 1
  customer = `4917199900${String(customers).padStart(2, '0')}`
  await emulator.configure({ receipts: 'delivered', asksRetry: true })
})
afterAll(async () => {
  await open.connection.close()
  await emulator.close()
})

const received = (text: string) =>
  store.messages.filter(({ content }) => content.kind === 'text' && content.text === text)
const statusesOf = (id: string) =>
  store.receipts.filter(({ whatsappIds }) => whatsappIds.includes(id)).map(({ status }) => status)
const displayed = async (text: string) => {
  const chats = await emulator.chats(customer)
  return chats.flatMap(({ messages }) => messages).filter((message) => message.text === text)
}

/** Both sides have spoken: from now on no message brings a pre-key. */
async function converse(): Promise<void> {
  const { id } = await emulator.sendText({ from: customer, to: COMPANY, text: 'hello' })
  await until(() => store.messages.find(({ whatsappId }) => whatsappId === id))
  await sendText(open, { phone: customer }, 'hello to you')
}

describe('inbound', () => {
  test('a text is one row, with its contact, its raw form and the time it was sent', async () => {
    const { id } = await emulator.sendText({ from: customer, to: COMPANY, text: 'Do you do balayage?' })
    const message = await until(() => store.messages.find(({ whatsappId }) => whatsappId === id))
    expect(message).toMatchObject({
      contactId: `contact ${customer}`,
      direction: 'inbound',
      origin: 'customer',
      content: { kind: 'text', text: 'Do you do balayage?' },
      isOffline: false,
      envelope: { id, from: expect.stringContaining(customer) },
    })
    expect(Math.abs(message.sentAt.getTime() - Date.now())).toBeLessThan(60_000)
    expect(message.raw?.byteLength).toBeGreaterThan(0)
  })

  test('a person is one contact, addressed by phone number or by LID', async () => {
    await emulator.sendText({ from: customer, to: COMPANY, text: 'by number' })
    await emulator.sendText({ from: customer, to: COMPANY, text: 'by lid', addressing: 'lid' })
    await emulator.sendText({ from: customer, to: COMPANY, text: 'by number again' })
    await until(() => received('by number again')[0])
    const contacts = ['by number', 'by lid', 'by number again'].map((text) => received(text)[0]?.contactId)
    expect(new Set(contacts)).toEqual(new Set([`contact ${customer}`]))
  })

  test('what the owner writes on the phone is an outbound row of the customer whom it went to', async () => {
    await emulator.sendText({ from: COMPANY, to: customer, text: 'See you at ten' })
    const [message] = await until(() =>
      received('See you at ten').length > 0 ? received('See you at ten') : undefined,
    )
    expect(message).toMatchObject({ direction: 'outbound', origin: 'phone', contactId: `contact ${customer}` })
  })

  test('a message that cannot be read is asked for again, and stored once when it comes', async () => {
    await converse()
    const retries: string[] = []
    const stop = emulator.on('retry', ({ id }) => retries.push(id))
    const { id } = await emulator.sendText({ from: customer, to: COMPANY, text: 'garbled', isCorrupt: true })
    await until(() => received('garbled')[0])
    stop()
    expect(retries).toEqual([id])
    expect(received('garbled')).toHaveLength(1)
  })

  test('for an unreadable message the sender is asked at once, not the phone first', async () => {
    await converse()
    const after = (await emulator.wire()).at(-1)?.number ?? 0
    await emulator.sendText({ from: customer, to: COMPANY, text: 'lost', isCorrupt: true })
    await until(() => received('lost')[0])
    const sent = (await emulator.wire({ after })).filter(
      ({ direction, tag }) => direction === 'from_companion' && tag !== 'ack',
    )
    // Baileys by itself asks the phone, and waits for two seconds, under the lock under which all messages are handled.
    expect(sent[0]).toMatchObject({ tag: 'receipt', attrs: { type: 'retry' } })
    expect(sent.filter(({ attrs }) => attrs['category'] === 'peer')).toEqual([])
  })

  test('a stanza that is delivered twice is one row, and both are acknowledged', async () => {
    await converse()
    const { retryReceipts } = await emulator.counters()
    await emulator.fault({ kind: 'duplicate', phone: COMPANY, count: 1 })
    await emulator.sendText({ from: customer, to: COMPANY, text: 'twice' })
    await until(async () => received('twice')[0] && (await emulator.pending()) === 0)
    expect(received('twice')).toHaveLength(1)
    expect((await emulator.counters()).retryReceipts).toBe(retryReceipts)
  })

  test('typing is shown to the customer', async () => {
    await converse()
    const shown: unknown[] = []
    const stop = emulator.on('typing', (typing) => shown.push(typing))
    await open.connection.showTyping({ phone: customer })
    await until(() => shown.length > 0)
    stop()
    expect(shown).toEqual([{ from: COMPANY, to: customer, isTyping: true }])
  })

  test('typing is reported for the contact', async () => {
    await emulator.setTyping({ from: customer, to: COMPANY, isTyping: true })
    await emulator.setTyping({ from: customer, to: COMPANY, isTyping: false })
    await until(() => open.events.typings.some(({ isTyping }) => !isTyping))
    expect(open.events.typings).toEqual([
      { contactId: `contact ${customer}`, isTyping: true },
      { contactId: `contact ${customer}`, isTyping: false },
    ])
  })
})

describe('outbound', () => {
  test('a text is sent on the ack, then delivered and read by receipts', async () => {
    await emulator.configure({ receipts: 'read' })
    const id = await sendText(open, { phone: customer }, 'Your appointment is tomorrow')
    expect(statusesOf(id)[0]).toBe('sent')
    await until(() => statusesOf(id).includes('read'))
    expect(statusesOf(id)).toEqual(['sent', 'delivered', 'read'])
    expect(await displayed('Your appointment is tomorrow')).toMatchObject([{ id, fromMe: false }])
  })

  test('a customer known by LID alone is reached as well', async () => {
    await emulator.sendText({ from: customer, to: COMPANY, text: 'hello', addressing: 'lid' })
    await until(() => received('hello')[0])
    const { lid } = (await emulator.phones()).find(({ phone }) => phone === customer) ?? { lid: '' }
    await sendText(open, { lid: lid.split('@')[0] ?? '' }, 'hello by lid')
    await until(async () => (await displayed('hello by lid'))[0])
  })

  test('a customer who cannot decrypt it asks again and displays it once', async () => {
    await sendText(open, { phone: customer }, 'one')
    await until(async () => (await displayed('one'))[0])
    await emulator.fault({ kind: 'lose_sessions', phone: customer })
    const whatsappId = 'AAAA0000BBBB1111CC'
    await open.connection.send({ whatsappId, to: { phone: customer }, content: { kind: 'text', text: 'two' } })
    await until(async () => (await displayed('two'))[0])
    expect(await displayed('two')).toHaveLength(1)
  })

  test('a first burst to a customer looks its devices up once', async () => {
    await emulator.sendText({ from: customer, to: COMPANY, text: 'hello' })
    await until(() => received('hello').find(({ contactId }) => contactId === `contact ${customer}`))
    const before = (await emulator.counters()).iqs['usync/get/usync'] ?? 0
    await Promise.all(Array.from({ length: 60 }, (_, index) => sendText(open, { phone: customer }, `burst ${index}`)))
    expect((await emulator.counters()).iqs['usync/get/usync']).toBeLessThanOrEqual(before + 2)
    // Each look-up replaces the Signal session: after 40 of them the customer's own would be forgotten.
    await emulator.sendText({ from: customer, to: COMPANY, text: 'still the first session' })
    await until(() => received('still the first session')[0])
  })

  test('a long conversation makes what is stored of it no longer', async () => {
    await converse()
    const exchange = async (number: number) => {
      const { id } = await emulator.sendText({ from: customer, to: COMPANY, text: `question ${number}` })
      await until(() => store.messages.find(({ whatsappId }) => whatsappId === id))
      await sendText(open, { phone: customer }, `answer ${number}`)
    }
    const storedBytes = () =>
      [...store.keys].reduce((sum, [key, { length }]) => sum + (/^session/.test(key) ? length : 0), 0)
    await exchange(0)
    const before = storedBytes()
    for (let number = 1; number <= 10; number++) await exchange(number)
    expect(storedBytes() - before).toBeLessThan(500)
  })

  test('another process looks up the devices of whom it knows, and goes on with the same Signal session', async () => {
    await converse()
    await open.connection.close()
    provider = createBaileysProvider({ emulator, timeouts: { ackMs: 1000 } })
    session = new TestSession({ provider, store })
    open = await session.online()
    const [after, before] = [(await emulator.wire()).at(-1)?.number ?? 0, await emulator.counters()]
    await sendText(open, { phone: customer }, 'here I am again')
    const sent = (await emulator.wire({ after })).filter(({ ciphertexts = [] }) => ciphertexts.length > 0)
    const { iqs } = await emulator.counters()
    expect(iqs['usync/get/usync']).toBeGreaterThan(before.iqs['usync/get/usync'] ?? 0)
    expect(iqs['encrypt/get/key']).toBe(before.iqs['encrypt/get/key'])
    expect(sent.flatMap(({ ciphertexts }) => ciphertexts)).not.toContain('pkmsg')
    expect(await displayed('here I am again')).toHaveLength(1)
  })

  test('a number without devices is unreachable, and no stanza leaves for it', async () => {
    await emulator.fault({ kind: 'no_devices', phone: customer })
    const before = await emulator.counters()
    await expect(sendText(open, { phone: customer }, 'nobody')).rejects.toMatchObject({
      stage: 'recipient_unreachable',
    })
    expect((await emulator.counters()).messagesFromCompanions).toBe(before.messagesFromCompanions)
  })

  test('a lost ack leaves it unacknowledged; sent again under the same id it is displayed once', async () => {
    await sendText(open, { phone: customer }, 'warm')
    await emulator.fault({ kind: 'lose_acks', phone: COMPANY, count: 1 })
    const message = {
      whatsappId: 'AAAA0000BBBB2222CC',
      to: { phone: customer },
      content: { kind: 'text', text: 'only once' },
    } as const
    await expect(open.connection.send(message)).rejects.toMatchObject({ stage: 'unacknowledged' })
    await open.connection.send(message)
    expect(await displayed('only once')).toHaveLength(1)
    expect(statusesOf(message.whatsappId)).toContain('sent')
  })

  test('a late ack makes it sent all the same', async () => {
    await sendText(open, { phone: customer }, 'warm')
    await emulator.fault({ kind: 'delay_acks', phone: COMPANY, count: 1, delayMs: 1500 })
    const whatsappId = 'AAAA0000BBBB3333CC'
    const sending = open.connection.send({
      whatsappId,
      to: { phone: customer },
      content: { kind: 'text', text: 'late' },
    })
    await expect(sending).rejects.toMatchObject({ stage: 'unacknowledged' })
    await until(() => statusesOf(whatsappId).includes('sent'))
  })

  test('an unconnected session says so', async () => {
    const other = new TestSession({ provider, store: new MemorySessionStore(), id: 'other' }).open()
    await expect(sendText(other, { phone: customer }, 'x')).rejects.toMatchObject({ stage: 'not_connected' })
    await other.connection.close()
  })
})
