import type { DeliveryState } from '@frontdesk/api-contract'
import { type Kysely, type Selectable, type SelectQueryBuilder, sql } from 'kysely'
import type { Schema } from './schema-types.ts'

export type DeliveryRow = Selectable<Schema['webhook_delivery']>

export interface DeliveryFilter {
  endpointId?: string | undefined
  eventType?: string | undefined
  state?: DeliveryState | undefined
  /** Made at this moment or later. */
  from?: string | undefined
  /** Made before this moment. */
  until?: string | undefined
}

export const findDelivery = (companyId: string, db: Kysely<Schema>, id: string): Promise<DeliveryRow | undefined> =>
  db
    .selectFrom('webhook_delivery')
    .selectAll()
    .where('company_id', '=', companyId)
    .where('id', '=', Number(id))
    .executeTakeFirst()

/** Newest first. */
export async function listDeliveries(
  companyId: string,
  db: Kysely<Schema>,
  { limit, before, ...filter }: DeliveryFilter & { limit: number; before?: string | undefined },
): Promise<DeliveryRow[]> {
  let rows = filtered(db.selectFrom('webhook_delivery').selectAll(), companyId, filter)
  if (before !== undefined) rows = rows.where('id', '<', Number(before))
  return await rows.orderBy('id', 'desc').limit(limit).execute()
}

/** The delivery of an event that was appended in this transaction. */
export const findDeliveryOf = (
  companyId: string,
  db: Kysely<Schema>,
  { endpointId, eventType }: { endpointId: string; eventType: string },
): Promise<DeliveryRow> =>
  db
    .selectFrom('webhook_delivery')
    .selectAll()
    .where('company_id', '=', companyId)
    .where('endpoint_id', '=', endpointId)
    .where('event_type', '=', eventType)
    .where(sql<boolean>`event_transaction = pg_current_xact_id()`)
    .executeTakeFirstOrThrow()

/**
 * Begins deliveries anew, with all the time of new ones: the oldest that the filter names. Those of endpoints that are
 * gone or disabled stay. Their endpoints, one for each delivery.
 */
export async function replayDeliveries(
  companyId: string,
  db: Kysely<Schema>,
  { limit, ...filter }: DeliveryFilter & { id?: string; limit: number },
): Promise<string[]> {
  let wanted = filtered(db.selectFrom('webhook_delivery').select('id'), companyId, filter)
  if (filter.id !== undefined) wanted = wanted.where('id', '=', Number(filter.id))
  const rows = await db
    .updateTable('webhook_delivery')
    .set({
      state: 'waiting',
      next_attempt_at: sql<Date>`now()`,
      give_up_at: sql<Date>`now() + interval '24 hours'`,
      attempts: 0,
      claim: sql<number>`claim + 1`,
      finished_at: null,
    })
    // Locked in the order in which outcomes are stored, so that neither waits for the other.
    .where('id', 'in', wanted.where(isEndpointThere(companyId)).orderBy('id').limit(limit).forUpdate())
    .returning('endpoint_id')
    .execute()
  return rows.map(({ endpoint_id }) => endpoint_id)
}

const isEndpointThere = (companyId: string) =>
  sql<boolean>`endpoint_id in (select id from webhook_endpoint where company_id = ${companyId} and is_enabled)`

function filtered<Output>(
  rows: SelectQueryBuilder<Schema, 'webhook_delivery', Output>,
  companyId: string,
  { endpointId, eventType, state, from, until }: DeliveryFilter,
): SelectQueryBuilder<Schema, 'webhook_delivery', Output> {
  let some = rows.where('company_id', '=', companyId)
  if (endpointId !== undefined) some = some.where('endpoint_id', '=', endpointId)
  if (eventType !== undefined) some = some.where('event_type', '=', eventType)
  if (state !== undefined) some = some.where('state', '=', state)
  if (from !== undefined) some = some.where('created_at', '>=', new Date(from))
  if (until !== undefined) some = some.where('created_at', '<', new Date(until))
  return some
}
