import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ContactBook } from '#src/model/contact-book.ts'
import { newId } from '#src/model/ids.ts'
import { contactById, createContactBook } from '#src/storage/contacts.ts'
import { mergeContacts } from '#src/storage/merge-contacts.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

let testDatabase: TestDatabase
let companyId: string
let book: ContactBook
beforeAll(async () => {
  testDatabase = await createTestDatabase()
})
beforeEach(async () => {
  companyId = await testDatabase.createCompany()
  book = newBook()
})
afterAll(() => testDatabase[Symbol.asyncDispose]())

/** As another process has it: nothing is cached. */
const newBook = () => createContactBook(testDatabase.database, companyId)
const worker = () => testDatabase.database.worker
const read = (contactId: string) => contactById(companyId, worker(), contactId)
const contacts = () =>
  worker().selectFrom('contact').select(['id', 'merged_into']).where('company_id', '=', companyId).execute()

const phone = '4915112345678'
const lid = '87654321987654'

describe('a contact', () => {
  test('is made at its first message and is the same at the next', async () => {
    const id = await book.contactOf({ phone }, 'Ana')
    expect(await book.contactOf({ phone })).toBe(id)
    expect(await newBook().contactOf({ phone })).toBe(id)
    expect(await read(id)).toEqual({ id, name: 'Ana', address: { phone }, optedOutAt: null })
  })

  test('met lately is known at once', async () => {
    const id = await book.contactOf({ phone, lid }, 'Ana')
    expect(book.contactOf({ phone })).toBe(id)
    expect(book.contactOf({ lid }, 'Ana')).toBe(id)
    expect(book.contactOf({ phone, lid })).toBe(id)
  })

  test('met by one address gets the other when both come together', async () => {
    const id = await book.contactOf({ phone })
    expect(await book.contactOf({ phone, lid })).toBe(id)
    expect(await newBook().contactOf({ lid })).toBe(id)
    expect(await read(id)).toMatchObject({ address: { phone, lid } })
  })

  test('that changes its number keeps its conversation, and has the new number', async () => {
    const id = await book.contactOf({ phone, lid })
    expect(await book.contactOf({ phone: '4915187654321', lid })).toBe(id)
    expect(await read(id)).toMatchObject({ address: { phone: '4915187654321', lid } })
  })

  test('that takes over the number of somebody else does not get their conversation', async () => {
    const former = await book.contactOf({ phone, lid }, 'Ana')
    const present = await book.contactOf({ phone, lid: '11112222333344' }, 'Ben')
    expect(present).not.toBe(former)
    expect(await book.contactOf({ phone })).toBe(present)
    expect(await newBook().contactOf({ phone })).toBe(present)
    expect(await newBook().contactOf({ lid })).toBe(former)
    expect(await read(former)).toMatchObject({ name: 'Ana', address: { lid } })
    expect((await contacts()).every(({ merged_into }) => merged_into === null)).toBe(true)
  })

  test('has the name that it gave last', async () => {
    const id = await book.contactOf({ phone }, 'Ana')
    await book.contactOf({ phone }, 'Ana Maria')
    expect(await read(id)).toMatchObject({ name: 'Ana Maria' })
    await book.contactOf({ phone })
    expect(await read(id)).toMatchObject({ name: 'Ana Maria' })
  })

  test('may give a name that no database stores, and that would deceive its readers', async () => {
    const id = await book.contactOf({ phone }, `A\0\u202e\ud800${'x'.repeat(500)}`)
    const name = (await read(id))?.name ?? ''
    expect(name.startsWith('A\ufffdxxx')).toBe(true)
    expect(name.length).toBe(200)
  })

  test('of one company is none of another', async () => {
    const id = await book.contactOf({ phone })
    const other = await testDatabase.createCompany()
    expect(await createContactBook(testDatabase.database, other).contactOf({ phone })).not.toBe(id)
    expect(await contactById(other, worker(), id)).toBeUndefined()
  })
})

describe('the same contact met many times at the same moment', () => {
  test('is made once, by one process', async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, async () => book.contactOf({ phone, lid })))
    expect(new Set(ids).size).toBe(1)
    expect(await contacts()).toHaveLength(1)
  })

  test('is made once, by several', async () => {
    const addresses = [{ phone }, { lid }, { phone, lid }]
    await Promise.all(
      Array.from({ length: 12 }, async (_, index) => newBook().contactOf(addresses[index % 3] ?? { phone })),
    )
    const id = await newBook().contactOf({ phone, lid })
    expect(await newBook().contactOf({ phone })).toBe(id)
    expect(await newBook().contactOf({ lid })).toBe(id)
    expect((await contacts()).filter(({ merged_into }) => merged_into === null)).toHaveLength(1)
  })
})

describe('two contacts that turn out to be one', () => {
  const store = async (contactId: string, sessionId: string, whatsappId: string) => {
    const id = newId()
    await worker()
      .insertInto('message')
      .values({
        id,
        company_id: companyId,
        session_id: sessionId,
        contact_id: contactId,
        direction: 'inbound',
        origin: 'customer',
        whatsapp_id: whatsappId,
        status: 'received',
        content: JSON.stringify({ kind: 'text', text: whatsappId }),
      })
      .execute()
    return id
  }

  test('become the older one, with all that the younger had', async () => {
    const older = await book.contactOf({ phone })
    const younger = await book.contactOf({ lid }, 'Ana')
    const sessionId = await testDatabase.createSession(companyId)
    await store(older, sessionId, 'A')
    await store(older, sessionId, 'TWICE')
    await store(younger, sessionId, 'B')
    await store(younger, sessionId, 'TWICE')
    const turnId = newId()
    await worker()
      .insertInto('turn')
      .values({ id: turnId, company_id: companyId, session_id: sessionId, contact_id: younger })
      .execute()

    expect(await book.contactOf({ phone, lid })).toBe(older)
    for (const address of [{ phone }, { lid }, { phone, lid }]) {
      expect(await book.contactOf(address)).toBe(older)
      expect(await newBook().contactOf(address)).toBe(older)
    }
    expect(await read(younger)).toEqual({ id: older, name: 'Ana', address: { phone, lid }, optedOutAt: null })
    const messages = await worker()
      .selectFrom('message')
      .select(['whatsapp_id', 'contact_id'])
      .where('session_id', '=', sessionId)
      .orderBy('id')
      .execute()
    expect(messages).toEqual(['A', 'TWICE', 'B'].map((whatsapp_id) => ({ whatsapp_id, contact_id: older })))
    const turn = await worker().selectFrom('turn').select('contact_id').where('id', '=', turnId).executeTakeFirst()
    expect(turn).toEqual({ contact_id: older })
    const events = await worker()
      .selectFrom('event')
      .select(['type', 'subject_id', 'data'])
      .where('company_id', '=', companyId)
      .execute()
    expect(events).toEqual([{ type: 'contact.merged', subject_id: younger, data: { into: older } }])
  })

  test('have one conversation in a session, with the labels and notes of both, and the person who answers in either', async () => {
    const older = await book.contactOf({ phone })
    const younger = await book.contactOf({ lid })
    const [shared, only] = [await testDatabase.createSession(companyId), await testDatabase.createSession(companyId)]
    const begin = async (contactId: string, sessionId: string, labels: string[], assignee?: string) => {
      const id = newId()
      const common = { id, company_id: companyId, session_id: sessionId, contact_id: contactId, labels, turns: 2 }
      const withPerson =
        assignee === undefined ? {} : ({ assignee, state: 'human', reason: 'written_by_agent' } as const)
      await worker()
        .insertInto('conversation')
        .values({ ...common, ...withPerson })
        .execute()
      await worker()
        .insertInto('conversation_note')
        .values({ id: newId(), company_id: companyId, conversation_id: id, text: `of ${labels[0]}` })
        .execute()
      return id
    }
    const kept = await begin(older, shared, ['vip', 'new'])
    await begin(younger, shared, ['colour', 'new'], 'Lena')
    const moved = await begin(younger, only, ['other'])
    await book.contactOf({ phone, lid })
    const conversations = worker().selectFrom('conversation').where('company_id', '=', companyId)
    const columns = ['id', 'contact_id', 'state', 'assignee', 'turns', 'labels'] as const
    expect(await conversations.select(columns).orderBy('id').execute()).toEqual([
      { id: kept, contact_id: older, state: 'human', assignee: 'Lena', turns: 4, labels: ['colour', 'new', 'vip'] },
      { id: moved, contact_id: older, state: 'bot', assignee: null, turns: 2, labels: ['other'] },
    ])
    const notes = worker().selectFrom('conversation_note').select('text').where('conversation_id', '=', kept)
    expect((await notes.orderBy('id').execute()).map(({ text }) => text)).toEqual(['of vip', 'of colour'])
  })

  test('and a third: all point to the oldest', async () => {
    const oldest = await book.contactOf({ lid })
    const second = await book.contactOf({ phone: '4915100000001' })
    const third = await book.contactOf({ phone: '4915100000002' })
    // The third has become the second by other ways than an address.
    await sql`update contact set merged_into = ${second} where id = ${third}`.execute(worker())
    await sql`update contact_alias set contact_id = ${second} where contact_id = ${third}`.execute(worker())
    expect(await newBook().contactOf({ phone: '4915100000001', lid })).toBe(oldest)
    expect(await read(third)).toMatchObject({ id: oldest })
    expect(await read(second)).toMatchObject({ id: oldest })
  })

  test('become one also when many find out at the same moment', async () => {
    const older = await book.contactOf({ phone })
    await book.contactOf({ lid })
    const ids = await Promise.all(Array.from({ length: 10 }, async () => newBook().contactOf({ phone, lid })))
    expect(new Set(ids)).toEqual(new Set([older]))
    const events = await worker().selectFrom('event').select('type').where('company_id', '=', companyId).execute()
    expect(events).toHaveLength(1)
  })
})

test('a merge looks up what it moves: it reads nothing of other contacts, however many there are', async () => {
  const older = await book.contactOf({ phone })
  const younger = await book.contactOf({ lid })
  const sessionId = await testDatabase.createSession(companyId)
  await sql`
    with another as (
      insert into contact (id, company_id) select gen_random_uuid(), ${companyId} from generate_series(1, 2000) returning id
    ), turns as (
      insert into turn (id, company_id, session_id, contact_id)
      select gen_random_uuid(), ${companyId}, ${sessionId}, id from another
    ), conversations as (
      insert into conversation (id, company_id, session_id, contact_id)
      select gen_random_uuid(), ${companyId}, ${sessionId}, id from another
    )
    insert into message (id, company_id, session_id, contact_id, direction, origin, whatsapp_id, status, content)
    select gen_random_uuid(), ${companyId}, ${sessionId}, id, 'inbound', 'customer', id, 'received', '{"kind":"text"}'
    from another`.execute(worker())
  const [before, after] = await worker()
    .transaction()
    .execute(async (db) => {
      const read = async () =>
        await sql<{ table: string; scans: number; rows: number }>`
          select relname as "table", seq_scan as scans, seq_tup_read + idx_tup_fetch as rows
          from pg_stat_xact_user_tables where relname in ('contact', 'turn', 'message', 'conversation') order by 1`.execute(
          db,
        )
      // The tables are small enough to be read as a whole.
      await sql`set local enable_seqscan = off`.execute(db)
      const { rows: before } = await read()
      await mergeContacts(companyId, db, older, younger)
      return [before, (await read()).rows]
    })
  expect(after).toHaveLength(4)
  for (const { table, scans, rows } of after ?? []) {
    const former = before?.find((each) => each.table === table) ?? { scans: 0, rows: 0 }
    expect({ table, scans: scans - former.scans }).toEqual({ table, scans: 0 })
    expect(rows - former.rows).toBeLessThan(100)
  }
})
