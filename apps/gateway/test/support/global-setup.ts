import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import type { TestProject } from 'vitest/node'
import { startEmbeddedPostgres } from '#src/storage/embedded/embedded-postgres.ts'
import { migrate } from '#src/storage/migrate.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Of the migrated database that every test database is a copy of. */
    templateDatabaseUrl: string
  }
}

/** One database server for a run of the tests. Each test file gets its own database on it: see database.ts. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = await mkdtemp(join(tmpdir(), 'frontdesk-tests-'))
  const postgres = await startEmbeddedPostgres({
    dataDir,
    log: pino({ level: 'warn' }),
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
