import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Emulator, startEmulator } from 'whatsapp-emulator'
import { createBaileysProvider } from '#src/providers/baileys/create-baileys-provider.ts'
import type { Provider } from '#src/providers/provider.ts'
import { until } from '../support/until.ts'
import { MemorySessionStore } from './support/memory-session-store.ts'
import { sendText, TestSession } from './support/test-session.ts'

const CUSTOMER = '491719990001'
let emulator: Emulator
let provider: Provider

beforeAll(async () => {
  emulator = await startEmulator({ behaviour: { sendsHistory: false, receipts: 'none' } })
  provider = createBaileysProvider({ emulator })
})
afterAll(() => emulator.close())

describe('one session and one contact, both writing at once', () => {
  test('on a store that takes its time, nothing is lost and nothing is undecryptable', async () => {
    const company = '491700000001'
    const count = 200
    const store = new MemorySessionStore()
    const session = new TestSession({ provider, store })
    const open = await session.link(emulator, company)
    store.readDelayMs = 2
    store.commitDelayMs = 2
    const before = await emulator.counters()
    const received = () => store.messages.filter(({ origin }) => origin === 'customer')

    const writing = Array.from({ length: count }, async (_, index) => {
      await delay(Math.random() * 1500)
      await emulator.sendText({ from: CUSTOMER, to: company, text: `in ${index}` })
    })
    const answering = Array.from({ length: count }, async (_, index) => {
      await delay(Math.random() * 1500)
      await sendText(open, { phone: CUSTOMER }, `out ${index}`)
    })
    await Promise.all([...writing, ...answering])
    await until(() => received().length >= count)
    await open.connection.close()

    const after = await emulator.counters()
    expect(after.decryptFailures).toBe(before.decryptFailures)
    expect(after.retryReceipts).toBe(before.retryReceipts)
    expect(new Set(received().map(({ whatsappId }) => whatsappId)).size).toBe(count)
    const chats = await emulator.chats(CUSTOMER)
    const displayed = chats.flatMap(({ messages }) => messages).filter(({ text }) => text.startsWith('out '))
    expect(new Set(displayed.map(({ text }) => text)).size).toBe(count)
  })
})

describe('a session and new contacts, both writing for the first time in the same moment', () => {
  test.each(['pn', 'lid'] as const)('by %s: each reads what the other writes then and later', async (addressing) => {
    const company = addressing === 'pn' ? '491700000011' : '491700000012'
    const store = new MemorySessionStore()
    const open = await new TestSession({ provider, store }).link(emulator, company)
    const before = await emulator.counters()
    const displayed = async () =>
      (await emulator.chats(CUSTOMER)).find((chat) => chat.with === company)?.messages.filter(({ fromMe }) => !fromMe)
    const write = (text: string) => emulator.sendText({ from: CUSTOMER, to: company, text, addressing })
    const received = () => store.messages.filter(({ origin }) => origin === 'customer').length

    // Each opens a ratchet before it knows of the other's: what the session writes is held until its commit.
    const bundlesAsked = async () => (await emulator.counters()).iqs['encrypt/get/key'] ?? 0
    const asked = await bundlesAsked()
    store.commitDelayMs = 500
    const sending = sendText(open, { phone: CUSTOMER }, 'out 0')
    await until(async () => (await bundlesAsked()) > asked)
    await delay(150)
    await write('in 0')
    await sending
    await until(() => received() === 1)
    store.commitDelayMs = 0
    for (let count = 2; count <= 5; count++) {
      await write(`in ${count}`)
      await until(() => received() === count)
      await sendText(open, { phone: CUSTOMER }, `out ${count}`)
      await until(async () => (await displayed())?.length === count)
    }
    await open.connection.close()

    const after = await emulator.counters()
    expect(after.decryptFailures).toBe(before.decryptFailures)
    expect(after.retryReceipts).toBe(before.retryReceipts)
  })
})

describe('two companies and one contact', () => {
  test("one company's slow store does not delay the contact's message to the other", async () => {
    const [slowPhone, quickPhone] = ['491700000002', '491700000003']
    const [slowStore, quickStore] = [new MemorySessionStore(), new MemorySessionStore()]
    const slow = new TestSession({ provider, store: slowStore, id: 'slow' })
    const quick = new TestSession({ provider, store: quickStore, id: 'quick' })
    const firstSlow = await slow.link(emulator, slowPhone)
    const openQuick = await quick.link(emulator, quickPhone)
    for (const to of [slowPhone, quickPhone]) await emulator.sendText({ from: CUSTOMER, to, text: 'hello' })
    await until(() => slowStore.messages.length === 1 && quickStore.messages.length === 1)
    await sendText(firstSlow, { phone: CUSTOMER }, 'hello to you')
    await firstSlow.connection.close()

    // A new connection has nothing in memory.
    const openSlow = await slow.online()
    await until(async () => (await emulator.pending()) === 0)
    const goOn = Promise.withResolvers<void>()
    slowStore.heldReads = { kind: 'session', until: goOn.promise }
    slowStore.reads.length = 0
    await emulator.sendText({ from: CUSTOMER, to: slowPhone, text: 'to the slow one' })
    await until(() => slowStore.reads.some(({ kind }) => kind === 'session'))
    await emulator.sendText({ from: CUSTOMER, to: quickPhone, text: 'to the quick one' })
    await until(() => quickStore.messages.length === 2)
    expect(slowStore.messages).toHaveLength(1)
    goOn.resolve()
    await until(() => slowStore.messages.length === 2)
    await Promise.all([openSlow.connection.close(), openQuick.connection.close()])
  })
})
