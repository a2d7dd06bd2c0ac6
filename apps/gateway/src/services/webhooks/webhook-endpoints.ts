import type {
  CreateWebhookEndpoint,
  RotateWebhookSecret,
  UpdateWebhookEndpoint,
  WebhookDelivery,
  WebhookEndpoint,
  WebhookEndpointWithSecret,
} from '@frontdesk/api-contract'
import type { Kysely } from 'kysely'
import { FrontdeskError } from '#src/model/errors.ts'
import { newId } from '#src/model/ids.ts'
import type { Alerts } from '#src/services/alerts/alerts.ts'
import type { Actor } from '#src/services/security/actor.ts'
import type { OutgoingUrlGuard } from '#src/services/security/outgoing-url.ts'
import { appendAudit } from '#src/storage/audit.ts'
import type { Database } from '#src/storage/database.ts'
import { findDeliveryOf } from '#src/storage/deliveries.ts'
import { appendEvents } from '#src/storage/events.ts'
import type { KeyRing } from '#src/storage/key-ring.ts'
import type { Schema } from '#src/storage/schema-types.ts'
import {
  deleteWebhookEndpoint,
  findWebhookEndpoint,
  insertWebhookEndpoint,
  listWebhookEndpoints,
  lockWebhookEndpoint,
  updateWebhookEndpoint,
  type WebhookEndpointChange,
  type WebhookEndpointRow,
} from '#src/storage/webhook-endpoints.ts'
import { toDelivery } from './webhook-deliveries.ts'
import {
  newSecret,
  openSecrets,
  sealSecrets,
  validSecrets,
  type WebhookSecrets,
  withNewSecret,
} from './webhook-secrets.ts'

/** It also bounds what one company can have under way at once. */
const MOST_ENDPOINTS = 10
const FORMER_VALID_MS = 24 * 60 * 60 * 1000
const TEST = 'webhook.test'

export interface WebhookEndpointsOptions {
  database: Database
  keyRing: Pick<KeyRing, 'sealerOf'>
  urlGuard: Pick<OutgoingUrlGuard, 'check'>
  alerts: Pick<Alerts, 'clear'>
  /** Called after a commit after which something may be due at the endpoint. */
  onChanged: (endpointId: string) => void
}

/** Where companies have their events posted to. */
export class WebhookEndpoints {
  readonly #options: WebhookEndpointsOptions
  readonly #database: Database

  constructor(options: WebhookEndpointsOptions) {
    this.#options = options
    this.#database = options.database
  }

  /** @throws FrontdeskError `url_not_allowed`, `webhook_endpoint_limit_reached` */
  async create(
    companyId: string,
    { url, eventTypes = null, headers = {}, ordering = 'none' }: CreateWebhookEndpoint,
    { apiKeyId }: Actor,
  ): Promise<WebhookEndpointWithSecret> {
    this.#options.urlGuard.check(url)
    const id = newId()
    const secret = newSecret()
    const secrets: WebhookSecrets = { signing: [{ value: secret, expiresAt: null }], headers }
    const sealed = sealSecrets(await this.#options.keyRing.sealerOf(companyId), id, secrets)
    return await this.#database.asCompany(companyId, async (db) => {
      const endpoint = { id, url, eventTypes, ordering, secrets: sealed }
      const row = await insertWebhookEndpoint(companyId, db, endpoint, MOST_ENDPOINTS)
      if (row === undefined) throw new FrontdeskError('webhook_endpoint_limit_reached', `It is ${MOST_ENDPOINTS}.`)
      await appendAudit(db, { companyId, apiKeyId, action: 'webhook_endpoint.created', subjectId: id })
      return { ...toEndpoint(row, secrets), secret }
    })
  }

  /** Oldest first. */
  async list(companyId: string): Promise<WebhookEndpoint[]> {
    const rows = await this.#database.asCompany(companyId, (db) => listWebhookEndpoints(companyId, db))
    return await Promise.all(rows.map(async (row) => toEndpoint(row, await this.#open(row))))
  }

  /** @throws FrontdeskError `not_found` */
  async get(companyId: string, endpointId: string): Promise<WebhookEndpoint> {
    const row = found(await this.#database.asCompany(companyId, (db) => findWebhookEndpoint(companyId, db, endpointId)))
    return toEndpoint(row, await this.#open(row))
  }

  /** What is left out stays. It is tried at once, however often it has failed. @throws FrontdeskError `not_found`, `url_not_allowed` */
  async update(
    companyId: string,
    endpointId: string,
    { headers, ...change }: UpdateWebhookEndpoint,
    { apiKeyId }: Actor,
  ): Promise<WebhookEndpoint> {
    if (change.url !== undefined) this.#options.urlGuard.check(change.url)
    const changed = [...Object.keys(change), ...(headers === undefined ? [] : ['headers'])]
    return await this.#change(companyId, endpointId, async (db, secrets) => {
      await appendAudit(db, {
        ...{ companyId, apiKeyId, subjectId: endpointId, detail: { changed } },
        action: 'webhook_endpoint.updated',
      })
      return { change, secrets: headers === undefined ? secrets : { ...secrets, headers } }
    })
  }

  /**
   * Another secret signs from now on. The former ones sign as well for a while, so that a receiver can be changed over
   * without losing anything. @throws FrontdeskError `not_found`
   */
  async rotateSecret(
    companyId: string,
    endpointId: string,
    { formerValidMs = FORMER_VALID_MS }: RotateWebhookSecret,
    { apiKeyId }: Actor,
  ): Promise<WebhookEndpointWithSecret> {
    const secret = newSecret()
    const updated = await this.#change(companyId, endpointId, async (db, secrets) => {
      await appendAudit(db, {
        ...{ companyId, apiKeyId, subjectId: endpointId },
        action: 'webhook_endpoint.secret_rotated',
      })
      const signing = withNewSecret(secrets.signing, secret, { now: new Date(), formerValidMs })
      return { change: {}, secrets: { ...secrets, signing } }
    })
    return { ...updated, secret }
  }

  /** What waits for it is given up in a day; what was delivered can be read until then. @throws FrontdeskError `not_found` */
  async delete(companyId: string, endpointId: string, { apiKeyId }: Actor): Promise<void> {
    await this.#database.asCompany(companyId, async (db) => {
      if (!(await deleteWebhookEndpoint(companyId, db, endpointId))) throw new FrontdeskError('not_found')
      await appendAudit(db, { companyId, apiKeyId, action: 'webhook_endpoint.deleted', subjectId: endpointId })
    })
    this.#clearAlerts(companyId, endpointId)
  }

  /** Appends an event that this endpoint alone is told. @throws FrontdeskError `not_found`, `webhook_endpoint_disabled` */
  async test(companyId: string, endpointId: string, { apiKeyId }: Actor): Promise<WebhookDelivery> {
    return await this.#database.asCompany(companyId, async (db) => {
      const { is_enabled: isEnabled } = found(await lockWebhookEndpoint(companyId, db, endpointId))
      if (!isEnabled) throw new FrontdeskError('webhook_endpoint_disabled')
      await appendAudit(db, { companyId, apiKeyId, action: 'webhook_endpoint.tested', subjectId: endpointId })
      await appendEvents(db, [{ companyId, type: TEST, subjectId: endpointId }])
      return toDelivery(await findDeliveryOf(companyId, db, { endpointId, eventType: TEST }))
    })
  }

  async #change(
    companyId: string,
    endpointId: string,
    work: (
      db: Kysely<Schema>,
      secrets: WebhookSecrets,
    ) => Promise<{ change: WebhookEndpointChange; secrets: WebhookSecrets }>,
  ): Promise<WebhookEndpoint> {
    const sealer = await this.#options.keyRing.sealerOf(companyId)
    const updated = await this.#database.asCompany(companyId, async (db) => {
      const before = found(await lockWebhookEndpoint(companyId, db, endpointId))
      const { change, secrets } = await work(db, await openSecrets(sealer, endpointId, before.secrets))
      const sealed = sealSecrets(sealer, endpointId, secrets)
      return toEndpoint(await updateWebhookEndpoint(companyId, db, endpointId, { ...change, secrets: sealed }), secrets)
    })
    this.#clearAlerts(companyId, endpointId)
    this.#options.onChanged(endpointId)
    return updated
  }

  /** If they hold still, the next attempts raise them again. */
  #clearAlerts(companyId: string, endpointId: string): void {
    for (const kind of ['webhook_failing', 'webhook_gone'] as const)
      this.#options.alerts.clear({ kind, companyId, endpointId })
  }

  async #open({ id, company_id: companyId, secrets }: WebhookEndpointRow): Promise<WebhookSecrets> {
    return await openSecrets(await this.#options.keyRing.sealerOf(companyId), id, secrets)
  }
}

function found(row: WebhookEndpointRow | undefined): WebhookEndpointRow {
  if (row === undefined) throw new FrontdeskError('not_found')
  return row
}

const toEndpoint = (row: WebhookEndpointRow, { signing, headers }: WebhookSecrets): WebhookEndpoint => ({
  id: row.id,
  url: row.url,
  eventTypes: row.event_types,
  headerNames: Object.keys(headers),
  ordering: row.ordering,
  isEnabled: row.is_enabled,
  secrets: validSecrets(signing, new Date()).length,
  failures: row.failures,
  pausedUntil: row.paused_until?.toISOString() ?? null,
  createdAt: row.created_at.toISOString(),
})
