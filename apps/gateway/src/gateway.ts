import { fork } from 'node:child_process'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { buildApi } from '#src/api.ts'
import type { Config } from '#src/config.ts'
import { type Foundation, layFoundation, useDatabaseServer } from '#src/foundation.ts'
import { createLog, type LogFormat, type Logger } from '#src/log.ts'
import { FrontdeskError } from '#src/model/errors.ts'
import { BackupSchedule } from '#src/services/backups/backup-schedule.ts'
import type { Companies } from '#src/services/companies/companies.ts'
import { ConversationSweep } from '#src/services/conversations/conversation-sweep.ts'
import { startMaintenance } from '#src/services/maintenance/start-maintenance.ts'
import type { ApiKeys } from '#src/services/security/api-keys.ts'
import { loadMasterKey } from '#src/services/security/master-key.ts'
import type { Sessions } from '#src/services/sessions/sessions.ts'
import { catchStrayErrors } from '#src/services/supervisor/stray-errors.ts'
import { Supervisor } from '#src/services/supervisor/supervisor.ts'
import { connectToSupervisor } from '#src/services/supervisor/supervisor-link.ts'
import { buildSessionOwner } from '#src/session-owner.ts'
import type { Database } from '#src/storage/database.ts'
import { migrate } from '#src/storage/migrate.ts'
import type { HttpServer } from '#src/transport/http/http-server.ts'

const PROGRAM = fileURLToPath(new URL('../bin/frontdesk', import.meta.url))
/** Those of the program's first line, which `fork` does not read. */
const SESSION_HOST_FLAGS = ['--max-semi-space-size=8', '--stack-trace-limit=0']

/** A running gateway. Disposing of it ends it cleanly: what is undone is taken up by the next start. */
export interface Gateway extends AsyncDisposable {
  /** Where the HTTP server listens, such as `http://127.0.0.1:8480`. */
  readonly url: string
  /** The platform key, at the very first start only. */
  readonly platformKey: string | undefined
  /** The file of the master key, when this start has generated it. */
  readonly generatedMasterKeyFile: string | undefined
  readonly apiKeys: ApiKeys
  readonly companies: Companies
  readonly sessions: Sessions
  /** The process is about to end because of an error in this session: what is stored of it says so. */
  blame(sessionId: string): void
}

/** What a session host is started with. Its database is the supervisor's. */
interface SessionHostStart {
  config: Config
  logFormat: LogFormat
}

/**
 * Builds everything, in the order in which one thing needs the other; it is taken down in the opposite order. The sessions
 * are this process's own, or those of the session hosts that it supervises.
 * @throws FrontdeskError of the stage `start`; then nothing is left running
 */
export async function startGateway(
  config: Config,
  { log, logFormat = 'json' }: { log: Logger; logFormat?: LogFormat },
): Promise<Gateway> {
  await using starting = new AsyncDisposableStack()

  const databaseUrl = await useDatabaseServer(config, log, starting)
  await migrate(config.secrets.databaseDirectUrl ?? databaseUrl)
  const foundation = await layFoundation(config, databaseUrl, log, starting)
  const { database, keyRing, alerts, generatedMasterKeyFile } = foundation
  starting.use(await startMaintenance({ database, keyRing, alerts, log }))
  starting.use(new ConversationSweep({ database, log }))
  const { url: backupUrl, ...schedule } = config.backups
  if (backupUrl !== undefined) {
    const masterKey = async () => (await loadMasterKey(config.secrets, async () => true)).masterKey
    const source = { database, keyRing, environment: config.environment, masterKey }
    starting.use(new BackupSchedule({ source, url: backupUrl, ...schedule, alerts, log }))
  }

  const isSupervisor = config.sessionHosts > 0
  const owner = isSupervisor ? undefined : await buildSessionOwner(foundation, () => undefined, starting)
  const supervisor = isSupervisor
    ? starting.use(await superviseSessionHosts(foundation, { databaseUrl, logFormat }))
    : undefined
  const checkHealth = async () => ({
    database: await isReachable(database),
    databaseDisk: !foundation.diskAlert.isFull,
    ...(owner && { writer: owner.writer.health.state === 'ready' }),
    ...(supervisor && { sessionHosts: supervisor.isComplete }),
  })
  const { server, apiKeys, companies, sessions } = buildApi(foundation, owner, checkHealth, starting)
  const url = await listen(server, config.http)
  // After the last step that commonly fails: a key that is made in a start that fails is never seen by anyone.
  const platformKey = await apiKeys.createFirstPlatformKey()
  owner?.sessionHost.claimAll()

  const running = starting.move()
  return {
    ...{ url, platformKey, generatedMasterKeyFile, apiKeys, companies, sessions },
    blame: (sessionId) => owner?.sessionHost.blame(sessionId),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

/** One of the session hosts that `startGateway` supervises, in this process: until it is told to end. */
export async function runSessionHost(): Promise<void> {
  const supervisor = await connectToSupervisor<SessionHostStart>()
  const { config, logFormat } = supervisor.start
  const log = createLog({ level: config.logLevel, format: logFormat })
  using strayErrors = catchStrayErrors(log)
  try {
    await using resources = new AsyncDisposableStack()
    const databaseUrl = await useDatabaseServer(config, log, resources)
    const foundation = await layFoundation(config, databaseUrl, log, resources)
    const { database, wakeUps } = foundation
    resources.defer(database.dueWebhooks.listen((id) => wakeUps.send({ kind: 'webhook', id })))
    const owner = await buildSessionOwner(foundation, (life) => supervisor.began(life), resources)
    const broken = strayErrors.happened.then((sessionId) => {
      if (sessionId !== undefined) owner.sessionHost.blame(sessionId)
    })
    const told = supervisor.listen({
      claim: () => owner.sessionHost.claimAll(),
      look: () => owner.sessionHost.lookAtAll(),
    })
    const end = await Promise.race([told, broken])
    // Nobody starts it again, and another start may use its slot: it is gone before anything else happens.
    if (end === 'abandoned') await owner.membership.abandon().finally(() => process.exit(1))
  } catch (error) {
    await supervisor.failed(error)
    throw error
  }
}

/** Starts `config.sessionHosts` processes that own the sessions, on the same database. */
function superviseSessionHosts(
  { config, database, log }: Foundation,
  { databaseUrl, logFormat }: { databaseUrl: string; logFormat: LogFormat },
): Promise<Supervisor<SessionHostStart>> {
  return Supervisor.start<SessionHostStart>({
    ...{ database, log },
    count: config.sessionHosts,
    start: { config: { ...config, secrets: { ...config.secrets, databaseUrl } }, logFormat },
    spawn: () =>
      fork(PROGRAM, ['session-host'], {
        execArgv: SESSION_HOST_FLAGS,
        serialization: 'advanced',
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      }),
  })
}

/** Brings the database to this version's schema, and ends. The names of the migrations that were applied. */
export async function migrateDatabase(config: Config, { log }: { log: Logger }): Promise<string[]> {
  await using resources = new AsyncDisposableStack()
  const databaseUrl = await useDatabaseServer(config, log, resources)
  return await migrate(config.secrets.databaseDirectUrl ?? databaseUrl)
}

async function listen(server: HttpServer, { host, port }: Config['http']): Promise<string> {
  try {
    await server.listen({ host, port })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code === 'EADDRINUSE') throw new FrontdeskError('port_in_use', `It is ${host}:${port}.`, { cause: error })
    throw error
  }
  const { port: actualPort } = server.server.address() as AddressInfo
  return `http://${host.includes(':') ? `[${host}]` : host}:${actualPort}`
}

function isReachable(database: Database): Promise<boolean> {
  return database.worker
    .selectFrom('platform')
    .select('environment')
    .executeTakeFirst()
    .then(
      () => true,
      () => false,
    )
}
