import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Emulator, startEmulator } from 'whatsapp-emulator'
import { newWhatsAppId } from '#src/model/whatsapp-id.ts'
import { restoredKey } from '#src/providers/baileys/restored-key.ts'
import { createBackup } from '#src/services/backups/create-backup.ts'
import { restoreBackup } from '#src/services/backups/restore-backup.ts'
import { type BackupStore, openBackupStore } from '#src/storage/backups/backup-store.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { ACTOR, TestSessions } from '../sessions/support/test-sessions.ts'

const COMPANY = '491700000001'
const CUSTOMERS = ['491719990001', '491719990002', '491719990003']
const EACH_WAY = 20
let emulator: Emulator
let testDatabase: TestDatabase
let host: TestSessions
let store: BackupStore
let directory: string
let companyId: string
let sessionId: string

beforeAll(async () => {
  emulator = await startEmulator({ behaviour: { sendsHistory: false, receipts: 'none' } })
  testDatabase = await createTestDatabase()
  directory = await mkdtemp(join(tmpdir(), 'frontdesk-backups-'))
  store = await openBackupStore(pathToFileURL(directory).href)
  companyId = await testDatabase.createCompany()
  host = await TestSessions.start(testDatabase, emulator)
  sessionId = await host.link(companyId, emulator, COMPANY)
})
afterAll(async () => {
  await host[Symbol.asyncDispose]()
  await emulator.close()
  await testDatabase[Symbol.asyncDispose]()
  await rm(directory, { recursive: true })
})

const received = async (): Promise<string[]> => {
  const rows = await testDatabase.database.worker
    .selectFrom('message')
    .select('content')
    .where('session_id', '=', sessionId)
    .where('direction', '=', 'inbound')
    .execute()
  return rows.flatMap(({ content }) => (content.kind === 'text' ? [content.text] : []))
}

const displayed = async (customer: string): Promise<string[]> => {
  const chat = (await emulator.chats(customer)).find((each) => each.with === COMPANY)
  return chat?.messages.filter(({ fromMe }) => !fromMe).map(({ text }) => text) ?? []
}

/** Messages in turns, both ways, with each customer. All have to arrive, at once or after a retry. */
async function exchange(name: string, count: number): Promise<void> {
  const texts = Array.from({ length: count }, (_, index) => `${name} ${index}`)
  for (const text of texts) {
    for (const customer of CUSTOMERS) {
      await emulator.sendText({ from: customer, to: COMPANY, text: `${customer} ${text}` })
      await host.listener.connections
        .get(sessionId)
        ?.send({ whatsappId: newWhatsAppId(), to: { phone: customer }, content: { kind: 'text', text } })
    }
  }
  for (const customer of CUSTOMERS) {
    await until(() => hasAll(customer, texts), { what: `everything of "${name}" has arrived` })
  }
}

async function hasAll(customer: string, texts: readonly string[]): Promise<boolean> {
  const [here, there] = [new Set(await received()), new Set(await displayed(customer))]
  return texts.every((text) => here.has(`${customer} ${text}`) && there.has(text))
}

test('messages after an older ratchet was restored are read, or recovered by a retry; none is lost', async () => {
  for (const customer of CUSTOMERS) {
    await emulator.sendText({ from: customer, to: COMPANY, text: 'hello' })
    await until(async () => (await emulator.pending()) === 0)
  }
  await exchange('before', 3)
  const { database, keyRing, masterKey } = testDatabase
  const name = await createBackup(
    { database, keyRing, environment: 'emulator', masterKey: async () => masterKey },
    store,
    companyId,
  )
  await exchange('after the backup', 5)

  await host.sessions.pause(companyId, sessionId, ACTOR)
  await host.inState(companyId, sessionId, 'paused')
  const before = await emulator.counters()
  await restoreBackup({ database, keyRing, restoredKey }, store, name, masterKey, { sessionId })
  await host.sessions.start(companyId, sessionId, ACTOR)
  await host.inState(companyId, sessionId, 'online')
  await exchange('after the restore', EACH_WAY)

  const after = await emulator.counters()
  const counts = {
    recoveredInbound: after.retryReceipts - before.retryReceipts,
    recoveredOutbound: after.decryptFailures - before.decryptFailures,
  }
  // Nothing that is sent is taken for a repetition. What comes in is read again from the first answer on, which another
  // message can cross.
  expect(counts.recoveredOutbound).toBe(0)
  expect(counts.recoveredInbound).toBeLessThanOrEqual(2 * CUSTOMERS.length)
})
