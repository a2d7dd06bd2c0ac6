import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect, connectionConfig } from '#src/storage/connection.ts'
import { type Migration, migrate } from '#src/storage/migrate.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { describeSchema } from './describe-schema.ts'

const HEADER = `-- The whole schema as the migrations make it, for reading. A test holds it against them; after a change to them it is
-- written anew by: npx vitest run apps/gateway/test/storage/schema.test.ts --update
`

let testDatabase: TestDatabase
beforeAll(async () => {
  testDatabase = await createTestDatabase()
})
afterAll(() => testDatabase[Symbol.asyncDispose]())

const query = async (text: string): Promise<Record<string, unknown>[]> => {
  const client = await connect(connectionConfig(testDatabase.url))
  try {
    const { rows } = await client.query<Record<string, unknown>>(text)
    return rows
  } finally {
    await client.end()
  }
}
const createSchema = (name: string) => query(`create schema ${name}`)
/** The same database, another schema: a place for migrations that are only tried. */
const urlOfSchema = (name: string): string => {
  const url = new URL(testDatabase.url)
  url.searchParams.set('options', `-c search_path=${name}`)
  return url.href
}

test('schema.sql says what the migrations make', async () => {
  const client = await connect(connectionConfig(testDatabase.url))
  const schema = await describeSchema(client)
  await client.end()
  await expect(HEADER + schema).toMatchFileSnapshot('../../src/storage/schema.sql')
})

test('a migrated database is left as it is', async () => {
  expect(await migrate(testDatabase.url)).toEqual([])
})

describe('migrations', () => {
  const first: Migration = { version: 1, name: '0001-first.sql', sql: 'create table a (id int)' }
  const second: Migration = { version: 2, name: '0002-second.sql', sql: 'create table b (id int)' }

  test('are applied in order, each once', async () => {
    await createSchema('once')
    expect(await migrate(urlOfSchema('once'), [first])).toEqual([first.name])
    expect(await migrate(urlOfSchema('once'), [first, second])).toEqual([second.name])
    expect(await migrate(urlOfSchema('once'), [first, second])).toEqual([])
  })

  test('are applied once when two processes start at the same moment', async () => {
    await createSchema('together')
    const applied = await Promise.all([1, 2, 3].map(() => migrate(urlOfSchema('together'), [first, second])))
    expect(applied.flat().sort()).toEqual([first.name, second.name])
  })

  test('are all undone when one fails', async () => {
    await createSchema('broken')
    const broken: Migration = { version: 2, name: '0002-broken.sql', sql: 'create table c (id int); select 1 / 0' }
    await expect(migrate(urlOfSchema('broken'), [first, broken])).rejects.toThrow(/division by zero/)
    expect(await query(`select tablename from pg_tables where schemaname = 'broken'`)).toEqual([])
  })

  test('that this version does not know are refused', async () => {
    await createSchema('newer')
    await migrate(urlOfSchema('newer'), [first, second])
    await expect(migrate(urlOfSchema('newer'), [first])).rejects.toMatchObject({
      code: 'database_version_mismatch',
      detail: expect.stringContaining('0002-second.sql') as string,
    })
  })

  test('that were changed after they were applied are refused', async () => {
    await createSchema('changed')
    await migrate(urlOfSchema('changed'), [first])
    const changed = { ...first, sql: 'create table a (id bigint)' }
    await expect(migrate(urlOfSchema('changed'), [changed])).rejects.toMatchObject({
      code: 'database_version_mismatch',
    })
  })
})
