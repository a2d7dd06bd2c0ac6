import { fork } from 'node:child_process'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Config } from '#src/config.ts'
import { createLog, type LogFormat, type Logger } from '#src/log.ts'
import { FrontdeskError } from '#src/model/errors.ts'
import { createBaileysProvider } from '#src/providers/baileys/create-baileys-provider.ts'
import { Alerts } from '#src/services/alerts/alerts.ts'
import { DiskAlert } from '#src/services/alerts/disk-alert.ts'
import { BackupSchedule } from '#src/services/backups/backup-schedule.ts'
import { Companies } from '#src/services/companies/companies.ts'
import { ConversationSweep } from '#src/services/conversations/conversation-sweep.ts'
import { Conversations } from '#src/services/conversations/conversations.ts'
import { EventFeed } from '#src/services/events/event-feed.ts'
import { Inbox } from '#src/services/inbox/inbox.ts'
import { startMaintenance } from '#src/services/maintenance/start-maintenance.ts'
import { MessageReader } from '#src/services/messages/message-reader.ts'
import { ContactWishes } from '#src/services/outbox/contact-wishes.ts'
import { MessageIntake } from '#src/services/outbox/message-intake.ts'
import { Outbox } from '#src/services/outbox/outbox.ts'
import { Playground } from '#src/services/playground/playground.ts'
import { ApiKeys } from '#src/services/security/api-keys.ts'
import { CompanySecrets } from '#src/services/security/company-secrets.ts'
import { loadMasterKey, readKeyFile } from '#src/services/security/master-key.ts'
import { createOutgoingUrlGuard, type OutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'
import { startKeyRefresh } from '#src/services/security/start-key-refresh.ts'
import { ActivityRecorder } from '#src/services/sessions/activity-recorder.ts'
import { BulkOperations } from '#src/services/sessions/bulk-operations.ts'
import { HealthMonitor } from '#src/services/sessions/health-monitor.ts'
import { PlatformSettings } from '#src/services/sessions/platform-settings.ts'
import { SessionHost } from '#src/services/sessions/session-host.ts'
import { Sessions } from '#src/services/sessions/sessions.ts'
import { Membership } from '#src/services/supervisor/membership.ts'
import { catchStrayErrors } from '#src/services/supervisor/stray-errors.ts'
import { Supervisor } from '#src/services/supervisor/supervisor.ts'
import { connectToSupervisor } from '#src/services/supervisor/supervisor-link.ts'
import { TurnReader } from '#src/services/turns/turn-reader.ts'
import { WebhookDeliveries } from '#src/services/webhooks/webhook-deliveries.ts'
import { WebhookDispatcher } from '#src/services/webhooks/webhook-dispatcher.ts'
import { WebhookEndpoints } from '#src/services/webhooks/webhook-endpoints.ts'
import { type Database, openDatabase } from '#src/storage/database.ts'
import { startEmbeddedPostgres } from '#src/storage/embedded/embedded-postgres.ts'
import { type KeyRing, openKeyRing } from '#src/storage/key-ring.ts'
import { migrate } from '#src/storage/migrate.ts'
import { takeNodeSlot } from '#src/storage/node-slot.ts'
import type { NodeLife } from '#src/storage/nodes.ts'
import { isClaimed } from '#src/storage/platform.ts'
import { openWakeUps, type WakeUps } from '#src/storage/wake-ups.ts'
import { startWriter, type Writer } from '#src/storage/writer/writer.ts'
import { createHttpServer, type HttpServer } from '#src/transport/http/http-server.ts'

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

/** What every process of a deployment is built on. */
interface Foundation {
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

/** What a process that owns sessions has of them. */
interface SessionOwner {
  membership: Membership
  writer: Writer
  sessionHost: SessionHost
  inbox: Inbox
  outbox: Outbox
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

/** @throws FrontdeskError `database_unreachable`, `master_key_missing`, `master_key_wrong` and others of the start */
async function layFoundation(
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

/** All that owning sessions takes. They are claimed when `sessionHost` is told to, or told of one. */
async function buildSessionOwner(
  { config, log, database, keyRing, wakeUps, alerts, diskAlert, urlGuard, secrets }: Foundation,
  onBegan: (life: NodeLife) => void,
  starting: AsyncDisposableStack,
): Promise<SessionOwner> {
  const { nodeId } = starting.use(takeNodeSlot(config.dataDirectory, log))
  const membership = starting.use(new Membership({ database, nodeId, log }))
  const isMember = () => membership.life !== undefined
  const writer = starting.use(await startWriter({ database, log, isMember, onDiskFull: () => diskAlert.full() }))
  const provider = createBaileysProvider({
    logger: log,
    proxyLookup: urlGuard.lookup,
    ...(config.emulator && { emulator: config.emulator }),
  })
  const outbox = starting.use(new Outbox({ database, pacing: config.pacing, log }))
  const { mcpServers } = config
  const answerer = { urlGuard, mcpServers, secret: (companyId: string, name: string) => secrets.read(companyId, name) }
  const inbox = starting.use(new Inbox({ database, outbox, answerer, batching: config.batching, log }))
  const activity = starting.use(new ActivityRecorder({ database, log }))
  const health = starting.use(
    new HealthMonitor({
      log,
      stuckSessions: (olderThanMs) => outbox.stuckSessions(olderThanMs),
      onStuck: (session) => alerts.raise({ kind: 'session_stuck', ...session }),
      onFlowing: (session) => alerts.clear({ kind: 'session_stuck', ...session }),
    }),
  )
  const { waVersion, ...settings } = config.sessions
  const sessionHost = starting.use(
    new SessionHost({
      ...{ database, membership, writer, keyRing, provider, alerts, log },
      settings: { ...settings, ...(waVersion !== undefined && { waVersion }) },
      // The way of a message: what is committed goes to the inbox, its answer to the outbox, from there to the session.
      listener: {
        owned: (session) => inbox.owned(session),
        online: (session, connection, recorded) => {
          health.online(session.lease, connection)
          outbox.online(session, connection, recorded)
        },
        offline: (sessionId) => {
          health.offline(sessionId)
          outbox.offline(sessionId)
        },
        typing: (sessionId, contactId, isTyping) => inbox.typing(sessionId, contactId, isTyping),
        phoneSeen: ({ lease }, at) => activity.phoneSeen(lease, at),
        released: (sessionId) => {
          inbox.released(sessionId)
          outbox.released(sessionId)
        },
      },
      onReleased: (sessionId) => wakeUps.send({ kind: 'session', id: sessionId }),
    }),
  )
  writer.onCommitted((batch) => {
    activity.committed(batch)
    for (const { sessionId, messages } of batch) if (messages.length > 0) inbox.receive(sessionId, messages)
  })
  const deaf = wakeUps.listen({
    wokenUp({ kind, id }) {
      if (kind === 'outbox') outbox.refresh(id)
      else if (kind === 'company') inbox.settingsChanged(id)
      else if (kind === 'chat') {
        const [sessionId = '', contactId = ''] = id.split('/')
        inbox.takenOver(sessionId, contactId)
      } else if (kind === 'session' || kind === 'command') sessionHost.lookAt(id)
    },
    missed: () => sessionHost.lookAtAll(),
  })
  starting.defer(deaf)
  await sessionHost.join(onBegan)
  return { membership, writer, sessionHost, inbox, outbox }
}

/** The HTTP server and the services behind it. `owner`: what of the sessions is in this process. */
function buildApi(
  { config, log, database, keyRing, wakeUps, alerts, diskAlert, urlGuard, secrets }: Foundation,
  owner: SessionOwner | undefined,
  checkHealth: () => Promise<Record<string, boolean>>,
  starting: AsyncDisposableStack,
) {
  const onTakenOver = (sessionId: string, contactId: string) => {
    if (owner?.inbox.takenOver(sessionId, contactId) !== true)
      wakeUps.send({ kind: 'chat', id: `${sessionId}/${contactId}` })
  }
  const intake = starting.use(
    new MessageIntake({
      ...{ database, onTakenOver },
      onQueued(sessionId, messages) {
        if (owner?.outbox.enqueue(sessionId, messages) !== true) wakeUps.send({ kind: 'outbox', id: sessionId })
      },
      onDiskFull: () => diskAlert.full(),
      onUnknown(sessionId) {
        if (owner?.outbox.refresh(sessionId) !== true) wakeUps.send({ kind: 'outbox', id: sessionId })
      },
    }),
  )
  const apiKeys = new ApiKeys(database)
  const { linkingAttemptsPerHour } = config.sessions
  const onChanged = (sessionId: string) => {
    owner?.sessionHost.lookAt(sessionId)
    wakeUps.send({ kind: 'session', id: sessionId })
  }
  const sessions = new Sessions({ database, keyRing, urlGuard, linkingAttemptsPerHour, onChanged })
  const bulkOperations = starting.use(new BulkOperations({ database, linkingAttemptsPerHour, onChanged, log }))
  const companies = new Companies({
    ...{ database, keyRing },
    onUpdated(companyId) {
      owner?.inbox.settingsChanged(companyId)
      wakeUps.send({ kind: 'company', id: companyId })
    },
  })
  const webhooks = starting.use(new WebhookDispatcher({ database, keyRing, urlGuard, alerts, log }))
  const onDue = (endpointId: string) => webhooks.look(endpointId)
  starting.defer(database.dueWebhooks.listen(onDue))
  const deaf = wakeUps.listen({
    wokenUp({ kind, id }) {
      if (kind === 'webhook') webhooks.look(id)
    },
    missed: () => webhooks.lookAtAll(),
  })
  starting.defer(deaf)
  const server = createHttpServer(
    {
      ...{ apiKeys, companies, sessions, bulkOperations, alerts },
      platformSettings: new PlatformSettings({ database, bulkOperations }),
      outbox: intake,
      messages: new MessageReader(database),
      contacts: new ContactWishes(database),
      conversations: new Conversations({ database, onTakenOver }),
      events: new EventFeed(database),
      webhookEndpoints: new WebhookEndpoints({ database, keyRing, urlGuard, alerts, onChanged: onDue }),
      webhookDeliveries: new WebhookDeliveries({ database, onDue }),
      secrets,
      turns: new TurnReader(database),
      playground: new Playground({
        database,
        answerer: {
          ...{ urlGuard, mcpServers: config.mcpServers, log },
          secret: (companyId, name) => secrets.read(companyId, name),
        },
        batching: config.batching,
      }),
      health: { check: checkHealth },
    },
    { log, maxBodyBytes: config.http.maxBodyBytes },
  )
  starting.defer(() => server.close())
  return { server, apiKeys, companies, sessions }
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
