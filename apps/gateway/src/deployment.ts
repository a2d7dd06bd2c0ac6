import type { Config } from '#src/config.ts'
import type { Logger } from '#src/log.ts'
import { FrontdeskError } from '#src/model/errors.ts'
import { restoredKey } from '#src/providers/baileys/restored-key.ts'
import type { BackupSource } from '#src/services/backups/create-backup.ts'
import type { RestoreTarget } from '#src/services/backups/restore-backup.ts'
import { loadMasterKey } from '#src/services/security/master-key.ts'
import { openDatabase } from '#src/storage/database.ts'
import { joinEmbeddedPostgres, startEmbeddedPostgres } from '#src/storage/embedded/embedded-postgres.ts'
import { openKeyRing } from '#src/storage/key-ring.ts'
import { migrate } from '#src/storage/migrate.ts'
import { type Environment, isClaimed, readPlatform } from '#src/storage/platform.ts'

/** The database and the keys of a deployment, for commands beside a gateway that runs or not. */
export interface Deployment extends BackupSource, RestoreTarget, AsyncDisposable {}

/**
 * Opens a deployment. Its own database is the one of the gateway that runs, or is started for as long as it is open.
 * @param newEnvironment what a database that was never used is claimed for; without it such a one is refused
 * @throws FrontdeskError of the stage `start`
 */
export async function openDeployment(
  config: Config,
  { log, newEnvironment }: { log: Logger; newEnvironment?: Environment },
): Promise<Deployment> {
  await using opening = new AsyncDisposableStack()
  const databaseUrl = await useDatabaseServer(config, log, opening)
  await migrate(config.secrets.databaseDirectUrl ?? databaseUrl)
  const database = opening.use(await openDatabase(databaseUrl))
  const isNew = !(await isClaimed(database))
  if (isNew && newEnvironment === undefined) throw new FrontdeskError('deployment_not_started')
  const environment = isNew && newEnvironment ? newEnvironment : (await readPlatform(database.worker)).environment
  const masterKey = async () => (await loadMasterKey(config.secrets, async () => true)).masterKey
  const keyRing = await openKeyRing(database, await masterKey(), environment)
  const opened = opening.move()
  return {
    ...{ database, keyRing, environment, masterKey, restoredKey },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

async function useDatabaseServer(
  { secrets: { databaseUrl }, dataDirectory: dataDir }: Config,
  log: Logger,
  resources: AsyncDisposableStack,
): Promise<string> {
  if (databaseUrl !== undefined) return databaseUrl
  try {
    return resources.use(await startEmbeddedPostgres({ dataDir, log })).url
  } catch (error) {
    if (!(error instanceof FrontdeskError) || error.code !== 'data_directory_in_use') throw error
    return resources.use(await joinEmbeddedPostgres(dataDir)).url
  }
}
