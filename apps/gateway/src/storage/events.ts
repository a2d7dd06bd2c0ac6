import { type Kysely, sql } from 'kysely'
import { FrontdeskError } from '#src/model/errors.ts'
import { storableJson } from '#src/model/storable-text.ts'
import type { Schema } from './schema-types.ts'

export interface NewEvent {
  companyId: string
  type: string
  sessionId?: string
  subjectId?: string
  /** Ids and states, never bodies. */
  data?: Record<string, unknown>
}

export interface StoredEvent {
  /** Its place in the log, which is a cursor as well. */
  id: string
  companyId: string
  type: string
  sessionId: string | null
  subjectId: string | null
  data: Record<string, unknown>
  createdAt: Date
}

export interface EventPage {
  events: StoredEvent[]
  /** Where to go on: after the last event of the page; the cursor asked with when it is empty. */
  next: string | null
}

/** Appends to the companies' logs, in the order given. Part of the transaction that makes the events true. */
export async function appendEvents(db: Kysely<Schema>, events: readonly NewEvent[]): Promise<void> {
  if (events.length === 0) return
  await db
    .insertInto('event')
    .values(
      events.map(({ companyId, type, sessionId, subjectId, data }) => ({
        company_id: companyId,
        type,
        session_id: sessionId ?? null,
        subject_id: subjectId ?? null,
        data: storableJson(data ?? {}),
      })),
    )
    .execute()
}

/**
 * The company's events after the cursor, in an order in which none is ever overtaken: a transaction that is still running
 * may yet append, so the page ends before it. An event can therefore be committed and not be read yet.
 * @throws FrontdeskError `invalid_request` if the cursor is none
 */
export async function readEvents(
  companyId: string,
  db: Kysely<Schema>,
  query: { after?: string; limit: number; types?: readonly string[] },
): Promise<EventPage> {
  const after = query.after === undefined ? { transaction: '0', id: '0' } : parseCursor(query.after)
  let rows = db
    .selectFrom('event')
    .selectAll()
    .where('company_id', '=', companyId)
    .where(sql<boolean>`(transaction, id) > (${after.transaction}::xid8, ${after.id}::bigint)`)
    .where(sql<boolean>`transaction < pg_snapshot_xmin(pg_current_snapshot())`)
    .orderBy('transaction')
    .orderBy('id')
    .limit(query.limit)
  if (query.types !== undefined) rows = rows.where(sql<boolean>`type = any (${[...query.types]}::text[])`)
  const events = (await rows.execute()).map((row) => ({
    id: `${row.transaction}-${row.id}`,
    companyId: row.company_id,
    type: row.type,
    sessionId: row.session_id,
    subjectId: row.subject_id,
    data: row.data,
    createdAt: row.created_at,
  }))
  return { events, next: events.at(-1)?.id ?? query.after ?? null }
}

function parseCursor(cursor: string): { transaction: string; id: string } {
  const parts = /^(?<transaction>\d{1,19})-(?<id>\d{1,18})$/.exec(cursor)?.groups as
    | { transaction: string; id: string }
    | undefined
  if (!parts) throw new FrontdeskError('invalid_request', 'This cursor was not given by this API.')
  return parts
}
