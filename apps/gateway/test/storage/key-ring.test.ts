import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { connect, connectionConfig } from '#src/storage/connection.ts'
import { openKeyRing } from '#src/storage/key-ring.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

let testDatabase: TestDatabase
beforeAll(async () => {
  testDatabase = await createTestDatabase()
})
afterAll(() => testDatabase[Symbol.asyncDispose]())

test('the right master key opens what an earlier start has sealed', async () => {
  const { database, keyRing, masterKey } = testDatabase
  const companyId = await testDatabase.createCompany()
  const sealed = (await keyRing.sealerOf(companyId)).seal(Buffer.from('secret'), 'here')
  const again = await openKeyRing(database, masterKey, 'emulator')
  expect(Buffer.from(await (await again.sealerOf(companyId)).open(sealed, 'here')).toString()).toBe('secret')
})

test('a wrong master key is refused and changes nothing', async () => {
  const before = await sql`select * from platform`.execute(testDatabase.database.worker)
  const attempt = openKeyRing(testDatabase.database, randomBytes(32), 'emulator')
  await expect(attempt).rejects.toMatchObject({ code: 'master_key_wrong' })
  expect((await sql`select * from platform`.execute(testDatabase.database.worker)).rows).toEqual(before.rows)
})

test('a database of emulated sessions is refused for real ones', async () => {
  const attempt = openKeyRing(testDatabase.database, testDatabase.masterKey, 'whatsapp')
  await expect(attempt).rejects.toMatchObject({
    code: 'database_environment_mismatch',
    detail: expect.stringContaining('emulator') as string,
  })
})

test('two first starts at the same moment agree on one key', async () => {
  await using fresh = await createTestDatabase()
  const owner = await connect(connectionConfig(fresh.url))
  await owner.query('delete from platform')
  await owner.end()
  const starts = await Promise.allSettled(
    [randomBytes(32), randomBytes(32)].map((key) => openKeyRing(fresh.database, key, 'emulator')),
  )
  expect(starts.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
})

test("a company's data key opens nothing of another company", async () => {
  const { database, keyRing } = testDatabase
  const [one, other] = [await testDatabase.createCompany(), await testDatabase.createCompany()]
  const sealed = (await keyRing.sealerOf(one)).seal(Buffer.from('secret'), 'here')
  const sealer = await keyRing.sealerOf(other)
  await expect(sealer.open(sealed, 'here')).rejects.toThrow()
  // Nor does a data key work that was put into another company's row.
  await sql`update company set data_key = (select data_key from company where id = ${one}) where id = ${other}`.execute(
    database.worker,
  )
  const reopened = await openKeyRing(database, testDatabase.masterKey, 'emulator')
  await expect(reopened.sealerOf(other)).rejects.toThrow()
})

test('an unknown company has no key', async () => {
  await expect(testDatabase.keyRing.sealerOf(newId())).rejects.toMatchObject({ code: 'not_found' })
})
