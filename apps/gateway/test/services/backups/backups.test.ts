import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { sql } from 'kysely'
import S3rver from 's3rver'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { restoredKey } from '#src/providers/baileys/restored-key.ts'
import { type BackupSource, createBackup, pruneBackups } from '#src/services/backups/create-backup.ts'
import { restoreBackup, verifyBackup } from '#src/services/backups/restore-backup.ts'
import { CompanySecrets } from '#src/services/security/company-secrets.ts'
import { openSecrets, sealSecrets } from '#src/services/webhooks/webhook-secrets.ts'
import { type BackupStore, openBackupStore } from '#src/storage/backups/backup-store.ts'
import { openKeyRing } from '#src/storage/key-ring.ts'
import { deleteWebhookEndpoint, insertWebhookEndpoint, updateWebhookEndpoint } from '#src/storage/webhook-endpoints.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'

let testDatabase: TestDatabase
let source: BackupSource
let directory: string
let companyId: string
let sessionId: string
const restoring = { restoredKey }

beforeAll(async () => {
  testDatabase = await createTestDatabase()
  const { database, keyRing, masterKey } = testDatabase
  source = { database, keyRing, environment: 'emulator', masterKey: async () => masterKey }
})
afterAll(() => testDatabase[Symbol.asyncDispose]())

beforeEach(async () => {
  companyId = await testDatabase.createCompany('Salon')
  sessionId = await testDatabase.createSession(companyId, 'main')
  await testDatabase.database.worker
    .updateTable('session')
    .set({ desired: 'stopped', state: 'paused', phone: String(Math.random()).slice(2, 14) })
    .where('id', '=', sessionId)
    .execute()
  const contactId = newId()
  const { worker } = testDatabase.database
  await worker.insertInto('contact').values({ id: contactId, company_id: companyId, name: 'Ana' }).execute()
  await worker
    .insertInto('contact_alias')
    .values({ company_id: companyId, kind: 'phone', value: '491719990001', contact_id: contactId })
    .execute()
  await new CompanySecrets(testDatabase).put(companyId, 'openai', { value: 'sk-first' }, { apiKeyId: null })
  await putKeys(1_200, 'first')
  await putEndpoint('first')
})

/** Another endpoint, whose secrets say so. */
async function putEndpoint(text: string): Promise<string> {
  const id = newId()
  const secrets = { signing: [{ value: text, expiresAt: null }], headers: { 'X-Salon': text } }
  const sealed = sealSecrets(await testDatabase.keyRing.sealerOf(companyId), id, secrets)
  const endpoint = { id, url: 'http://salon.example', eventTypes: ['message.received'], ordering: 'chat' } as const
  await insertWebhookEndpoint(companyId, testDatabase.database.worker, { ...endpoint, secrets: sealed }, 10)
  return id
}

async function putKeys(count: number, text: string): Promise<void> {
  const sealer = await testDatabase.keyRing.sealerOf(companyId)
  const rows = Array.from({ length: count }, (_, index) => ({
    session_id: sessionId,
    kind: 1,
    id: String(index),
    // Hardly compressible, so that the file has several chunks.
    value: sealer.seal(
      Buffer.from(`${text} ${index} ${randomBytes(150).toString('hex')}`),
      `${sessionId}/pre-key/${index}`,
    ),
  }))
  await testDatabase.database.worker.deleteFrom('signal_key').where('session_id', '=', sessionId).execute()
  await testDatabase.database.worker.insertInto('signal_key').values(rows).execute()
}

/** Everything that a restore brings back, opened. */
async function contents({ database, keyRing }: Pick<TestDatabase, 'database' | 'keyRing'>) {
  const { worker } = database
  const sealer = await keyRing.sealerOf(companyId)
  const keys = await worker
    .selectFrom('signal_key')
    .selectAll()
    .where('session_id', '=', sessionId)
    .orderBy('id')
    .execute()
  const { rows } = await sql`
    select company.name as company, company.settings, session.name, session.phone, session.linked_at, session.state,
      (select json_agg(contact.name) from contact where contact.company_id = company.id) as contacts,
      (select json_agg(value) from contact_alias where contact_alias.company_id = company.id) as addresses
    from company join session on session.company_id = company.id where session.id = ${sessionId}`.execute(worker)
  const opened = keys.map(async ({ id, value }) =>
    Buffer.from(await sealer.open(value, `${sessionId}/pre-key/${id}`)).toString(),
  )
  const secret = await new CompanySecrets({ database, keyRing }).read(companyId, 'openai')
  const endpoints = await worker
    .selectFrom('webhook_endpoint')
    .select(['id', 'url', 'event_types', 'ordering', 'is_enabled', 'secrets', 'created_at'])
    .where('company_id', '=', companyId)
    .orderBy('id')
    .execute()
  const openedEndpoints = endpoints.map(async ({ secrets, ...endpoint }) => ({
    ...endpoint,
    secrets: await openSecrets(sealer, endpoint.id, secrets),
  }))
  return { rows, keys: await Promise.all(opened), endpoints: await Promise.all(openedEndpoints), secret }
}

describe.each(['directory', 'S3'])('backups in a %s', (kind) => {
  let store: BackupStore
  let server: S3rver | undefined
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'frontdesk-backups-'))
    if (kind === 'directory') {
      store = await openBackupStore(pathToFileURL(directory).href)
      return
    }
    server = new S3rver({
      port: 0,
      address: '127.0.0.1',
      silent: true,
      directory,
      configureBuckets: [{ name: 'desk', configs: [] }],
    })
    const { port } = await server.run()
    process.env['AWS_ACCESS_KEY_ID'] = 'S3RVER'
    process.env['AWS_SECRET_ACCESS_KEY'] = 'S3RVER'
    store = await openBackupStore(`s3://desk/some/where?endpoint=http://127.0.0.1:${port}`)
  })
  afterAll(async () => {
    store[Symbol.dispose]()
    await server?.close()
    await rm(directory, { recursive: true })
  })

  test('bring a company back onto an empty machine with the same master key', async () => {
    const before = await contents(testDatabase)
    const name = await createBackup(source, store, companyId)
    await expect(verifyBackup(store, name, testDatabase.masterKey)).resolves.toMatchObject({
      companyId,
      sessionIds: [sessionId],
      keys: 1_200,
    })
    await using empty = await createTestDatabase()
    // It has another master key: the backup is opened by its own, and sealed anew.
    const { database } = empty
    await restoreBackup({ database, keyRing: empty.keyRing, ...restoring }, store, name, testDatabase.masterKey)
    expect(await contents({ database, keyRing: empty.keyRing })).toEqual(before)
  })

  test('bring back webhook endpoints that are gone, with the company and not with a session, and change none', async () => {
    const gone = await putEndpoint('gone')
    const before = await contents(testDatabase)
    const name = await createBackup(source, store, companyId)
    const { database, keyRing, masterKey } = testDatabase
    await deleteWebhookEndpoint(companyId, database.worker, gone)
    const [kept] = before.endpoints
    await updateWebhookEndpoint(companyId, database.worker, kept?.id ?? '', { url: 'http://moved.example' })
    const moved = { ...kept, url: 'http://moved.example' }
    await restoreBackup({ database, keyRing, ...restoring }, store, name, masterKey, { sessionId })
    expect((await contents(testDatabase)).endpoints).toEqual([moved])
    await restoreBackup({ database, keyRing, ...restoring }, store, name, masterKey)
    expect((await contents(testDatabase)).endpoints).toEqual([moved, before.endpoints[1]])
  })

  test('bring one session back, with what it was at that moment, and leave others alone', async () => {
    const other = await testDatabase.createSession(companyId, 'other')
    const before = await contents(testDatabase)
    const name = await createBackup(source, store, companyId)
    await putKeys(3, 'later')
    const { database, keyRing } = testDatabase
    await restoreBackup({ database, keyRing, ...restoring }, store, name, testDatabase.masterKey, { sessionId })
    expect(await contents(testDatabase)).toEqual(before)
    const left = await database.worker
      .selectFrom('session')
      .select('desired')
      .where('id', '=', other)
      .executeTakeFirst()
    expect(left).toEqual({ desired: 'running' })
  })

  test('are listed by company and time, and the oldest go', async () => {
    const names = [await createBackup(source, store, companyId)]
    for (let count = 0; count < 2; count++) names.push(await createBackup(source, store, companyId))
    expect((await store.list(companyId)).map(({ name }) => name)).toEqual(names)
    expect(await pruneBackups(store, companyId, 2)).toBe(1)
    expect((await store.list(companyId)).map(({ name }) => name)).toEqual(names.slice(1))
    expect((await store.list()).map(({ name }) => name)).toEqual(expect.arrayContaining(names.slice(1)))
  })

  test('may be larger than what is held in memory', async () => {
    const pieces = Array.from({ length: 12 }, () => randomBytes(1024 * 1024))
    const name = `${companyId}/2026-01-01T00-00-00.000Z-00000001.backup`
    await store.write(name, Readable.from(pieces))
    const read: Uint8Array[] = []
    for await (const piece of await store.read(name)) read.push(piece)
    expect(Buffer.concat(read).equals(Buffer.concat(pieces))).toBe(true)
    await store.remove(name)
  })

  test('that are not there are not found', async () => {
    const missing = `${companyId}/2026-01-01T00-00-00.000Z-00000000.backup`
    await expect(verifyBackup(store, missing, testDatabase.masterKey)).rejects.toMatchObject({
      code: 'backup_not_found',
    })
  })
})

describe('a backup that is not what was written', () => {
  let store: BackupStore
  let name: string
  let path: string
  let whole: Buffer
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'frontdesk-backups-'))
    store = await openBackupStore(pathToFileURL(directory).href)
    name = await createBackup(source, store, companyId)
    path = join(directory, name)
    whole = await readFile(path)
    return () => rm(directory, { recursive: true })
  })

  /** It is refused by each command, and what stood stands. */
  async function expectRefused(code: string, masterKey = testDatabase.masterKey, ofName = name): Promise<void> {
    const { database, keyRing } = testDatabase
    await putKeys(3, 'what stands')
    const before = await contents(testDatabase)
    await expect(verifyBackup(store, ofName, masterKey)).rejects.toMatchObject({ code })
    const restored = restoreBackup({ database, keyRing, ...restoring }, store, ofName, masterKey)
    await expect(restored).rejects.toMatchObject({ code })
    expect(await contents(testDatabase)).toEqual(before)
  }

  test('truncated anywhere, also between two chunks', async () => {
    expect(whole.byteLength).toBeGreaterThan(2 * 64 * 1024)
    const headBytes = whole.indexOf('}') + 1
    for (const length of [10, headBytes, headBytes + 4 + 64 * 1024 + 16, whole.byteLength - 1]) {
      await writeFile(path, whole.subarray(0, length))
      await expectRefused('backup_truncated')
    }
  })

  test('tampered with in the header, a length, a chunk, by swapping chunks, or behind its end', async () => {
    const headBytes = whole.indexOf('}') + 1
    const chunkBytes = 4 + 64 * 1024 + 16
    const changed = (at: number) => {
      const copy = Buffer.from(whole)
      copy[at] = (copy[at] ?? 0) ^ 1
      return copy
    }
    const swapped = Buffer.concat([
      whole.subarray(0, headBytes),
      whole.subarray(headBytes + chunkBytes, headBytes + 2 * chunkBytes),
      whole.subarray(headBytes, headBytes + chunkBytes),
      whole.subarray(headBytes + 2 * chunkBytes),
    ])
    const later = Buffer.from(whole.toString('latin1').replace('"createdAt":"2', '"createdAt":"3'), 'latin1')
    const variants = [
      changed(3),
      changed(headBytes + 5_000),
      changed(whole.byteLength - 1),
      swapped,
      later,
      Buffer.concat([whole, whole]),
    ]
    for (const variant of variants) {
      await writeFile(path, variant)
      await expectRefused('backup_damaged')
    }
  })

  test('of another master key', () => expectRefused('backup_key_wrong', randomBytes(32)))

  test("another company's under this one's name", async () => {
    const other = await testDatabase.createCompany('Other')
    const foreign = await readFile(join(directory, await createBackup(source, store, other)))
    await writeFile(path, foreign)
    await expectRefused('backup_of_another_company')
    // Nor is its header believed.
    await writeFile(path, Buffer.from(foreign.toString('latin1').replace(other, companyId), 'latin1'))
    await expectRefused('backup_damaged')
  })

  test('does not show what it holds', async () => {
    expect(whole.includes('first')).toBe(false)
    expect(whole.includes('491719990001')).toBe(false)
  })

  test('is refused while its session runs', async () => {
    const { worker } = testDatabase.database
    await worker.updateTable('session').set({ desired: 'running' }).where('id', '=', sessionId).execute()
    await expectRefusedWhole('session_running')
    await worker
      .updateTable('session')
      .set({ desired: 'stopped', state: 'online' })
      .where('id', '=', sessionId)
      .execute()
    await expectRefusedWhole('session_running')
  })

  async function expectRefusedWhole(code: string): Promise<void> {
    const { database, keyRing, masterKey } = testDatabase
    const before = await contents(testDatabase)
    await expect(restoreBackup({ database, keyRing, ...restoring }, store, name, masterKey)).rejects.toMatchObject({
      code,
    })
    expect(await contents(testDatabase)).toEqual(before)
  }

  test('leaves no unfinished file where writing has failed', async () => {
    const failing = (async function* () {
      yield Buffer.from('beginning')
      throw new Error('the database is away')
    })()
    await expect(store.write(`${companyId}/2026-01-01-1.backup`, failing)).rejects.toThrow('away')
    expect(await readdir(join(directory, companyId))).toEqual([name.split('/')[1]])
  })
})

test('a new key ring reads what was restored', async () => {
  const again = await openKeyRing(testDatabase.database, testDatabase.masterKey, 'emulator')
  await expect(again.sealerOf(companyId)).resolves.toBeDefined()
})
