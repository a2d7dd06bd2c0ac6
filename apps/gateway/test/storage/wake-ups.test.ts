import { sql } from 'kysely'
import { type Logger, pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { newId } from '#src/model/ids.ts'
import { connect, connectionConfig } from '#src/storage/connection.ts'
import { type Database, openDatabase } from '#src/storage/database.ts'
import { openWakeUps, type WakeUp, type WakeUps } from '#src/storage/wake-ups.ts'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { type PgBouncer, startPgBouncer } from '../support/pgbouncer.ts'
import { until } from '../support/until.ts'

const silent = pino({ level: 'silent' })

let direct: TestDatabase
let pooler: PgBouncer
let pooled: Database
beforeAll(async () => {
  direct = await createTestDatabase()
  pooler = await startPgBouncer(direct.url)
  pooled = await openDatabase(pooler.url)
})
afterAll(async () => {
  await pooled[Symbol.asyncDispose]()
  await pooler[Symbol.asyncDispose]()
  await direct[Symbol.asyncDispose]()
})

/** As one process has them, with all that it was told. */
async function startProcess(
  options: { database: Database; directUrl?: string },
  log: Logger = silent,
): Promise<AsyncDisposable & { wakeUps: WakeUps; heard: WakeUp[]; missed: () => number }> {
  const wakeUps = await openWakeUps({ directUrl: undefined, log, pollMs: 20, ...options })
  const heard: WakeUp[] = []
  let missed = 0
  wakeUps.listen({
    wokenUp: (wakeUp) => heard.push(wakeUp),
    missed: () => {
      missed += 1
    },
  })
  return { wakeUps, heard, missed: () => missed, [Symbol.asyncDispose]: () => wakeUps[Symbol.asyncDispose]() }
}

const randomWakeUp = (): WakeUp => ({ kind: 'session', id: newId() })

/** Ends the connections that listen, as a server does that is shut down. */
async function endListening(): Promise<void> {
  const owner = await connect(connectionConfig(direct.url))
  await owner.query(`select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and query like 'listen %'`)
  await owner.end()
}

describe.each([
  { connection: 'directly', options: () => ({ database: direct.database }) },
  { connection: 'behind a pooler, with a direct URL', options: () => ({ database: pooled, directUrl: direct.url }) },
])('$connection', ({ options }) => {
  test('a wake-up reaches all other processes, each once and in order, and not its sender', async () => {
    await using sender = await startProcess(options())
    await using one = await startProcess(options())
    await using other = await startProcess(options())
    // More than one notice can hold.
    const sent = Array.from({ length: 1_000 }, randomWakeUp)
    for (const wakeUp of sent) sender.wakeUps.send(wakeUp)
    await until(() => one.heard.length >= 1_000 && other.heard.length >= 1_000)
    expect([sender.heard, one.heard, other.heard]).toEqual([[], sent, sent])
    expect(one.missed()).toBe(0)
  })

  test('what is sent last goes out before the process ends', async () => {
    await using listener = await startProcess(options())
    const sender = await startProcess(options())
    const wakeUp = randomWakeUp()
    sender.wakeUps.send(wakeUp)
    await sender[Symbol.asyncDispose]()
    await until(() => listener.heard.length > 0)
    expect(listener.heard).toEqual([wakeUp])
  })

  test('too many to hold while none can be sent become: look at everything', async () => {
    await using listener = await startProcess(options())
    await using sender = await startProcess(options())
    for (let count = 0; count < 6_000; count++) sender.wakeUps.send(randomWakeUp())
    await until(() => listener.missed() > 0)
    expect(listener.heard).toEqual([])
  })

  test('a listener that loses its connection is told to look at everything, and hears again', async () => {
    await using listener = await startProcess(options())
    await using sender = await startProcess(options())
    expect(listener.missed()).toBe(0)
    await endListening()
    await until(() => listener.missed() > 0)
    await until(() => {
      sender.wakeUps.send(randomWakeUp())
      return listener.heard.length > 0
    })
  })

  test('one listener that fails does not keep the others from hearing', async () => {
    await using process = await startProcess(options())
    const heard: WakeUp[] = []
    const fail = () => {
      throw new Error('broken')
    }
    process.wakeUps.listen({ wokenUp: fail, missed: fail })
    const stop = process.wakeUps.listen({ wokenUp: fail, missed: fail })
    stop()
    process.wakeUps.listen({ wokenUp: (wakeUp) => heard.push(wakeUp), missed: () => undefined })
    await using sender = await startProcess(options())
    sender.wakeUps.send(randomWakeUp())
    await until(() => heard.length > 0)
  })
})

describe.each([
  { connection: 'behind a pooler alone', options: () => ({ database: pooled }) },
  {
    connection: 'with a pooler where the direct URL should be',
    options: () => ({ database: pooled, directUrl: pooler.url }),
  },
])('$connection', ({ options }) => {
  test('a process looks at everything again and again, says so once, and still wakes others up', async () => {
    const lines: string[] = []
    const log = pino({ level: 'warn' }, { write: (line) => lines.push(line) })
    await using polling = await startProcess(options(), log)
    await using listening = await startProcess({ database: pooled, directUrl: direct.url })
    await until(() => polling.missed() >= 5)
    const wakeUp = randomWakeUp()
    polling.wakeUps.send(wakeUp)
    await until(() => listening.heard.length > 0)
    expect(listening.heard).toEqual([wakeUp])
    expect(polling.heard).toEqual([])
    expect(lines).toHaveLength(1)
  })
})

test('what could not be sent while the database was away becomes: look at everything', async () => {
  await using listener = await startProcess({ database: direct.database })
  await using sender = await startProcess({ database: pooled, directUrl: direct.url })
  await pooler.kill()
  sender.wakeUps.send(randomWakeUp())
  await until(() =>
    pooled.worker
      .selectFrom('platform')
      .select('environment')
      .execute()
      .then(
        () => false,
        () => true,
      ),
  )
  expect(listener.missed()).toBe(0)
  await pooler.start()
  await until(() => listener.missed() > 0)
})

test('what is no notice of ours, or of a newer version, is passed over', async () => {
  await using listener = await startProcess({ database: direct.database })
  const wakeUp = randomWakeUp()
  for (const notice of ['', 'nonsense', `${newId()} weather:${newId()}`, `${newId()} ${wakeUp.kind}:${wakeUp.id}`])
    await sql`select pg_notify('frontdesk', ${notice})`.execute(direct.database.worker)
  await until(() => listener.heard.length > 0)
  expect(listener.heard).toEqual([wakeUp])
})
