import type { Config } from '#src/config.ts'
import type { Logger } from '#src/log.ts'
import { Alerts } from '#src/services/alerts/alerts.ts'
import { DiskAlert } from '#src/services/alerts/disk-alert.ts'
import { CompanySecrets } from '#src/services/security/company-secrets.ts'
import { loadMasterKey, readKeyFile } from '#src/services/security/master-key.ts'
import { createOutgoingUrlGuard, type OutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'
import { startKeyRefresh } from '#src/services/security/start-key-refresh.ts'
import { type Database, openDatabase } from '#src/storage/database.ts'
import { startEmbeddedPostgres } from '#src/storage/embedded/embedded-postgres.ts'
import { type KeyRing, openKeyRing } from '#src/storage/key-ring.ts'
import { isClaimed } from '#src/storage/platform.ts'
import { openWakeUps, type WakeUps } from '#src/storage/wake-ups.ts'

/** What every process of a deployment is built on. */
export interface Foundation {
  config: Config
  log: Logger
  database: Database
  keyRing: KeyRing
  /** The file of the master key, when this start has generated it. */
  generatedMasterKeyFile: string | undefined
  wakeUps: WakeUps
  alerts: Alerts
  diskAlert: DiskAlert
  urlGuard: OutgoingUrlGuard
  secrets: CompanySecrets
}

/** To the database: all pools full, the writer, the accepting of messages, wake-ups and the heartbeat. */
const MOST_CONNECTIONS_OF_PROCESS = 16
/** For commands beside the gateway, and for a person who looks. */
const SPARE_CONNECTIONS = 30

/** @throws FrontdeskError `database_unreachable`, `master_key_missing`, `master_key_wrong` and others of the start */
export async function layFoundation(
  config: Config,
  databaseUrl: string,
  log: Logger,
  starting: AsyncDisposableStack,
): Promise<Foundation> {
  const { secrets, environment, allowedHosts } = config
  const database = starting.use(await openDatabase(databaseUrl))
  const { masterKey, generatedFile } = await loadMasterKey(secrets, () => isClaimed(database))
  const keyRing = await openKeyRing(database, masterKey, environment, {
    ...(secrets.masterKey === undefined && { rereadMasterKey: () => readKeyFile(secrets.masterKeyFile) }),
  })
  starting.use(startKeyRefresh(keyRing, log))
  const wakeUps = starting.use(await openWakeUps({ database, directUrl: secrets.databaseDirectUrl, log }))
  const alerts = starting.use(new Alerts({ database, log }))
  const diskAlert = starting.use(new DiskAlert({ alerts, log }))
  const urlGuard = starting.use(createOutgoingUrlGuard(allowedHosts))
  return {
    ...{ config, log, database, keyRing, wakeUps, alerts, diskAlert, urlGuard },
    generatedMasterKeyFile: generatedFile,
    secrets: new CompanySecrets({ database, keyRing }),
  }
}

/** The address of the operator's database, or of our own, which lives as long as the stack. */
export async function useDatabaseServer(
  { secrets: { databaseUrl }, dataDirectory, sessionHosts }: Config,
  log: Logger,
  resources: AsyncDisposableStack,
): Promise<string> {
  if (databaseUrl !== undefined) return databaseUrl
  const connections = (1 + sessionHosts) * MOST_CONNECTIONS_OF_PROCESS + SPARE_CONNECTIONS
  const settings = { max_connections: String(connections) }
  return resources.use(await startEmbeddedPostgres({ dataDir: dataDirectory, log, settings })).url
}
