import type { AddressInfo } from 'node:net'
import type { Config } from '#src/config.ts'
import type { Logger } from '#src/log.ts'
import { FrontdeskError } from '#src/model/errors.ts'
import { createBaileysProvider } from '#src/providers/baileys/create-baileys-provider.ts'
import { Alerts } from '#src/services/alerts/alerts.ts'
import { Companies } from '#src/services/companies/companies.ts'
import { EventFeed } from '#src/services/events/event-feed.ts'
import { Inbox } from '#src/services/inbox/inbox.ts'
import { startMaintenance } from '#src/services/maintenance/start-maintenance.ts'
import { MessageReader } from '#src/services/messages/message-reader.ts'
import { MessageIntake } from '#src/services/outbox/message-intake.ts'
import { Outbox } from '#src/services/outbox/outbox.ts'
import { ApiKeys } from '#src/services/security/api-keys.ts'
import { loadMasterKey } from '#src/services/security/master-key.ts'
import { createOutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'
import { ActivityRecorder } from '#src/services/sessions/activity-recorder.ts'
import { HealthMonitor } from '#src/services/sessions/health-monitor.ts'
import { SessionHost } from '#src/services/sessions/session-host.ts'
import { Sessions } from '#src/services/sessions/sessions.ts'
import { type Database, openDatabase } from '#src/storage/database.ts'
import { startEmbeddedPostgres } from '#src/storage/embedded/embedded-postgres.ts'
import { openKeyRing } from '#src/storage/key-ring.ts'
import { migrate } from '#src/storage/migrate.ts'
import { isClaimed } from '#src/storage/platform.ts'
import { startWriter, type Writer } from '#src/storage/writer/writer.ts'
import { createHttpServer, type HttpServer } from '#src/transport/http/http-server.ts'

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
}

/**
 * Builds everything, in the order in which one thing needs the other; it is taken down in the opposite order.
 * @throws FrontdeskError of the stage `start`; then nothing is left running
 */
export async function startGateway(config: Config, { log }: { log: Logger }): Promise<Gateway> {
  await using starting = new AsyncDisposableStack()

  const databaseUrl = await useDatabaseServer(config, log, starting)
  await migrate(config.secrets.databaseDirectUrl ?? databaseUrl)
  const database = starting.use(await openDatabase(databaseUrl))
  const { masterKey, generatedFile } = await loadMasterKey(config.secrets, () => isClaimed(database))
  const keyRing = await openKeyRing(database, masterKey, config.environment)
  const alerts = starting.use(new Alerts({ database, log }))
  starting.use(await startMaintenance({ database, alerts, log }))
  const writer = starting.use(await startWriter({ database, log }))

  const provider = createBaileysProvider({ logger: log, ...(config.emulator && { emulator: config.emulator }) })
  const urlGuard = starting.use(createOutgoingUrlGuard(config.allowedHosts))
  const outbox = starting.use(new Outbox({ database, log }))
  const intake = starting.use(
    new MessageIntake({
      database,
      onQueued: (sessionId, messages) => outbox.enqueue(sessionId, messages),
      onUnknown: (sessionId) => outbox.refresh(sessionId),
    }),
  )
  const inbox = starting.use(new Inbox({ database, outbox, urlGuard, batching: config.batching, log }))
  const activity = starting.use(new ActivityRecorder({ database, log }))
  const health = starting.use(
    new HealthMonitor({
      log,
      stuckSessions: (olderThanMs) => outbox.stuckSessions(olderThanMs),
      onStuck: ({ companyId, sessionId }) => alerts.raise({ kind: 'session_stuck', companyId, sessionId }),
    }),
  )
  const { waVersion, ...sessionSettings } = config.sessions
  const sessionHost = starting.use(
    new SessionHost({
      ...{ database, writer, keyRing, provider, log },
      settings: { ...sessionSettings, deviceName: 'Frontdesk', ...(waVersion !== undefined && { waVersion }) },
      // The way of a message: what is committed goes to the inbox, its answer to the outbox, from there to the session.
      listener: {
        owned: (session) => inbox.owned(session),
        online: (session, connection) => {
          health.online(session.lease, connection)
          outbox.online(session, connection)
        },
        offline: (sessionId) => {
          health.offline(sessionId)
          outbox.offline(sessionId)
        },
        typing: () => undefined,
        phoneSeen: ({ lease }, at) => activity.phoneSeen(lease, at),
        released: (sessionId) => {
          inbox.released(sessionId)
          outbox.released(sessionId)
        },
      },
    }),
  )
  writer.onCommitted((batch) => {
    activity.committed(batch)
    for (const { sessionId, messages } of batch) if (messages.length > 0) inbox.receive(sessionId, messages)
  })

  const apiKeys = new ApiKeys(database)
  const sessions = new Sessions({
    ...{ database, keyRing, provider },
    onChanged: (sessionId) => sessionHost.lookAt(sessionId),
  })
  const companies = new Companies({ database, keyRing, onUpdated: (companyId) => inbox.settingsChanged(companyId) })
  const server = createHttpServer(
    {
      ...{ apiKeys, companies, sessions },
      outbox: intake,
      messages: new MessageReader(database),
      events: new EventFeed(database),
      alerts,
      health: { check: () => checkHealth(database, writer) },
    },
    { log, maxBodyBytes: config.http.maxBodyBytes },
  )
  starting.defer(() => server.close())
  const url = await listen(server, config.http)
  // After the last step that commonly fails: a key that is made in a start that fails is never seen by anyone.
  const platformKey = await apiKeys.createFirstPlatformKey()
  await sessionHost.resumeAll()

  const running = starting.move()
  return {
    ...{ url, platformKey, apiKeys, companies, sessions },
    generatedMasterKeyFile: generatedFile,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

/** Brings the database to this version's schema, and ends. The names of the migrations that were applied. */
export async function migrateDatabase(config: Config, { log }: { log: Logger }): Promise<string[]> {
  await using resources = new AsyncDisposableStack()
  const databaseUrl = await useDatabaseServer(config, log, resources)
  return await migrate(config.secrets.databaseDirectUrl ?? databaseUrl)
}

/** The address of the operator's database, or of our own, which lives as long as the stack. */
async function useDatabaseServer(
  { secrets: { databaseUrl }, dataDirectory }: Config,
  log: Logger,
  resources: AsyncDisposableStack,
): Promise<string> {
  if (databaseUrl !== undefined) return databaseUrl
  return resources.use(await startEmbeddedPostgres({ dataDir: dataDirectory, log })).url
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

async function checkHealth(database: Database, writer: Writer): Promise<Record<string, boolean>> {
  const isReachable = await database.worker
    .selectFrom('platform')
    .select('environment')
    .executeTakeFirst()
    .then(
      () => true,
      () => false,
    )
  return { database: isReachable, writer: writer.health.state === 'ready' }
}
