import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { sql } from 'kysely'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Alerts } from '#src/services/alerts/alerts.ts'
import { BackupSchedule } from '#src/services/backups/backup-schedule.ts'
import { claimDueBackup, noteBackup } from '#src/storage/backup-schedule.ts'
import { openBackupStore } from '#src/storage/backups/backup-store.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'

const DAY_MS = 24 * 60 * 60 * 1000
let testDatabase: TestDatabase
let directory: string
let companies: string[]
beforeEach(async () => {
  testDatabase = await createTestDatabase()
  directory = await mkdtemp(join(tmpdir(), 'frontdesk-schedule-'))
  companies = []
  for (let count = 0; count < 5; count++) companies.push(await testDatabase.createCompany())
})
afterEach(async () => {
  await testDatabase[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
})

function start(url: string, alerts: Pick<Alerts, 'raise' | 'clear'>): BackupSchedule {
  const { database, keyRing, masterKey } = testDatabase
  const source = { database, keyRing, environment: 'emulator' as const, masterKey: async () => masterKey }
  return new BackupSchedule({ source, url, everyMs: DAY_MS, keep: 2, alerts, log: pino({ level: 'silent' }) })
}

/** Moves everything that was done so far into the past. */
const pass = (ms: number) =>
  sql`update company_backup set begun_at = begun_at - make_interval(secs => ${ms}::float8 / 1000),
    finished_at = finished_at - make_interval(secs => ${ms}::float8 / 1000)`.execute(testDatabase.database.worker)

const finished = async () => {
  const { worker } = testDatabase.database
  const rows = await worker.selectFrom('company_backup').selectAll().where('finished_at', 'is not', null).execute()
  return rows.length
}

describe('the schedule', () => {
  test('backs each company up once, although several processes do, and again when it is due; it keeps the newest', async () => {
    const url = pathToFileURL(directory).href
    const cleared: string[] = []
    const alerts = {
      raise: () => undefined,
      clear: ({ companyId = '' }: { companyId?: string }) => void cleared.push(companyId),
    }
    using store = await openBackupStore(url)
    for (const expected of [1, 2, 2]) {
      await using one = start(url, alerts)
      await using other = start(url, alerts)
      await until(async () => (await finished()) === companies.length && cleared.length % companies.length === 0)
      expect(one).not.toBe(other)
      await one[Symbol.asyncDispose]()
      await other[Symbol.asyncDispose]()
      for (const companyId of companies) expect(await store.list(companyId)).toHaveLength(expected)
      await pass(DAY_MS + 1000)
      await testDatabase.database.worker.updateTable('company_backup').set({ finished_at: null }).execute()
    }
    expect(cleared.sort()).toEqual([...companies, ...companies, ...companies].sort())
  })

  test('raises an alert for what fails, and tries it again an hour later', async () => {
    const raised: unknown[] = []
    const alerts = { raise: (subject: unknown) => void raised.push(subject), clear: () => undefined }
    await using schedule = start('file:///dev/null/nowhere', alerts)
    await until(() => raised.length === companies.length)
    await schedule[Symbol.asyncDispose]()
    expect(raised).toEqual(companies.map((companyId) => ({ kind: 'backup_failed', companyId })))
    const { database } = testDatabase
    expect(await claimDueBackup(database, DAY_MS)).toBeUndefined()
    await pass(61 * 60 * 1000)
    expect(await claimDueBackup(database, DAY_MS)).toBe(companies[0])
  })

  test('gives each company to one process, and comes back to one that was left unfinished', async () => {
    const { database } = testDatabase
    const claims = await Promise.all(Array.from({ length: 8 }, () => claimDueBackup(database, DAY_MS)))
    expect(claims.filter((companyId) => companyId !== undefined).sort()).toEqual([...companies].sort())
    for (const companyId of companies.slice(1)) await noteBackup(database, companyId, true)
    await pass(61 * 60 * 1000)
    expect(await claimDueBackup(database, DAY_MS)).toBe(companies[0])
    expect(await claimDueBackup(database, DAY_MS)).toBeUndefined()
  })
})
