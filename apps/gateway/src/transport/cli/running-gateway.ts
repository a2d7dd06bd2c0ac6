import type { Config } from '#src/config.ts'
import type { LogFormat, Logger } from '#src/log.ts'
import type { BackupSource } from '#src/services/backups/create-backup.ts'
import type { RestoreTarget } from '#src/services/backups/restore-backup.ts'
import type { CompanyRegistry, HttpServices, SessionRegistry } from '../http/services.ts'

/** What the command line needs of a gateway that runs. Disposing ends it cleanly. */
export interface RunningGateway extends AsyncDisposable {
  /** Where the HTTP server listens, such as `http://127.0.0.1:8480`. */
  readonly url: string
  /** The platform key, at the very first start only. */
  readonly platformKey: string | undefined
  /** The file of the master key, when this start has generated it. */
  readonly generatedMasterKeyFile: string | undefined
  readonly apiKeys: Pick<HttpServices['apiKeys'], 'create'> & { createPlatformKey(name: string): Promise<string> }
  readonly companies: Pick<CompanyRegistry, 'list' | 'create'>
  readonly sessions: Pick<SessionRegistry, 'list' | 'create' | 'start' | 'link' | 'get' | 'linkingCode'>
  /** The process is about to end because of an error in this session: what is stored of it says so. */
  blame(sessionId: string): void
}

/** What the command line is given by the program's entry, so that it starts nothing that a command does not need. */
export interface CliDependencies {
  startGateway: (config: Config, options: { log: Logger; logFormat?: LogFormat }) => Promise<RunningGateway>
  /** Owns sessions for a gateway that has started this process, until it is told to end. */
  runSessionHost: () => Promise<void>
  /** The database and the keys, beside a gateway that runs or not. `newEnvironment`: what a new database is claimed for. */
  openDeployment: (
    config: Config,
    options: { log: Logger; newEnvironment?: Config['environment'] },
  ) => Promise<BackupSource & RestoreTarget & AsyncDisposable>
  /** Brings the database to this version; the names of the migrations that were applied. */
  migrate: (config: Config, options: { log: Logger }) => Promise<string[]>
}
