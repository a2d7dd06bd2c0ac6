import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Lease } from '#src/storage/leases.ts'
import { type StateChange, storeTransitions } from '#src/storage/session-states.ts'
import { readUptime } from '#src/storage/session-uptime.ts'
import { claimLease } from '../support/claim-lease.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'

let testDatabase: TestDatabase
let companyId: string
beforeAll(async () => {
  testDatabase = await createTestDatabase()
  companyId = await testDatabase.createCompany()
})
afterAll(() => testDatabase[Symbol.asyncDispose]())

const worker = () => testDatabase.database.worker
const leases = new Map<string, Lease>()
const change = async (
  sessionId: string,
  state: StateChange['state'],
  since: string,
  more: Partial<StateChange> = {},
) => {
  const lease = leases.get(sessionId)
  if (lease === undefined) throw new Error('The session has no owner.')
  const common = { reason: null, nextAttemptAt: null, attempts: 0, isLinked: true, isOver: false }
  await storeTransitions(worker(), [{ lease, change: { ...common, state, since: new Date(since), ...more } }])
}
const days = async (sessionId: string) =>
  (
    await worker()
      .selectFrom('session_uptime')
      .select(['online_ms', 'meant_ms'])
      .where('session_id', '=', sessionId)
      .orderBy('day')
      .execute()
  ).map(({ online_ms, meant_ms }) => [online_ms / 3_600_000, meant_ms / 3_600_000])
const newSession = async (since: string) => {
  const sessionId = await testDatabase.createSession(companyId)
  await worker()
    .updateTable('session')
    .set({ state_since: new Date(since) })
    .where('id', '=', sessionId)
    .execute()
  leases.set(sessionId, await claimLease(testDatabase.database, crypto.randomUUID(), sessionId))
  return sessionId
}

test('each transition adds the time that it ends, day by day of UTC', async () => {
  const id = await newSession('2026-03-08T20:00:00Z')
  await change(id, 'connecting', '2026-03-08T20:00:00Z')
  await change(id, 'online', '2026-03-08T22:00:00Z')
  await change(id, 'reconnecting', '2026-03-10T06:00:00Z')
  await change(id, 'online', '2026-03-10T07:00:00Z')
  expect(await days(id)).toEqual([
    [2, 4],
    [24, 24],
    [6, 7],
  ])
})

test('what is paused is not meant to be online', async () => {
  const id = await newSession('2026-03-10T00:00:00Z')
  await change(id, 'online', '2026-03-10T00:00:00Z')
  await change(id, 'paused', '2026-03-10T03:00:00Z', { isOver: true })
  await change(id, 'connecting', '2026-03-10T09:00:00Z')
  await change(id, 'online', '2026-03-10T10:00:00Z')
  expect(await days(id)).toEqual([[3, 4]])
})

test('a session whose owner has died was online until the owner was last seen', async () => {
  const id = await newSession('2026-03-10T00:00:00Z')
  await change(id, 'online', '2026-03-10T00:00:00Z')
  const formerOwnerSeenAt = new Date('2026-03-10T04:00:00Z')
  await change(id, 'connecting', '2026-03-10T05:00:00Z', { formerOwnerSeenAt })
  expect(await days(id)).toEqual([[4, 5]])
})

test('a session that links is not meant to be online yet', async () => {
  const id = await newSession('2026-03-10T00:00:00Z')
  await worker().updateTable('session').set({ linked_at: null }).where('id', '=', id).execute()
  await change(id, 'connecting', '2026-03-10T01:00:00Z', { isLinked: false })
  await change(id, 'linking', '2026-03-10T02:00:00Z', { isLinked: false })
  await change(id, 'online', '2026-03-10T05:00:00Z')
  expect(await days(id)).toEqual([])
})

test('uptime is the part of the time meant, the present state included, and null without any', async () => {
  const id = await newSession('2026-03-08T12:00:00Z')
  const at = (moment: string) => readUptime(companyId, worker(), id, new Date(moment))
  expect(await at('2026-03-08T12:00:00Z')).toEqual({ last24Hours: null, last30Days: null, last90Days: null })
  await change(id, 'online', '2026-03-08T12:00:00Z')
  expect(await at('2026-03-09T12:00:00Z')).toEqual({ last24Hours: 1, last30Days: 1, last90Days: 1 })
  await change(id, 'reconnecting', '2026-03-10T00:00:00Z')
  // One day and a half online, half a day not.
  expect(await at('2026-03-10T12:00:00Z')).toEqual({ last24Hours: 0.5, last30Days: 0.75, last90Days: 0.75 })
  await change(id, 'online', '2026-03-10T12:00:00Z')
  expect((await at('2026-03-12T12:00:00Z')).last24Hours).toBe(1)
  expect((await at('2026-07-01T00:00:00Z')).last90Days).toBe(1)
})

test('another company reads nothing', async () => {
  const id = await newSession('2026-03-10T00:00:00Z')
  await change(id, 'online', '2026-03-10T00:00:00Z')
  const other = await testDatabase.createCompany()
  expect(await readUptime(other, worker(), id, new Date('2026-03-10T01:00:00Z'))).toMatchObject({ last30Days: null })
})
