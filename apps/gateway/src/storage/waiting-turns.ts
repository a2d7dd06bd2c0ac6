import { type Kysely, sql } from 'kysely'
import type { Schema } from './schema-types.ts'

/** A chat in which answerable messages wait for a turn. */
interface WaitingChat {
  /** The canonical contact. */
  contactId: string
  /** All contacts whose messages belong to the chat: more than one when some were stored while contacts were merged. */
  contactIds: string[]
  count: number
  firstAt: Date
  lastAt: Date
}

/**
 * Turns that were opened and not closed, oldest first: the work of an owner that is gone. Without those that are held for
 * longer than until `now`.
 */
export async function listOpenTurns(
  companyId: string,
  db: Kysely<Schema>,
  { sessionId, now, limit }: { sessionId: string; now: Date; limit: number },
): Promise<{ id: string; contactId: string }[]> {
  const rows = await db
    .selectFrom('turn')
    .select(['id', 'contact_id'])
    .where('company_id', '=', companyId)
    .where('session_id', '=', sessionId)
    // Not a parameter, with which the index of open turns would be out of the question.
    .where('state', '=', sql.lit('open'))
    .where((turn) => turn.or([turn('held_until', 'is', null), turn('held_until', '<=', now)]))
    .orderBy('id')
    .limit(limit)
    .execute()
  return rows.map(({ id, contact_id }) => ({ id, contactId: contact_id }))
}

/** When the first held turn of the session is due that was not by `now`; undefined when none is held for so long. */
export async function nextHeldUntil(
  companyId: string,
  db: Kysely<Schema>,
  { sessionId, now }: { sessionId: string; now: Date },
): Promise<Date | undefined> {
  const row = await db
    .selectFrom('turn')
    .select('held_until')
    .where('company_id', '=', companyId)
    .where('session_id', '=', sessionId)
    .where('held_until', '>', now)
    .orderBy('held_until')
    .limit(1)
    .executeTakeFirst()
  return row?.held_until ?? undefined
}

/** Chats with messages that wait for a turn, those that have waited longest first. */
export async function listWaitingChats(
  companyId: string,
  db: Kysely<Schema>,
  sessionId: string,
  limit: number,
): Promise<WaitingChat[]> {
  const { rows } = await sql<WaitingChat>`
    select coalesce(contact.merged_into, contact.id) as "contactId", array_agg(distinct contact.id) as "contactIds",
      count(*)::int as count, min(message.created_at) as "firstAt", max(message.created_at) as "lastAt"
    from message join contact on contact.id = message.contact_id
    where message.session_id = ${sessionId} and message.company_id = ${companyId}
      and message.direction = 'inbound' and message.turn_id is null and message.is_answerable
    group by 1 order by 3 limit ${limit}`.execute(db)
  return rows
}
