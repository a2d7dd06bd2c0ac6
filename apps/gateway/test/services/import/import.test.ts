import { cp, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import makeWASocket, { useMultiFileAuthState, type WAMessage, type WASocket } from 'baileys'
import { sql } from 'kysely'
import { pino } from 'pino'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Emulator, startEmulator } from 'whatsapp-emulator'
import { newWhatsAppId } from '#src/model/whatsapp-id.ts'
import { trustEmulator } from '#src/providers/baileys/trust-emulator.ts'
import { keyOfFileName } from '#src/services/import/auth-state-file-name.ts'
import { importSession } from '#src/services/import/import-session.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { TestSessions } from '../sessions/support/test-sessions.ts'

const PHONES = ['491700000001', '491700000002'] as const
const CUSTOMER = '491719990001'
let emulator: Emulator
let testDatabase: TestDatabase
let directory: string
let companyId: string

beforeAll(async () => {
  emulator = await startEmulator({ behaviour: { sendsHistory: false, receipts: 'none' } })
  trustEmulator(emulator.rootKey)
  testDatabase = await createTestDatabase()
  directory = await mkdtemp(join(tmpdir(), 'frontdesk-import-'))
  for (const phone of PHONES) await useBaileysAlone(join(directory, phone), phone)
})
afterAll(async () => {
  await emulator.close()
  await testDatabase[Symbol.asyncDispose]()
  await rm(directory, { recursive: true })
})
beforeEach(async () => {
  companyId = await testDatabase.createCompany()
})

/** Baileys as its users run it: linked, its state in a folder, messages in both directions; then stopped for good. */
async function useBaileysAlone(folder: string, phone: string): Promise<void> {
  const received: string[] = []
  const { state, saveCreds } = await useMultiFileAuthState(folder)
  const connect = (): WASocket => {
    const socket = makeWASocket({ auth: state, waWebSocketUrl: emulator.url, logger: pino({ level: 'silent' }) })
    socket.ev.on('creds.update', () => void saveCreds())
    socket.ev.on('messages.upsert', ({ messages }: { messages: WAMessage[] }) => {
      for (const { message } of messages)
        received.push(message?.conversation ?? message?.extendedTextMessage?.text ?? '')
    })
    return socket
  }
  const become = (socket: WASocket, wanted: 'open' | 'close') =>
    new Promise<void>((resolve) => {
      socket.ev.on('connection.update', ({ connection }) => connection === wanted && resolve())
    })
  const linking = connect()
  const linked = become(linking, 'close')
  const qr = await new Promise<string>((resolve) => {
    linking.ev.on('connection.update', (update) => update.qr !== undefined && resolve(update.qr))
  })
  await emulator.scanQr({ phone, qr })
  await linked
  const socket = connect()
  await become(socket, 'open')
  await emulator.sendText({ from: CUSTOMER, to: phone, text: 'before the move' })
  await until(() => received.includes('before the move'))
  await socket.sendMessage(`${CUSTOMER}@s.whatsapp.net`, { text: 'answer before the move' })
  await until(async () => (await displayed(phone)).includes('answer before the move'))
  const ended = become(socket, 'close')
  void socket.end(undefined)
  await ended
  await saveCreds()
}

const displayed = async (phone: string): Promise<string[]> => {
  const chat = (await emulator.chats(CUSTOMER)).find((each) => each.with === phone)
  return chat?.messages.filter(({ fromMe }) => !fromMe).map(({ text }) => text) ?? []
}

/** The same state in one JSON file. */
async function asOneFile(folder: string): Promise<string> {
  const content: { creds: unknown; keys: Record<string, Record<string, unknown>> } = { creds: undefined, keys: {} }
  for (const name of await readdir(folder)) {
    const value: unknown = JSON.parse(await readFile(join(folder, name), 'utf8'))
    const key = keyOfFileName(name)
    if (key === undefined) content.creds = value
    else content.keys[key.kind] = { ...content.keys[key.kind], [key.id]: value }
  }
  const file = `${folder}.json`
  await writeFile(file, JSON.stringify(content))
  return file
}

describe.each([
  { kind: 'folder', phone: PHONES[0], pathOf: async (folder: string) => folder },
  { kind: 'JSON file', phone: PHONES[1], pathOf: asOneFile },
])('a session from a $kind', ({ phone, pathOf }) => {
  test('comes online without a QR code, and goes on with the same contacts both ways', async () => {
    const path = await pathOf(join(directory, phone))
    const before = await emulator.counters()
    const { sessionId, keys } = await importSession(testDatabase, { path, companyId, name: 'moved', start: true })
    expect(keys).toBeGreaterThan(10)
    const links = (await emulator.companionStats({ phone })).length
    await using host = await TestSessions.start(testDatabase, emulator)
    host.host.lookAt(sessionId)
    await host.inState(companyId, sessionId, 'online')
    expect(await emulator.companionStats({ phone })).toHaveLength(links)

    for (let count = 0; count < 5; count++) {
      await emulator.sendText({ from: CUSTOMER, to: phone, text: `after the move ${count}` })
      // A first answer that crosses another message could cost a retry, imported or not.
      await until(async () => (await emulator.pending()) === 0)
      await host.listener.connections.get(sessionId)?.send({
        whatsappId: newWhatsAppId(),
        to: { phone: CUSTOMER },
        content: { kind: 'text', text: `answer ${count}` },
      })
    }
    await until(async () => (await displayed(phone)).includes('answer 4'))
    const { rows } = await sql<{ text: string }>`
      select content->>'text' as text from message where session_id = ${sessionId} and direction = 'inbound'
      order by id`.execute(testDatabase.database.worker)
    expect(rows.map(({ text }) => text)).toEqual(Array.from({ length: 5 }, (_, count) => `after the move ${count}`))
    const { retryReceipts, decryptFailures } = await emulator.counters()
    expect({ retryReceipts, decryptFailures }).toEqual({
      retryReceipts: before.retryReceipts,
      decryptFailures: before.decryptFailures,
    })
  })
})

describe('an import is refused, and changes nothing, when', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(directory, 'copy-'))
    await cp(join(directory, PHONES[0]), folder, { recursive: true })
    await testDatabase.database.worker.updateTable('session').set({ linked_at: null }).execute()
  })

  async function expectRefused(code: string, detail: string | RegExp, path = folder): Promise<void> {
    const before = await testDatabase.database.worker.selectFrom('session').select('id').execute()
    const importing = importSession(testDatabase, { path, companyId, name: 'moved', start: false })
    await expect(importing).rejects.toMatchObject({ code })
    await expect(importing).rejects.toThrow(detail)
    expect(await testDatabase.database.worker.selectFrom('session').select('id').execute()).toEqual(before)
  }
  const removeAll = async (prefix: string) => {
    for (const name of await readdir(folder)) if (name.startsWith(prefix)) await rm(join(folder, name))
  }
  const changeCreds = async (change: Record<string, unknown>) => {
    const file = join(folder, 'creds.json')
    await writeFile(file, JSON.stringify({ ...(JSON.parse(await readFile(file, 'utf8')) as object), ...change }))
  }

  test('there is nothing', () => expectRefused('import_invalid', 'cannot be read', join(folder, 'nowhere')))
  test('there are no credentials', async () => {
    await removeAll('creds')
    await expectRefused('import_invalid', 'no creds.json')
  })
  test('half of the folder is missing', async () => {
    await removeAll('pre-key-')
    await expectRefused('import_invalid', 'pre-keys are missing')
  })
  test('a file was cut off', async () => {
    const name = (await readdir(folder)).find((each) => each.startsWith('session-')) ?? ''
    await truncate(join(folder, name), 20)
    await expectRefused('import_invalid', name)
  })
  test('a key is not one', async () => {
    await writeFile(join(folder, 'pre-key-5.json'), '{"public":{"type":"Buffer","data":"AAAA"}}')
    await expectRefused('import_invalid', 'pre-key 5')
  })
  test('credentials are not whole', async () => {
    await changeCreds({ noiseKey: null })
    await expectRefused('import_invalid', 'noiseKey')
  })
  test('it was never linked', async () => {
    await changeCreds({ me: undefined, account: undefined })
    await expectRefused('session_not_linked', 'me')
  })
  test('the JSON file is none', async () => {
    const file = join(folder, 'creds.json')
    await expectRefused('import_invalid', 'creds and keys', file)
  })
  test('another session of the company has the name, or another one the number', async () => {
    await testDatabase.createSession(companyId, 'moved')
    await expectRefused('session_name_taken', 'moved')
    const other = await testDatabase.createCompany()
    await importSession(testDatabase, { path: folder, companyId: other, name: 'first', start: false })
    companyId = await testDatabase.createCompany()
    await expectRefused('session_number_taken', 'number')
  })
})

test.each([
  ['pre-key-12.json', 'pre-key', '12'],
  ['session-491719990001_1.0.json', 'session', '491719990001_1.0'],
  ['sender-key-4917-1600000000@g.us--491719990001--0.json', 'sender-key', '4917-1600000000@g.us::491719990001::0'],
  ['sender-key-memory-4917-1600000000@g.us.json', 'sender-key-memory', '4917-1600000000@g.us'],
  ['app-state-sync-key-AAAA__w==.json', 'app-state-sync-key', 'AAAA/w=='],
  ['app-state-sync-version-critical_block.json', 'app-state-sync-version', 'critical_block'],
  ['lid-mapping-123_reverse.json', 'lid-mapping', '123_reverse'],
])('the file %s holds a %s', (file, kind, id) => {
  expect(keyOfFileName(file)).toEqual({ kind, id })
})
