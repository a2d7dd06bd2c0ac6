import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Logger, pino } from 'pino'
import type { TestProject } from 'vitest/node'
import { lockDataDirectory } from '#src/storage/embedded/data-directory-lock.ts'
import { startEmbeddedPostgres } from '#src/storage/embedded/embedded-postgres.ts'
import { stopOrphans } from '#src/storage/embedded/orphans.ts'
import { migrate } from '#src/storage/migrate.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Of the migrated database that every test database is a copy of. */
    templateDatabaseUrl: string
    /** How test databases are reached: see vitest.config.ts. */
    connection: 'direct' | 'pooled'
  }
}

const PREFIX = 'frontdesk-tests-'

/** One database server for a run of the tests. Each test file gets its own database on it: see database.ts. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const log = pino({ level: 'warn' })
  await sweep(log)
  const dataDir = await mkdtemp(join(tmpdir(), PREFIX))
  const postgres = await startEmbeddedPostgres({
    dataDir,
    log,
    // Nothing here outlives the run; tests of durability start their own server.
    settings: { fsync: 'off', full_page_writes: 'off', max_connections: '200', autovacuum: 'off' },
  })
  await migrate(postgres.url)
  project.provide('templateDatabaseUrl', postgres.url)
  return async () => {
    await postgres[Symbol.asyncDispose]()
    await rm(dataDir, { recursive: true, force: true })
  }
}

/** Clears what runs that were killed have left behind: nobody holds its lock any more. */
async function sweep(log: Logger): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const dataDir = join(tmpdir(), name)
    if (!name.startsWith(PREFIX) || !existsSync(join(dataDir, 'frontdesk.lock'))) continue
    try {
      using _lock = lockDataDirectory(dataDir)
      await stopOrphans(join(dataDir, 'postgres'), log)
    } catch {
      // Another run, or another user, is using it.
      continue
    }
    await rm(dataDir, { recursive: true, force: true })
  }
}
