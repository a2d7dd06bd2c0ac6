import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import type { Client } from 'pg'
import { FrontdeskError } from '#src/model/errors.ts'
import { connect, connectionConfig } from './connection.ts'

const MIGRATIONS = new URL('./migrations/', import.meta.url)
/** Any constant of ours: it keeps two processes from migrating at once. */
const LOCK = 4_606_172_377

export interface Migration {
  version: number
  name: string
  sql: string
}

/**
 * Brings the database to this version's schema: all that is missing, in one transaction. Returns the names applied.
 *
 * @throws FrontdeskError `database_unreachable`; `database_version_mismatch` if the database holds a migration that this
 * version does not have, or has in another form
 */
export async function migrate(url: string, migrations?: readonly Migration[]): Promise<string[]> {
  const wanted = migrations ?? (await readMigrations())
  const client = await connect(connectionConfig(url))
  try {
    await client.query(`begin; set local timezone to 'UTC'`)
    await client.query('select pg_advisory_xact_lock($1)', [LOCK])
    await client.query(`
      create table if not exists schema_migration (
        version integer primary key,
        name text not null,
        checksum text not null,
        applied_at timestamptz not null default now()
      );
      alter table schema_migration enable row level security`)
    const applied = await applyMissing(client, wanted)
    await client.query('commit')
    return applied
  } finally {
    // Rolls back what is not committed.
    await client.end()
  }
}

async function applyMissing(client: Client, wanted: readonly Migration[]): Promise<string[]> {
  const { rows } = await client.query<{ version: number; name: string; checksum: string }>(
    'select version, name, checksum from schema_migration order by version',
  )
  const present = new Map(rows.map((row) => [row.version, row]))
  const newest = wanted.at(-1)?.version ?? 0
  for (const row of rows)
    if (row.version > newest)
      throw new FrontdeskError('database_version_mismatch', `It holds ${row.name}, which this version does not know.`)
  const applied: string[] = []
  for (const migration of wanted) {
    const row = present.get(migration.version)
    if (row && row.checksum !== checksum(migration))
      throw new FrontdeskError('database_version_mismatch', `It was made with another ${row.name}.`)
    if (row) continue
    await client.query(migration.sql)
    await client.query('insert into schema_migration (version, name, checksum) values ($1, $2, $3)', [
      migration.version,
      migration.name,
      checksum(migration),
    ])
    applied.push(migration.name)
  }
  return applied
}

/** The migrations of this version, in order. */
async function readMigrations(): Promise<Migration[]> {
  const names = (await readdir(MIGRATIONS)).filter((name) => name.endsWith('.sql')).sort()
  return Promise.all(
    names.map(async (name) => ({
      version: Number.parseInt(name, 10),
      name,
      sql: await readFile(new URL(name, MIGRATIONS), 'utf8'),
    })),
  )
}

const checksum = (migration: Migration): string => createHash('sha256').update(migration.sql).digest('hex')
