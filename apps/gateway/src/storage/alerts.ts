import type { AlertKind } from '@frontdesk/api-contract'
import { type Kysely, type Selectable, sql } from 'kysely'
import { newId } from '#src/model/ids.ts'
import { storableJson } from '#src/model/storable-text.ts'
import { appendEvents } from './events.ts'
import type { Schema } from './schema-types.ts'

export type AlertRow = Selectable<Schema['alert']>

/** What an alert is about: a session, a webhook endpoint, a conversation, a company, or the platform. It is raised once for each. */
export interface AlertSubject {
  kind: AlertKind
  companyId?: string
  sessionId?: string
  endpointId?: string
  /** Its alerts are cleared with the change of the conversation that ends their reason. */
  conversationId?: string
}

/** Does nothing if it is raised already. Part of a transaction: the company's event goes with it. */
export async function raiseAlert(
  db: Kysely<Schema>,
  { kind, companyId, sessionId, endpointId, conversationId }: AlertSubject,
  detail: Record<string, unknown>,
): Promise<void> {
  const id = newId()
  const { rows } = await sql`
    insert into alert (id, company_id, session_id, endpoint_id, conversation_id, kind, detail)
    values (${id}, ${companyId ?? null}, ${sessionId ?? null}, ${endpointId ?? null}, ${conversationId ?? null}, ${kind},
      ${storableJson(detail)})
    on conflict (kind, company_id, session_id, endpoint_id, conversation_id) where cleared_at is null do nothing
    returning id`.execute(db)
  if (rows.length > 0) await announce(db, 'alert.raised', id, { kind, companyId, sessionId })
}

/** Does nothing if it is not raised. Part of a transaction. */
export async function clearAlert(
  db: Kysely<Schema>,
  { kind, companyId, sessionId, endpointId }: AlertSubject,
): Promise<void> {
  const { rows } = await sql<{ id: string }>`
    update alert set cleared_at = now()
    where kind = ${kind} and company_id is not distinct from ${companyId ?? null}::uuid
      and session_id is not distinct from ${sessionId ?? null}::uuid
      and endpoint_id is not distinct from ${endpointId ?? null}::uuid and cleared_at is null
    returning id`.execute(db)
  for (const { id } of rows) await announce(db, 'alert.cleared', id, { kind, companyId, sessionId })
}

/**
 * Alerts about sessions that have been online for ten minutes: whoever raised them has ended before it
 * could clear them.
 */
export async function listOutlivedAlerts(db: Kysely<Schema>): Promise<AlertSubject[]> {
  const { rows } = await sql<{ kind: AlertKind; companyId: string; sessionId: string }>`
    select alert.kind, alert.company_id as "companyId", alert.session_id as "sessionId"
    from alert join session on session.id = alert.session_id
    where alert.cleared_at is null and alert.kind in ('session_stuck', 'session_unstable', 'session_quarantined')
      and session.state = 'online' and session.state_since < now() - interval '10 minutes'
      and alert.raised_at < now() - interval '10 minutes'`.execute(db)
  return rows
}

/** The platform has no event log: its alerts are read from the table. */
async function announce(
  db: Kysely<Schema>,
  type: 'alert.raised' | 'alert.cleared',
  id: string,
  { kind, companyId, sessionId }: { [Key in keyof AlertSubject]: AlertSubject[Key] | undefined },
): Promise<void> {
  if (companyId === undefined) return
  const event = { companyId, type, subjectId: id, data: { kind } }
  await appendEvents(db, [sessionId === undefined ? event : { ...event, sessionId }])
}

/** Newest first. Of one company, or all of them and the platform's. */
export async function listAlerts(
  db: Kysely<Schema>,
  { companyId, state, limit, cursor }: { companyId?: string; state: 'raised' | 'all'; limit: number; cursor?: string },
): Promise<AlertRow[]> {
  let rows = db.selectFrom('alert').selectAll().orderBy('id', 'desc').limit(limit)
  if (companyId !== undefined) rows = rows.where('company_id', '=', companyId)
  if (state === 'raised') rows = rows.where('cleared_at', 'is', null)
  if (cursor !== undefined) rows = rows.where('id', '<', cursor)
  return await rows.execute()
}
