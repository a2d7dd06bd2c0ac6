import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { connect, connectionConfig } from '#src/storage/connection.ts'
import { startEmbeddedPostgres } from '#src/storage/embedded/embedded-postgres.ts'
import { migrate } from '#src/storage/migrate.ts'
import { startWriter, type Writer } from '#src/storage/writer/writer.ts'
import { claimLease } from '../support/claim-lease.ts'
import { createTestDatabase, openTestDatabase, type TestDatabase } from '../support/database.ts'
import { until } from '../support/until.ts'
import { type FaultyProxy, startFaultyProxy } from './faulty-proxy.ts'
import { keyChange, openTestSession } from './session-fixture.ts'
import { somebodyWaits } from './somebody-waits.ts'

const log = pino({ level: 'silent' })

let testDatabase: TestDatabase
let proxy: FaultyProxy
/** Reaches the database through the proxy; its reads do not. */
let writer: Writer
beforeAll(async () => {
  testDatabase = await createTestDatabase()
  proxy = await startFaultyProxy(testDatabase.database.url)
  writer = await startWriter({ database: { ...testDatabase.database, url: proxy.url }, log })
})
afterAll(async () => {
  await writer[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
  await testDatabase[Symbol.asyncDispose]()
})

describe('a commit whose answer is lost', () => {
  test('is not made twice, and everybody hears of it once', async () => {
    const session = await openTestSession(testDatabase, writer)
    const encoded: string[] = []
    proxy.loseAnswerTo('frontdesk_flush')
    const lostBefore = proxy.lost
    session.store.publish({
      keys: [{ kind: 'session', id: 'a', encode: () => Buffer.from(String(encoded.push('once'))) }],
      messages: [session.message('hello')],
      journal: [{ ciphertextHash: randomBytes(32), plaintext: Buffer.from('p') }],
    })
    await session.store.committed(1)
    expect(proxy.lost).toBe(lostBefore + 1)
    expect(encoded).toEqual(['once'])
    expect(await session.storedTexts()).toEqual(['hello'])
    expect(await session.storedEvents()).toHaveLength(1)
    expect(session.news.map(({ messages }) => messages.length)).toEqual([1])
    expect(writer.health.state).toBe('ready')
  })

  test('does not make an old message new', async () => {
    const session = await openTestSession(testDatabase, writer)
    await session.receive('old', { whatsappId: 'SAME' })
    proxy.loseAnswerTo('frontdesk_flush')
    session.store.publish({ messages: [session.message('old', { whatsappId: 'SAME' }), session.message('new')] })
    await session.store.committed(2)
    expect(session.news.flatMap(({ messages }) => messages.map(({ content }) => content))).toEqual([
      { kind: 'text', text: 'old' },
      { kind: 'text', text: 'new' },
    ])
    expect(await session.storedEvents()).toHaveLength(2)
  })

  test('of a receipt announces it once', async () => {
    const session = await openTestSession(testDatabase, writer)
    await session.receive('own', { whatsappId: 'OWN', direction: 'outbound', origin: 'phone' })
    proxy.loseAnswerTo('frontdesk_flush')
    session.store.publish({ receipts: [{ whatsappIds: ['OWN'], status: 'read', at: new Date() }] })
    await session.store.committed(2)
    const events = await session.storedEvents()
    expect(events.filter(({ type }) => type === 'message.status_changed')).toHaveLength(1)
  })
})

describe('a database that is away', () => {
  test('is waited for: what was published meanwhile is committed in order, and nothing before', async () => {
    const session = await openTestSession(testDatabase, writer)
    await session.receive('before')
    proxy.cut()
    const waiting = ['one', 'two', 'three'].map((text) =>
      session.store.committed(session.store.publish({ messages: [session.message(text)] })),
    )
    await until(() => writer.health.state === 'retrying' && writer.health.failures >= 2)
    for (const text of ['four', 'five']) session.store.publish({ messages: [session.message(text)] })
    expect(session.store.pendingOperations).toBe(5)
    expect(writer.pendingOperations).toBeGreaterThanOrEqual(5)
    expect(session.store.isCommitted(2)).toBe(false)
    expect(await session.storedTexts()).toEqual(['before'])
    proxy.restore()
    await Promise.all(waiting)
    await session.store.committed(session.store.published)
    expect(await session.storedTexts()).toEqual(['before', 'one', 'two', 'three', 'four', 'five'])
    expect(writer.health).toMatchObject({ state: 'ready', failures: 0 })
    expect(session.failures).toEqual([])
  })

  test('ends the sessions of a writer that is stopped before it is back', async () => {
    const database = { ...testDatabase.database, url: proxy.url }
    const stopped = await startWriter({ database, log, drainTimeoutMs: 100 })
    const session = await openTestSession(testDatabase, stopped)
    proxy.cut()
    const committed = session.store.committed(session.store.publish({ messages: [session.message('lost')] }))
    const outcome = expect(committed).rejects.toMatchObject({ reason: 'store_failed' })
    await stopped[Symbol.asyncDispose]()
    await outcome
    proxy.restore()
    expect(await session.storedTexts()).toEqual([])
  })

  test('does not keep a session from being closed: what is not committed in time is given up', async () => {
    const database = { ...testDatabase.database, url: proxy.url }
    await using impatient = await startWriter({ database, log, drainTimeoutMs: 100 })
    const session = await openTestSession(testDatabase, impatient)
    proxy.cut()
    const committed = session.store.committed(session.store.publish({ messages: [session.message('late')] }))
    const outcome = expect(committed).rejects.toMatchObject({ reason: 'store_failed' })
    await session.store.close()
    await outcome
    proxy.restore()
    expect(session.failures).toMatchObject([{ reason: 'store_failed' }])
    expect(session.news).toEqual([])
    expect(impatient.pendingOperations).toBe(0)
  })

  test('is named when it is away from the start', async () => {
    proxy.cut()
    const attempt = startWriter({ database: { ...testDatabase.database, url: proxy.url }, log })
    await expect(attempt).rejects.toMatchObject({ code: 'database_unreachable' })
    proxy.restore()
  })
})

test('a database that takes no writes for a while is waited for, as when it has failed over to a copy', async () => {
  const session = await openTestSession(testDatabase, writer)
  const owner = await connect(connectionConfig(testDatabase.url))
  const name = new URL(testDatabase.url).pathname.slice(1)
  await owner.query(`alter database ${name} set default_transaction_read_only = on`)
  proxy.loseAnswerTo('frontdesk_flush')
  const committed = session.store.committed(session.store.publish({ messages: [session.message('hello')] }))
  await until(() => writer.health.failures >= 2)
  await owner.query('set default_transaction_read_only = off')
  await owner.query(`alter database ${name} reset default_transaction_read_only`)
  await committed
  await owner.end()
  expect(await session.storedTexts()).toEqual(['hello'])
  expect(session.failures).toEqual([])
})

describe('rows that the database refuses', () => {
  /** Of no contact: the row breaks a constraint, whatever is tried. */
  const unknownContact = { contactId: newId() }

  test('stop their session alone; all others of the same flush are committed', async () => {
    const sessions = await Promise.all(Array.from({ length: 7 }, () => openTestSession(testDatabase, writer)))
    const outcomes = sessions.map((session, index) => {
      const sequence = session.store.publish({
        keys: [keyChange('session', 'a', 'ratchet')],
        messages: [session.message('hello', index === 2 || index === 5 ? unknownContact : {})],
      })
      return session.store.committed(sequence).then(
        () => 'committed',
        (error: { reason: string }) => error.reason,
      )
    })
    const good = 'committed'
    const bad = 'rows_refused'
    expect(await Promise.all(outcomes)).toEqual([good, good, bad, good, good, bad, good])
    for (const [index, session] of sessions.entries()) {
      const isRefused = index === 2 || index === 5
      expect(await session.storedTexts()).toEqual(isRefused ? [] : ['hello'])
      expect(session.failures).toHaveLength(isRefused ? 1 : 0)
      expect(session.news).toHaveLength(isRefused ? 0 : 1)
    }
    expect(writer.health.state).toBe('ready')
  })

  test('leave a store that keeps nothing more, and says so', async () => {
    const session = await openTestSession(testDatabase, writer)
    await session.receive('good')
    const refused = session.store.publish({ messages: [session.message('bad', unknownContact)] })
    const next = session.store.publish({ messages: [session.message('next')] })
    await expect(session.store.committed(refused)).rejects.toMatchObject({ reason: 'rows_refused' })
    await expect(session.store.committed(next)).rejects.toMatchObject({ reason: 'rows_refused' })
    const late = session.store.publish({ messages: [session.message('late')] })
    await expect(session.store.committed(late)).rejects.toMatchObject({ reason: 'rows_refused' })
    await expect(session.store.readKeys('session', ['a'])).rejects.toMatchObject({ reason: 'rows_refused' })
    expect(session.store.failure).toMatchObject({ reason: 'rows_refused' })
    expect(session.store.isCommitted(1)).toBe(true)
    expect(session.store.isCommitted(late)).toBe(false)
    expect(await session.storedTexts()).toEqual(['good'])
    await session.store.close()
    const sealer = await testDatabase.keyRing.sealerOf(session.companyId)
    const again = writer.openSession({ ...session.lease, sealer })
    await again.committed(again.publish({ messages: [session.message('again')] }))
    expect(await session.storedTexts()).toEqual(['good', 'again'])
  })

  test('and a key that cannot be encoded stop their session alone as well', async () => {
    const [session, other] = [await openTestSession(testDatabase, writer), await openTestSession(testDatabase, writer)]
    const encode = () => {
      throw new Error('not encodable')
    }
    const broken = session.store.committed(session.store.publish({ keys: [{ kind: 'session', id: 'a', encode }] }))
    const fine = other.receive('fine')
    await expect(broken).rejects.toMatchObject({ reason: 'rows_refused' })
    await fine
    expect(await other.storedTexts()).toEqual(['fine'])
  })
})

describe('the lease', () => {
  test('that is lost drops the rows of its session alone, in the same flush', async () => {
    const [stale, fresh] = [await openTestSession(testDatabase, writer), await openTestSession(testDatabase, writer)]
    await claimLease(testDatabase.database, newId(), stale.sessionId)
    const refused = stale.store.committed(
      stale.store.publish({
        keys: [keyChange('session', 'a', 'stale'), { kind: 'pre-key', id: '1', encode: null }],
        messages: [stale.message('stale')],
        journal: [{ ciphertextHash: randomBytes(32), plaintext: Buffer.from('stale') }],
        receipts: [{ whatsappIds: ['A'], status: 'read', at: new Date() }],
      }),
    )
    const accepted = fresh.store.committed(fresh.store.publish({ messages: [fresh.message('fresh')] }))
    await expect(refused).rejects.toMatchObject({ reason: 'lease_lost' })
    await accepted
    expect(stale.failures).toMatchObject([{ reason: 'lease_lost' }])
    expect(await stale.storedTexts()).toEqual([])
    expect(await stale.storedEvents()).toEqual([])
    const { rows } = await sql`
      select from signal_key where session_id = ${stale.sessionId}
      union all select from journal where session_id = ${stale.sessionId}`.execute(testDatabase.database.worker)
    expect(rows).toEqual([])
    expect(await fresh.storedTexts()).toEqual(['fresh'])
  })

  test('that is being claimed is waited for, and then it is lost', async () => {
    const session = await openTestSession(testDatabase, writer)
    const claimer = await connect(connectionConfig(testDatabase.url))
    await claimer.query('begin')
    await claimer.query('update session_lease set epoch = epoch + 1 where session_id = $1', [session.sessionId])
    const committed = session.store.committed(session.store.publish({ messages: [session.message('late')] }))
    const outcome = expect(committed).rejects.toMatchObject({ reason: 'lease_lost' })
    await until(() => somebodyWaits(claimer))
    await claimer.query('commit')
    await claimer.end()
    await outcome
    expect(await session.storedTexts()).toEqual([])
  })

  test('whose claim comes to nothing is not lost', async () => {
    const session = await openTestSession(testDatabase, writer)
    const claimer = await connect(connectionConfig(testDatabase.url))
    await claimer.query('begin')
    await claimer.query('update session_lease set epoch = epoch + 1 where session_id = $1', [session.sessionId])
    const committed = session.store.committed(session.store.publish({ messages: [session.message('in time')] }))
    await until(() => somebodyWaits(claimer))
    await claimer.query('rollback')
    await claimer.end()
    await committed
    expect(await session.storedTexts()).toEqual(['in time'])
  })

  test('goes with its session: one that is deleted is lost', async () => {
    const session = await openTestSession(testDatabase, writer)
    await sql`delete from session where id = ${session.sessionId}`.execute(testDatabase.database.worker)
    const committed = session.store.committed(session.store.publish({ messages: [session.message('nowhere')] }))
    await expect(committed).rejects.toMatchObject({ reason: 'lease_lost' })
  })
})

test('a message for a contact that is being merged goes to the one that remains', async () => {
  const session = await openTestSession(testDatabase, writer)
  const gone = newId()
  const { worker } = testDatabase.database
  await worker.insertInto('contact').values({ id: gone, company_id: session.companyId }).execute()
  const merger = await connect(connectionConfig(testDatabase.url))
  await merger.query('begin')
  await merger.query('select from contact where id = $1 for update', [gone])
  await merger.query('update contact set merged_into = $2 where id = $1', [gone, session.contactId])
  const message = session.message('hello', { contactId: gone })
  const committed = session.store.committed(session.store.publish({ messages: [message] }))
  await until(() => somebodyWaits(merger))
  await merger.query('commit')
  await merger.end()
  await committed
  const row = await worker.selectFrom('message').select('contact_id').where('id', '=', message.id).executeTakeFirst()
  expect(row?.contact_id).toBe(session.contactId)
})

test('a server that is killed again and again in the middle of commits loses nothing that was committed', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'frontdesk-writer-'))
  try {
    await using postgres = await startEmbeddedPostgres({ dataDir, log })
    await migrate(postgres.url)
    await using durable = await openTestDatabase(postgres.url)
    await using own = await startWriter({ database: durable.database, log })
    const session = await openTestSession(durable, own)
    const acknowledged = new Set<string>()
    const publish = (text: string) => {
      const sequence = session.store.publish({
        keys: [keyChange('session', 'a', text)],
        messages: [session.message(text)],
      })
      return session.store.committed(sequence).then(() => acknowledged.add(text))
    }
    const all: Promise<unknown>[] = []
    let number = 0
    for (let round = 0; round < 4; round++) {
      const killed = postgres.pid
      for (let index = 0; index < 300; index++) {
        all.push(publish(String(number++)))
        if (index % 10 === 0) await new Promise((resolve) => setImmediate(resolve))
        if (index === 150 && killed !== undefined) process.kill(killed, 'SIGKILL')
      }
      await until(() => postgres.pid !== killed)
    }
    await Promise.all(all)
    expect(acknowledged.size).toBe(number)
    const texts = await until(() => session.storedTexts().catch(() => undefined))
    expect(texts).toEqual(Array.from({ length: number }, (_, index) => String(index)))
    expect(session.news.flatMap(({ messages }) => messages)).toHaveLength(number)
    expect(await session.storedEvents()).toHaveLength(number)
    expect(await session.store.readKeys('session', ['a'])).toEqual(new Map([['a', Buffer.from(String(number - 1))]]))
  } finally {
    await rm(dataDir, { recursive: true, force: true })
  }
})
