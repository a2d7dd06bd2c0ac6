import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chown, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect, connectionConfig } from '#src/storage/connection.ts'
import { openDatabase } from '#src/storage/database.ts'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '#src/storage/embedded/embedded-postgres.ts'
import { platformPackage, postgresBinaries } from '#src/storage/embedded/postgres-binaries.ts'
import { migrate } from '#src/storage/migrate.ts'
import { until } from '../../support/until.ts'
import { isRunning, startGatewayProcess } from './gateway-process.ts'

const isRoot = process.getuid?.() === 0
const NOBODY = 65534
const masterKey = randomBytes(32)
const log = pino({ level: 'silent' })

let root: string
/** Initialised once: most tests only need a server that can be stopped, killed and started. */
let dataDir: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'frontdesk-embedded-'))
  dataDir = join(root, 'data')
  await using postgres = await startEmbeddedPostgres({ dataDir, log })
  await migrate(postgres.url)
})
afterAll(() => rm(root, { recursive: true, force: true }))

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const client = await connect(connectionConfig(url))
  try {
    const { rows } = await client.query<Record<string, unknown>>(text)
    return rows
  } finally {
    await client.end()
  }
}

describe('the embedded database', () => {
  test('keeps what was committed when it is stopped and started', async () => {
    {
      await using postgres = await startEmbeddedPostgres({ dataDir, log })
      await query(postgres.url, 'create table kept_stopped as select 42 as value')
    }
    await using postgres = await startEmbeddedPostgres({ dataDir, log })
    expect(await query(postgres.url, 'select value from kept_stopped')).toEqual([{ value: 42 }])
  })

  test('leaves no process and no open file behind when it is stopped', async () => {
    const postgres = await startEmbeddedPostgres({ dataDir, log })
    const { pid = 0 } = postgres
    expect(await isRunning(pid)).toBe(true)
    await postgres[Symbol.asyncDispose]()
    expect(await isRunning(pid)).toBe(false)
    expect(await readdir(join(dataDir, 'postgres'))).not.toContain('postmaster.pid')
    expect((await readdir(dataDir)).sort()).toEqual(['frontdesk.lock', 'postgres', 'postgres.log'])
  })

  test('runs below a directory that only its owner can enter', async () => {
    expect((await stat(root)).mode & 0o777).toBe(0o700)
    await using postgres = await startEmbeddedPostgres({ dataDir, log })
    expect(await query(postgres.url, 'select 1 as value')).toEqual([{ value: 1 }])
  })

  test('runs in a directory whose path is longer than a socket may have', async () => {
    const deep = join(root, 'x'.repeat(120), 'data')
    let url: string
    {
      await using postgres = await startEmbeddedPostgres({ dataDir: deep, log })
      url = postgres.url
      expect(await query(postgres.url, 'select 1 as value')).toEqual([{ value: 1 }])
    }
    const link = new URL(url).searchParams.get('host') ?? ''
    await expect(stat(link)).rejects.toThrow(/ENOENT/)
  })

  test('can be entered by nobody else and listens on no network', async () => {
    await using postgres = await startEmbeddedPostgres({ dataDir, log })
    expect((await stat(join(dataDir, 'postgres'))).mode & 0o777).toBe(0o700)
    expect(await query(postgres.url, 'show listen_addresses')).toEqual([{ listen_addresses: '' }])
  })

  test('is durable, in UTF-8 and in UTC', async () => {
    await using postgres = await startEmbeddedPostgres({ dataDir, log })
    const settings = await query(
      postgres.url,
      `select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit,
        current_setting('server_encoding') as encoding, current_setting('log_timezone') as timezone`,
    )
    expect(settings).toEqual([{ fsync: 'on', commit: 'on', encoding: 'UTF8', timezone: 'UTC' }])
  })

  test.runIf(process.platform === 'linux')('gets none of the environment, where secrets stand', async () => {
    process.env['FRONTDESK_TEST_SECRET'] = 'verysecret'
    try {
      await using postgres = await startEmbeddedPostgres({ dataDir, log })
      expect(await readFile(`/proc/${postgres.pid}/environ`, 'utf8')).not.toContain('verysecret')
    } finally {
      delete process.env['FRONTDESK_TEST_SECRET']
    }
  })

  test('writes no statement and no value into its log', async () => {
    await using postgres = await startEmbeddedPostgres({ dataDir, log })
    await query(postgres.url, 'create table t (id text primary key)')
    await query(postgres.url, `insert into t values ('private words')`)
    await expect(query(postgres.url, `insert into t values ('private words')`)).rejects.toThrow(/duplicate key/)
    await expect(query(postgres.url, `select 'private words'::uuid`)).rejects.toThrow(/invalid input/)
    expect(await readFile(join(dataDir, 'postgres.log'), 'utf8')).not.toContain('private words')
  })

  test('says what is wrong when it does not start', async () => {
    await using first = await startEmbeddedPostgres({ dataDir, log })
    await first[Symbol.asyncDispose]()
    const attempt = startEmbeddedPostgres({ dataDir, log, settings: { shared_buffers: 'nonsense' } })
    await expect(attempt).rejects.toMatchObject({
      code: 'embedded_database_failed',
      detail: expect.stringContaining('shared_buffers') as string,
    })
    // And it has let go of the directory.
    await using again = await startEmbeddedPostgres({ dataDir, log })
    expect(again.pid).toBeGreaterThan(0)
  })

  test('starts with complete files after initialising was interrupted', async () => {
    const interrupted = join(root, 'interrupted')
    await mkdir(join(interrupted, 'postgres.new', 'base'), { recursive: true })
    await using postgres = await startEmbeddedPostgres({ dataDir: interrupted, log })
    expect(await query(postgres.url, 'select 1 as value')).toEqual([{ value: 1 }])
    expect(await readdir(interrupted)).not.toContain('postgres.new')
  })
})

describe('a data directory', () => {
  test('is held by one process', async () => {
    await using holder = await startGatewayProcess(dataDir, masterKey)
    await expect(startEmbeddedPostgres({ dataDir, log })).rejects.toMatchObject({
      code: 'data_directory_in_use',
      detail: expect.stringContaining(`process ${holder.child.pid}`) as string,
    })
    const before = holder.committed()
    await until(() => holder.committed() > before)
  })

  test('is free again after its holder was killed, and the server left behind is replaced', async () => {
    const holder = await startGatewayProcess(dataDir, masterKey)
    await holder.kill('SIGKILL')
    expect(await isRunning(holder.serverPid)).toBe(true)
    expect((await readdir(dataDir)).filter((name) => name.startsWith('frontdesk.lock'))).toEqual(['frontdesk.lock'])
    await using postgres = await startEmbeddedPostgres({ dataDir, log })
    expect(await isRunning(holder.serverPid)).toBe(false)
    expect(await committedMessages(postgres, holder.sessionId())).toBeGreaterThanOrEqual(holder.committed())
  })

  test('is free again after its holder and the server were killed', async () => {
    const holder = await startGatewayProcess(dataDir, masterKey)
    process.kill(holder.serverPid, 'SIGKILL')
    await holder.kill('SIGKILL')
    await using postgres = await startEmbeddedPostgres({ dataDir, log })
    expect(await committedMessages(postgres, holder.sessionId())).toBeGreaterThanOrEqual(holder.committed())
  })

  test('is free again when the ids in the files that a killed server left are those of strangers', async () => {
    const files = ['postmaster.pid', '.s.PGSQL.5432.lock'].map((name) => join(dataDir, 'postgres', name))
    const strangers = spawn('sleep', ['60'], isRoot ? { uid: NOBODY, gid: NOBODY } : {})
    for (const file of files) {
      await writeFile(file, `${strangers.pid}\n/proc/self/cwd\n0\n5432\n.\n\n0 0\nready\n`)
      if (isRoot) await chown(file, NOBODY, NOBODY)
    }
    await using postgres = await startEmbeddedPostgres({ dataDir, log })
    expect(await query(postgres.url, 'select 1 as value')).toEqual([{ value: 1 }])
    expect(strangers.exitCode ?? strangers.signalCode).toBeNull()
    strangers.kill()
  })
})

/** The messages that are there, which must be those numbered from 1 without a gap; the ratchet stands at the last. */
async function committedMessages(postgres: EmbeddedPostgres, sessionId: string): Promise<number> {
  const [counts] = await query(
    postgres.url,
    `select count(*)::int as stored, coalesce(max(whatsapp_id::int), 0) as last, count(distinct whatsapp_id)::int as different
      from message where session_id = '${sessionId}'`,
  )
  expect(counts?.['stored']).toBe(counts?.['last'])
  expect(counts?.['stored']).toBe(counts?.['different'])
  return Number(counts?.['stored'])
}

describe('a server that crashes', () => {
  test('is started again, with all that was committed', async () => {
    await using postgres = await startEmbeddedPostgres({ dataDir, log })
    await query(postgres.url, 'create table kept_crashed as select 42 as value')
    const killed = postgres.pid ?? 0
    process.kill(killed, 'SIGKILL')
    const rows = await until(() => query(postgres.url, 'select value from kept_crashed').catch(() => undefined))
    expect(rows).toEqual([{ value: 42 }])
    expect(postgres.pid).not.toBe(killed)
  })

  test('is reached again by the pool that was open, in the middle of queries or not', async () => {
    await using postgres = await startEmbeddedPostgres({ dataDir, log })
    await using database = await openDatabase(postgres.url)
    const works = () =>
      sql`select 1`.execute(database.worker).then(
        () => true,
        () => false,
      )
    for (let round = 0; round < 3; round++) {
      const busy = Array.from({ length: 4 }, () => sql`select pg_sleep(60)`.execute(database.worker))
      await until(async () => {
        const active = await query(postgres.url, `select from pg_stat_activity where wait_event = 'PgSleep'`)
        return active.length === busy.length
      })
      process.kill(postgres.pid ?? 0, 'SIGKILL')
      for (const { status } of await Promise.allSettled(busy)) expect(status).toBe('rejected')
      await until(works)
    }
  })
})

describe('Ctrl-C in a terminal', () => {
  test('reaches the gateway and not the database, which ends when the gateway has finished', async () => {
    const holder = await startGatewayProcess(dataDir, masterKey, { detached: true })
    process.kill(-(holder.child.pid ?? 0), 'SIGINT')
    await until(() => holder.isInterrupted())
    const before = holder.committed()
    await until(() => holder.committed() > before + 20)
    expect(await isRunning(holder.serverPid)).toBe(true)
    await holder.kill('SIGTERM')
    expect(holder.child.exitCode).toBe(0)
    expect(await isRunning(holder.serverPid)).toBe(false)
  })
})

describe.runIf(isRoot)('as another user', () => {
  test('root has the server run as nobody', async () => {
    await using postgres = await startEmbeddedPostgres({ dataDir, log })
    expect((await stat(`/proc/${postgres.pid}`)).uid).toBe(NOBODY)
    expect((await stat(join(dataDir, 'postgres'))).uid).toBe(NOBODY)
  })

  test('a plain user runs it as itself, and root can go on with the same data', async () => {
    const place = await mkdtemp(join(tmpdir(), 'frontdesk-nobody-'))
    await chown(place, NOBODY, NOBODY)
    const env = { HOME: place, PATH: process.env['PATH'] }
    const holder = await startGatewayProcess(join(place, 'data'), masterKey, { uid: NOBODY, gid: NOBODY, env })
    expect(holder.uid).toBe(NOBODY)
    expect((await stat(`/proc/${holder.serverPid}`)).uid).toBe(NOBODY)
    await holder[Symbol.asyncDispose]()
    expect(await isRunning(holder.serverPid)).toBe(false)
    {
      await using postgres = await startEmbeddedPostgres({ dataDir: join(place, 'data'), log })
      expect(await committedMessages(postgres, holder.sessionId())).toBeGreaterThanOrEqual(holder.committed())
    }
    await rm(place, { recursive: true })
  })

  test('root gives files that it has restored to the server', async () => {
    const restored = join(root, 'restored')
    await cp(dataDir, restored, { recursive: true })
    expect((await stat(join(restored, 'postgres'))).uid).toBe(0)
    await using postgres = await startEmbeddedPostgres({ dataDir: restored, log })
    expect(await query(postgres.url, 'select count(*) > 0 as has_tables from message')).toHaveLength(1)
  })

  test('root copies the binaries once to a place that the server can reach', async () => {
    const closed = join(root, 'closed')
    const cacheDir = await mkdtemp(join(tmpdir(), 'frontdesk-cache-'))
    await mkdir(closed, { mode: 0o700 })
    const packageDir = join(closed, 'package')
    await cp(platformPackage(), packageDir, { recursive: true })
    const copied = await postgresBinaries({ forAnotherUser: true, cacheDir, packageDir })
    expect(copied.postgres.startsWith(cacheDir)).toBe(true)
    const { ino } = await stat(copied.postgres)
    const version = spawnSync(copied.postgres, ['--version'], { uid: NOBODY, gid: NOBODY, encoding: 'utf8' })
    expect(version.stdout).toMatch(/PostgreSQL/)
    await postgresBinaries({ forAnotherUser: true, cacheDir, packageDir })
    expect((await stat(copied.postgres)).ino).toBe(ino)
    await rm(cacheDir, { recursive: true })
  })

  test('binaries that the server can reach are used where they are', async () => {
    const { postgres } = await postgresBinaries({ forAnotherUser: true, cacheDir: '/nowhere' })
    expect(postgres.startsWith(platformPackage())).toBe(true)
  })
})
