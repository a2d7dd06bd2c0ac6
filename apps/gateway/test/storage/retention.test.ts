import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { firstIdAt, newId } from '#src/model/ids.ts'
import { connect, connectionConfig } from '#src/storage/connection.ts'
import { maintain } from '#src/storage/retention.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

const HOUR_MS = 60 * 60 * 1000
const DAY_MS = 24 * HOUR_MS
const now = new Date('2026-03-10T12:00:00Z')
const daysAgo = (days: number) => new Date(now.getTime() - days * DAY_MS)

let testDatabase: TestDatabase
let companyId: string
let sessionId: string
beforeAll(async () => {
  testDatabase = await createTestDatabase()
  companyId = await testDatabase.createCompany()
  sessionId = await testDatabase.createSession(companyId)
})
afterAll(() => testDatabase[Symbol.asyncDispose]())

const worker = () => testDatabase.database.worker
const addEvent = (type: string, createdAt: Date) =>
  worker().insertInto('event').values({ company_id: companyId, type, created_at: createdAt }).execute()
const whereEventsAre = async () => {
  const client = await connect(connectionConfig(testDatabase.url))
  const { rows } = await client.query<{ type: string; partition: string }>(
    'select type, tableoid::regclass::text as partition from event order by created_at',
  )
  await client.end()
  return Object.fromEntries(rows.map(({ type, partition }) => [type, partition]))
}

test('events move from the default partition into their day, and leave with it after a week', async () => {
  await addEvent('long ago', daysAgo(30))
  await addEvent('eight days ago', daysAgo(8))
  await addEvent('yesterday', daysAgo(1))
  await addEvent('today', now)
  const { partitionsCreated } = await maintain(testDatabase.database, now)
  expect(partitionsCreated).toBe(4)
  expect(await whereEventsAre()).toEqual({ yesterday: 'event_default', today: 'event_20260310' })

  await addEvent('just before midnight', new Date('2026-03-10T23:59:59.999Z'))
  await addEvent('midnight', new Date('2026-03-11T00:00:00Z'))
  expect(await whereEventsAre()).toMatchObject({
    'just before midnight': 'event_20260310',
    midnight: 'event_20260311',
  })

  const later = await maintain(testDatabase.database, daysAgo(-8))
  expect(later.partitionsDropped).toBe(1)
  expect(await whereEventsAre()).toEqual({ midnight: 'event_20260311' })
})

test('a second call at the same time finds nothing to do', async () => {
  await maintain(testDatabase.database, now)
  const results = await Promise.all([maintain(testDatabase.database, now), maintain(testDatabase.database, now)])
  for (const { partitionsCreated, partitionsDropped } of results)
    expect({ partitionsCreated, partitionsDropped }).toEqual({ partitionsCreated: 0, partitionsDropped: 0 })
})

test('events are kept as long as the deployment wants', async () => {
  const moment = daysAgo(-100)
  await maintain(testDatabase.database, moment)
  await addEvent('kept', moment)
  await maintain(testDatabase.database, new Date(moment.getTime() + 20 * DAY_MS), { eventRetentionDays: 30 })
  expect(await whereEventsAre()).toMatchObject({ kept: expect.any(String) as string })
})

test('a partition is as closed to a company as the whole log', async () => {
  const attempt = testDatabase.database.asCompany(companyId, (db) => sql`select * from event_default`.execute(db))
  await expect(attempt).rejects.toThrow(/permission denied/)
})

test('ciphertexts are forgotten after two weeks, and not a message with them', async () => {
  const contactId = newId()
  await worker().insertInto('contact').values({ id: contactId, company_id: companyId }).execute()
  const addMessage = (whatsappId: string, at: Date) =>
    worker()
      .insertInto('message')
      .values({
        id: firstIdAt(at),
        company_id: companyId,
        session_id: sessionId,
        contact_id: contactId,
        direction: 'inbound',
        origin: 'customer',
        whatsapp_id: whatsappId,
        status: 'received',
        content: JSON.stringify({ kind: 'text', text: whatsappId }),
        ciphertext_hash: Buffer.from(whatsappId),
      })
      .execute()
  const addJournal = (name: string, at: Date) =>
    worker()
      .insertInto('journal')
      .values({
        session_id: sessionId,
        ciphertext_hash: Buffer.from(name),
        plaintext: Buffer.from('sealed'),
        created_at: at,
      })
      .execute()
  await addMessage('old', daysAgo(15))
  await addMessage('new', daysAgo(13))
  await addJournal('old', daysAgo(15))
  await addJournal('new', daysAgo(13))

  const { journalEntriesDeleted, ciphertextHashesCleared } = await maintain(testDatabase.database, now)
  expect({ journalEntriesDeleted, ciphertextHashesCleared }).toEqual({
    journalEntriesDeleted: 1,
    ciphertextHashesCleared: 1,
  })
  const messages = await worker()
    .selectFrom('message')
    .select(['whatsapp_id', 'ciphertext_hash'])
    .orderBy('id')
    .execute()
  expect(messages).toEqual([
    { whatsapp_id: 'old', ciphertext_hash: null },
    { whatsapp_id: 'new', ciphertext_hash: Buffer.from('new') },
  ])
  const journal = await worker().selectFrom('journal').select('ciphertext_hash').execute()
  expect(journal).toEqual([{ ciphertext_hash: Buffer.from('new') }])
})

test('a large table is read part by part: what is old is gone a day later, whatever lies beside it', async () => {
  const count = 20_000
  await sql`
    insert into journal (session_id, ciphertext_hash, plaintext, created_at)
    select ${sessionId}, int8send(n), 'sealed', ${daysAgo(0)}::timestamptz - make_interval(days => (n % 2)::int * 20)
    from generate_series(1, ${count}::int8) n`.execute(worker())
  const left = () => sql<{ count: number }>`select count(*)::int as count from journal`.execute(worker())
  const before = (await left()).rows[0]?.count ?? 0
  const deleted: number[] = []
  for (let hour = 0; hour < 25; hour += 1) {
    const { journalEntriesDeleted } = await maintain(testDatabase.database, new Date(now.getTime() + hour * HOUR_MS))
    deleted.push(journalEntriesDeleted)
  }
  expect(Math.max(...deleted)).toBeLessThan(count / 4)
  expect(before - ((await left()).rows[0]?.count ?? 0)).toBe(count / 2)
})

test('keys of sessions that were logged out are kept for a week, uptime for a hundred days', async () => {
  const addKey = (id: string, at: Date) =>
    worker()
      .insertInto('retired_signal_key')
      .values({ session_id: sessionId, kind: 0, id, value: Buffer.from('sealed'), retired_at: at })
      .execute()
  const addDay = (at: Date) =>
    worker()
      .insertInto('session_uptime')
      .values({ session_id: sessionId, company_id: companyId, day: at.toISOString().slice(0, 10) })
      .execute()
  await addKey('old', daysAgo(8))
  await addKey('new', daysAgo(6))
  await addDay(daysAgo(101))
  await addDay(daysAgo(99))
  expect(await maintain(testDatabase.database, now)).toMatchObject({ retiredKeysDeleted: 1, uptimeDaysDeleted: 1 })
  expect(await worker().selectFrom('retired_signal_key').select('id').execute()).toEqual([{ id: 'new' }])
})

test('the traces of turns are kept for thirty days, the turns for longer', async () => {
  const contactId = newId()
  await worker().insertInto('contact').values({ id: contactId, company_id: companyId }).execute()
  const addTrace = async (at: Date) => {
    const turnId = firstIdAt(at)
    await worker()
      .insertInto('turn')
      .values({ id: turnId, company_id: companyId, session_id: sessionId, contact_id: contactId, created_at: at })
      .execute()
    await worker()
      .insertInto('turn_trace')
      .values({ turn_id: turnId, company_id: companyId, trace: '{}', created_at: at })
      .execute()
    return turnId
  }
  await addTrace(daysAgo(31))
  const kept = await addTrace(daysAgo(29))
  expect(await maintain(testDatabase.database, now)).toMatchObject({ turnTracesDeleted: 1 })
  expect(await worker().selectFrom('turn_trace').select('turn_id').execute()).toEqual([{ turn_id: kept }])
  expect(await worker().selectFrom('turn').select('id').execute()).toHaveLength(2)
})

test('a deleted session is removed after thirty days with its messages, while its contacts stay', async () => {
  const removed = await testDatabase.createSession(companyId)
  const kept = await testDatabase.createSession(companyId)
  const addDeleted = async (session: string, deletedAt: Date) => {
    const contactId = newId()
    const turnId = newId()
    await worker().updateTable('session').set({ deleted_at: deletedAt }).where('id', '=', session).execute()
    await worker().insertInto('contact').values({ id: contactId, company_id: companyId }).execute()
    const ids = { company_id: companyId, session_id: session, contact_id: contactId }
    await worker()
      .insertInto('turn')
      .values({ id: turnId, ...ids })
      .execute()
    await worker()
      .insertInto('message')
      .values({
        ...{ id: newId(), ...ids, turn_id: turnId, whatsapp_id: 'message', direction: 'inbound', origin: 'customer' },
        ...{ status: 'received', content: JSON.stringify({ kind: 'text', text: 'Hello' }), raw: Buffer.from('raw') },
      })
      .execute()
    return contactId
  }
  const contact = await addDeleted(removed, daysAgo(31))
  await addDeleted(kept, daysAgo(29))

  expect(await maintain(testDatabase.database, now)).toMatchObject({ sessionsRemoved: 1 })
  const left = async (table: 'message' | 'turn') =>
    (await worker().selectFrom(table).select('session_id').where('session_id', 'in', [removed, kept]).execute()).map(
      ({ session_id }) => session_id,
    )
  expect(await left('message')).toEqual([kept])
  expect(await left('turn')).toEqual([kept])
  expect(await worker().selectFrom('session').select('id').where('id', 'in', [removed, kept]).execute()).toEqual([
    { id: kept },
  ])
  expect(await worker().selectFrom('contact').select('id').where('id', '=', contact).execute()).toHaveLength(1)
})

test('attempts to link are counted for an hour and kept for a day, operations on many sessions for a week', async () => {
  const addAttempt = (at: Date) =>
    worker()
      .insertInto('linking_attempt')
      .values({ company_id: companyId, session_id: sessionId, created_at: at })
      .execute()
  const addOperation = (finishedAt: Date | null) =>
    worker()
      .insertInto('bulk_operation')
      .values({ id: newId(), action: 'pause', session_ids: [], finished_at: finishedAt })
      .execute()
  await addAttempt(daysAgo(2))
  await addAttempt(daysAgo(0.5))
  await addOperation(daysAgo(8))
  await addOperation(daysAgo(6))
  await addOperation(null)
  expect(await maintain(testDatabase.database, now)).toMatchObject({
    linkingAttemptsDeleted: 1,
    bulkOperationsDeleted: 1,
  })
  expect(await worker().selectFrom('bulk_operation').select('id').execute()).toHaveLength(2)
})

test('deliveries leave with the events that they were for, however many there are', async () => {
  const addDeliveries = (count: number, createdAt: Date) =>
    sql`insert into webhook_delivery (company_id, endpoint_id, event_id, event_transaction, event_at, event_type, lane, state, created_at)
      select ${companyId}, ${newId()}, place, '1', ${createdAt}, 'message.received', '', 'delivered', ${createdAt}
      from generate_series(1, ${count}::int) as place`.execute(worker())
  await addDeliveries(6000, daysAgo(8))
  await addDeliveries(3, daysAgo(6))
  expect(await maintain(testDatabase.database, now)).toMatchObject({ deliveriesDeleted: 6000 })
  expect(await maintain(testDatabase.database, now)).toMatchObject({ deliveriesDeleted: 0 })
  expect(await worker().selectFrom('webhook_delivery').select('id').execute()).toHaveLength(3)
})
