import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { connect, connectionConfig } from '#src/storage/connection.ts'
import { HeartbeatConnection } from '#src/storage/heartbeat.ts'
import { claimSessions, fenced, LeaseLostError, readOwnership, releaseLeases } from '#src/storage/leases.ts'
import { beginLife, endLife, type NodeLife } from '#src/storage/nodes.ts'
import { putRestoredSession } from '#src/storage/restored-sessions.ts'
import { createContact } from '../services/support/messages.ts'
import { claimLease } from '../support/claim-lease.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { until } from '../support/until.ts'
import { somebodyWaits } from './somebody-waits.ts'

let testDatabase: TestDatabase
let companyId: string
beforeAll(async () => {
  testDatabase = await createTestDatabase()
})
afterAll(() => testDatabase[Symbol.asyncDispose]())
beforeEach(async () => {
  const { worker } = testDatabase.database
  await worker.deleteFrom('company').execute()
  await worker.deleteFrom('node').execute()
  companyId = await testDatabase.createCompany()
})

const newSession = () => testDatabase.createSession(companyId)
const newNode = () => beginLife(testDatabase.database.worker, newId())
const claim = async (life: NodeLife, options: { limit?: number; among?: string[] } = {}) =>
  await claimSessions(testDatabase.database, life, { limit: 100, ...options })
const claimOne = async (life: NodeLife) => {
  const [claimed] = await claim(life)
  if (claimed === undefined) throw new Error('There was nothing to claim.')
  return claimed
}
/** As if the node had not been seen for so long, or had a clock that goes so much before the database's. */
const shiftSeen = (life: NodeLife, interval: string) =>
  sql`update node set seen_at = now() + ${interval}::interval where id = ${life.nodeId}`.execute(
    testDatabase.database.worker,
  )
async function beat(life: NodeLife) {
  await using connection = new HeartbeatConnection(testDatabase.database)
  return await connection.beat(life)
}

describe('claims', () => {
  test('nobody claims what a living node owns; each claim has the next epoch', async () => {
    const sessionId = await newSession()
    const [first, second] = [await newNode(), await newNode()]
    const claimed = await claimOne(first)
    expect(claimed.lease).toEqual({ sessionId, companyId, nodeId: first.nodeId, epoch: 1 })
    expect(claimed.session).toMatchObject({ id: sessionId, desired: 'running' })
    expect(claimed.ownerSeenAt).toBeNull()
    expect(await claim(second)).toEqual([])
    expect(await claim(first)).toEqual([])
    expect(await readOwnership(testDatabase.database)).toEqual({ nodes: 2, wanted: 1, free: 0 })

    await endLife(testDatabase.database.worker, first)
    expect(await readOwnership(testDatabase.database)).toEqual({ nodes: 1, wanted: 1, free: 1 })
    const taken = await claimOne(second)
    expect(taken.lease).toEqual({ sessionId, companyId, nodeId: second.nodeId, epoch: 2 })
    expect(taken.ownerSeenAt?.getTime()).toBeCloseTo(Date.now(), -4)
    expect(await claim(first)).toEqual([])
  })

  test('a node that begins anew claims its own sessions at once, without waiting to be forgotten', async () => {
    await newSession()
    const life = await newNode()
    await claimOne(life)
    const next = await beginLife(testDatabase.database.worker, life.nodeId)
    expect(next.incarnation).toBe(life.incarnation + 1)
    expect(await claim(life)).toEqual([])
    const again = await claimOne(next)
    expect(again.lease.epoch).toBe(2)
    expect(again.ownerSeenAt).toBeInstanceOf(Date)
  })

  test('claims at the same moment share what there is: each session has one owner', async () => {
    const sessionIds = await Promise.all(Array.from({ length: 40 }, newSession))
    const nodes = await Promise.all(Array.from({ length: 8 }, newNode))
    const claims = await Promise.all(nodes.map((life) => claim(life, { limit: 10 })))
    const claimed = claims.flat().map(({ lease }) => lease)
    expect(claimed.every(({ epoch }) => epoch === 1)).toBe(true)
    expect(new Set(claimed.map(({ sessionId }) => sessionId)).size).toBe(claimed.length)
    await claim(nodes[0] as NodeLife)
    const { rows } = await sql`select session_id from session_lease`.execute(testDatabase.database.worker)
    expect(rows).toHaveLength(sessionIds.length)
  })

  test('what is given back is free, and never that of a later owner', async () => {
    await newSession()
    const [first, second] = [await newNode(), await newNode()]
    const { lease } = await claimOne(first)
    await releaseLeases(testDatabase.database, [lease])
    const taken = await claimOne(second)
    expect(taken).toMatchObject({ lease: { epoch: 2 }, ownerSeenAt: null })
    await releaseLeases(testDatabase.database, [lease])
    expect(await claim(first)).toEqual([])
  })

  test('a session that was restored is free, also when its former owner had not given it back yet', async () => {
    const { worker } = testDatabase.database
    const sessionId = await newSession()
    const life = await newNode()
    const { lease } = await claimOne(life)
    await worker.updateTable('session').set({ desired: 'stopped', state: 'paused' }).execute()
    const restored = { id: sessionId, name: 'main', provider: 'baileys', settings: {}, proxy: null } as const
    const link = { linkedAt: new Date(), phone: null, lid: null, createdAt: new Date() }
    const sealer = await testDatabase.keyRing.sealerOf(companyId)
    await worker.transaction().execute((db) => putRestoredSession(companyId, db, { ...restored, ...link }, sealer))
    await releaseLeases(testDatabase.database, [lease])
    await worker.updateTable('session').set({ desired: 'running' }).execute()
    expect(await claimOne(life)).toMatchObject({ lease: { sessionId, epoch: 3 } })
  })

  test.each([
    ['running', 'online', true],
    ['running', 'failed', true],
    // Its owner died before it could pause it.
    ['stopped', 'online', true],
    ['stopped', 'paused', false],
    ['stopped', 'created', false],
    ['logged_out', 'paused', true],
    ['logged_out', 'logged_out', false],
    ['deleted', 'created', true],
  ] as const)('a session that is to be %s and is %s: claimed is %s', async (desired, state, isClaimed) => {
    const sessionId = await newSession()
    await testDatabase.database.worker
      .updateTable('session')
      .set({ desired, state })
      .where('id', '=', sessionId)
      .execute()
    expect(await claim(await newNode())).toHaveLength(isClaimed ? 1 : 0)
  })

  test('sessions in which messages wait come first, then those that the node has had before', async () => {
    const [plain, own, waiting] = [await newSession(), await newSession(), await newSession()]
    const { database } = testDatabase
    const life = await newNode()
    await claim(life, { among: [own] })
    const contactId = await createContact(database, companyId)
    await database.worker
      .insertInto('message')
      .values({
        ...{ id: newId(), company_id: companyId, session_id: waiting, contact_id: contactId, whatsapp_id: newId() },
        ...{ direction: 'outbound', origin: 'api', status: 'queued' },
        content: JSON.stringify({ kind: 'text', text: 'Hello' }),
      })
      .execute()
    const next = await beginLife(database.worker, life.nodeId)
    const order: string[] = []
    for (let n = 0; n < 3; n++) order.push(...(await claim(next, { limit: 1 })).map(({ session }) => session.id))
    expect(order).toEqual([waiting, own, plain])
  })
})

describe('lives of nodes', () => {
  test('a node that is not seen for five seconds is declared dead by the next heartbeat of another', async () => {
    await newSession()
    const [silent, watching] = [await newNode(), await newNode()]
    await claimOne(silent)
    await shiftSeen(silent, '-4.5 seconds')
    expect(await beat(watching)).toMatchObject({ isAlive: true, died: 0 })
    expect(await beat(silent)).toMatchObject({ isAlive: true })
    await shiftSeen(silent, '-5.5 seconds')
    const { lives } = await beat(await newNode())
    const found = await beat(watching)
    expect(found.died).toBe(0)
    expect(found.lives).not.toBe(lives)
    // It hears of it, and begins anew.
    expect(await beat(silent)).toMatchObject({ isAlive: false })
    const taken = await claimOne(watching)
    const unseenMs = Date.now() - (taken.ownerSeenAt?.getTime() ?? 0)
    expect(unseenMs).toBeGreaterThan(5000)
    const next = await beginLife(testDatabase.database.worker, silent.nodeId)
    expect(await beat(next)).toMatchObject({ isAlive: true })
  })

  test.each(['-1 hour', '1 hour'])(
    'when the database comes back or its clock jumps (%s), nobody is declared dead',
    async (jump) => {
      const nodes = [await newNode(), await newNode(), await newNode()]
      for (const life of nodes) await shiftSeen(life, jump)
      for (const _ of [1, 2]) {
        for (const life of nodes) expect(await beat(life)).toMatchObject({ isAlive: true, died: 0 })
      }
    },
  )

  test('a life that was ended does not come back', async () => {
    const life = await newNode()
    await endLife(testDatabase.database.worker, life)
    await endLife(testDatabase.database.worker, life)
    expect(await beat(life)).toMatchObject({ isAlive: false })
  })
})

describe('fencing', () => {
  test('the owner writes, a former one does not', async () => {
    const sessionId = await newSession()
    const former = await claimLease(testDatabase.database, newId(), sessionId)
    const rename = (name: string) => (db: Parameters<Parameters<typeof fenced>[2]>[0]) =>
      db.updateTable('session').set({ name }).where('id', '=', sessionId).execute()
    await fenced(testDatabase.database, former, rename('by the first'))
    const present = await claimOne(await newNode())
    await expect(fenced(testDatabase.database, former, rename('by a ghost'))).rejects.toThrow(LeaseLostError)
    const { worker } = testDatabase.database
    const name = () => worker.selectFrom('session').select('name').where('id', '=', sessionId).executeTakeFirst()
    expect(await name()).toEqual({ name: 'by the first' })
    await fenced(testDatabase.database, present.lease, rename('by the second'))
    expect(await name()).toEqual({ name: 'by the second' })
  })

  test('work that has begun under the lease is finished before somebody else gets it', async () => {
    await newSession()
    const life = await newNode()
    const { lease } = await claimOne(life)
    const successor = await newNode()
    const order: string[] = []
    let claiming: Promise<unknown> | undefined
    await fenced(testDatabase.database, lease, async (db) => {
      await endLife(testDatabase.database.worker, life)
      claiming = claim(successor).then(() => order.push('claimed'))
      const observer = await connect(connectionConfig(testDatabase.url))
      await until(() => somebodyWaits(observer))
      await observer.end()
      await sql`select 1`.execute(db)
      order.push('worked')
    })
    await claiming
    expect(order).toEqual(['worked', 'claimed'])
  })
})
