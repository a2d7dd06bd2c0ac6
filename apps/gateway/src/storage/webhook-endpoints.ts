import type { WebhookOrdering } from '@frontdesk/api-contract'
import { type Kysely, type Selectable, sql } from 'kysely'
import type { Schema } from './schema-types.ts'

export type WebhookEndpointRow = Selectable<Schema['webhook_endpoint']>

export interface NewWebhookEndpoint {
  id: string
  url: string
  /** Null for all. */
  eventTypes: readonly string[] | null
  ordering: WebhookOrdering
  /** Sealed. */
  secrets: Uint8Array
}

/** What is undefined stays. */
export type WebhookEndpointChange = {
  [Field in keyof Omit<NewWebhookEndpoint, 'id'>]?: NewWebhookEndpoint[Field] | undefined
} & { isEnabled?: boolean | undefined }

/** Undefined when the company has as many as it may have. */
export async function insertWebhookEndpoint(
  companyId: string,
  db: Kysely<Schema>,
  { id, url, eventTypes, ordering, secrets }: NewWebhookEndpoint,
  most: number,
): Promise<WebhookEndpointRow | undefined> {
  await sql`select pg_advisory_xact_lock(hashtextextended('webhook endpoints of ' || ${companyId}, 0))`.execute(db)
  if ((await listWebhookEndpoints(companyId, db)).length >= most) return undefined
  return await db
    .insertInto('webhook_endpoint')
    .values({ id, company_id: companyId, url, event_types: eventTypes && [...eventTypes], ordering, secrets })
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Oldest first. */
export const listWebhookEndpoints = (companyId: string, db: Kysely<Schema>): Promise<WebhookEndpointRow[]> =>
  db.selectFrom('webhook_endpoint').selectAll().where('company_id', '=', companyId).orderBy('id').execute()

const endpointOf = (companyId: string, db: Kysely<Schema>, endpointId: string) =>
  db.selectFrom('webhook_endpoint').selectAll().where('company_id', '=', companyId).where('id', '=', endpointId)

export const findWebhookEndpoint = (
  companyId: string,
  db: Kysely<Schema>,
  endpointId: string,
): Promise<WebhookEndpointRow | undefined> => endpointOf(companyId, db, endpointId).executeTakeFirst()

/** The endpoint, kept from other changes until the transaction ends. */
export const lockWebhookEndpoint = (
  companyId: string,
  db: Kysely<Schema>,
  endpointId: string,
): Promise<WebhookEndpointRow | undefined> => endpointOf(companyId, db, endpointId).forUpdate().executeTakeFirst()

/** What is left out stays. After any change the endpoint is tried at once. */
export async function updateWebhookEndpoint(
  companyId: string,
  db: Kysely<Schema>,
  endpointId: string,
  change: WebhookEndpointChange,
): Promise<WebhookEndpointRow> {
  const { url, eventTypes, ordering, secrets, isEnabled } = change
  return await db
    .updateTable('webhook_endpoint')
    .set({
      failures: 0,
      paused_until: null,
      ...(url !== undefined && { url }),
      ...(eventTypes !== undefined && { event_types: eventTypes && [...eventTypes] }),
      ...(ordering !== undefined && { ordering }),
      ...(secrets !== undefined && { secrets }),
      ...(isEnabled !== undefined && { is_enabled: isEnabled }),
    })
    .where('company_id', '=', companyId)
    .where('id', '=', endpointId)
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** False when there is none. */
export async function deleteWebhookEndpoint(
  companyId: string,
  db: Kysely<Schema>,
  endpointId: string,
): Promise<boolean> {
  const { numDeletedRows } = await db
    .deleteFrom('webhook_endpoint')
    .where('company_id', '=', companyId)
    .where('id', '=', endpointId)
    .executeTakeFirst()
  return numDeletedRows > 0n
}
