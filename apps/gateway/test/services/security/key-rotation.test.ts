import { fork } from 'node:child_process'
import { once } from 'node:events'
import { sql } from 'kysely'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Emulator, startEmulator } from 'whatsapp-emulator'
import { newWhatsAppId } from '#src/model/whatsapp-id.ts'
import { CompanySecrets } from '#src/services/security/company-secrets.ts'
import { finishKeyRotation, rotateDataKeys } from '#src/services/security/rotate-data-keys.ts'
import { startKeyRefresh } from '#src/services/security/start-key-refresh.ts'
import { type KeyRing, openKeyRing } from '#src/storage/key-ring.ts'
import { replaceMasterKey } from '#src/storage/key-rotation.ts'
import { SEALED_COLUMNS } from '#src/storage/sealed-columns.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { TestSessions } from '../sessions/support/test-sessions.ts'
import type { RotationChildOptions } from './support/rotation-child.ts'

const COMPANY = '491700000001'
const CUSTOMER = '491719990001'
const SECRET = 'sk-proj-0123456789abcdef'
const signal = new AbortController().signal
let emulator: Emulator
let testDatabase: TestDatabase
let refreshing: AsyncDisposable
let host: TestSessions
let companyId: string
let sessionId: string

beforeAll(async () => {
  emulator = await startEmulator({ behaviour: { sendsHistory: false, receipts: 'none' } })
  testDatabase = await createTestDatabase()
  refreshing = startKeyRefresh(testDatabase.keyRing, pino({ level: 'silent' }))
  companyId = await testDatabase.createCompany()
  host = await TestSessions.start(testDatabase, emulator)
  sessionId = await host.link(companyId, emulator, COMPANY)
  // First messages that cross each other would be retried, whatever becomes of the keys.
  await emulator.sendText({ from: CUSTOMER, to: COMPANY, text: 'hello' })
  await until(async () => (await emulator.pending()) === 0)
  await send('hello to you')
  await secrets(testDatabase.keyRing).put(companyId, 'openai', { value: SECRET }, { apiKeyId: null })
})
afterAll(async () => {
  await host[Symbol.asyncDispose]()
  await refreshing[Symbol.asyncDispose]()
  await emulator.close()
  await testDatabase[Symbol.asyncDispose]()
})

const send = (text: string) =>
  host.listener.connections
    .get(sessionId)
    ?.send({ whatsappId: newWhatsAppId(), to: { phone: CUSTOMER }, content: { kind: 'text', text } })
const worker = () => testDatabase.database.worker
const secrets = (keyRing: KeyRing) => new CompanySecrets({ database: testDatabase.database, keyRing })
const otherProcess = (): Promise<KeyRing> => openKeyRing(testDatabase.database, testDatabase.masterKey, 'emulator')

/** How many values each key has sealed, in all tables. */
async function valuesByKey(): Promise<Record<number, number>> {
  const counts: Record<number, number> = {}
  for (const { table, column } of SEALED_COLUMNS) {
    const { rows } = await sql<{ number: number; count: number }>`
      select sealed_key_number(${sql.ref(column)}) as number, count(*) as count from ${sql.table(table)}
      where ${sql.ref(column)} is not null group by 1`.execute(worker())
    for (const { number, count } of rows) counts[number] = (counts[number] ?? 0) + count
  }
  return counts
}

async function expectAllOpen(keyRing: KeyRing): Promise<void> {
  const sealer = await keyRing.sealerOf(companyId)
  for (const { table, column, owner, contextOf } of SEALED_COLUMNS) {
    const { rows } = await sql<Record<string, unknown>>`
      select * from ${sql.table(table)} where ${sql.ref(column)} is not null`.execute(worker())
    for (const row of rows) await sealer.open(row[column] as Uint8Array, contextOf(String(row[owner]), row))
  }
}

/** Messages in both directions until it is stopped. Resolves with how many came through each way. */
function keepTalking(): { stop: () => Promise<{ received: number; sent: number }> } {
  let isStopped = false
  const texts: string[] = []
  let sent = 0
  const talking = (async () => {
    while (!isStopped) {
      const text = `message ${texts.length}`
      texts.push(text)
      await emulator.sendText({ from: CUSTOMER, to: COMPANY, text })
      await send(text)
      sent += 1
    }
  })()
  return {
    stop: async () => {
      isStopped = true
      await talking
      await until(async () => (await emulator.pending()) === 0, { what: 'all is received' })
      return { received: texts.length, sent }
    },
  }
}

async function expectNothingUndecryptable(): Promise<void> {
  const { retryReceipts, decryptFailures } = await emulator.counters()
  expect({ retryReceipts, decryptFailures }).toEqual({ retryReceipts: 0, decryptFailures: 0 })
}

describe('a data key is rotated while a session exchanges messages', () => {
  test('is killed in the middle and gone on with: nothing is undecryptable, nothing stays under the former key', async () => {
    const talk = keepTalking()
    const before = await valuesByKey()
    const options: RotationChildOptions = {
      databaseUrl: testDatabase.url,
      masterKey: Buffer.from(testDatabase.masterKey).toString('hex'),
    }
    const child = fork(new URL('./support/rotation-child.ts', import.meta.url), [JSON.stringify(options)], {
      execArgv: [],
    })
    await once(child, 'message')
    child.kill('SIGKILL')
    await once(child, 'exit')
    const inTheMiddle = await valuesByKey()
    expect(Object.keys(before)).toEqual(['1'])
    expect(inTheMiddle[1]).toBeGreaterThan(0)
    expect(inTheMiddle[2]).toBeGreaterThan(0)

    const { database } = testDatabase
    const outcome = await rotateDataKeys({ database, keyRing: await otherProcess(), signal })
    expect(outcome).toMatchObject({ isResumed: true, companies: 1, companiesDone: 1 })
    expect(Object.keys(await valuesByKey())).toEqual(['2'])

    await finishKeyRotation({ database, keyRing: await otherProcess(), signal }, 0)
    const { received, sent } = await talk.stop()
    expect(received).toBeGreaterThan(10)
    expect(sent).toBe(received)
    await expectNothingUndecryptable()
    expect(Object.keys(await valuesByKey())).toEqual(['2'])
    await expectAllOpen(await otherProcess())
    await expectAllOpen(testDatabase.keyRing)
    expect(await secrets(await otherProcess()).read(companyId, 'openai')).toBe(SECRET)
  })

  test('a new connection reads nothing but what the new key has sealed', async () => {
    const onlineTimes = () => host.listener.callsOf(sessionId).filter((call) => call === 'online').length
    const before = onlineTimes()
    await emulator.fault({ kind: 'drop', phone: COMPANY })
    await until(() => onlineTimes() > before)
    const talk = keepTalking()
    const { sent } = await talk.stop()
    expect(sent).toBeGreaterThan(0)
    await expectNothingUndecryptable()
  })

  test('a process that has not looked yet opens what another has sealed with the new key', async () => {
    const late = await otherProcess()
    const lateSealer = await late.sealerOf(companyId)
    await rotateDataKeys({ database: testDatabase.database, keyRing: await otherProcess(), signal })
    const fresh = (await (await otherProcess()).sealerOf(companyId)).seal(Buffer.from('secret'), 'here')
    expect(Buffer.from(await lateSealer.open(fresh, 'here')).toString()).toBe('secret')
  })
})

describe('a value that changes while it is sealed anew', () => {
  test('keeps the newer value', async () => {
    const other = await testDatabase.createCompany('Other')
    const session = await testDatabase.createSession(other)
    const sealer = await testDatabase.keyRing.sealerOf(other)
    const put = (id: number, text: string) =>
      worker()
        .insertInto('signal_key')
        .values({
          session_id: session,
          kind: 1,
          id: String(id),
          value: sealer.seal(Buffer.from(text), `${session}/pre-key/${id}`),
        })
        .onConflict((conflict) =>
          conflict.columns(['session_id', 'kind', 'id']).doUpdateSet({
            value: sealer.seal(Buffer.from(text), `${session}/pre-key/${id}`),
          }),
        )
        .execute()
    for (let id = 0; id < 1_200; id++) await put(id, 'old')
    const written = new Map<number, string>()
    const rotating = rotateDataKeys({ database: testDatabase.database, keyRing: await otherProcess(), signal }, other)
    let isOver = false
    const over = rotating.finally(() => {
      isOver = true
    })
    for (let count = 0; !isOver; count++) {
      const id = count % 1_200
      await put(id, `new ${count}`)
      written.set(id, `new ${count}`)
    }
    await over
    const fresh = await (await otherProcess()).sealerOf(other)
    const rows = await worker().selectFrom('signal_key').selectAll().where('session_id', '=', session).execute()
    for (const { id, value } of rows) {
      const text = Buffer.from(await fresh.open(value, `${session}/pre-key/${id}`)).toString()
      expect(text).toBe(written.get(Number(id)) ?? 'old')
    }
  })
})

test('a value that cannot be opened holds up the rotation of its company only, whose former key stays', async () => {
  await using own = await createTestDatabase()
  const { database, keyRing } = own
  const companyIds = [await own.createCompany('damaged'), await own.createCompany('whole')]
  for (const id of companyIds) {
    const session = await own.createSession(id)
    const value = Buffer.from((await keyRing.sealerOf(id)).seal(Buffer.from('key'), `${session}/pre-key/1`))
    if (id === companyIds[0]) value[value.byteLength - 1] = (value.at(-1) ?? 0) ^ 1
    await database.worker.insertInto('signal_key').values({ session_id: session, kind: 1, id: '1', value }).execute()
  }
  const expected = { companies: 2, companiesDone: 1, values: 1, unreadable: [companyIds[0]] }
  expect(await rotateDataKeys({ database, keyRing, signal })).toMatchObject(expected)
  expect(await finishKeyRotation({ database, keyRing, signal }, 0)).toMatchObject({ unreadable: [companyIds[0]] })
  const left = await database.worker.selectFrom('company').select(['id', 'data_key_rotation as state']).execute()
  expect(new Map(left.map(({ id, state }) => [id, state]))).toEqual(
    new Map([
      [companyIds[0], 'resealing'],
      [companyIds[1], 'none'],
    ]),
  )
})

test('every column of bytes is sealed and rotated, or known not to be sealed', async () => {
  const { rows } = await sql<{ name: string }>`
    select table_name || '.' || column_name as name from information_schema.columns
    where table_schema = current_schema() and data_type = 'bytea' and table_name !~ '^event_'`.execute(worker())
  const known = [
    // Wrapped by the master key.
    ...['platform.master_key_check', 'platform.former_master_key_check', 'company.data_key', 'company.former_data_key'],
    // Hashes, and the messages themselves.
    ...['api_key.hash', 'journal.ciphertext_hash', 'message.ciphertext_hash', 'message.request_hash', 'message.raw'],
  ]
  const sealed = SEALED_COLUMNS.map(({ table, column }) => `${table}.${column}`)
  expect(rows.map(({ name }) => name).sort()).toEqual([...known, ...sealed].sort())
})

test('a rotation of the master key leaves all processes working, and each key its place', async () => {
  await using other = await createTestDatabase()
  const { database, masterKey, keyRing } = other
  const [opened, unopened] = [await other.createCompany('opened'), await other.createCompany('unopened')]
  const secret = (await keyRing.sealerOf(opened)).seal(Buffer.from('secret'), 'here')
  const newMasterKey = Buffer.alloc(32, 7)
  await replaceMasterKey(database, masterKey, newMasterKey)

  // A process that has the former key goes on, also with companies that it has not met; so does one that starts now.
  expect(Buffer.from(await (await keyRing.sealerOf(opened)).open(secret, 'here')).toString()).toBe('secret')
  await expect(keyRing.sealerOf(unopened)).resolves.toBeDefined()
  const startedWithFormer = await openKeyRing(database, masterKey, 'emulator')
  await expect(startedWithFormer.sealerOf(opened)).resolves.toBeDefined()
  const renewed = await openKeyRing(database, newMasterKey, 'emulator')
  expect(Buffer.from(await (await renewed.sealerOf(opened)).open(secret, 'here')).toString()).toBe('secret')
  // Only a data key that the former one wraps would be lost with it.
  await expect(other.createCompany('too late')).rejects.toThrow('not wrapped by the current master key')
  await expect(rotateDataKeys({ database, keyRing: renewed, signal })).rejects.toMatchObject({
    code: 'key_rotation_unfinished',
  })

  // It cannot be ended by a process that would lock itself out.
  await finishKeyRotation({ database, keyRing: startedWithFormer, signal }, 0)
  await expect(openKeyRing(database, masterKey, 'emulator')).resolves.toBeDefined()
  await finishKeyRotation({ database, keyRing: renewed, signal }, 0)
  await expect(openKeyRing(database, masterKey, 'emulator')).rejects.toMatchObject({ code: 'master_key_wrong' })
  const third = await openKeyRing(database, newMasterKey, 'emulator')
  expect(Buffer.from(await (await third.sealerOf(opened)).open(secret, 'here')).toString()).toBe('secret')
})
