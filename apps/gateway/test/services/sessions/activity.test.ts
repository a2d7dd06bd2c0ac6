import { sql } from 'kysely'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ReceivedMessage } from '#src/model/session-store.ts'
import { Alerts } from '#src/services/alerts/alerts.ts'
import { ActivityRecorder } from '#src/services/sessions/activity-recorder.ts'
import { watchPhones } from '#src/services/sessions/phone-silence.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'

const DAY_MS = 24 * 3600 * 1000
const log = pino({ level: 'silent' })
let database: TestDatabase

beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(async () => {
  await database[Symbol.asyncDispose]()
})

const activityOf = (sessionId: string) =>
  database.database.worker
    .selectFrom('session_activity')
    .selectAll()
    .where('session_id', '=', sessionId)
    .executeTakeFirst()

test('what comes in, goes out, or comes from the phone is noted, each by itself', async () => {
  const companyId = await database.createCompany()
  const sessionId = await database.createSession(companyId)
  const recorded = async (use: (recorder: ActivityRecorder) => void) => {
    await using recorder = new ActivityRecorder({ database: database.database, log })
    use(recorder)
  }
  const inbound = { direction: 'inbound' } as ReceivedMessage
  await recorded((recorder) => recorder.committed([{ sessionId, companyId, messages: [inbound], receipts: [] }]))
  expect(await activityOf(sessionId)).toMatchObject({
    last_inbound_at: expect.any(Date),
    last_outbound_at: null,
    phone_seen_at: null,
  })
  const receipt = { messageId: '', contactId: '', whatsappId: '', status: 'sent' } as const
  const at = new Date('2026-11-02T09:15:00Z')
  await recorded((recorder) => {
    recorder.committed([{ sessionId, companyId, messages: [], receipts: [receipt] }])
    recorder.phoneSeen({ sessionId, companyId }, at)
  })
  const activity = await activityOf(sessionId)
  expect(activity).toMatchObject({
    last_inbound_at: expect.any(Date),
    last_outbound_at: expect.any(Date),
    phone_seen_at: at,
  })
  await recorded((recorder) => recorder.phoneSeen({ sessionId, companyId }, new Date(at.getTime() - 1000)))
  expect((await activityOf(sessionId))?.phone_seen_at).toEqual(at)
})

test('a session that is gone keeps the others from nothing', async () => {
  const companyId = await database.createCompany()
  const sessionId = await database.createSession(companyId)
  {
    await using recorder = new ActivityRecorder({ database: database.database, log })
    recorder.phoneSeen({ sessionId: crypto.randomUUID(), companyId }, new Date())
    recorder.phoneSeen({ sessionId, companyId }, new Date())
  }
  expect(await activityOf(sessionId)).toBeDefined()
})

test('a phone that was not seen for ten days is warned of once, until it is seen again', async () => {
  const companyId = await database.createCompany()
  const linkedAt = new Date(Date.now() - 30 * DAY_MS)
  const [silent, seen] = [await database.createSession(companyId), await database.createSession(companyId)]
  await database.database.worker
    .updateTable('session')
    .set({ linked_at: linkedAt })
    .where('company_id', '=', companyId)
    .execute()
  const see = async (sessionId: string, daysAgo: number) => {
    await using recorder = new ActivityRecorder({ database: database.database, log })
    recorder.phoneSeen({ sessionId, companyId }, new Date(Date.now() - daysAgo * DAY_MS))
  }
  await see(silent, 10.1)
  await see(seen, 9.9)
  await using alerts = new Alerts({ database: database.database, log })
  const raised = async () => {
    await watchPhones(database.database, alerts)
    await alerts.stored()
    const { items } = await alerts.list(companyId, { state: 'raised', limit: 50 })
    return items.map(({ kind, sessionId }) => [kind, sessionId])
  }
  // A new session has not been silent for longer than it exists.
  expect(await raised()).toEqual([])
  await sql`update session set created_at = ${linkedAt} where company_id = ${companyId}`.execute(
    database.database.worker,
  )
  expect(await raised()).toEqual([['phone_silent', silent]])
  expect(await raised()).toEqual([['phone_silent', silent]])
  await see(silent, 0)
  expect(await raised()).toEqual([])
})
