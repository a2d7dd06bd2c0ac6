import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Config } from '#src/config.ts'
import { FrontdeskError } from '#src/model/errors.ts'
import { loadMasterKey, requireKeyFile } from '#src/services/security/master-key.ts'
import { type BackupStore, openBackupStore } from '#src/storage/backups/backup-store.ts'

/** The place that a command names by an option, as a URL or a path, or else the one of the settings. */
export function openStoreFor(
  { backups }: Config,
  option: '--from' | '--to',
  place: string | undefined,
): Promise<BackupStore> {
  const given = place === undefined || /^(file|s3):\/\//.test(place) ? place : pathToFileURL(resolve(place)).href
  const url = given ?? backups.url
  if (url === undefined)
    throw new FrontdeskError(
      'command_invalid',
      `Name the place of the backups by ${option}, or set FRONTDESK_BACKUP_URL.`,
    )
  return openBackupStore(url)
}

/** The master key that backups were made with: the one in the file that a command names, or else the deployment's. */
export async function backupKey({ secrets }: Config, file: string | undefined): Promise<Uint8Array> {
  if (file !== undefined) return await requireKeyFile(file)
  return (await loadMasterKey(secrets, async () => true)).masterKey
}
