import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Kysely, sql } from 'kysely'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { connect, connectionConfig } from '#src/storage/connection.ts'
import { openDatabase } from '#src/storage/database.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '#src/storage/embedded/embedded-postgres.ts'
import { MessageAcceptor, type NewMessage } from '#src/storage/message-acceptor.ts'
import { migrate } from '#src/storage/migrate.ts'
import type { Schema } from '#src/storage/schema-types.ts'
import { openWakeUps } from '#src/storage/wake-ups.ts'
import { startWriter } from '#src/storage/writer/writer.ts'
import { createTestDatabase, openTestDatabase, type TestDatabase } from '../support/database.ts'
import { type PgBouncer, startPgBouncer } from '../support/pgbouncer.ts'
import { until } from '../support/until.ts'
import { openTestSession, randomPhone } from './session-fixture.ts'

const log = pino({ level: 'silent' })

let testDatabase: TestDatabase
beforeAll(async () => {
  testDatabase = await createTestDatabase()
})
afterAll(() => testDatabase[Symbol.asyncDispose]())

describe('a pooler', () => {
  test('is found out', async () => {
    await using pooler = await startPgBouncer(testDatabase.url)
    await using database = await openDatabase(pooler.url)
    expect([testDatabase.database.isPooled, database.isPooled]).toEqual([false, true])
  })

  test('carries nothing from one client to the next: neither to us nor from us', async () => {
    // All share one connection to the server.
    await using pooler = await startPgBouncer(testDatabase.url, { poolSize: 1 })
    await using database = await openDatabase(pooler.url)
    const companyId = await testDatabase.createCompany()
    const settings = sql<Record<string, string>>`
      select current_user as role, current_setting('timezone') as timezone,
        current_setting('statement_timeout') as timeout, current_setting('frontdesk.company', true) as company`
    const ofNeighbour = { role: 'frontdesk_api', timezone: 'Asia/Tokyo', timeout: '7min', company: newId() }
    const neighbour = await connect(connectionConfig(pooler.url))
    await neighbour.query(`set role frontdesk_api; set timezone to 'Asia/Tokyo'; set statement_timeout to '7min';
      set frontdesk.company to '${ofNeighbour.company}'`)
    const ask = async (db: Kysely<Schema>) => (await settings.execute(db)).rows[0]

    const ofWorker = { role: 'frontdesk_worker', timezone: 'UTC' }
    expect(await ask(database.worker)).toMatchObject(ofWorker)
    expect(await database.worker.transaction().execute(ask)).toMatchObject(ofWorker)
    const scope = { role: 'frontdesk_api', timezone: 'UTC', company: companyId }
    expect(await database.asCompany(companyId, ask)).toMatchObject(scope)
    await expect(sql`select 1 / 0`.execute(database.worker)).rejects.toThrow(/division by zero/)
    const after = await neighbour.query(settings.compile(database.worker).sql)
    expect(after.rows).toEqual([ofNeighbour])
    await neighbour.end()
  })

  test('lets migrations through, each applied once although three processes start at the same moment', async () => {
    const owner = await connect(connectionConfig(testDatabase.url))
    const name = `fresh_${newId().replaceAll('-', '')}`
    await owner.query(`create database ${name}`)
    try {
      const url = new URL(testDatabase.url)
      url.pathname = `/${name}`
      await using pooler = await startPgBouncer(url.href, { user: url.username })
      const applied = await Promise.all([1, 2, 3].map(() => migrate(pooler.url)))
      expect(applied.map(({ length }) => length).filter((count) => count > 0)).toHaveLength(1)
      await using migrated = await openTestDatabase(pooler.url)
      expect(await migrated.createCompany()).toBeDefined()
    } finally {
      await owner.query(`drop database ${name} with (force)`)
      await owner.end()
    }
  })

  test('that has no connection free in time is a database that is away: the writer tries again', async () => {
    await using pooler = await startPgBouncer(testDatabase.url, { poolSize: 1, queryWaitTimeoutSeconds: 1 })
    await using database = await openDatabase(pooler.url)
    await using writer = await startWriter({ database, log })
    const session = await openTestSession(testDatabase, writer)
    const holder = await connect(connectionConfig(pooler.url))
    await holder.query('begin')
    const received = session.receive('hello')
    await until(() => writer.health.failures > 0)
    await holder.query('commit')
    await holder.end()
    await received
    expect(await session.storedTexts()).toEqual(['hello'])
    expect(session.failures).toEqual([])
  })
})

describe('all parts go on by themselves', () => {
  let dataDir: string
  let postgres: EmbeddedPostgres
  let own: TestDatabase
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'frontdesk-pooler-'))
    postgres = await startEmbeddedPostgres({ dataDir, log, settings: { fsync: 'off' } })
    await migrate(postgres.url)
    own = await openTestDatabase(postgres.url)
  })
  afterAll(async () => {
    await own[Symbol.asyncDispose]()
    await postgres[Symbol.asyncDispose]()
    await rm(dataDir, { recursive: true, force: true })
  })

  const killServer = async () => {
    const { pid } = postgres
    if (pid !== undefined) process.kill(pid, 'SIGKILL')
    await until(() => postgres.pid !== pid)
  }
  const restart = async (pooler: PgBouncer) => {
    await pooler.kill()
    await pooler.start()
  }

  test.each([
    { what: 'the server was killed', isPooled: false, disturb: killServer },
    { what: 'the server behind a pooler was killed', isPooled: true, disturb: killServer },
    { what: 'the pooler was killed and started again', isPooled: true, disturb: restart },
  ])('after $what', async ({ isPooled, disturb }) => {
    await using pooler = await startPgBouncer(postgres.url)
    await using database = await openDatabase(isPooled ? pooler.url : postgres.url)
    await using writer = await startWriter({ database, log })
    await using acceptor = new MessageAcceptor(database)
    const wakeUpOptions = { database, directUrl: postgres.url, log }
    await using here = await openWakeUps(wakeUpOptions)
    await using there = await openWakeUps(wakeUpOptions)
    let heard = 0
    there.listen({ wokenUp: () => heard++, missed: () => undefined })
    const session = await openTestSession(own, writer)
    const { companyId, sessionId } = session
    const newMessage = (): NewMessage => ({
      ...{
        id: newId(),
        companyId,
        sessionId,
        newContactId: newId(),
        sendAt: null,
        expiresAt: new Date(Date.now() + 60_000),
        to: { phone: randomPhone() },
        whatsappId: newId(),
      },
      ...{
        content: { kind: 'text', text: 'out' },
        agent: undefined,
        idempotencyKey: undefined,
        requestHash: Buffer.alloc(32),
      },
    })
    const tryAll = async () => {
      here.send({ kind: 'session', id: sessionId })
      await database.worker.selectFrom('platform').select('environment').execute()
      await database.asCompany(companyId, (db) => db.selectFrom('company').select('id').executeTakeFirstOrThrow())
      await acceptor.accept([newMessage()])
    }
    await tryAll()
    await disturb(pooler)
    heard = 0
    await session.receive('after')
    await until(() =>
      tryAll().then(
        () => heard > 0,
        () => false,
      ),
    )
    expect(session.failures).toEqual([])
  })
})
