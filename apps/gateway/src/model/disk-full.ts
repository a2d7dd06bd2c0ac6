/** Postgres' own code for it. */
const DISK_FULL = '53100'
/** The file of Postgres' source that grows, writes and reads tables. A quota or a limit of file sizes has no code of its own. */
const STORAGE_MANAGER = 'md.c'

/** Whether the database has refused a statement because it cannot write to its disk. Nothing of the statement was stored. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code, file } = error as Error & { code?: unknown; file?: unknown }
  return code === DISK_FULL || file === STORAGE_MANAGER
}
