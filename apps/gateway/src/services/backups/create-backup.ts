import { newId } from '#src/model/ids.ts'
import { readBackupRecords } from '#src/storage/backup-records.ts'
import type { BackupStore } from '#src/storage/backups/backup-store.ts'
import { listCompanies } from '#src/storage/companies.ts'
import type { Database } from '#src/storage/database.ts'
import type { KeyRing } from '#src/storage/key-ring.ts'
import type { Environment } from '#src/storage/platform.ts'
import { writeContent } from './backup-content.ts'

const COMPANIES_AT_ONCE = 200

export interface BackupSource {
  database: Database
  keyRing: KeyRing
  environment: Environment
  /** The master key as it is now: what a backup made after a rotation is sealed with. */
  masterKey: () => Promise<Uint8Array>
}

/**
 * Backs up a company's credentials, keys and settings as they are at this moment. Returns the backup's name.
 * @throws FrontdeskError `not_found`
 */
export async function createBackup(
  { database, keyRing, environment, masterKey }: BackupSource,
  store: BackupStore,
  companyId: string,
): Promise<string> {
  const sealer = await keyRing.sealerOf(companyId)
  const about = { id: newId(), companyId, environment, createdAt: new Date().toISOString() }
  // The random end of the id, since its beginning is the time.
  const name = `${companyId}/${about.createdAt.replaceAll(':', '-')}-${about.id.slice(-8)}.backup`
  const key = await masterKey()
  await readBackupRecords(database, companyId, sealer, (records) =>
    writeContent(records, key, about, (file) => store.write(name, file)),
  )
  return name
}

/**
 * Backs up one company, or all, one after the other. Returns how many.
 * @throws FrontdeskError `not_found`
 */
export async function createBackups(
  source: BackupSource,
  store: BackupStore,
  companyId: string | undefined,
  onCreated: (name: string) => void,
): Promise<number> {
  if (companyId !== undefined) {
    onCreated(await createBackup(source, store, companyId))
    return 1
  }
  for (let count = 0, after: string | undefined; ; ) {
    const companies = await listCompanies(source.database.worker, COMPANIES_AT_ONCE, after)
    for (const { id } of companies) onCreated(await createBackup(source, store, id))
    count += companies.length
    if (companies.length < COMPANIES_AT_ONCE) return count
    after = companies.at(-1)?.id
  }
}

/** Removes all but the newest backups of a company. Returns how many. */
export async function pruneBackups(store: BackupStore, companyId: string, keep: number): Promise<number> {
  const backups = await store.list(companyId)
  const superfluous = backups.slice(0, Math.max(0, backups.length - keep))
  for (const { name } of superfluous) await store.remove(name)
  return superfluous.length
}
