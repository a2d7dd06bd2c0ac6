import { pino } from 'pino'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { Membership, type MembershipListener } from '#src/services/supervisor/membership.ts'
import { openDatabase } from '#src/storage/database.ts'
import { claimSessions, type Lease } from '#src/storage/leases.ts'
import { endLife, type NodeLife } from '#src/storage/nodes.ts'
import { startWriter } from '#src/storage/writer/writer.ts'
import { type FaultyProxy, startFaultyProxy } from '../../storage/faulty-proxy.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'

const log = pino({ level: 'silent' })
let testDatabase: TestDatabase
let proxy: FaultyProxy
beforeAll(async () => {
  testDatabase = await createTestDatabase()
  proxy = await startFaultyProxy(testDatabase.url)
})
afterAll(async () => {
  await proxy[Symbol.asyncDispose]()
  await testDatabase[Symbol.asyncDispose]()
})
afterEach(() => {
  proxy.restore()
  vi.useRealTimers()
})

/** What it is told, in its order. */
class Heard implements MembershipListener {
  readonly lives: NodeLife[] = []
  fences = 0
  changes = 0
  onFenced: () => void = () => undefined
  began(life: NodeLife): void {
    this.lives.push(life)
  }
  async fenced(): Promise<void> {
    this.fences += 1
    this.onFenced()
  }
  changed(): void {
    this.changes += 1
  }
}

/** A member that reaches its database through the proxy. */
async function join(resources: AsyncDisposableStack) {
  const database = resources.use(await openDatabase(proxy.url))
  const membership = resources.use(new Membership({ database, nodeId: newId(), log }))
  const heard = new Heard()
  await membership.join(heard)
  return { database, membership, heard }
}

const seenAt = async ({ nodeId }: NodeLife) => {
  const { worker } = testDatabase.database
  const row = await worker.selectFrom('node').select('seen_at').where('id', '=', nodeId).executeTakeFirstOrThrow()
  return row.seen_at.getTime()
}
const lifeOf = (membership: Membership): NodeLife => {
  const { life } = membership
  if (life === undefined) throw new Error('It is no member.')
  return life
}

test('a process whose database is away lets go of everything by itself, and begins anew when it is back', async () => {
  await using resources = new AsyncDisposableStack()
  const { membership, heard } = await join(resources)
  const first = lifeOf(membership)
  proxy.cut()
  await until(() => heard.fences === 1)
  expect(membership.life).toBeUndefined()
  proxy.restore()
  await until(() => heard.lives.length === 2)
  expect(membership.life).toEqual({ ...first, incarnation: first.incarnation + 1 })
  expect(heard.fences).toBe(1)
})

test('a process that was declared dead lets go of everything when it hears of it', async () => {
  await using resources = new AsyncDisposableStack()
  const { membership, heard } = await join(resources)
  const first = lifeOf(membership)
  await endLife(testDatabase.database.worker, first)
  await until(() => heard.lives.length === 2)
  expect(heard.fences).toBe(1)
  expect(membership.life).toEqual({ ...first, incarnation: first.incarnation + 2 })
})

test('a process that could do nothing for too long sends no frame and writes nothing when it goes on', async () => {
  await using resources = new AsyncDisposableStack()
  const { database, membership, heard } = await join(resources)
  const companyId = await testDatabase.createCompany()
  const sessionId = await testDatabase.createSession(companyId)
  const [claim] = await claimSessions(testDatabase.database, lifeOf(membership), { limit: 1, among: [sessionId] })
  const writer = resources.use(
    await startWriter({ database, log, isMember: () => membership.life !== undefined, drainTimeoutMs: 100 }),
  )
  heard.onFenced = () => writer.fence()
  const failures: string[] = []
  const store = writer.openSession({
    ...(claim?.lease as Lease),
    sealer: await testDatabase.keyRing.sealerOf(companyId),
    onFailed: ({ reason }) => failures.push(reason),
  })
  const key = { kind: 'session', id: 'a', encode: () => Buffer.from('new') } as const
  await store.committed(store.publish({ keys: [key] }))
  expect(store.isCommitted(store.published)).toBe(true)

  // As SIGSTOP does it, and a machine without processor time: no timer runs, and nothing is read.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 4500)
  // The first thing that it does, before any timer: what would let a frame through.
  expect(store.isCommitted(store.published)).toBe(false)
  expect(failures).toEqual(['lease_lost'])
  expect(heard.fences).toBe(1)
  await expect(store.committed(store.publish({ keys: [{ ...key, id: 'b' }] }))).rejects.toMatchObject({
    reason: 'lease_lost',
  })
  await store.close()
  await until(() => heard.lives.length === 2)
  const keys = await testDatabase.database.worker.selectFrom('signal_key').select('id').execute()
  expect(keys).toEqual([{ id: 'a' }])
})

test.each([-3_600_000, 3_600_000])('a clock of the machine that jumps by %s ms is not looked at', async (jumpMs) => {
  await using resources = new AsyncDisposableStack()
  const { membership, heard } = await join(resources)
  const life = lifeOf(membership)
  const before = await seenAt(life)
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + jumpMs })
  await until(async () => (await seenAt(life)) > before)
  vi.setSystemTime(Date.now() - 2 * jumpMs)
  const between = await seenAt(life)
  await until(async () => (await seenAt(life)) > between)
  expect(heard.fences).toBe(0)
  expect(membership.life).toBe(life)
  // By the database's clock.
  expect(Math.abs(between - before)).toBeLessThan(60_000)
})

test('a process that ends gives its sessions up at once; others hear of lives that begin and end', async () => {
  await using resources = new AsyncDisposableStack()
  const { heard } = await join(resources)
  await until(() => heard.changes > 0)
  const before = heard.changes
  await using others = new AsyncDisposableStack()
  const other = await join(others)
  const otherLife = lifeOf(other.membership)
  await until(() => heard.changes > before)
  const between = heard.changes
  await others.disposeAsync()
  await until(() => heard.changes > between)
  expect(other.heard.fences).toBe(0)
  const row = await testDatabase.database.worker
    .selectFrom('node')
    .select(['incarnation', 'former_seen_at'])
    .where('id', '=', otherLife.nodeId)
    .executeTakeFirstOrThrow()
  expect(row).toEqual({ incarnation: otherLife.incarnation + 1, former_seen_at: expect.any(Date) })
})
