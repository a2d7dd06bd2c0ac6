import type { Foundation } from '#src/foundation.ts'
import { createBaileysProvider } from '#src/providers/baileys/create-baileys-provider.ts'
import { Inbox } from '#src/services/inbox/inbox.ts'
import { Outbox } from '#src/services/outbox/outbox.ts'
import { ActivityRecorder } from '#src/services/sessions/activity-recorder.ts'
import { HealthMonitor } from '#src/services/sessions/health-monitor.ts'
import { SessionHost } from '#src/services/sessions/session-host.ts'
import { Membership } from '#src/services/supervisor/membership.ts'
import { takeNodeSlot } from '#src/storage/node-slot.ts'
import type { NodeLife } from '#src/storage/nodes.ts'
import { startWriter, type Writer } from '#src/storage/writer/writer.ts'

/** What a process that owns sessions has of them. */
export interface SessionOwner {
  membership: Membership
  writer: Writer
  sessionHost: SessionHost
  inbox: Inbox
  outbox: Outbox
}

/** All that owning sessions takes. They are claimed when `sessionHost` is told to, or told of one. */
export async function buildSessionOwner(
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
