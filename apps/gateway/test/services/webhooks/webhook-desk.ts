import type { CreateWebhookEndpoint, WebhookEndpointWithSecret } from '@frontdesk/api-contract'
import { sql } from 'kysely'
import { pino } from 'pino'
import { Alerts } from '#src/services/alerts/alerts.ts'
import { OPERATOR } from '#src/services/security/actor.ts'
import { createOutgoingUrlGuard, type OutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'
import { WebhookDeliveries } from '#src/services/webhooks/webhook-deliveries.ts'
import { WebhookDispatcher } from '#src/services/webhooks/webhook-dispatcher.ts'
import { WebhookEndpoints } from '#src/services/webhooks/webhook-endpoints.ts'
import { appendEvents, type NewEvent } from '#src/storage/events.ts'
import { openWakeUps } from '#src/storage/wake-ups.ts'
import { createTestDatabase, type TestDatabase } from '../../support/database.ts'
import { until } from '../../support/until.ts'

const log = pino({ level: 'silent' })

/** All that delivers webhooks, over a real database. */
export async function startWebhookDesk(
  options: { timeoutMs?: number; urlGuard?: OutgoingUrlGuard; testDatabase?: TestDatabase } = {},
) {
  const resources = new AsyncDisposableStack()
  const testDatabase = options.testDatabase ?? resources.use(await createTestDatabase())
  const { database, keyRing } = testDatabase
  const wakeUps = resources.use(await openWakeUps({ database, directUrl: testDatabase.url, log }))
  const alerts = resources.use(new Alerts({ database, log }))
  const urlGuard = resources.use(options.urlGuard ?? createOutgoingUrlGuard(['127.0.0.1']))
  const timeout = options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }

  /** Another process that delivers. */
  const startDispatcher = () => {
    const dispatcher = new WebhookDispatcher({ database, keyRing, urlGuard, alerts, log, ...timeout })
    const deaf = wakeUps.listen({
      wokenUp: ({ kind, id }) => void (kind === 'webhook' && dispatcher.look(id)),
      missed: () => dispatcher.lookAtAll(),
    })
    return {
      dispatcher,
      async [Symbol.asyncDispose]() {
        deaf()
        await dispatcher[Symbol.asyncDispose]()
      },
    }
  }
  const { dispatcher } = resources.use(startDispatcher())
  const onDue = (endpointId: string) => dispatcher.look(endpointId)
  const endpoints = new WebhookEndpoints({ database, keyRing, urlGuard, alerts, onChanged: onDue })
  const deliveries = new WebhookDeliveries({ database, onDue })
  const { worker } = database

  return {
    ...{ testDatabase, database, endpoints, deliveries, alerts, startDispatcher },
    createEndpoint: (companyId: string, input: Partial<CreateWebhookEndpoint> & { url: string }) =>
      endpoints.create(companyId, { eventTypes: null, headers: {}, ordering: 'none', ...input }, OPERATOR),
    append: (...events: NewEvent[]) => appendEvents(worker, events),
    look: ({ id }: Pick<WebhookEndpointWithSecret, 'id'>) => dispatcher.look(id),
    /** The deliveries of an endpoint, oldest first. */
    deliveriesOf: async ({ id }: Pick<WebhookEndpointWithSecret, 'id'>) =>
      worker.selectFrom('webhook_delivery').selectAll().where('endpoint_id', '=', id).orderBy('id').execute(),
    endpoint: ({ id }: Pick<WebhookEndpointWithSecret, 'id'>) =>
      worker.selectFrom('webhook_endpoint').selectAll().where('id', '=', id).executeTakeFirstOrThrow(),
    /** Lets the time pass until everything that waits at the endpoint is due, pauses and claims included. */
    async passTime({ id }: Pick<WebhookEndpointWithSecret, 'id'>) {
      await sql`update webhook_endpoint set paused_until = now() where id = ${id} and paused_until is not null`.execute(
        worker,
      )
      await sql`update webhook_delivery set next_attempt_at = now()
        where endpoint_id = ${id} and state = 'waiting' and next_attempt_at > now()`.execute(worker)
      dispatcher.look(id)
    },
    untilStates: (endpoint: Pick<WebhookEndpointWithSecret, 'id'>, expected: Record<string, number>) =>
      until(
        async () => {
          const { rows } = await sql<{ state: string; count: number }>`
            select state, count(*) as count from webhook_delivery where endpoint_id = ${endpoint.id} group by state`.execute(
            worker,
          )
          const states = Object.fromEntries(rows.map(({ state, count }) => [state, count]))
          return Object.entries(expected).every(([state, count]) => (states[state] ?? 0) === count)
        },
        { what: `deliveries are ${JSON.stringify(expected)}` },
      ),
    untilFailed: (endpoint: Pick<WebhookEndpointWithSecret, 'id'>, failures: number) =>
      until(
        async () =>
          (
            await worker
              .selectFrom('webhook_endpoint')
              .select('failures')
              .where('id', '=', endpoint.id)
              .executeTakeFirst()
          )?.failures === failures,
        { what: `${failures} attempts have failed` },
      ),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

export type WebhookDesk = Awaited<ReturnType<typeof startWebhookDesk>>
