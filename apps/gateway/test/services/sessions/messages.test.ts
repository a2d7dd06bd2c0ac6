import { setTimeout as delay } from 'node:timers/promises'
import { MAX_TEXT_LENGTH } from '@frontdesk/api-contract'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Emulator, startEmulator } from 'whatsapp-emulator'
import { newWhatsAppId } from '#src/model/whatsapp-id.ts'
import { MAX_HELD_FRAMES } from '#src/providers/baileys/commit-gate.ts'
import { BaileysCustomer } from '../../providers/support/baileys-customer.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { ACTOR, TestSessions } from './support/test-sessions.ts'

const COMPANY = '491700000001'
const CUSTOMER = '491719990001'
let emulator: Emulator
let database: TestDatabase
let companyId: string
let host: TestSessions
let sessionId: string

beforeAll(async () => {
  emulator = await startEmulator({ behaviour: { sendsHistory: false, receipts: 'none' } })
  database = await createTestDatabase()
  companyId = await database.createCompany()
  host = await TestSessions.start(database, emulator)
  sessionId = await host.link(companyId, emulator, COMPANY)
  await emulator.sendText({ from: CUSTOMER, to: COMPANY, text: 'hello' })
  await until(async () => (await texts()).includes('hello'))
  await send('hello to you')
})
afterAll(async () => {
  await host[Symbol.asyncDispose]()
  await emulator.close()
  await database[Symbol.asyncDispose]()
})

const rows = () =>
  database.database.worker
    .selectFrom('message')
    .selectAll()
    .where('session_id', '=', sessionId)
    .where('direction', '=', 'inbound')
    .orderBy('id')
    .execute()
const texts = async () => (await rows()).map(({ content }) => (content.kind === 'text' ? content.text : content.kind))
const send = (text: string) =>
  host.listener.connections
    .get(sessionId)
    ?.send({ whatsappId: newWhatsAppId(), to: { phone: CUSTOMER }, content: { kind: 'text', text } })
const reconnect = async () => {
  await host.sessions.pause(companyId, sessionId, ACTOR)
  await host.inState(companyId, sessionId, 'paused')
  return async () => {
    await host.sessions.start(companyId, sessionId, ACTOR)
    await host.inState(companyId, sessionId, 'online')
  }
}

describe('messages, committed to Postgres', () => {
  test('what came while the session was away is stored in its order', async () => {
    const comeBack = await reconnect()
    const expected = Array.from({ length: 40 }, (_, index) => `offline ${index}`)
    for (const text of expected) await emulator.sendText({ from: CUSTOMER, to: COMPANY, text })
    await comeBack()
    await until(async () => (await emulator.pending()) === 0)
    expect((await texts()).filter((text) => text.startsWith('offline'))).toEqual(expected)
  })

  test('the first messages of new customers, sent at once, are stored in the order of each chat', async () => {
    await emulator.prepareBurst({ to: [COMPANY], customers: 10, each: 40, text: 'first' })
    const sent = await emulator.fireBurst()
    const stored = await until(async () => {
      const burst = (await rows()).filter(({ content }) => content.kind === 'text' && /^first/.test(content.text))
      return burst.length === sent.length ? burst.map(({ whatsapp_id }) => whatsapp_id) : undefined
    })
    for (const ids of Map.groupBy(sent, ({ from }) => from).values()) {
      const expected = ids.map(({ id }) => id)
      expect(stored.filter((id) => expected.includes(id))).toEqual(expected)
    }
  })

  test('what is delivered again after its receipt was lost is answered from the journal: no second row, no retry', async () => {
    // The database takes what the session publishes, and the receipt is on its way when the connection breaks.
    const lock = new Client({ connectionString: database.url })
    await lock.connect()
    await lock.query('begin; lock table signal_key in exclusive mode')
    const { id } = await emulator.sendText({ from: CUSTOMER, to: COMPANY, text: 'committed, receipt lost' })
    await until(() => host.writer.pendingOperations > 0)
    const { retryReceipts } = await emulator.counters()
    await emulator.fault({ kind: 'drop', phone: COMPANY })
    await until(() => host.listener.callsOf(sessionId).at(-1) === 'offline')
    await lock.query('rollback')
    await lock.end()
    await host.inState(companyId, sessionId, 'online')
    await until(async () => (await emulator.pending()) === 0)
    expect((await rows()).filter(({ whatsapp_id }) => whatsapp_id === id)).toHaveLength(1)
    expect((await emulator.counters()).retryReceipts).toBe(retryReceipts)
    // The ratchet is where it should be: both directions go on.
    await emulator.sendText({ from: CUSTOMER, to: COMPANY, text: 'and on it goes' })
    await until(async () => (await texts()).includes('and on it goes'))
    await send('here as well')
    expect((await emulator.counters()).decryptFailures).toBe(0)
  })

  test('while the key table is locked by someone else, no frame leaves; then everything does', async () => {
    const lock = new Client({ connectionString: database.url })
    await lock.connect()
    await lock.query('begin; lock table signal_key in exclusive mode')
    const after = (await emulator.wire()).at(-1)?.number ?? 0
    const { id } = await emulator.sendText({ from: CUSTOMER, to: COMPANY, text: 'behind the lock' })
    const sending = send('behind the lock as well')
    await until(() => host.writer.pendingOperations >= 2)
    const left = (await emulator.wire({ after })).filter(({ direction }) => direction === 'from_companion')
    expect(left).toEqual([])
    expect((await rows()).filter(({ whatsapp_id }) => whatsapp_id === id)).toEqual([])

    await lock.query('rollback')
    await lock.end()
    await sending
    await until(async () => (await emulator.pending()) === 0)
    expect((await rows()).filter(({ whatsapp_id }) => whatsapp_id === id)).toHaveLength(1)
  })

  test('a thousand messages that waited, of several chats, by number and by LID mixed: each chat in its order', {
    timeout: 150_000,
  }, async () => {
    const comeBack = await reconnect()
    const customers = 10
    await emulator.prepareBurst({ to: [COMPANY], customers, each: 1000, text: 'waited' })
    const sent = await emulator.fireBurst()
    for (const addressing of ['lid', 'pn', 'lid', 'lid', 'pn'] as const) {
      for (const { from } of sent.slice(0, customers)) {
        const text = `waited, by ${addressing}`
        const { id } = await emulator.sendText({ from, to: COMPANY, text, addressing })
        sent.push({ id, from, to: COMPANY, text, atMs: 0 })
      }
    }
    await comeBack()
    await until(async () => (await emulator.pending()) === 0, { timeoutMs: 110_000 })
    const received = (await rows()).filter(({ content }) => 'text' in content && content.text.startsWith('waited'))
    const places = new Map(received.map(({ whatsapp_id }, place) => [whatsapp_id, place]))
    expect(received).toHaveLength(sent.length)
    for (const [from, ofChat] of Map.groupBy(sent, (message) => message.from)) {
      const order = ofChat.map(({ id }) => places.get(id) ?? -1)
      expect(order, `the chat with ${from}`).toEqual(order.toSorted((one, other) => one - other))
      expect(
        new Set(received.filter((row) => ofChat.some(({ id }) => id === row.whatsapp_id)).map((row) => row.contact_id))
          .size,
      ).toBe(1)
    }
    expect((await emulator.counters()).decryptFailures).toBe(0)
  })

  test('while the database takes nothing, a burst waits at WhatsApp and not in memory', {
    timeout: 150_000,
  }, async () => {
    const each = 2500
    await emulator.prepareBurst({ to: [COMPANY], customers: 5, each, text: 'patience' })
    const lock = new Client({ connectionString: database.url })
    await lock.connect()
    await lock.query('begin; lock table signal_key in exclusive mode')
    await emulator.fireBurst()
    const most: number[] = []
    await until(() => host.writer.pendingOperations > MAX_HELD_FRAMES / 2)
    // Long enough for all of it to be read, if it were.
    for (let look = 0; look < 100; look++) {
      most.push(host.writer.pendingOperations)
      await delay(10)
    }
    expect(Math.max(...most)).toBeLessThan(2 * MAX_HELD_FRAMES)
    await lock.query('rollback')
    await lock.end()
    await until(async () => (await emulator.pending()) === 0, { timeoutMs: 110_000 })
    expect((await texts()).filter((text) => text.startsWith('patience'))).toHaveLength(each)
  })

  test('what no converter understands is stored with its raw form, and holds up nobody', async () => {
    using sender = await BaileysCustomer.link(emulator, '491719990077')
    const jid = `${COMPANY}@s.whatsapp.net`
    const kinds = ['imageMessage', 'pollCreationMessageV3', 'unknown', 'conversation']
    const ids = [
      await sender.sendAny(jid, { imageMessage: { caption: 'look' } }),
      await sender.sendAny(jid, { pollCreationMessageV3: { name: 'When?' } }),
      await sender.sendAny(jid, {}),
      await sender.sendAny(jid, { conversation: '\u202E\u0000' }),
    ]
    await sender.send(jid, 'and a text')
    await until(async () => (await texts()).includes('and a text'))
    const stored = (await rows()).filter(({ whatsapp_id }) => ids.includes(whatsapp_id))
    expect(stored.map(({ content }) => content)).toEqual(
      kinds.map((whatsappType) => ({ kind: 'unsupported', whatsappType })),
    )
    expect(stored.map(({ raw }) => raw !== null)).toEqual(kinds.map(() => true))
  })

  test('a hostile message is stored, and harms nothing', async () => {
    const tower = `a${'\u0301'.repeat(10_000)}`
    const hostile = `NUL \u0000, half a pair \uD800, \u202Edrawkcab, ${tower}${'x'.repeat(MAX_TEXT_LENGTH)}`
    await emulator.setName({ phone: CUSTOMER, name: `\u202EAda\u0000 ${tower}\uD800` })
    const id = `${'x'.repeat(5000)}\u0000`
    await emulator.sendText({ from: CUSTOMER, to: COMPANY, text: hostile, id })
    const shown = await until(async () => (await texts()).find((text) => text.startsWith('NUL')))
    expect(shown).toMatch(/^NUL , half a pair \uFFFD, drawkcab, a\u0301{16}x+$/)
    expect(shown).toHaveLength(MAX_TEXT_LENGTH)
    const { name } = await database.database.worker
      .selectFrom('contact')
      .select('name')
      .where('company_id', '=', companyId)
      .where('name', 'like', 'Ada %')
      .executeTakeFirstOrThrow()
    expect(name).toMatch(/^Ada a\u0301{16}\uFFFD?$/)
    await emulator.sendText({ from: CUSTOMER, to: COMPANY, text: 'after the hostile one' })
    await until(async () => (await texts()).includes('after the hostile one'))
  })
})
