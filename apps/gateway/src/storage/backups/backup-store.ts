import { fileURLToPath } from 'node:url'
import { FileBackupStore } from './file-backup-store.ts'

export interface StoredBackup {
  /** `<company>/<moment>-<id>.backup`: names of a company sort by their time. */
  name: string
  bytes: number
}

/** Where backups are kept. A backup is there as a whole, or not at all. */
export interface BackupStore extends Disposable {
  write(name: string, content: AsyncIterable<Uint8Array>): Promise<void>
  /** @throws FrontdeskError `backup_not_found` */
  read(name: string): Promise<AsyncIterable<Uint8Array>>
  /** Of one company or of all, by name. */
  list(companyId?: string): Promise<StoredBackup[]>
  remove(name: string): Promise<void>
}

/** Opens `file:///path` or `s3://bucket/prefix`. What a store cannot do its calls say. */
export async function openBackupStore(url: string): Promise<BackupStore> {
  const location = new URL(url)
  if (location.protocol === 'file:') return new FileBackupStore(fileURLToPath(location))
  // Loaded where it is used: it is large, and most deployments have none.
  const { S3BackupStore } = await import('./s3-backup-store.ts')
  return new S3BackupStore(location)
}
