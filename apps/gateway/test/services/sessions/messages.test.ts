import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Emulator, startEmulator } from 'whatsapp-emulator'
import { newWhatsAppId } from '#src/model/whatsapp-id.ts'
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

  test('a hostile message is stored, and harms nothing', async () => {
    const hostile = 'NUL \u0000, half a pair \uD800, and a long id'
    const id = `${'x'.repeat(5000)}\u0000`
    await emulator.sendText({ from: CUSTOMER, to: COMPANY, text: hostile, id })
    await until(async () => (await texts()).some((text) => text.startsWith('NUL')))
    await emulator.sendText({ from: CUSTOMER, to: COMPANY, text: 'after the hostile one' })
    await until(async () => (await texts()).includes('after the hostile one'))
  })
})
