import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { StateRecorder } from '#src/services/sessions/state-recorder.ts'
import { TransitionBatcher } from '#src/services/sessions/transition-batcher.ts'
import type { Database } from '#src/storage/database.ts'
import type { StateChange } from '#src/storage/session-states.ts'
import { claimLease } from '../../support/claim-lease.ts'
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
  ...{ state, reason: null, nextAttemptAt: null, attempts: 0, isLinked: true, isOver: false },
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
      if ((name === 'transaction' || name === 'getExecutor') && left > 0) {
        left -= 1
        throw new Error('The database is away.')
      }
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return { ...database.database, worker }
}

/** A recorder of a session that is owned, and what it was refused. */
async function openRecorder(of: { database?: Database; signal?: AbortSignal } = {}) {
  const sessionId = await database.createSession(companyId)
  const lease = await claimLease(database.database, crypto.randomUUID(), sessionId)
  const refusals: string[] = []
  const recorder = new StateRecorder({
    ...{ database: database.database, signal: new AbortController().signal, log, lease, ...of },
    transitions: new TransitionBatcher(of.database ?? database.database),
    onRefused: (reason) => refusals.push(reason),
  })
  return { sessionId, recorder, refusals }
}

/** A recorder whose database takes what it is given when `answer` is called, and then at once. */
function openSlowRecorder() {
  const stored: StateChange[] = []
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>()
  const recorder = new StateRecorder({
    ...{ database: database.database, signal: new AbortController().signal, log, onRefused: () => undefined },
    lease: { sessionId: 'a', companyId, nodeId: 'b', epoch: 1 },
    transitions: {
      async store(transition) {
        await answered
        stored.push(transition.change)
      },
    },
  })
  return { recorder, stored, answer }
}

describe('the states of a session', () => {
  test('are stored in their order, also when the database is away for a while', async () => {
    const { sessionId, recorder } = await openRecorder({ database: awayFor(2) })
    for (const state of ['connecting', 'online', 'reconnecting', 'online'] as const) recorder.record(change(state))
    await recorder.stored()
    expect(await recordedStates(sessionId)).toEqual(['connecting', 'online', 'reconnecting', 'online'])
  })

  test('are never so many that the newest is lost', async () => {
    const { recorder, stored, answer } = openSlowRecorder()
    for (let attempts = 0; attempts <= 100; attempts += 1) recorder.record({ ...change('reconnecting'), attempts })
    recorder.record(change('online'))
    answer()
    await recorder.stored()
    expect(stored.at(-1)?.state).toBe('online')
    expect(stored).toHaveLength(101)
  })

  test('are no longer ours to store when the lease is lost, and whoever records them learns of it', async () => {
    const { sessionId, recorder, refusals } = await openRecorder()
    await claimLease(database.database, crypto.randomUUID(), sessionId)
    recorder.record(change('online'))
    await recorder.stored()
    expect(await recordedStates(sessionId)).toEqual([])
    expect(refusals).toEqual(['lease_lost'])
  })

  test('are given up when the process has to end', async () => {
    const givingUp = new AbortController()
    const { sessionId, recorder } = await openRecorder({ database: awayFor(1_000_000), signal: givingUp.signal })
    recorder.record(change('online'))
    givingUp.abort()
    await recorder.stored()
    expect(await recordedStates(sessionId)).toEqual([])
  })

  test('of a number that another session has linked are not stored, and nothing that was to follow', async () => {
    const account = { phone: '4917000000001', lid: null }
    const first = await openRecorder()
    first.recorder.record({ ...change('online'), account })
    await first.recorder.stored()
    const second = await openRecorder()
    second.recorder.record({ ...change('connecting'), account })
    second.recorder.record(change('online'))
    await second.recorder.stored()
    expect(second.refusals).toEqual(['number_taken'])
    expect(await recordedStates(second.sessionId)).toEqual([])
    second.recorder.record(change('failed'))
    await second.recorder.stored()
    expect(await recordedStates(second.sessionId)).toEqual(['failed'])
  })
})

test('the transitions of many sessions are stored together, and one that is refused spoils none', async () => {
  const account = { phone: '4917000000002', lid: null }
  const batcher = new TransitionBatcher(database.database)
  const sessions = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const sessionId = await database.createSession(companyId)
      return { sessionId, lease: await claimLease(database.database, crypto.randomUUID(), sessionId) }
    }),
  )
  const [lost, first, second] = sessions
  if (!lost || !first || !second) throw new Error('There are no sessions.')
  await claimLease(database.database, crypto.randomUUID(), lost.sessionId)
  const outcomes = await Promise.allSettled(
    sessions.map(({ lease, sessionId }) => {
      const isTaken = sessionId === first.sessionId || sessionId === second.sessionId
      return batcher.store({ lease, change: { ...change('online'), ...(isTaken && { account }) } })
    }),
  )
  const reasons = outcomes.map((outcome) => (outcome.status === 'rejected' ? outcome.reason.name : undefined))
  expect(reasons).toEqual(['LeaseLostError', undefined, 'NumberTakenError', ...Array.from({ length: 17 })])
  const states = await Promise.all(sessions.map(({ sessionId }) => recordedStates(sessionId)))
  expect(states.map((each) => each.length)).toEqual(reasons.map((reason) => (reason === undefined ? 1 : 0)))
})
