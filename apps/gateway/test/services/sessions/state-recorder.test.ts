import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { StateRecorder } from '#src/services/sessions/state-recorder.ts'
import type { Database } from '#src/storage/database.ts'
import { claimLease } from '#src/storage/leases.ts'
import type { StateChange } from '#src/storage/sessions.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'

let database: TestDatabase
let companyId: string
const log = pino({ level: 'silent' })

beforeAll(async () => {
  database = await createTestDatabase()
  companyId = await database.createCompany()
})
afterAll(() => database[Symbol.asyncDispose]())

const change = (state: StateChange['state']): StateChange => ({
  ...{ state, reason: null, isLinked: true, isOver: false },
  since: new Date(),
})
const recordedStates = async (sessionId: string) => {
  const rows = await database.database.worker
    .selectFrom('event')
    .select('data')
    .where('session_id', '=', sessionId)
    .orderBy('id')
    .execute()
  return rows.map(({ data }) => data['state'])
}

/** The database, whose first transactions fail as if it were away. */
function awayFor(failures: number): Database {
  let left = failures
  const worker = new Proxy(database.database.worker, {
    get(target, name) {
      if (name === 'transaction' && left > 0) {
        left -= 1
        throw new Error('The database is away.')
      }
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return { ...database.database, worker }
}

describe('the states of a session', () => {
  test('are stored in their order, also when the database is away for a while', async () => {
    const sessionId = await database.createSession(companyId)
    const lease = await claimLease(database.database, crypto.randomUUID(), sessionId)
    const recorder = new StateRecorder(awayFor(2), log, new AbortController().signal)
    for (const state of ['connecting', 'online', 'reconnecting', 'online'] as const)
      recorder.record(lease, change(state))
    await recorder.stored()
    expect(await recordedStates(sessionId)).toEqual(['connecting', 'online', 'reconnecting', 'online'])
  })

  test('are no longer ours to store when the lease is lost', async () => {
    const sessionId = await database.createSession(companyId)
    const lease = await claimLease(database.database, crypto.randomUUID(), sessionId)
    await claimLease(database.database, crypto.randomUUID(), sessionId)
    const recorder = new StateRecorder(database.database, log, new AbortController().signal)
    recorder.record(lease, change('online'))
    await recorder.stored()
    expect(await recordedStates(sessionId)).toEqual([])
  })

  test('are given up when the process has to end', async () => {
    const sessionId = await database.createSession(companyId)
    const lease = await claimLease(database.database, crypto.randomUUID(), sessionId)
    const givingUp = new AbortController()
    const recorder = new StateRecorder(awayFor(1_000_000), log, givingUp.signal)
    recorder.record(lease, change('online'))
    givingUp.abort()
    await recorder.stored()
    expect(await recordedStates(sessionId)).toEqual([])
  })
})
