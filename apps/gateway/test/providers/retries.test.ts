import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Emulator, startEmulator } from 'whatsapp-emulator'
import type { ReceivedMessage } from '#src/model/session-store.ts'
import { newWhatsAppId } from '#src/model/whatsapp-id.ts'
import { createBaileysProvider } from '#src/providers/baileys/create-baileys-provider.ts'
import { until } from '../support/until.ts'
import { BaileysCustomer } from './support/baileys-customer.ts'
import { MemorySessionStore } from './support/memory-session-store.ts'
import { type OpenSession, sendText, TestSession } from './support/test-session.ts'

const COMPANY = '491700000001'
let emulator: Emulator
let session: TestSession
let store: MemorySessionStore
let open: OpenSession
let customer: string
let customers = 0

beforeAll(async () => {
  emulator = await startEmulator({ behaviour: { sendsHistory: false, receipts: 'none' } })
  store = new MemorySessionStore()
  session = new TestSession({ provider: createBaileysProvider({ emulator }), store })
  open = await session.link(emulator, COMPANY)
})
beforeEach(() => {
  customers += 1
  customer = `4917199901${String(customers).padStart(2, '0')}`
})
afterAll(async () => {
  await open.connection.close()
  await emulator.close()
})

const rowOf = (id: string) => store.messages.find(({ whatsappId }) => whatsappId === id)
const lidOf = async (phone: string) => {
  const { lid } = (await emulator.phones()).find((each) => each.phone === phone) ?? { lid: '' }
  return lid.split('@')[0] ?? ''
}
const displayed = async (phone: string, text: string) => {
  const chats = await emulator.chats(phone)
  return chats.flatMap(({ messages }) => messages).filter((message) => message.text === text)
}
/** The frames with which a message has left, oldest first. */
const framesOf = async (id: string) =>
  (await emulator.wire()).filter(
    ({ direction, tag, attrs }) => direction === 'from_companion' && tag === 'message' && attrs['id'] === id,
  )
/** Each form that the row of a message has had. */
function formsOf(id: string): () => ReceivedMessage[] {
  const forms: ReceivedMessage[] = []
  const publish = store.publish.bind(store)
  store.publish = (change) => {
    forms.push(...(change.messages ?? []).filter(({ whatsappId }) => whatsappId === id))
    return publish(change)
  }
  return () => forms
}
async function converse(): Promise<void> {
  const { id } = await emulator.sendText({ from: customer, to: COMPANY, text: 'hello' })
  await until(() => rowOf(id))
  await sendText(open, { phone: customer }, 'hello to you')
}

describe('what we have sent, to somebody who lost its sessions', () => {
  test("is sent again to a customer's unmodified Baileys, for it alone, by keys that are fetched once an hour", async () => {
    await emulator.sendText({ from: customer, to: COMPANY, text: 'hello' })
    using device = await BaileysCustomer.link(emulator, customer)
    const first = await sendText(open, { phone: customer }, 'before')
    await until(() => device.has(first))
    const keyQueries = async () => (await emulator.counters()).iqs['encrypt/get/key'] ?? 0
    const before = await keyQueries()

    for (const text of ['once', 'twice']) {
      device.loseSessions()
      const id = await sendText(open, { phone: customer }, text)
      await until(() => device.has(id), { what: `the customer reads "${text}"` })
      const [original, ...again] = await framesOf(id)
      expect(original?.attrs['device_fanout']).toBeUndefined()
      expect(again.length).toBeGreaterThan(0)
      for (const { attrs } of again) expect(attrs).toMatchObject({ device_fanout: 'false' })
    }
    expect(await keyQueries()).toBe(before + 1)
  })

  test('is sent again to the own phone, as the copy that it had', async () => {
    await converse()
    await emulator.fault({ kind: 'lose_sessions', phone: COMPANY })
    await sendText(open, { phone: customer }, 'for the own phone')
    await until(async () => (await displayed(COMPANY, 'for the own phone'))[0])
    expect(await displayed(customer, 'for the own phone')).toHaveLength(1)
  })

  test('is sent again after the process has changed, from what the store has kept', async () => {
    await converse()
    await emulator.fault({ kind: 'lose_sessions', phone: customer })
    await emulator.configure({ asksRetry: false })
    const id = await sendText(open, { phone: customer }, 'kept')
    expect(await displayed(customer, 'kept')).toEqual([])
    await open.connection.close()
    open = await session.online()
    await emulator.configure({ asksRetry: true })
    // The phone asks when it is sent something again that it cannot read: here the same message.
    await open.connection.send({ whatsappId: id, to: { phone: customer }, content: { kind: 'text', text: 'kept' } })
    await until(async () => (await displayed(customer, 'kept'))[0])
    expect(await displayed(customer, 'kept')).toHaveLength(1)
  })

  test('is not sent again for the eleventh time; the receipt is acknowledged all the same', async () => {
    await converse()
    await emulator.fault({ kind: 'lose_sessions', phone: customer })
    const whatsappId = newWhatsAppId()
    store.requests.set(`${whatsappId}/${await lidOf(customer)}@lid/0`, 10)
    await open.connection.send({ whatsappId, to: { phone: customer }, content: { kind: 'text', text: 'too often' } })
    await until(async () => [...store.requests.values()].includes(11) && (await emulator.pending()) === 0)
    expect(await framesOf(whatsappId)).toHaveLength(1)
    expect(await displayed(customer, 'too often')).toEqual([])
  })
})

describe('what we cannot read', () => {
  test('is a pending row before anybody is asked, and the same row when it comes again', async () => {
    await converse()
    const id = newWhatsAppId()
    const forms = formsOf(id)
    await emulator.sendText({ from: customer, to: COMPANY, text: 'garbled', isCorrupt: true, id })
    await until(() => rowOf(id)?.content.kind === 'text')
    expect(forms().map(({ content }) => content)).toEqual([
      { kind: 'pending', reason: 'undecrypted' },
      { kind: 'text', text: 'garbled' },
    ])
    expect(rowOf(id)).toMatchObject({ id: forms()[0]?.id, contactId: `contact ${customer}`, direction: 'inbound' })
    expect(store.messages.filter(({ whatsappId }) => whatsappId === id)).toHaveLength(1)
  })

  test("is asked of a customer's unmodified Baileys as well", async () => {
    await emulator.sendText({ from: customer, to: COMPANY, text: 'hello' })
    using device = await BaileysCustomer.link(emulator, customer)
    const first = await device.send(`${COMPANY}@s.whatsapp.net`, 'from the other device')
    await until(() => rowOf(first))
    await sendText(open, { phone: customer }, 'an answer, so that no pre-key comes any more')
    // Our own sessions are gone: whatever the customer sends cannot be read.
    await open.connection.close()
    for (const key of store.keys.keys()) if (key.startsWith('session/')) store.keys.delete(key)
    open = await session.online()
    const lost = await device.send(`${COMPANY}@s.whatsapp.net`, 'can you read this?')
    const row = await until(() => (rowOf(lost)?.content.kind === 'text' ? rowOf(lost) : undefined), {
      what: 'the message comes again',
    })
    expect(row.content).toEqual({ kind: 'text', text: 'can you read this?' })
  })

  test('because WhatsApp keeps it back is a pending row, which the phone resolves', async () => {
    const id = newWhatsAppId()
    const forms = formsOf(id)
    await emulator.fault({ kind: 'unavailable_messages', phone: COMPANY, count: 1 })
    await emulator.sendText({ from: customer, to: COMPANY, text: 'from an advertisement', id })
    await until(() => rowOf(id)?.content.kind === 'text')
    expect(forms().map(({ content }) => content)).toEqual([
      { kind: 'pending', reason: 'unavailable' },
      { kind: 'text', text: 'from an advertisement' },
    ])
    expect(rowOf(id)).toMatchObject({ id: forms()[0]?.id, contactId: `contact ${customer}` })
  })

  test('is stored as pending before WhatsApp hears anything of it', async () => {
    const id = newWhatsAppId()
    await emulator.sendText({ from: customer, to: COMPANY, text: 'known' })
    await until(() => store.messages.some(({ content }) => content.kind === 'text' && content.text === 'known'))
    const after = (await emulator.wire()).at(-1)?.number ?? 0
    store.isHeld = true
    await emulator.fault({ kind: 'unavailable_messages', phone: COMPANY, count: 1 })
    const published = store.published
    await emulator.sendText({ from: customer, to: COMPANY, text: 'kept back', id })
    await until(() => store.published > published)
    const answers = async () =>
      (await emulator.wire({ after })).filter(
        ({ direction, attrs }) => direction === 'from_companion' && attrs['id'] === id,
      )
    expect(await answers()).toEqual([])
    store.isHeld = false
    store.commit()
    await until(async () => (await answers()).length > 0)
    expect(rowOf(id)?.content.kind).toBe('pending')
  })
})

describe('a customer who writes by number, then by LID, then by both at once', () => {
  test('is one contact with one ratchet: nothing has to be asked for again', async () => {
    const { retryReceipts, decryptFailures } = await emulator.counters()
    await sendText(open, { phone: customer }, 'we begin')
    const ids: string[] = []
    for (const addressing of ['pn', 'lid', 'pn'] as const) {
      const { id } = await emulator.sendText({ from: customer, to: COMPANY, text: `by ${addressing}`, addressing })
      ids.push(id)
      await until(() => rowOf(id))
    }
    const both = await Promise.all(
      (['pn', 'lid', 'pn', 'lid'] as const).map((addressing, index) =>
        emulator.sendText({ from: customer, to: COMPANY, text: `at once ${index}`, addressing }),
      ),
    )
    ids.push(...both.map(({ id }) => id))
    await until(() => ids.every((id) => rowOf(id)))
    expect(new Set(ids.map((id) => rowOf(id)?.contactId))).toEqual(new Set([`contact ${customer}`]))
    const lid = await lidOf(customer)
    for (const to of [{ lid }, { phone: customer }, { phone: customer, lid }]) await sendText(open, to, 'an answer')
    await until(async () => (await displayed(customer, 'an answer')).length === 3)
    expect(await emulator.counters()).toMatchObject({ retryReceipts, decryptFailures })
  })

  test('keeps the session that was opened by number when the LID becomes known later, whoever tells it', async () => {
    await converse()
    const lid = await lidOf(customer)
    await open.connection.close()
    // As it was before WhatsApp told the LID: the session stands under the number, and nothing leads to the LID.
    for (const id of [customer, `${lid}_reverse`]) store.keys.delete(`lid-mapping/${id}`)
    const byLid = `session/${lid}_1.0`
    const record = store.keys.get(byLid)
    expect(record).toBeDefined()
    if (record) store.keys.set(`session/${customer}.0`, record)
    store.keys.delete(byLid)
    open = await session.online()
    const { retryReceipts } = await emulator.counters()
    const { id } = await emulator.sendText({ from: customer, to: COMPANY, text: 'still me', addressing: 'lid' })
    await until(() => rowOf(id)?.content.kind === 'text')
    await sendText(open, { lid }, 'still us')
    await until(async () => (await displayed(customer, 'still us'))[0])
    expect(await emulator.counters()).toMatchObject({ retryReceipts })
    expect(store.keys.has(`session/${customer}.0`)).toBe(false)
  })
})
