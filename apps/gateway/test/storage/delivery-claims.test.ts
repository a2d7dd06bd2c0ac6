import { sql } from 'kysely'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { connect, connectionConfig } from '#src/storage/connection.ts'
import { replayDeliveries } from '#src/storage/deliveries.ts'
import { type AttemptOutcome, claimDeliveries, keepClaims, storeOutcomes } from '#src/storage/delivery-claims.ts'
import { createTestDatabase } from '../support/database.ts'
import { until } from '../support/until.ts'
import { somebodyWaits } from './somebody-waits.ts'

const testDatabase = await createTestDatabase()
const { worker } = testDatabase.database
afterAll(() => testDatabase[Symbol.asyncDispose]())

let companyId: string
let endpointId: string
beforeEach(async () => {
  companyId = await testDatabase.createCompany()
  endpointId = newId()
  await sql`
    insert into webhook_endpoint (id, company_id, url, ordering, secrets)
    values (${endpointId}, ${companyId}, 'https://example.com', 'chat', '')`.execute(worker)
})

const happen = (chats: readonly string[]) =>
  sql`
    insert into event (company_id, type, data)
    select ${companyId}, 'message.received', jsonb_build_object('contactId', chat)
    from unnest(${[...chats]}::text[]) with ordinality as happened (chat, place) order by place`.execute(worker)
const claimChats = async (room: number) => {
  const claimed = await claimDeliveries(worker, [{ endpointId, room }])
  return claimed.map(({ event }) => event.data['contactId'])
}

test('of chats in order only the first delivery of each is claimed, those that are due for longest first', async () => {
  await happen(['c', 'c', 'b', 'c', 'a', 'b'])
  expect(await claimChats(2)).toEqual(['c', 'b'])
  expect(await claimChats(2)).toEqual(['a'])
  expect(await claimChats(2)).toEqual([])
})

test('a chat that is held up holds up no other, however much of it has been due for longest', async () => {
  await happen([...Array.from({ length: 700 }, () => 'held up'), 'b', 'a', 'b'])
  expect(await claimChats(1)).toEqual(['held up'])
  expect(await claimChats(16)).toEqual(['b', 'a'])
  expect(await claimChats(16)).toEqual([])
})

describe('whoever waits for deliveries locks them in the order of their ids', () => {
  const claim = async () => {
    await happen(['a', 'b', 'c'])
    const claimed = await claimDeliveries(worker, [{ endpointId, room: 3 }])
    expect(claimed).toHaveLength(3)
    return claimed
  }
  type Claimed = Awaited<ReturnType<typeof claim>>
  const delivered = ({ id, claim }: Claimed[number]): AttemptOutcome => ({
    delivery: { id, claim },
    endpoint: { id: endpointId, companyId },
    attempt: { at: new Date().toISOString(), durationMs: 1, status: 204, code: null, answer: '' },
    ...{ nextAttemptAt: undefined, notBefore: undefined, isDelivered: true, isGone: false },
  })

  test.each<[string, (claimed: Claimed) => Promise<unknown>]>([
    ['outcomes', (claimed) => storeOutcomes(worker, claimed.toReversed().map(delivered))],
    ['claims that are kept', (claimed) => keepClaims(worker, claimed.toReversed())],
    [
      'a replay',
      () =>
        testDatabase.database.asCompany(companyId, (db) =>
          replayDeliveries(companyId, db, { endpointId, state: 'waiting', limit: 10 }),
        ),
    ],
  ])('%s', async (_, work) => {
    const claimed = await claim()
    const [first, , last] = claimed
    await using ends = new AsyncDisposableStack()
    const other = await connect(connectionConfig(testDatabase.url))
    ends.defer(() => other.end())
    const watcher = await connect(connectionConfig(testDatabase.url))
    ends.defer(() => watcher.end())
    const lock = 'select from webhook_delivery where id = $1 for update'
    await other.query('begin')
    // The one that has waited longer looks for deadlocks first, and would be the one that fails.
    await other.query(`set local deadlock_timeout = '1min'`)
    await other.query(lock, [first?.id])
    const working = work(claimed)
    await until(() => somebodyWaits(watcher))
    await other.query(lock, [last?.id])
    await other.query('commit')
    await working
  })
})
