import { sql } from 'kysely'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Alerts } from '#src/services/alerts/alerts.ts'
import { listOutlivedAlerts } from '#src/storage/alerts.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'

let database: TestDatabase
let alerts: Alerts

beforeAll(async () => {
  database = await createTestDatabase()
  alerts = new Alerts({ database: database.database, log: pino({ level: 'silent' }) })
})
afterAll(async () => {
  await alerts[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
})

const PAGE = { state: 'raised', limit: 50 } as const
const eventsOf = (companyId: string) =>
  database.database.worker
    .selectFrom('event')
    .select(['type', 'subject_id', 'session_id'])
    .where('company_id', '=', companyId)
    .orderBy('id')
    .execute()

test('an alert is raised once for its subject, however often it is said, and cleared once', async () => {
  const companyId = await database.createCompany()
  const sessionId = await database.createSession(companyId)
  const subject = { kind: 'phone_silent', companyId, sessionId } as const
  alerts.raise(subject, { days: 10 })
  alerts.raise(subject, { days: 11 })
  await alerts.stored()
  const { items } = await alerts.list(companyId, PAGE)
  expect(items).toMatchObject([{ kind: 'phone_silent', sessionId, detail: { days: 10 }, clearedAt: null }])

  alerts.clear(subject)
  alerts.clear(subject)
  await alerts.stored()
  expect((await alerts.list(companyId, PAGE)).items).toEqual([])
  expect((await alerts.list(companyId, { ...PAGE, state: 'all' })).items).toMatchObject([
    { id: items[0]?.id, clearedAt: expect.any(String) },
  ])
  const raised = { subject_id: items[0]?.id, session_id: sessionId }
  expect(await eventsOf(companyId)).toEqual([
    { type: 'alert.raised', ...raised },
    { type: 'alert.cleared', ...raised },
  ])
})

test('what is over can be raised again', async () => {
  const companyId = await database.createCompany()
  const sessionId = await database.createSession(companyId)
  const subject = { kind: 'session_unstable', companyId, sessionId } as const
  alerts.raise(subject)
  alerts.clear(subject)
  alerts.raise(subject)
  await alerts.stored()
  expect((await alerts.list(companyId, { ...PAGE, state: 'all' })).items).toHaveLength(2)
  expect((await alerts.list(companyId, PAGE)).items).toHaveLength(1)
})

test("the platform's own alert is raised once, and no company sees it", async () => {
  const companyId = await database.createCompany()
  alerts.raise({ kind: 'client_outdated' }, { waVersion: '2.3000.1' })
  alerts.raise({ kind: 'client_outdated' }, { waVersion: '2.3000.1' })
  await alerts.stored()
  expect((await alerts.list(companyId, PAGE)).items).toEqual([])
  expect((await alerts.listAll(PAGE)).items.filter(({ kind }) => kind === 'client_outdated')).toHaveLength(1)
})

test('pages, newest first', async () => {
  const companyId = await database.createCompany()
  for (let n = 0; n < 3; n++)
    alerts.raise({ kind: 'session_stuck', companyId, sessionId: await database.createSession(companyId) })
  await alerts.stored()
  const first = await alerts.list(companyId, { ...PAGE, limit: 2 })
  expect(first.items).toHaveLength(2)
  const second = await alerts.list(companyId, { ...PAGE, limit: 2, cursor: first.next ?? '' })
  expect(second).toMatchObject({ next: null, items: [{ kind: 'session_stuck' }] })
  expect(new Set([...first.items, ...second.items].map(({ id }) => id)).size).toBe(3)
})

test('what whoever raised it could not clear is found when its session has been online for a while', async () => {
  const companyId = await database.createCompany()
  const [well, away] = [await database.createSession(companyId), await database.createSession(companyId)]
  for (const sessionId of [well, away]) alerts.raise({ kind: 'session_unstable', companyId, sessionId })
  await alerts.stored()
  const outlived = async () =>
    (await listOutlivedAlerts(database.database.worker)).filter((each) => each.companyId === companyId)
  expect(await outlived()).toEqual([])
  const longAgo = new Date(Date.now() - 3600 * 1000)
  await sql`update alert set raised_at = ${longAgo} where company_id = ${companyId}`.execute(database.database.worker)
  await database.database.worker
    .updateTable('session')
    .set({ state: 'online', state_since: longAgo })
    .where('id', '=', well)
    .execute()
  expect(await outlived()).toEqual([{ kind: 'session_unstable', companyId, sessionId: well }])
})
