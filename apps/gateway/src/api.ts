import type { Foundation } from '#src/foundation.ts'
import { Companies } from '#src/services/companies/companies.ts'
import { Conversations } from '#src/services/conversations/conversations.ts'
import { EventFeed } from '#src/services/events/event-feed.ts'
import { MessageReader } from '#src/services/messages/message-reader.ts'
import { ContactWishes } from '#src/services/outbox/contact-wishes.ts'
import { MessageIntake } from '#src/services/outbox/message-intake.ts'
import { Playground } from '#src/services/playground/playground.ts'
import { ApiKeys } from '#src/services/security/api-keys.ts'
import { BulkOperations } from '#src/services/sessions/bulk-operations.ts'
import { PlatformSettings } from '#src/services/sessions/platform-settings.ts'
import { Sessions } from '#src/services/sessions/sessions.ts'
import { TurnReader } from '#src/services/turns/turn-reader.ts'
import { WebhookDeliveries } from '#src/services/webhooks/webhook-deliveries.ts'
import { WebhookDispatcher } from '#src/services/webhooks/webhook-dispatcher.ts'
import { WebhookEndpoints } from '#src/services/webhooks/webhook-endpoints.ts'
import type { SessionOwner } from '#src/session-owner.ts'
import { createHttpServer } from '#src/transport/http/http-server.ts'

/** The HTTP server and the services behind it. `owner`: what of the sessions is in this process. */
export function buildApi(
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
