import { createServer } from 'node:net'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FrontdeskError } from '#src/model/errors.ts'
import { openDatabase } from '#src/storage/database.ts'
import { migrate } from '#src/storage/migrate.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { startFaultyProxy } from './faulty-proxy.ts'

let testDatabase: TestDatabase
beforeAll(async () => {
  testDatabase = await createTestDatabase()
})
afterAll(() => testDatabase[Symbol.asyncDispose]())

describe('a database that cannot be reached', () => {
  const errorOf = async (attempt: Promise<unknown>): Promise<FrontdeskError> => {
    const error: unknown = await attempt.then(
      () => undefined,
      (reason: unknown) => reason,
    )
    if (!(error instanceof FrontdeskError)) throw new Error('it must fail with an error of the catalogue')
    return error
  }
  const unusedPort = async (): Promise<number> => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const address = server.address()
    await new Promise((resolve) => server.close(resolve))
    return typeof address === 'object' && address ? address.port : 0
  }

  test('is named, and its password is not', async () => {
    const port = await unusedPort()
    const url = `postgresql://someone:verysecret@127.0.0.1:${port}/frontdesk`
    for (const error of [await errorOf(openDatabase(url)), await errorOf(migrate(url))]) {
      expect(error.code).toBe('database_unreachable')
      expect(error.message).toContain(`127.0.0.1:${port}`)
      expect(`${error.message} ${error.stack}`).not.toContain('verysecret')
    }
  })

  test('is named when its host is unknown', async () => {
    const error = await errorOf(openDatabase('postgresql://someone:verysecret@database.invalid/frontdesk'))
    expect(error).toMatchObject({ code: 'database_unreachable' })
    expect(error.message).toContain('database.invalid')
  })

  test('is named by its socket when it is a local one that is not there', async () => {
    const error = await errorOf(openDatabase('postgresql://frontdesk@localhost/frontdesk?host=%2Fnowhere'))
    expect(error.message).toContain('/nowhere')
  })

  test('is one that the server does not have', async () => {
    const url = new URL(testDatabase.url)
    url.pathname = '/missing'
    const error = await errorOf(openDatabase(url.href))
    expect(error).toMatchObject({ code: 'database_unreachable' })
    expect(error.message).toContain('"missing" does not exist')
  })
})

describe('values', () => {
  const value = async (expression: string): Promise<unknown> => {
    const { rows } = await sql<{ value: unknown }>`select ${sql.raw(expression)} as value`.execute(
      testDatabase.database.worker,
    )
    return rows[0]?.value
  }
  test('a 64-bit integer is a number', async () =>
    expect(await value('9007199254740991::bigint')).toBe(9007199254740991))
  test('one that a number cannot hold is an error', () =>
    expect(value('9007199254740992::bigint')).rejects.toThrow(RangeError))
  test('a transaction id is a bigint', async () =>
    expect(await value(`'18446744073709551615'::xid8`)).toBe(2n ** 64n - 1n))
  test('a moment is exact to the millisecond', async () =>
    expect(await value(`'2026-01-02 03:04:05.678Z'::timestamptz`)).toEqual(new Date('2026-01-02T03:04:05.678Z')))
})

test('a server that says nothing more is given up: who waits for it hears of it, and who follows has another connection', async () => {
  await using proxy = await startFaultyProxy(testDatabase.url)
  await using database = await openDatabase(proxy.url, { maxConnections: 1, responseTimeoutMs: 200 })
  const companyId = await testDatabase.createCompany()
  const reads = [
    () => database.worker.selectFrom('company').select('id').where('id', '=', companyId).execute(),
    () => database.asCompany(companyId, (db) => db.selectFrom('company').select('id').execute()),
  ]
  for (const read of reads) {
    expect(await read()).toEqual([{ id: companyId }])
    proxy.freeze()
    await expect(read()).rejects.toThrow()
    expect(await read()).toEqual([{ id: companyId }])
  }
})

test('a transaction that fails leaves nothing behind', async () => {
  const companyId = await testDatabase.createCompany('Before')
  const attempt = testDatabase.database.asCompany(companyId, async (db) => {
    await db.updateTable('company').set({ name: 'After' }).execute()
    throw new Error('changed my mind')
  })
  await expect(attempt).rejects.toThrow('changed my mind')
  const name = await testDatabase.database.asCompany(companyId, (db) =>
    db.selectFrom('company').select('name').executeTakeFirst(),
  )
  expect(name).toEqual({ name: 'Before' })
})

test('a transaction has the isolation that it asks for, and its role', async () => {
  const { rows } = await testDatabase.database.worker
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute((db) => sql`select current_user, current_setting('transaction_isolation') as isolation`.execute(db))
  expect(rows).toEqual([{ current_user: 'frontdesk_worker', isolation: 'repeatable read' }])
})

test('options in the URL of the database do not displace the role', async () => {
  const url = new URL(testDatabase.url)
  url.searchParams.set('options', '-c work_mem=1234kB')
  await using database = await openDatabase(url.href)
  const { rows } = await sql`select current_user, current_setting('work_mem') as work_mem`.execute(database.worker)
  expect(rows).toEqual([{ current_user: 'frontdesk_worker', work_mem: '1234kB' }])
})
