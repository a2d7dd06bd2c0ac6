import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Emulator, startEmulator } from 'whatsapp-emulator'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import type { CrashChildOptions } from './support/crash-child.ts'
import { TestSessions } from './support/test-sessions.ts'

let emulator: Emulator
let database: TestDatabase
let companyId: string
const nodeId = crypto.randomUUID()

beforeAll(async () => {
  emulator = await startEmulator({ behaviour: { sendsHistory: false, receipts: 'none' } })
  database = await createTestDatabase()
  companyId = await database.createCompany()
})
afterAll(async () => {
  await emulator.close()
  await database[Symbol.asyncDispose]()
})

/** A process with all sessions online. */
async function startChild(sessionIds: readonly string[]): Promise<ChildProcess> {
  const { url: databaseUrl, masterKey } = database
  const { url, rootKey } = emulator
  const options: CrashChildOptions = {
    ...{ databaseUrl, nodeId, masterKey: Buffer.from(masterKey).toString('hex') },
    emulator: { url, rootKey },
  }
  const child = fork(new URL('./support/crash-child.ts', import.meta.url), [JSON.stringify(options)], { execArgv: [] })
  const online = new Set<string>()
  child.on('message', (message: { online: string }) => online.add(message.online))
  await until(() => sessionIds.every((id) => online.has(id)), { what: 'the child is online' })
  return child
}

async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

const storedIds = async (sessionId: string) => {
  const rows = await database.database.worker
    .selectFrom('message')
    .select('whatsapp_id')
    .where('session_id', '=', sessionId)
    .where('direction', '=', 'inbound')
    .execute()
  return rows.map(({ whatsapp_id }) => whatsapp_id)
}

describe('a process that is killed in the middle of a burst', () => {
  test('has lost nothing, and the next one reads all that comes again', async () => {
    const phones = ['491700000001', '491700000002']
    const sessions = new Map<string, string>()
    {
      await using host = await TestSessions.start(database, emulator)
      for (const phone of phones) sessions.set(await host.link(companyId, emulator, phone), phone)
    }
    const sessionIds = [...sessions.keys()]
    const sent: { id: string; to: string }[] = []
    let child = await startChild(sessionIds)
    for (const killAfter of [40, 150, 400]) {
      await emulator.prepareBurst({ to: phones, customers: 6, each: 250, text: 'burst' })
      const before = (await Promise.all(sessionIds.map(storedIds))).flat().length
      const firing = emulator.fireBurst()
      await until(async () => (await Promise.all(sessionIds.map(storedIds))).flat().length >= before + killAfter)
      await kill(child)
      sent.push(...(await firing))
      child = await startChild(sessionIds)
    }
    await until(async () => (await emulator.pending()) === 0, { timeoutMs: 60_000 })
    await kill(child)

    const { retryReceipts, decryptFailures } = await emulator.counters()
    expect({ retryReceipts, decryptFailures }).toEqual({ retryReceipts: 0, decryptFailures: 0 })
    for (const [sessionId, phone] of sessions) {
      const expected = sent.filter(({ to }) => to === phone).map(({ id }) => id)
      expect((await storedIds(sessionId)).sort()).toEqual(expected.sort())
    }
  }, 180_000)
})
