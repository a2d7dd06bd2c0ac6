import type { MessageContent, OutgoingContent } from '@frontdesk/api-contract'
import { type Kysely, sql } from 'kysely'
import type { ErrorCode } from '#src/model/errors.ts'
import type { Turn } from '#src/model/turn.ts'
import { newestAlias } from './newest-alias.ts'
import type { Schema } from './schema-types.ts'

/** A chat in which answerable messages wait for a turn. */
export interface WaitingChat {
  /** The canonical contact. */
  contactId: string
  /** All contacts whose messages belong to the chat: more than one when some were stored while contacts were merged. */
  contactIds: string[]
  count: number
  firstAt: Date
  lastAt: Date
}

export interface TurnOpening {
  turnId: string
  sessionId: string
  /** The contact that the turn is for, and all whose messages it takes. */
  contactId: string
  contactIds: readonly string[]
  /** At most so many messages, the oldest. */
  limit: number
}

/** What opening a turn came to. `merged`: nothing was done, because the contact has become another. */
export type TurnOpened =
  | { kind: 'opened'; moreWaits: boolean }
  | { kind: 'nothing_waits' }
  | { kind: 'merged'; contactId: string }

export interface TurnClosing {
  turnId: string
  /** Who answered or left it; null if nobody was asked. */
  responder: string | null
  errorCode?: ErrorCode
  /** The answer, in the order of sending. */
  messages: readonly { id: string; whatsappId: string; content: OutgoingContent; expiresAt: Date | null }[]
}

/** Takes the chat's waiting messages into a new turn: the turn, its messages and the event, or nothing. */
export async function openTurn(companyId: string, db: Kysely<Schema>, opening: TurnOpening): Promise<TurnOpened> {
  const { turnId, sessionId, contactId, contactIds, limit } = opening
  const { rows } = await sql<{ contact_id: string; waiting: number }>`
    with chat as materialized (
      select coalesce(merged_into, id) as contact_id from contact where company_id = ${companyId} and id = ${contactId}
    ), waiting as materialized (
      select id from message
      where session_id = ${sessionId} and contact_id = any (${[...contactIds]}::uuid[]) and company_id = ${companyId}
        and direction = 'inbound' and turn_id is null and is_answerable
        and exists (select from chat where contact_id = ${contactId})
      order by id limit ${limit + 1} for update
    ), batch as materialized (
      select id from waiting order by id limit ${limit}
    ), opened as (
      insert into turn (id, company_id, session_id, contact_id)
      select ${turnId}, ${companyId}, ${sessionId}, ${contactId} where exists (select from batch)
    ), taken as (
      update message set turn_id = ${turnId} from batch where message.id = batch.id
    ), announced as (
      insert into event (company_id, type, session_id, subject_id, data)
      select ${companyId}, 'turn.opened', ${sessionId}, ${turnId}, jsonb_build_object('contactId', ${contactId}::uuid)
      where exists (select from batch)
    )
    select contact_id, (select count(*)::int from waiting) as waiting from chat`.execute(db)
  const [row] = rows
  if (row !== undefined && row.contact_id !== contactId) return { kind: 'merged', contactId: row.contact_id }
  return row === undefined || row.waiting === 0
    ? { kind: 'nothing_waits' }
    : { kind: 'opened', moreWaits: row.waiting > limit }
}

/** An open turn with all that a responder may know of it. */
export async function readOpenTurn(companyId: string, db: Kysely<Schema>, turnId: string): Promise<Turn | undefined> {
  const { rows } = await sql<{
    created_at: Date
    company_name: string
    session_id: string
    session_name: string
    session_phone: string | null
    contact_id: string
    contact_name: string | null
    contact_phone: string | null
    contact_lid: string | null
    is_opted_out: boolean
    message_id: string
    content: MessageContent
    sent_at: Date
  }>`
    select turn.created_at, company.name as company_name,
      session.id as session_id, session.name as session_name, session.phone as session_phone,
      contact.id as contact_id, contact.name as contact_name,
      ${newestAlias('phone', sql`contact.id`)} as contact_phone, ${newestAlias('lid', sql`contact.id`)} as contact_lid,
      contact.opted_out_at is not null as is_opted_out, message.id as message_id, message.content, coalesce(message.sent_at, message.created_at) as sent_at
    from turn
    join company on company.id = turn.company_id
    join session on session.id = turn.session_id
    join contact former on former.id = turn.contact_id
    join contact on contact.id = coalesce(former.merged_into, former.id)
    join message on message.turn_id = turn.id and message.direction = 'inbound'
    where turn.id = ${turnId} and turn.company_id = ${companyId} and turn.state = 'open'
    order by message.id`.execute(db)
  const [first] = rows
  if (first === undefined) return undefined
  return {
    id: turnId,
    company: { id: companyId, name: first.company_name },
    session: { id: first.session_id, name: first.session_name, phone: first.session_phone },
    contact: {
      id: first.contact_id,
      name: first.contact_name,
      phone: first.contact_phone,
      lid: first.contact_lid,
    },
    isOptedOut: first.is_opted_out,
    messages: rows.map(({ message_id, content, sent_at }) => ({ id: message_id, content, sentAt: sent_at })),
    createdAt: first.created_at,
  }
}

/**
 * Ends a turn and puts its answer into the outbox, both or neither. False if nothing of it is new to be sent: the turn was
 * not open, since an earlier try has done it, or the contact has opted out meanwhile, and the answer fails.
 */
export async function closeTurn(companyId: string, db: Kysely<Schema>, closing: TurnClosing): Promise<boolean> {
  const { turnId, responder, errorCode = null, messages } = closing
  const state = messages.length > 0 ? 'answered' : 'unanswered'
  const { rows } = await sql<{ isOptedOut: boolean }>`
    with closed as (
      update turn set state = ${state}, responder = ${responder}, error_code = ${errorCode}, closed_at = now()
      where id = ${turnId} and company_id = ${companyId} and state = 'open'
      returning id, session_id, contact_id,
        (select opted_out_at is not null from contact where contact.id = turn.contact_id) as is_opted_out
    ), queued as (
      insert into message (id, company_id, session_id, contact_id, direction, origin, whatsapp_id, status, content, turn_id,
        expires_at, error_code)
      select answer.id, ${companyId}, closed.session_id, closed.contact_id,
        'outbound', 'responder', answer.whatsapp_id, case when is_opted_out then 'failed' else 'queued' end,
        answer.content, closed.id, answer.expires_at, case when is_opted_out then 'contact_opted_out' end
      from closed, unnest(
        ${messages.map(({ id }) => id)}::uuid[], ${messages.map(({ whatsappId }) => whatsappId)}::text[],
        ${messages.map(({ content }) => JSON.stringify(content))}::jsonb[],
        ${messages.map(({ expiresAt }) => expiresAt)}::timestamptz[]) as answer (id, whatsapp_id, content, expires_at)
      returning id, session_id, contact_id, status, error_code
    ), announced as (
      insert into event (company_id, type, session_id, subject_id, data)
      select ${companyId}, type, session_id, subject_id, data from (
        select 0 as place, 'turn.closed' as type, session_id, id as subject_id, jsonb_build_object(
          'contactId', contact_id, 'state', ${state}::text, 'responder', ${responder}::text, 'code', ${errorCode}::text) as data
        from closed
        union all
        select 1, 'message.queued', session_id, id, jsonb_build_object('contactId', contact_id) from queued
        union all
        select 2, 'message.status_changed', session_id, id, jsonb_build_object('status', status, 'code', error_code)
        from queued where status = 'failed'
      ) as happened order by place, subject_id
    )
    select is_opted_out as "isOptedOut" from closed`.execute(db)
  return rows[0]?.isOptedOut === false
}

/** Turns that were opened and not closed, oldest first: the work of an owner that is gone. */
export async function listOpenTurns(
  companyId: string,
  db: Kysely<Schema>,
  sessionId: string,
): Promise<{ id: string; contactId: string }[]> {
  const rows = await db
    .selectFrom('turn')
    .select(['id', 'contact_id'])
    .where('company_id', '=', companyId)
    .where('session_id', '=', sessionId)
    .where('state', '=', 'open')
    .orderBy('id')
    .execute()
  return rows.map(({ id, contact_id }) => ({ id, contactId: contact_id }))
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

/** The company's settings as they were stored. */
export async function readCompanySettings(companyId: string, db: Kysely<Schema>): Promise<Record<string, unknown>> {
  const row = await db.selectFrom('company').select('settings').where('id', '=', companyId).executeTakeFirst()
  return row?.settings ?? {}
}
