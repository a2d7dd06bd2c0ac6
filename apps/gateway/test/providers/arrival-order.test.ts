import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Emulator, startEmulator } from 'whatsapp-emulator'
import { createBaileysProvider } from '#src/providers/baileys/create-baileys-provider.ts'
import { until } from '../support/until.ts'
import { MemorySessionStore } from './support/memory-session-store.ts'
import { TestSession } from './support/test-session.ts'

const COMPANY = '491700000021'
const CUSTOMERS = ['491719990021', '491719990022', '491719990023']
const EACH = 15

let emulator: Emulator
beforeAll(async () => {
  emulator = await startEmulator({ behaviour: { sendsHistory: false, receipts: 'none' } })
})
afterAll(() => emulator.close())

test('what customers write while a backlog is read comes after the backlog, in each chat', async () => {
  const store = new MemorySessionStore()
  const session = new TestSession({ provider: createBaileysProvider({ emulator }), store })
  const linked = await session.link(emulator, COMPANY)
  await linked.connection.close()
  const write = async (text: string) => {
    for (const from of CUSTOMERS) await emulator.sendText({ from, to: COMPANY, text })
  }
  for (let n = 0; n < EACH; n++) await write(`waited ${n}`)

  // Reading the backlog takes longer than it takes to write something new.
  store.readDelayMs = 20
  const open = session.open()
  await until(() => store.messages.length > 0)
  for (let n = 0; n < EACH; n++) await write(`live ${n}`)
  await until(() => store.messages.length === 2 * EACH * CUSTOMERS.length)
  await open.connection.close()

  const expected = ['waited', 'live'].flatMap((word) => Array.from({ length: EACH }, (_, n) => `${word} ${n}`))
  for (const customer of CUSTOMERS) {
    const own = store.messages.filter(({ contactId }) => contactId === `contact ${customer}`)
    expect(own.map(({ content }) => content.kind === 'text' && content.text)).toEqual(expected)
  }
})
