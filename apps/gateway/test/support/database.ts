import { randomBytes } from 'node:crypto'
import { inject } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { connect, connectionConfig } from '#src/storage/connection.ts'
import { type Database, openDatabase } from '#src/storage/database.ts'
import { type KeyRing, openKeyRing } from '#src/storage/key-ring.ts'
import { startPgBouncer } from './pgbouncer.ts'

/** A database of a test file's own: migrated, empty, and dropped in the end. */
export interface TestDatabase extends AsyncDisposable {
  /** Of the owner of all tables, without a pooler. */
  readonly url: string
  /** As the run of the tests says: directly, or through PgBouncer. */
  readonly database: Database
  readonly keyRing: KeyRing
  readonly masterKey: Uint8Array
  /** Creates a company and returns its id. */
  createCompany(name?: string): Promise<string>
  /** Creates a session that is linked to a number, and returns its id. */
  createSession(companyId: string, name?: string): Promise<string>
}

/** `await using database = await createTestDatabase()`; takes some tens of milliseconds. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const { url, drop } = await cloneTemplate()
  const opened = await openTestDatabase(url)
  return {
    ...opened,
    async [Symbol.asyncDispose]() {
      await opened[Symbol.asyncDispose]()
      await drop()
    },
  }
}

/** The same for a migrated database that a test has started by itself. Disposing of it closes it only. */
export async function openTestDatabase(url: string, masterKey: Uint8Array = randomBytes(32)): Promise<TestDatabase> {
  await using resources = new AsyncDisposableStack()
  const pooler = inject('connection') === 'pooled' ? resources.use(await startPgBouncer(url)) : undefined
  const database = resources.use(await openDatabase(pooler?.url ?? url))
  const keyRing = await openKeyRing(database, masterKey, 'emulator')
  const opened = resources.move()
  return {
    url,
    database,
    keyRing,
    masterKey,
    async createCompany(name = 'Salon Aurora') {
      const id = newId()
      await database.worker
        .insertInto('company')
        .values({ id, name, data_key: keyRing.newDataKey(id) })
        .execute()
      return id
    },
    async createSession(companyId, name) {
      const id = newId()
      await database.worker
        .insertInto('session')
        .values({
          id,
          company_id: companyId,
          name: name ?? `session ${id}`,
          provider: 'baileys',
          desired: 'running',
          linked_at: new Date(),
        })
        .execute()
      return id
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

async function cloneTemplate(): Promise<{ url: string; drop: () => Promise<void> }> {
  const template = new URL(inject('templateDatabaseUrl'))
  const templateName = template.pathname.slice(1)
  const name = `test_${newId().replaceAll('-', '')}`
  const administer = async (statement: string): Promise<void> => {
    const administration = new URL(template)
    administration.pathname = '/postgres'
    const client = await connect(connectionConfig(administration.href))
    try {
      await client.query(statement)
    } finally {
      await client.end()
    }
  }
  await administer(`create database ${name} template ${templateName}`)
  const url = new URL(template)
  url.pathname = `/${name}`
  return { url: url.href, drop: () => administer(`drop database ${name} with (force)`) }
}
