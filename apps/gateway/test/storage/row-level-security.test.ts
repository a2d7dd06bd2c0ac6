import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

describe('what a company can reach', () => {
  let testDatabase: TestDatabase
  let ours: string
  let theirs: string

  beforeAll(async () => {
    testDatabase = await createTestDatabase()
    ours = await testDatabase.createCompany('Salon Aurora')
    theirs = await testDatabase.createCompany('Barber Boreas')
    for (const company of [ours, theirs]) {
      const contact = newId()
      const session = await testDatabase.createSession(company)
      const { worker } = testDatabase.database
      await worker.insertInto('contact').values({ id: contact, company_id: company }).execute()
      await worker
        .insertInto('message')
        .values({
          id: newId(),
          company_id: company,
          session_id: session,
          contact_id: contact,
          direction: 'inbound',
          origin: 'customer',
          whatsapp_id: 'A1',
          status: 'received',
          content: JSON.stringify({ kind: 'text', text: 'hello' }),
        })
        .execute()
      await worker
        .insertInto('webhook_endpoint')
        .values({
          id: newId(),
          company_id: company,
          url: 'https://x.example',
          ordering: 'none',
          secrets: Buffer.from('s'),
        })
        .execute()
      const turn = newId()
      await worker
        .insertInto('turn')
        .values({ id: turn, company_id: company, session_id: session, contact_id: contact })
        .execute()
      await worker.insertInto('turn_trace').values({ turn_id: turn, company_id: company, trace: '{}' }).execute()
      await worker.insertInto('answer_usage').values({ company_id: company, day: '2026-11-22' }).execute()
      await worker
        .insertInto('company_secret')
        .values({ company_id: company, name: 'openai', value: Buffer.from('sealed'), hint: '' })
        .execute()
      await worker.insertInto('event').values({ company_id: company, type: 'message.received' }).execute()
      await worker
        .insertInto('signal_key')
        .values({ session_id: session, kind: 0, id: '1', value: Buffer.from('k') })
        .execute()
    }
  })
  afterAll(() => testDatabase[Symbol.asyncDispose]())

  test.each([
    'session',
    'contact',
    'message',
    'event',
    'webhook_endpoint',
    'webhook_delivery',
    'turn',
    'turn_trace',
    'answer_usage',
    'company_secret',
  ] as const)('it sees its own rows of %s only', async (table) => {
    const rows = await testDatabase.database.asCompany(ours, (db) =>
      db.selectFrom(table).select('company_id').execute(),
    )
    expect(rows).toEqual([{ company_id: ours }])
  })

  test('it sees of companies only itself', async () => {
    const rows = await testDatabase.database.asCompany(ours, (db) => db.selectFrom('company').select('name').execute())
    expect(rows).toEqual([{ name: 'Salon Aurora' }])
  })

  test('it cannot change another company, even by its id', async () => {
    const { numUpdatedRows } = await testDatabase.database.asCompany(ours, (db) =>
      db.updateTable('company').set({ name: 'Ours now' }).where('id', '=', theirs).executeTakeFirstOrThrow(),
    )
    expect(numUpdatedRows).toBe(0n)
  })

  test('it cannot make a thing of another company', async () => {
    const attempt = testDatabase.database.asCompany(ours, (db) =>
      db.insertInto('session').values({ id: newId(), company_id: theirs, name: 'spy', provider: 'baileys' }).execute(),
    )
    await expect(attempt).rejects.toThrow(/row-level security/)
  })

  test('it cannot give a thing of its own away', async () => {
    const attempt = testDatabase.database.asCompany(ours, (db) =>
      sql`update session set company_id = ${theirs}`.execute(db),
    )
    await expect(attempt).rejects.toThrow(/row-level security/)
  })

  test.each(['signal_key', 'journal', 'session_lease', 'platform', 'node'])(
    'it cannot read %s at all',
    async (table) => {
      const attempt = testDatabase.database.asCompany(ours, (db) => sql`select * from ${sql.table(table)}`.execute(db))
      await expect(attempt).rejects.toThrow(/permission denied/)
    },
  )

  test('it cannot read its own data key', async () => {
    const attempt = testDatabase.database.asCompany(ours, (db) => db.selectFrom('company').select('data_key').execute())
    await expect(attempt).rejects.toThrow(/permission denied/)
  })

  test('it can change neither events nor the audit log', async () => {
    for (const table of ['event', 'audit_entry']) {
      const attempt = testDatabase.database.asCompany(ours, (db) => sql`delete from ${sql.table(table)}`.execute(db))
      await expect(attempt).rejects.toThrow(/permission denied/)
    }
  })

  test('without a company it sees nothing', async () => {
    const rows = await testDatabase.database.worker.transaction().execute(async (db) => {
      await sql`set local role frontdesk_api`.execute(db)
      return db.selectFrom('message').select('id').execute()
    })
    expect(rows).toEqual([])
  })

  test('its scope ends with its transaction', async () => {
    await testDatabase.database.asCompany(ours, (db) => db.selectFrom('company').select('id').execute())
    await expect(testDatabase.database.asCompany(ours, () => Promise.reject(new Error('work failed')))).rejects.toThrow(
      'work failed',
    )
    const rows = await testDatabase.database.worker.selectFrom('company').select('id').orderBy('id').execute()
    expect(rows.map(({ id }) => id)).toEqual([ours, theirs])
  })

  test('a company id that is none is refused before it reaches a statement', async () => {
    const attempt = testDatabase.database.asCompany("x'; drop table message; --", () => Promise.resolve())
    await expect(attempt).rejects.toThrow(TypeError)
  })

  test('the worker reads all companies but is neither owner nor superuser', async () => {
    await expect(sql`alter table message add column x text`.execute(testDatabase.database.worker)).rejects.toThrow(
      /must be owner/,
    )
    const { rows } = await sql<{ rolsuper: boolean; rolbypassrls: boolean }>`
      select rolsuper, rolbypassrls from pg_roles where rolname = current_user`.execute(testDatabase.database.worker)
    expect(rows).toEqual([{ rolsuper: false, rolbypassrls: false }])
  })
})
