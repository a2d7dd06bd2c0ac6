import type { DeliveryQuery, List, ReplayDeliveries, ReplayResult, WebhookDelivery } from '@frontdesk/api-contract'
import { FrontdeskError } from '#src/model/errors.ts'
import type { Actor } from '#src/services/security/actor.ts'
import { appendAudit } from '#src/storage/audit.ts'
import type { Database } from '#src/storage/database.ts'
import { type DeliveryRow, findDelivery, listDeliveries, replayDeliveries } from '#src/storage/deliveries.ts'
import { findWebhookEndpoint } from '#src/storage/webhook-endpoints.ts'

/** Of one request. */
const MOST_REPLAYED = 10_000

export interface WebhookDeliveriesOptions {
  database: Database
  /** Called after a commit after which something is due at the endpoint. */
  onDue: (endpointId: string) => void
}

/** What has become of the events that were, or are to be, posted. */
export class WebhookDeliveries {
  readonly #options: WebhookDeliveriesOptions

  constructor(options: WebhookDeliveriesOptions) {
    this.#options = options
  }

  /** Newest first. */
  async list(companyId: string, { limit, cursor, ...filter }: DeliveryQuery): Promise<List<WebhookDelivery>> {
    const rows = await this.#options.database.asCompany(companyId, (db) =>
      listDeliveries(companyId, db, { ...filter, before: cursor, limit: limit + 1 }),
    )
    const items = rows.slice(0, limit).map(toDelivery)
    return { items, next: rows.length > limit ? (items.at(-1)?.id ?? null) : null }
  }

  /** @throws FrontdeskError `not_found` */
  async get(companyId: string, id: string): Promise<WebhookDelivery> {
    return toDelivery(found(await this.#options.database.asCompany(companyId, (db) => findDelivery(companyId, db, id))))
  }

  /** Begins one anew, whatever has become of it. @throws FrontdeskError `not_found`, `webhook_endpoint_disabled` */
  async replay(companyId: string, id: string, { apiKeyId }: Actor): Promise<WebhookDelivery> {
    const delivery = await this.#options.database.asCompany(companyId, async (db) => {
      const { endpoint_id: endpointId } = found(await findDelivery(companyId, db, id))
      const [replayed] = await replayDeliveries(companyId, db, { id, limit: 1 })
      if (replayed === undefined) {
        const endpoint = await findWebhookEndpoint(companyId, db, endpointId)
        throw new FrontdeskError(endpoint === undefined ? 'not_found' : 'webhook_endpoint_disabled')
      }
      await appendAudit(db, {
        ...{ companyId, apiKeyId, subjectId: endpointId, detail: { delivery: id } },
        action: 'webhook_deliveries.replayed',
      })
      return toDelivery(found(await findDelivery(companyId, db, id)))
    })
    this.#options.onDue(delivery.endpointId)
    return delivery
  }

  /** Begins all anew that the filter names, of endpoints that are there and enabled. */
  async replayAll(
    companyId: string,
    { state = 'dead', ...filter }: ReplayDeliveries,
    { apiKeyId }: Actor,
  ): Promise<ReplayResult> {
    const endpointIds = await this.#options.database.asCompany(companyId, async (db) => {
      const replayed = await replayDeliveries(companyId, db, { ...filter, state, limit: MOST_REPLAYED })
      const detail = { count: String(replayed.length) }
      await appendAudit(db, { companyId, apiKeyId, action: 'webhook_deliveries.replayed', detail })
      return replayed
    })
    for (const endpointId of new Set(endpointIds)) this.#options.onDue(endpointId)
    return { replayed: endpointIds.length }
  }
}

function found(row: DeliveryRow | undefined): DeliveryRow {
  if (row === undefined) throw new FrontdeskError('not_found')
  return row
}

/** A delivery as the API shows it. */
export const toDelivery = (row: DeliveryRow): WebhookDelivery => ({
  id: String(row.id),
  endpointId: row.endpoint_id,
  eventId: `${row.event_transaction}-${row.event_id}`,
  eventType: row.event_type,
  state: row.state,
  attempts: row.attempt_log,
  nextAttemptAt: row.state === 'waiting' ? row.next_attempt_at.toISOString() : null,
  createdAt: row.created_at.toISOString(),
  finishedAt: row.finished_at?.toISOString() ?? null,
})
