import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { connect, connectionConfig } from '#src/storage/connection.ts'
import { claimLease, fenced, LeaseLostError } from '#src/storage/leases.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { until } from '../support/until.ts'
import { somebodyWaits } from './somebody-waits.ts'

let testDatabase: TestDatabase
beforeAll(async () => {
  testDatabase = await createTestDatabase()
})
afterAll(() => testDatabase[Symbol.asyncDispose]())

const newSession = async () => {
  const companyId = await testDatabase.createCompany()
  return { companyId, sessionId: await testDatabase.createSession(companyId) }
}

test('each claim has the next epoch, and takes the session over', async () => {
  const { companyId, sessionId } = await newSession()
  const [first, second] = [newId(), newId()]
  expect(await claimLease(testDatabase.database, first, sessionId)).toEqual({
    sessionId,
    companyId,
    nodeId: first,
    epoch: 1,
  })
  expect(await claimLease(testDatabase.database, second, sessionId)).toEqual({
    sessionId,
    companyId,
    nodeId: second,
    epoch: 2,
  })
  // A node that starts again claims its own sessions anew: its former self may still be writing.
  expect(await claimLease(testDatabase.database, second, sessionId)).toMatchObject({ epoch: 3 })
})

test('claims at the same moment get different epochs', async () => {
  const { sessionId } = await newSession()
  const claims = await Promise.all(
    Array.from({ length: 8 }, () => claimLease(testDatabase.database, newId(), sessionId)),
  )
  expect(new Set(claims.map(({ epoch }) => epoch))).toEqual(new Set([1, 2, 3, 4, 5, 6, 7, 8]))
})

test('there is no lease of a session that does not exist', async () => {
  await expect(claimLease(testDatabase.database, newId(), newId())).rejects.toMatchObject({ code: 'not_found' })
})

test('the owner writes, a former one does not', async () => {
  const { sessionId } = await newSession()
  const former = await claimLease(testDatabase.database, newId(), sessionId)
  const rename = (name: string) => (db: Parameters<Parameters<typeof fenced>[2]>[0]) =>
    db.updateTable('session').set({ name }).where('id', '=', sessionId).execute()
  await fenced(testDatabase.database, former, rename('by the first'))
  const present = await claimLease(testDatabase.database, newId(), sessionId)
  await expect(fenced(testDatabase.database, former, rename('by a ghost'))).rejects.toThrow(LeaseLostError)
  const { worker } = testDatabase.database
  const name = () => worker.selectFrom('session').select('name').where('id', '=', sessionId).executeTakeFirst()
  expect(await name()).toEqual({ name: 'by the first' })
  await fenced(testDatabase.database, present, rename('by the second'))
  expect(await name()).toEqual({ name: 'by the second' })
})

test('work that has begun under the lease is finished before somebody else gets it', async () => {
  const { sessionId } = await newSession()
  const lease = await claimLease(testDatabase.database, newId(), sessionId)
  const order: string[] = []
  let claim: Promise<unknown> | undefined
  await fenced(testDatabase.database, lease, async (db) => {
    claim = claimLease(testDatabase.database, newId(), sessionId).then(() => order.push('claimed'))
    const observer = await connect(connectionConfig(testDatabase.url))
    await until(() => somebodyWaits(observer))
    await observer.end()
    await sql`select 1`.execute(db)
    order.push('worked')
  })
  await claim
  expect(order).toEqual(['worked', 'claimed'])
})
